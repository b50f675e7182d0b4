//! The first-fit heap against the model, and what is its own.

use core::alloc::Layout;

use super::FirstFit;
use crate::heap::Heap as _;
use crate::testing::{Arena, tests_of_regions};

tests_of_regions!(FirstFit);

#[test]
fn holes_that_touch_are_one() {
    let mut arena = Arena::new(4096);
    let mut heap = FirstFit::new();
    arena.add_to(&mut heap, 0);
    let before = heap.free_bytes();
    let layout = Layout::new::<[u64; 4]>();
    let held: Vec<_> = (0..5).filter_map(|_| heap.allocate(layout).ok()).collect();
    for (index, holes) in [(1, 2), (3, 3), (2, 2), (0, 2), (4, 1)] {
        // SAFETY: allocated above, each freed once.
        unsafe { heap.free(held[index], layout) };
        assert_eq!(heap.holes(), holes, "after {index}");
    }
    assert_eq!(heap.free_bytes(), before);
}

#[test]
fn notices_memory_freed_twice() {
    let result = std::panic::catch_unwind(|| {
        let mut arena = Arena::new(4096);
        let mut heap = FirstFit::new();
        arena.add_to(&mut heap, 0);
        let layout = Layout::new::<[u64; 4]>();
        let at = heap.allocate(layout).expect("there is room");
        for _ in 0..2 {
            // SAFETY: the second time breaks the promise; it is noticed before anything is touched.
            unsafe { heap.free(at, layout) };
        }
    });
    assert!(result.is_err());
}
