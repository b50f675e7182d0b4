//! The stack in front: order of reuse, counts, getting large blocks past it, and
//! all of it against a set of frames.

use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::Cached;
use crate::buddy::Buddy;
use crate::source::FrameSource;
use crate::testing::config;
use crate::testing::frames::{Model, records};

#[test]
fn hands_out_the_frame_freed_last() {
    let records = records(64);
    let mut frames = Cached::<_, 8>::new(&records, Buddy::new(&records));
    frames.add(0..64);
    let held: Vec<u32> = (0..20).filter_map(|_| frames.allocate(0)).collect();
    assert_eq!(held, (0..20).collect::<Vec<u32>>());
    for &frame in &held {
        frames.free(frame, 0);
        assert_eq!(frames.allocate(0), Some(frame));
        frames.free(frame, 0);
    }
    assert_eq!(frames.free_frames(), 64);
    assert_eq!(frames.allocate(0), Some(19));
}

#[test]
fn counts_what_it_holds_as_free() {
    let records = records(32);
    let mut frames = Cached::<_, 4>::new(&records, Buddy::new(&records));
    frames.add(0..32);
    let all: Vec<u32> = core::iter::from_fn(|| frames.allocate(0)).collect();
    assert_eq!(all.len(), 32);
    assert_eq!(frames.free_frames(), 0);
    for frame in all {
        frames.free(frame, 0);
    }
    assert_eq!(frames.free_frames(), 32);
}

#[test]
fn empties_itself_for_a_large_block() {
    let records = records(16);
    let mut frames = Cached::<_, 16>::new(&records, Buddy::new(&records));
    frames.add(0..16);
    let one = frames.allocate(0).expect("16 frames are free");
    frames.free(one, 0);
    assert!(frames.inner().free_frames() < 16);
    assert_eq!(frames.allocate(4), Some(0));
}

#[test]
fn notices_a_frame_freed_twice() {
    let result = std::panic::catch_unwind(|| {
        let records = records(16);
        let mut frames = Cached::<_, 16>::new(&records, Buddy::new(&records));
        frames.add(0..16);
        let one = frames.allocate(0).expect("16 frames are free");
        frames.free(one, 0);
        frames.free(one, 0);
    });
    assert!(result.is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(u8),
    Run(u32),
    Free(usize),
    Lengthen(usize, u32),
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly single frames, so that the stack is filled, emptied and full.
    prop_oneof![
        6 => Just(Step::Allocate(0)),
        6 => (0_usize..64).prop_map(Step::Free),
        2 => (1_u8..=6).prop_map(Step::Allocate),
        1 => (1_u32..20).prop_map(Step::Run),
        1 => (0_usize..64, 1_u32..4).prop_map(|(which, more)| Step::Lengthen(which, more)),
        1 => Just(Step::Drain),
    ]
}

proptest! {
    #![proptest_config(config())]
    /// What is free is a frame's own business: on the stack or behind it, it is
    /// handed out once, it counts, and a block is refused only if there is none.
    #[test]
    fn agrees_with_a_set_of_frames(
        start in 0_u32..20,
        len in 1_u32..if cfg!(miri) { 30 } else { 120 },
        steps in proptest::collection::vec(step(), 0..if cfg!(miri) { 20 } else { 150 }),
    ) {
        let records = records((start + len) as usize);
        let mut frames = Cached::<_, 8>::new(&records, Buddy::new(&records));
        frames.add(start..start + len);
        let whole = frames.inner().blocks_by_order();
        let mut model = Model::new(start..start + len);
        // What lies on the stack, the last one on top, as far as it is known.
        let mut freed: Vec<u32> = Vec::new();
        for step in steps {
            match step {
                Step::Allocate(order) => {
                    let count = 1 << order;
                    let possible = model.has_block(count);
                    let got = frames.allocate(order);
                    prop_assert_eq!(got.is_some(), possible, "{} frames", count);
                    let last = freed.pop().filter(|_| order == 0);
                    if last.is_none() {
                        freed.clear();
                    }
                    if let Some(frame) = got {
                        prop_assert_eq!(frame, last.unwrap_or(frame), "the last one first");
                        model.hand_out(frame, count);
                    }
                }
                Step::Run(count) => {
                    freed.clear();
                    match frames.allocate_run(count) {
                        Some(frame) => model.hand_out(frame, count),
                        None => prop_assert!(!model.has_block(count.next_power_of_two())),
                    }
                }
                Step::Free(which) => {
                    let Some((frame, count)) = model.take_back(which) else {
                        continue;
                    };
                    frames.free_run(frame, count);
                    if count == 1 {
                        freed.push(frame);
                        // The oldest half goes when the stack is full.
                        freed.drain(..freed.len().saturating_sub(5));
                    } else {
                        freed.clear();
                    }
                }
                Step::Lengthen(which, more) => {
                    if let Some((frame, count)) = model.held(which) {
                        let behind = frame + count..frame + count + more;
                        // Frames on the stack cannot be had so.
                        if frames.take(behind.clone()) {
                            model.resized(which, count + more);
                        } else if frames.inner().free_frames() == model.free_frames() {
                            prop_assert!(!model.are_free(behind), "the stack is empty");
                        }
                    }
                }
                Step::Drain => {
                    frames.drain();
                    freed.clear();
                    prop_assert_eq!(frames.inner().free_frames(), model.free_frames());
                }
            }
            prop_assert_eq!(frames.free_frames(), model.free_frames());
            let cached = model.free_frames() - frames.inner().free_frames();
            prop_assert!(cached <= 8, "{cached} on the stack");
        }
        while let Some((frame, count)) = model.take_back(0) {
            frames.free_run(frame, count);
        }
        frames.drain();
        prop_assert_eq!(frames.inner().blocks_by_order(), whole);
    }
}
