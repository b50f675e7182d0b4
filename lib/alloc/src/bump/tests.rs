//! The bump allocator against the model, and what is its own.

use core::alloc::Layout;

use proptest::proptest;

use super::Bump;
use crate::heap::Heap as _;
use crate::testing::{Arena, Pages, checks_of_regions, config, property_of_regions, steps};
use crate::{Growing, LEAST_PAGES};

#[test]
fn keeps_a_region_heaps_promises() {
    checks_of_regions(Bump::new);
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn agrees_with_the_model(steps in steps(6000, 12)) {
        property_of_regions(Bump::new(), steps, true);
    }
}

#[test]
fn grows_and_says_when_it_cannot() {
    let mut heap = Growing::new(Bump::new(), Pages::with_limit(LEAST_PAGES + 4));
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
fn takes_back_what_was_allocated_last() {
    let mut arena = Arena::new(4096);
    let mut heap = Bump::new();
    arena.add_to(&mut heap, 0);
    let layout = Layout::new::<[u64; 4]>();
    let first = heap.allocate(layout).expect("there is room");
    let second = heap.allocate(layout).expect("there is room");
    // SAFETY: allocated above.
    unsafe { heap.free(second, layout) };
    assert_eq!(heap.allocate(layout), Ok(second));
    // SAFETY: allocated above; not the last one.
    unsafe { heap.free(first, layout) };
    assert_ne!(heap.allocate(layout), Ok(first));
    assert_eq!(heap.live(), 2);
}

#[test]
fn the_last_one_grows_in_place() {
    let mut arena = Arena::new(4096);
    let mut heap = Bump::new();
    arena.add_to(&mut heap, 0);
    let layout = Layout::new::<[u64; 4]>();
    let first = heap.allocate(layout).expect("there is room");
    let second = heap.allocate(layout).expect("there is room");
    // SAFETY: allocated above.
    assert!(unsafe { heap.resize(second, layout, 1000) });
    // SAFETY: allocated above; it has a neighbour.
    assert!(!unsafe { heap.resize(first, layout, 1000) });
    let grown = Layout::from_size_align(1000, 8).expect("a small layout");
    // SAFETY: of this layout since it grew; more than the region has.
    assert!(!unsafe { heap.resize(second, grown, 5000) });
}
