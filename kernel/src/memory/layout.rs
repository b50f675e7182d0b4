//! Where things go in a new address space.
//!
//! One function chooses every base, from numbers that are random or all zero:
//! then each program gets the same addresses, those that Linux uses with
//! randomisation off.
//!
//! | what | bits | unit |
//! |---|---|---|
//! | stack | 22 and 9 | pages, and 16 bytes within two pages |
//! | mappings, interpreter and vDSO among them | 28 | pages |
//! | position-independent program | 28 | pages |
//! | heap, above the program | 18 | pages |
//! | mappings below 2 GiB (`MAP_32BIT`) | 13 | pages |

use ochre_abi::Errno;
use ochre_hal::memory::USER_END;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use super::area::{GUARD_GAP, PAGE};

/// The lowest address that an unprivileged program may map (`vm.mmap_min_addr`).
pub const LOWEST: u64 = 0x1_0000;

/// Where `MAP_32BIT` looks for room.
pub(super) const LOW: core::ops::Range<u64> = 0x4000_0000..0x8000_0000;

/// The least and the most that is kept free for the stack to grow into.
const STACK_ROOM: core::ops::RangeInclusive<u64> = (128 << 20)..=(USER_END / 6 * 5);

const STACK_PAGES: u64 = 1 << 22;
const STACK_STEPS: u64 = 1 << 9;
const STACK_STEP: u64 = 16;
const MAPPING_PAGES: u64 = 1 << 28;
const IMAGE_PAGES: u64 = 1 << 28;
const HEAP_PAGES: u64 = 1 << 18;
const LOW_PAGES: u64 = 1 << 13;

/// What `/proc/sys/kernel/randomize_va_space` says.
static RANDOMISED: AtomicU32 = AtomicU32::new(EVERYTHING);

/// All but the heap, and the heap too.
const EVERYTHING: u32 = 2;

/// How much of an address space is random: 0 for nothing, 1 for all but the
/// heap, 2 for everything.
#[must_use]
pub fn randomised() -> u32 {
    // ORDERING: Relaxed; a switch that stands for itself.
    RANDOMISED.load(Ordering::Relaxed)
}

/// Changes what [`randomised`] says, for programs that start from now on.
///
/// # Errors
/// EINVAL for anything but 0, 1 and 2.
pub fn set_randomised(how_much: u32) -> Result<(), Errno> {
    if how_much > EVERYTHING {
        return Err(Errno::EINVAL);
    }
    RANDOMISED.store(how_much, Ordering::Relaxed);
    Ok(())
}

/// The random numbers that the bases are chosen with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Randomness {
    is_random: bool,
    stack_pages: u64,
    stack_steps: u64,
    mapping_pages: u64,
    image_pages: u64,
    heap_pages: u64,
    low_pages: u64,
}

impl Randomness {
    /// Random bytes that are wanted for one.
    pub const BYTES: usize = 48;

    /// No randomness: the bases are always the same.
    pub const NONE: Randomness = Randomness {
        is_random: false,
        stack_pages: 0,
        stack_steps: 0,
        mapping_pages: 0,
        image_pages: 0,
        heap_pages: 0,
        low_pages: 0,
    };

    /// Takes random bytes for as much as is to be random.
    #[must_use]
    pub fn new(bytes: &[u8; Self::BYTES], how_much: u32) -> Randomness {
        if how_much == 0 {
            return Randomness::NONE;
        }
        let (words, _) = bytes.as_chunks::<8>();
        // Powers of two all, so each number is as likely as any other.
        let below = |word: usize, limit: u64| {
            words
                .get(word)
                .map_or(0, |word| u64::from_le_bytes(*word) % limit)
        };
        Randomness {
            is_random: true,
            stack_pages: below(0, STACK_PAGES),
            stack_steps: below(1, STACK_STEPS),
            mapping_pages: below(2, MAPPING_PAGES),
            image_pages: below(3, IMAGE_PAGES),
            heap_pages: if how_much >= EVERYTHING {
                below(4, HEAP_PAGES)
            } else {
                0
            },
            low_pages: below(5, LOW_PAGES),
        }
    }
}

