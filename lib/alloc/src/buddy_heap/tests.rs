//! The heap of buddies against the model, and what is its own.

use core::alloc::Layout;

use super::BuddyHeap;
use crate::heap::Heap as _;
use crate::testing::{Arena, tests_of_regions};

tests_of_regions!(BuddyHeap);

#[test]
fn blocks_are_aligned_to_their_size() {
    let mut arena = Arena::new(70_000);
    let mut heap = BuddyHeap::new();
    arena.add_to(&mut heap, 1);
    let before = heap.free_bytes();
    let mut held = Vec::new();
    for shift in [5, 9, 12, 13, 14, 6] {
        let layout = Layout::from_size_align(1 << shift, 1).expect("a small layout");
        let at = heap.allocate(layout).expect("there is room");
        assert_eq!(at.addr().get() % layout.size(), 0);
        held.push((at, layout));
    }
    for (at, layout) in held {
        // SAFETY: allocated above, freed once.
        unsafe { heap.free(at, layout) };
    }
    assert_eq!(heap.free_bytes(), before);
}

#[test]
fn notices_a_block_freed_twice() {
    for merged in [false, true] {
        let result = std::panic::catch_unwind(|| {
            let mut arena = Arena::new(4096);
            let mut heap = BuddyHeap::new();
            arena.add_to(&mut heap, 0);
            let layout = Layout::new::<[u64; 4]>();
            let at = heap.allocate(layout).expect("there is room");
            let other = heap.allocate(layout).expect("there is room");
            if merged {
                // SAFETY: allocated above.
                unsafe { heap.free(other, layout) };
            }
            for _ in 0..2 {
                // SAFETY: the second time breaks the promise; it is noticed before anything is touched.
                unsafe { heap.free(at, layout) };
            }
        });
        assert!(result.is_err(), "{merged}");
    }
}
