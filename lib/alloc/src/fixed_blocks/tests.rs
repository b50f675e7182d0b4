//! The heap of fixed blocks against the model, and what is its own.

use core::alloc::Layout;

use super::FixedBlocks;
use crate::heap::Heap as _;
use crate::testing::{Arena, tests_of_regions};

tests_of_regions!(FixedBlocks);

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
