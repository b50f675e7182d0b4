//! The first-fit heap against the model, and what is its own.

use core::alloc::Layout;

use proptest::proptest;

use super::FirstFit;
use crate::heap::Heap as _;
use crate::testing::{Arena, Pages, checks_of_regions, config, property_of_regions, steps};
use crate::{Growing, LEAST_PAGES};

#[test]
fn keeps_a_region_heaps_promises() {
    checks_of_regions(FirstFit::new);
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn agrees_with_the_model(steps in steps(6000, 12)) {
        property_of_regions(FirstFit::new(), steps, true);
    }
}

#[test]
fn grows_and_says_when_it_cannot() {
    let mut heap = Growing::new(FirstFit::new(), Pages::with_limit(LEAST_PAGES + 4));
    let layout = Layout::new::<[u64; 100]>();
    let mut held = Vec::new();
    while let Ok(at) = heap.allocate(layout) {
        held.push(at);
    }
    assert!(held.len() > LEAST_PAGES * 3, "only {}", held.len());
    assert!(heap.pages() > LEAST_PAGES, "not even the rest was taken");
    for &at in &held {
        // SAFETY: allocated above, freed once.
        unsafe { heap.free(at, layout) };
    }
    let again = core::iter::from_fn(|| heap.allocate(layout).ok()).count();
    assert!(again >= held.len());
}

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
