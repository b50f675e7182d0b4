//! Where things go in a new address space.
//!
//! One function chooses every base, so that randomisation has one place to be.
//! Today each program gets the same addresses, those that Linux uses with
//! randomisation off: easy to read, and runs repeat exactly.

use ochre_hal::memory::USER_END;

use super::area::{GUARD_GAP, PAGE};

/// The lowest address that an unprivileged program may map (`vm.mmap_min_addr`).
pub const LOWEST: u64 = 0x1_0000;

/// The least and the most that is kept free for the stack to grow into.
const STACK_ROOM: core::ops::RangeInclusive<u64> = (128 << 20)..=(USER_END / 6 * 5);

/// The bases of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One past the highest address of the stack.
    pub stack_top: u64,
    /// Mappings go below it, top down.
    pub mmap_base: u64,
    /// Where a position-independent program goes.
    pub image_base: u64,
}

impl Layout {
    /// Chooses the bases for a program with this stack limit.
    #[must_use]
    pub fn choose(stack_limit: u64) -> Layout {
        let room = stack_limit
            .saturating_add(GUARD_GAP)
            .clamp(*STACK_ROOM.start(), *STACK_ROOM.end());
        Layout {
            stack_top: USER_END,
            mmap_base: (USER_END - room) & !(PAGE - 1),
            image_base: (USER_END / 3 * 2) & !(PAGE - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, PAGE};

    #[test]
    fn bases_are_pages_in_order() {
        for limit in [0, 8 << 20, 1 << 40, u64::MAX] {
            let layout = Layout::choose(limit);
            assert_eq!(layout.mmap_base % PAGE, 0);
            assert_eq!(layout.image_base % PAGE, 0);
            assert!(layout.mmap_base < layout.stack_top);
            assert!(layout.mmap_base > 1 << 40);
        }
    }

    #[test]
    fn the_stack_may_grow_to_its_limit() {
        let layout = Layout::choose(1 << 30);
        assert!(layout.stack_top - layout.mmap_base >= 1 << 30);
    }
}
