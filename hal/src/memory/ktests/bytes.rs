//! Copying and filling, at every length: what the machine brings for frames, and
//! what compiled code calls.

use core::hint::black_box;
use core::ops::Range;

use crate::ktest;
use crate::memory::{PAGE_SIZE, UserFrame};

/// More than any step that copies go by.
const LENGTHS: Range<usize> = 0..200;
const ROOM: usize = 300;

fn pattern(n: usize) -> u8 {
    n.to_le_bytes()[0].wrapping_mul(7).wrapping_add(3)
}

#[ktest]
fn compiled_code_copies_and_fills() {
    let original: [u8; ROOM] = core::array::from_fn(pattern);
    for len in LENGTHS {
        // Apart as far as can be, then over each other, both ways.
        for (from, to) in [
            (0, 100),
            (3, 50),
            (50, 3),
            (41, 40),
            (40, 41),
            (66, 50),
            (9, 9),
        ] {
            let expected = |at: usize| match at.checked_sub(to) {
                Some(inside) if inside < len => pattern(from + inside),
                _ => pattern(at),
            };
            let mut bytes = original;
            bytes.copy_within(black_box(from..from + len), to);
            assert!(
                (0..ROOM).all(|at| bytes[at] == expected(at)),
                "{len} from {from} to {to}"
            );
            let mut bytes = original;
            bytes[to..to + len].copy_from_slice(&original[from..black_box(from + len)]);
            assert!(
                (0..ROOM).all(|at| bytes[at] == expected(at)),
                "{len} from {from} to {to}"
            );
            let mut bytes = original;
            bytes[to..black_box(to + len)].fill(black_box(0xa5));
            let filled = |at: usize| (to..to + len).contains(&at);
            let expected = |at: usize| if filled(at) { 0xa5 } else { pattern(at) };
            assert!(
                (0..ROOM).all(|at| bytes[at] == expected(at)),
                "{len} at {to}"
            );
        }
    }
}

#[ktest]
fn frames_are_copied_and_cleared_at_any_place() {
    let frame = UserFrame::zeroed().expect("the machine has memory");
    let original: [u8; PAGE_SIZE] = core::array::from_fn(pattern);
    let mut back = [0; PAGE_SIZE];
    for len in LENGTHS {
        let (first, second) = (len % 17, 2048 + len % 9);
        frame.write(0, &original);
        frame.write(first, &original[second..second + len]);
        frame.read(0, &mut back);
        assert!(
            back[..first] == original[..first] && back[first + len..] == original[first + len..]
        );
        assert!(
            back[first..first + len] == original[second..second + len],
            "{len}"
        );
        let mut part = [0xee; ROOM];
        frame.read(second, &mut part[..len]);
        assert!(
            part[..len] == original[second..second + len] && part[len] == 0xee,
            "{len}"
        );
    }
    // The whole, what a processor may clear by blocks, and what it may not.
    for cleared in [
        0..4096,
        0..256,
        2048..4096,
        512..768,
        64..128,
        1..4096,
        0..4095,
        7..8,
        9..9,
    ] {
        frame.write(0, &original);
        frame.zero(cleared.clone());
        frame.read(0, &mut back);
        let expected = |at: usize| {
            if cleared.contains(&at) {
                0
            } else {
                original[at]
            }
        };
        assert!(
            (0..PAGE_SIZE).all(|at| back[at] == expected(at)),
            "{cleared:?}"
        );
    }
}
