//! The same four everyday programs for each design: a box, a large vector, many
//! boxes one after the other, and many while one lives long. The memory is so
//! little that the last two need what was freed.

use core::alloc::{GlobalAlloc, Layout};

use crate::testing::Pages;
use crate::{
    BuddyHeap, Bump, FirstFit, FixedBlocks, Growing, Locked, Magazines, PAGE_SIZE, Place, Slab,
};

/// Pages that a heap has.
const PAGES: usize = 128;

/// More boxes than would fit.
const BOXES: usize = if cfg!(miri) { 300 } else { 100_000 };

/// The one processor of each test.
struct Alone;

// SAFETY: each heap is used by one thread, that of its test.
unsafe impl Place for Alone {
    fn index() -> Option<usize> {
        Some(0)
    }
}

/// A number in the heap.
struct Boxed<'h, H: GlobalAlloc> {
    heap: &'h H,
    at: *mut u64,
}

impl<'h, H: GlobalAlloc> Boxed<'h, H> {
    fn new(heap: &'h H, value: u64) -> Boxed<'h, H> {
        // SAFETY: the layout's size is not zero.
        let at = unsafe { heap.alloc(Layout::new::<u64>()) }.cast::<u64>();
        assert!(!at.is_null(), "no memory for a box");
        // SAFETY: the heap handed out these bytes.
        unsafe { at.write(value) };
        Boxed { heap, at }
    }

    fn value(&self) -> u64 {
        // SAFETY: it was written when it was made.
        unsafe { self.at.read() }
    }
}

impl<H: GlobalAlloc> Drop for Boxed<'_, H> {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, freed once.
        unsafe { self.heap.dealloc(self.at.cast(), Layout::new::<u64>()) };
    }
}

fn a_box(heap: &impl GlobalAlloc) {
    let (one, other) = (Boxed::new(heap, 41), Boxed::new(heap, 13));
    assert_eq!(one.value() + other.value(), 54);
}

/// Grows as a vector does: twice as much each time, by `realloc`.
fn a_large_vector(heap: &impl GlobalAlloc) {
    let layout = |len| Layout::array::<u64>(len).expect("a small layout");
    let mut capacity = 4;
    // SAFETY: the layout's size is not zero.
    let mut at = unsafe { heap.alloc(layout(capacity)) }.cast::<u64>();
    assert!(!at.is_null());
    let count = 10 * PAGE_SIZE / size_of::<u64>();
    for number in 0..count {
        if number == capacity {
            // SAFETY: allocated with this layout.
            let more =
                unsafe { heap.realloc(at.cast(), layout(capacity), layout(2 * capacity).size()) };
            assert!(!more.is_null(), "no memory for {} numbers", 2 * capacity);
            at = more.cast();
            capacity *= 2;
        }
        // SAFETY: below the capacity.
        let place = unsafe { at.add(number) };
        // SAFETY: the heap handed out these bytes.
        unsafe { place.write(number as u64) };
    }
    // SAFETY: all of them were written.
    let numbers = unsafe { core::slice::from_raw_parts(at, count) };
    assert!(
        numbers
            .iter()
            .enumerate()
            .all(|(index, number)| index as u64 == *number)
    );
    // SAFETY: allocated with this layout, freed once.
    unsafe { heap.dealloc(at.cast(), layout(capacity)) };
}

fn many_boxes(heap: &impl GlobalAlloc) {
    for number in 0..BOXES as u64 {
        assert_eq!(Boxed::new(heap, number).value(), number);
    }
}

fn many_boxes_while_one_lives_long(heap: &impl GlobalAlloc) {
    let long_lived = Boxed::new(heap, 7);
    many_boxes(heap);
    assert_eq!(long_lived.value(), 7);
}

fn pages() -> Pages {
    Pages::with_limit(PAGES)
}

/// A module for each design, so that each test has its name.
macro_rules! designs {
    ($($design:ident: $heap:expr;)*) => {$(
        mod $design {
            use super::*;

            #[test]
            fn gives_a_box() {
                a_box(&$heap);
            }

            #[test]
            fn gives_a_large_vector() {
                a_large_vector(&$heap);
            }

            #[test]
            fn gives_many_boxes() {
                many_boxes(&$heap);
            }

            #[test]
            fn gives_many_boxes_while_one_lives_long() {
                many_boxes_while_one_lives_long(&$heap);
            }
        }
    )*};
}

designs! {
    bump: Locked::new(Growing::new(Bump::new(), pages()));
    first_fit: Locked::new(Growing::new(FirstFit::new(), pages()));
    fixed_blocks: Locked::new(Growing::new(FixedBlocks::new(), pages()));
    buddy: Locked::new(Growing::new(BuddyHeap::new(), pages()));
    slab: Locked::new(Slab::new(pages()));
    magazines: Magazines::<_, Alone, 1>::new(pages());
}