/// The bases of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One past the highest address of the stack.
    pub stack_top: u64,
    /// Bytes of the stack that are left free below the strings; a multiple of 16.
    pub stack_gap: u64,
    /// Mappings go below it, top down.
    pub mmap_base: u64,
    /// Mappings that must be below 2 GiB go below it, top down. Linux goes upwards
    /// from where its random part ends; this way the map of areas remembers how
    /// far it has looked, as it does for all others.
    pub low_end: u64,
    /// Where a position-independent program goes.
    pub image_base: u64,
    /// Bytes left free between program and heap.
    pub heap_gap: u64,
}

impl Layout {
    /// Chooses the bases for a program with this stack limit.
    #[must_use]
    pub fn choose(stack_limit: u64, random: &Randomness) -> Layout {
        // The stack may begin as low as this below the end, and then has to grow.
        let spread = if random.is_random {
            STACK_PAGES * PAGE
        } else {
            0
        };
        let room = stack_limit
            .saturating_add(GUARD_GAP)
            .saturating_add(spread)
            .clamp(*STACK_ROOM.start(), *STACK_ROOM.end());
        Layout {
            stack_top: USER_END - random.stack_pages * PAGE,
            stack_gap: random.stack_steps * STACK_STEP,
            mmap_base: ((USER_END - room) & !(PAGE - 1)) - random.mapping_pages * PAGE,
            low_end: LOW.end - random.low_pages * PAGE,
            image_base: ((USER_END / 3 * 2) & !(PAGE - 1)) + random.image_pages * PAGE,
            heap_gap: random.heap_pages * PAGE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GUARD_GAP, LOW, Layout, PAGE, Randomness, USER_END};

    const LIMITS: [u64; 4] = [0, 8 << 20, 1 << 40, u64::MAX];

    fn check(limit: u64, random: &Randomness) -> Layout {
        let layout = Layout::choose(limit, random);
        assert_eq!(layout.mmap_base % PAGE, 0);
        assert_eq!(layout.stack_top % PAGE, 0);
        assert_eq!(layout.image_base % PAGE, 0);
        assert_eq!(layout.heap_gap % PAGE, 0);
        assert_eq!(layout.stack_gap % 16, 0);
        assert!(layout.stack_top <= USER_END);
        assert!(layout.image_base + layout.heap_gap < USER_END / 4 * 3);
        assert!(layout.mmap_base < layout.stack_top);
        assert!(layout.mmap_base > 1 << 40);
        assert_eq!(layout.low_end % PAGE, 0);
        assert!(layout.low_end <= LOW.end);
        assert!(layout.low_end > LOW.end - (32 << 20));
        if limit < 1 << 45 {
            assert!(layout.stack_top - layout.mmap_base >= limit + GUARD_GAP);
        }
        layout
    }

    #[test]
    fn bases_are_pages_in_order_with_room_for_the_stack() {
        for limit in LIMITS {
            check(limit, &Randomness::NONE);
            check(limit, &Randomness::new(&[0; Randomness::BYTES], 2));
            check(limit, &Randomness::new(&[0xff; Randomness::BYTES], 2));
        }
    }

    #[test]
    fn every_bit_that_is_promised_moves_something() {
        // Bit by bit: as many different places as there are bits.
        let mut moved = [0_u32; 6];
        let still = check(8 << 20, &Randomness::new(&[0; Randomness::BYTES], 2));
        for (word, moved) in moved.iter_mut().enumerate() {
            for bit in 0..64 {
                let mut bytes = [0; Randomness::BYTES];
                bytes[word * 8 + bit / 8] = 1 << (bit % 8);
                let layout = check(8 << 20, &Randomness::new(&bytes, 2));
                *moved += u32::from(layout != still);
            }
        }
        assert_eq!(moved, [22, 9, 28, 28, 18, 13]);
    }

    #[test]
    fn less_may_be_asked_for() {
        let ones = [0xff; Randomness::BYTES];
        assert_eq!(Randomness::new(&ones, 0), Randomness::NONE);
        let most = Layout::choose(8 << 20, &Randomness::new(&ones, 1));
        assert_eq!(most.heap_gap, 0);
        assert_ne!(most.stack_gap, 0);
    }
}
