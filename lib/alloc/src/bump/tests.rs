//! The bump allocator against the model, and what is its own.

use core::alloc::Layout;

use super::Bump;
use crate::heap::Heap as _;
use crate::testing::{Arena, tests_of_regions};

tests_of_regions!(Bump);

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
