//! What every heap must do, whichever design the kernel was built with: the
//! suite `allocators` runs these with each.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;

use crate::ktest;
use crate::memory;

/// Boxes that are made one after the other.
const BOXES: u64 = 20_000;

/// Frames that the heap may take meanwhile: far fewer than that many boxes
/// would be without reuse.
const FRAMES: usize = 16;

/// Does something that must not make the heap grow.
fn in_little_memory(work: impl FnOnce()) {
    let before = memory::stats().heap;
    work();
    let after = memory::stats().heap;
    assert!(
        after <= before + FRAMES,
        "the heap grew from {before} to {after} frames"
    );
}

#[ktest]
fn a_heap_gives_a_box() {
    let one = Box::new(41);
    let other = Box::new(13);
    assert_eq!(*black_box(one) + *black_box(other), 54);
}

#[ktest]
fn a_heap_gives_a_large_vector() {
    let mut numbers = Vec::new();
    for number in 0..50_000_u64 {
        numbers.push(number);
    }
    assert_eq!(numbers.iter().sum::<u64>(), 49_999 * 50_000 / 2);
}

#[ktest]
fn a_heap_gives_many_boxes() {
    in_little_memory(|| {
        for number in 0..BOXES {
            let one = black_box(Box::new(number));
            assert_eq!(*one, number);
        }
    });
}

#[ktest]
fn a_heap_gives_many_boxes_while_one_lives_long() {
    in_little_memory(|| {
        let long_lived = black_box(Box::new(7_u64));
        for number in 0..BOXES {
            let one = black_box(Box::new(number));
            assert_eq!(*one, number);
        }
        assert_eq!(*long_lived, 7);
    });
}
