//! Where the kernel is, this time.
//!
//! The image is linked for one place, and each boot moves what programs could
//! guess otherwise:
//!
//! | what | among | bits |
//! |---|---|---|
//! | the image's addresses | 2 MiB apart, in a gigabyte | almost 9 |
//! | the direct map | 1 GiB apart, in 64 TiB (AArch64: 4 GiB) | almost 16 (14) |
//! | stacks, device registers | 1 GiB apart, in half of 512 GiB each | 8 each |
//!
//! The machine's `kaslr.rs` chooses first of all Rust, where the image is
//! linked: nothing has a pointer yet that would become wrong. Its boot code
//! (`entry.rs`) then adds to every address in the image how far it moves, and
//! goes on there. The word `nokaslr` leaves everything where it is linked.
//!
//! All of it is chosen so that the kernel's tables are as many wherever it is:
//! a boot costs the same each time.

use core::ops::Range;

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

#[cfg(target_os = "none")]
use crate::relative;

/// Bytes of what an entry of a directory maps.
pub(crate) const LARGE_PAGE: u64 = 2 << 20;

/// Entries of a table.
const ENTRIES: u64 = 512;

/// The root's entries that the direct map may begin with: two entries behind
/// the last one are the direct map's too, where memory is a terabyte. The first
/// of the half is in use meanwhile.
const DIRECT_SLOTS: Range<u64> = 257..382;

/// The gigabytes of such an entry that it may begin with: four after it are in
/// one table.
const DIRECT_PLACES: u64 = ENTRIES - 3;

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// How far the image moves up.
    pub(crate) slide: u64,
    /// The entry of the root, and the entry in the table behind it, where the
    /// direct map begins.
    pub(crate) direct: (u64, u64),
    /// How far into their windows stacks and devices begin, in gigabytes.
    pub(crate) windows: [u64; 2],
}

impl Places {
    /// From 32 random bytes, for an image that is linked to end so far behind
    /// the beginning of its gigabyte, and a direct map that begins at a multiple
    /// of so many gigabytes.
    pub(crate) fn random(seed: &[u8; 32], image_end: u64, direct_step: u64) -> Places {
        let (words, _) = seed.as_chunks::<8>();
        let word = |index: usize| words.get(index).copied().map_or(0, u64::from_le_bytes);
        let pages = image_end.div_ceil(LARGE_PAGE);
        let places = DIRECT_PLACES.div_ceil(direct_step);
        Places {
            slide: word(0) % (ENTRIES.saturating_sub(pages) + 1) * LARGE_PAGE,
            direct: (
                DIRECT_SLOTS.start + word(1) % (DIRECT_SLOTS.end - DIRECT_SLOTS.start),
                (word(1) >> 32) % places * direct_step,
            ),
            windows: [word(2) % (ENTRIES / 2), word(3) % (ENTRIES / 2)],
        }
    }

    /// The direct map's beginning.
    pub(crate) fn direct_map(&self) -> u64 {
        let (slot, place) = self.direct;
        // The sign goes on to the top.
        0xffff_0000_0000_0000 | slot << 39 | place << 30
    }
}

/// Where stacks and devices begin in their windows, in bytes.
///
/// ORDERING: Relaxed: written once, before there is anybody else.
static WINDOWS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Keeps how many gigabytes into their windows stacks and devices begin.
pub(crate) fn keep_windows(gigabytes: [u64; 2]) {
    for (place, gigabytes) in WINDOWS.iter().zip(gigabytes) {
        place.store(gigabytes << 30, Ordering::Relaxed);
    }
}

/// How far into their windows stacks and devices begin, in bytes.
pub(crate) fn window_offsets() -> [u64; 2] {
    WINDOWS
        .each_ref()
        .map(|place| place.load(Ordering::Relaxed))
}

/// Whether a command line lets the kernel be moved.
pub(crate) fn may_move(cmdline: &[u8]) -> bool {
    let mut words = cmdline.split(u8::is_ascii_whitespace);
    !words.any(|word| word == b"nokaslr")
}

/// Where the code has the direct map's beginning: the places that the section
/// `.ochre_bases` names.
#[cfg(target_os = "none")]
pub(crate) fn bases<T>() -> impl Iterator<Item = *mut T> {
    unsafe extern "C" {
        safe static __ochre_bases_start: i32;
        safe static __ochre_bases_end: i32;
    }
    let bounds = (&raw const __ochre_bases_start, &raw const __ochre_bases_end);
    // SAFETY: the linker script puts exactly the entries between the two
    // symbols, aligned and never written.
    let entries = unsafe { relative::entries(bounds.0, bounds.1) };
    entries
        .iter()
        .map(|entry| core::ptr::with_exposed_provenance_mut(relative::target(entry)))
}

/// On a host nothing moves.
#[cfg(not(target_os = "none"))]
pub(crate) fn bases<T>() -> impl Iterator<Item = *mut T> {
    core::iter::empty()
}

#[cfg(test)]
mod tests {
    use super::{LARGE_PAGE, Places, may_move};
    use proptest::prelude::{any, prop, proptest};

    const IMAGE_END: u64 = 0x38_0000;

    const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

    #[test]
    fn the_ends_of_what_can_be_chosen_fit() {
        let lowest = Places::random(&[0; 32], IMAGE_END, 1);
        assert_eq!(lowest.slide, 0);
        assert_eq!(lowest.direct_map(), KERNEL_HALF + (512 << 30));
        assert_eq!(lowest.windows, [0, 0]);
    }

    #[test]
    fn a_word_keeps_the_kernel_where_it_is() {
        assert!(may_move(b"quiet nokaslr2 xnokaslr"));
        assert!(may_move(b""));
        assert!(!may_move(b"quiet nokaslr init=/bin/sh"));
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_fits(
            seed in any::<[u8; 32]>(),
            step in prop::sample::select(vec![1_u64, 4]),
        ) {
            let places = Places::random(&seed, IMAGE_END, step);
            assert!(places.slide.is_multiple_of(LARGE_PAGE));
            assert!(places.slide + IMAGE_END <= 1 << 30);
            let base = places.direct_map();
            assert!(base >= KERNEL_HALF && base.is_multiple_of(step << 30));
            assert!(base + (1 << 40) <= 0xffff_c000_0000_0000);
            assert!(places.direct.1 + 3 < 512);
            assert!(places.windows.iter().all(|place| *place < 256));
        }
    }
}
