//! Where the kernel is, this time.
//!
//! The image is linked for one place and loaded at one place, and each boot
//! moves what programs could guess otherwise:
//!
//! | what | among | bits |
//! |---|---|---|
//! | the image's addresses | 2 MiB apart, in the gigabyte from `KERNEL_OFFSET` | almost 9 |
//! | the direct map | 1 GiB apart, in 64 TiB | almost 16 |
//! | stacks, device registers | 1 GiB apart, in half of 512 GiB each | 8 each |
//! | what programs' own tables show (`apart.rs`) | 2 MiB apart, in 512 GiB | 18 |
//!
//! [`choose`] runs first of all Rust, where the image is linked: nothing has a
//! pointer yet that would become wrong. The boot code (`entry.rs`) then adds to
//! every address in the image how far it moves, and goes on there. The word
//! `nokaslr` leaves everything where it is linked.
//!
//! All of it is chosen so that the kernel's tables are as many wherever it is:
//! a boot costs the same each time.

use core::ops::Range;

use super::entry::{EarlyTables, OCHRE_EARLY_TABLES};
use super::pvh;
use super::start::EarlyMap;
use super::{layout, random};
#[cfg(target_os = "none")]
use crate::relative;

/// Bytes of what an entry of a directory maps.
const LARGE_PAGE: u64 = 2 << 20;

/// Entries of a table.
const ENTRIES: u64 = 512;

/// The root's entries that the direct map may begin with: two entries behind
/// the last one are the direct map's too, where memory is a terabyte.
const DIRECT_SLOTS: Range<u64> = 256..382;

/// The gigabytes of such an entry that it may begin with: the four that the
/// boot code maps are in one table.
const DIRECT_PLACES: u64 = ENTRIES - 3;

/// An entry for a table: present, writable.
const TABLE: u64 = 3;

/// An entry for a large page: present, writable, large.
const PAGE: u64 = 0x83;

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    /// How far the image moves up.
    slide: u64,
    /// The entry of the root, and the entry in the table behind it, where the
    /// direct map begins.
    direct: (u64, u64),
    /// How far into their windows stacks and devices begin, in gigabytes.
    windows: [u64; 2],
    /// How far into its window that begins which programs' own tables show.
    apart: u64,
}

impl Places {
    /// From 32 random bytes, for an image that ends at this physical address.
    fn random(seed: &[u8; 32], image_end: u64) -> Places {
        let (words, _) = seed.as_chunks::<8>();
        let word = |index: usize| words.get(index).copied().map_or(0, u64::from_le_bytes);
        let pages = image_end.div_ceil(LARGE_PAGE);
        Places {
            slide: word(0) % (ENTRIES.saturating_sub(pages) + 1) * LARGE_PAGE,
            direct: (
                DIRECT_SLOTS.start + word(1) % (DIRECT_SLOTS.end - DIRECT_SLOTS.start),
                (word(1) >> 32) % DIRECT_PLACES,
            ),
            windows: [word(2) % (ENTRIES / 2), word(3) % (ENTRIES / 2)],
            apart: (word(2) >> 32) % (ENTRIES * ENTRIES) * LARGE_PAGE,
        }
    }

    /// The direct map's beginning.
    fn direct_map(&self) -> u64 {
        let (slot, place) = self.direct;
        // The sign goes on to the top.
        0xffff_0000_0000_0000 | slot << 39 | place << 30
    }
}

