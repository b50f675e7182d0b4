//! The heap of fixed blocks against the model, and what is its own.

use core::alloc::Layout;

use proptest::proptest;

use super::FixedBlocks;
use crate::heap::Heap as _;
use crate::testing::{Arena, Pages, checks_of_regions, config, property_of_regions, steps};
use crate::{Growing, LEAST_PAGES};

#[test]
fn keeps_a_region_heaps_promises() {
    checks_of_regions(FixedBlocks::new);
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn agrees_with_the_model(steps in steps(6000, 12)) {
        property_of_regions(FixedBlocks::new(), steps, true);
    }
}

#[test]
fn grows_and_says_when_it_cannot() {
    let mut heap = Growing::new(FixedBlocks::new(), Pages::with_limit(LEAST_PAGES + 4));
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
fn a_block_is_used_again_for_its_size() {
    let mut arena = Arena::new(8192);
    let mut heap = FixedBlocks::new();
    arena.add_to(&mut heap, 0);
    let (small, large) = (Layout::new::<[u8; 100]>(), Layout::new::<[u8; 4000]>());
    let at = heap.allocate(small).expect("there is room");
    // SAFETY: allocated above.
    unsafe { heap.free(at, small) };
    let free = heap.free_bytes();
    assert_eq!(heap.allocate(Layout::new::<[u8; 128]>()), Ok(at));
    assert_eq!(heap.free_bytes(), free);
    // SAFETY: as above.
    unsafe { heap.free(at, small) };
    // Blocks go back when nothing else helps.
    let block = Layout::new::<[u8; 2048]>();
    let blocks: Vec<_> = core::iter::from_fn(|| heap.allocate(block).ok()).collect();
    assert!(blocks.len() >= 2 && heap.allocate(large).is_err());
    for block_at in blocks {
        // SAFETY: allocated above.
        unsafe { heap.free(block_at, block) };
    }
    assert!(heap.allocate(large).is_err());
    heap.reclaim();
    assert!(heap.allocate(large).is_ok());
}