/// Chooses the places and prepares the boot code's tables for them; how far
/// the image is to move. The boot code's only caller: first of all, once, on
/// the boot stack, where the image is linked.
pub(super) extern "C" fn choose(start_info: u64) -> u64 {
    let image = layout::image_physical();
    let handover = pvh::read(&EarlyMap, start_info, &image);
    let is_wanted = handover.is_ok_and(|handover| {
        let mut words = handover.cmdline().split(u8::is_ascii_whitespace);
        !words.any(|word| word == b"nokaslr")
    });
    if !is_wanted {
        return 0;
    }
    let (seed, _) = random::seed();
    let places = Places::random(&seed, image.end);
    let tables = &raw mut OCHRE_EARLY_TABLES;
    // SAFETY: the boot code has written them and nobody else is there yet; the
    // processor reads entries that are not written here, and sets flags in
    // them that nobody looks at.
    let tables = unsafe { &mut *tables };
    prepare(tables, &places);
    layout::move_to(places.slide, places.windows, places.apart);
    for place in numbers() {
        // SAFETY: the boot code's mapping lets us write the code, and nobody
        // else is there yet. What was decoded of it is forgotten when the boot
        // code loads the tables anew.
        unsafe { place.write_unaligned(places.direct_map()) };
    }
    places.slide
}

/// Where the code has the direct map's beginning.
#[cfg(target_os = "none")]
fn numbers() -> impl Iterator<Item = *mut u64> {
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
fn numbers() -> impl Iterator<Item = *mut u64> {
    core::iter::empty()
}

/// Maps the direct map and the image where they will be, too.
fn prepare(tables: &mut EarlyTables, places: &Places) {
    let physical = |table: &[u64; 512]| layout::to_physical(table.as_ptr().addr() as u64);
    let (slot, place) = places.direct;
    for (gigabyte, directory) in (place..).zip(&tables.directories) {
        if let Some(entry) = tables.direct.get_mut(gigabyte as usize) {
            *entry = physical(directory) | TABLE;
        }
    }
    if let Some(entry) = tables.root.get_mut(slot as usize) {
        *entry = physical(&tables.direct) | TABLE;
    }
    let first = (places.slide / LARGE_PAGE) as usize;
    for (entry, page) in tables.moved.iter_mut().skip(first).zip(0..) {
        *entry = (page * LARGE_PAGE) | PAGE;
    }
}

#[cfg(test)]
mod tests {
    use super::layout;
    use super::{DIRECT_SLOTS, EarlyTables, LARGE_PAGE, Places, prepare};
    use proptest::prelude::{any, proptest};

    const IMAGE_END: u64 = 0x38_0000;

    #[test]
    fn the_ends_of_what_can_be_chosen_fit() {
        let lowest = Places::random(&[0; 32], IMAGE_END);
        assert_eq!(lowest.slide, 0);
        assert_eq!(lowest.direct_map(), layout::KERNEL_HALF);
        assert_eq!(lowest.windows, [0, 0]);
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_fits(seed in any::<[u8; 32]>()) {
            let places = Places::random(&seed, IMAGE_END);
            assert!(places.slide.is_multiple_of(LARGE_PAGE));
            assert!(places.slide + IMAGE_END <= 1 << 30);
            let base = places.direct_map();
            assert!(base >= layout::KERNEL_HALF && base.is_multiple_of(1 << 30));
            assert!(base + layout::DIRECT_BYTES <= 0xffff_c000_0000_0000);
            assert!(places.windows.iter().all(|place| *place < 256));
            assert!(places.apart.is_multiple_of(LARGE_PAGE) && places.apart < 512 << 30);
        }

        #[test]
        fn the_tables_lead_there(seed in any::<[u8; 32]>()) {
            let places = Places::random(&seed, IMAGE_END);
            let mut tables = EarlyTables::EMPTY;
            prepare(&mut tables, &places);
            let (slot, place) = places.direct;
            assert!(DIRECT_SLOTS.contains(&slot));
            assert_ne!(tables.root[slot as usize], 0);
            let used: Vec<usize> = (0..512).filter(|at| tables.direct[*at] != 0).collect();
            let place = place as usize;
            assert_eq!(used, (place..place + 4).collect::<Vec<_>>());
            let first = (places.slide / LARGE_PAGE) as usize;
            assert_eq!(tables.moved[first], 0x83);
            assert_eq!(tables.moved[first + 1], LARGE_PAGE | 0x83);
            assert!(tables.moved[..first].iter().all(|entry| *entry == 0));
        }
    }
}
