//! The buddy allocator against a model: a set of free frame numbers.

use proptest::prelude::{Just, Strategy, prop_assert_eq, proptest};
use proptest::prop_oneof;

use super::Buddy;
use crate::source::{FrameSource, MAX_ORDER};
use crate::testing::config;
use crate::testing::frames::{Model, records};

#[test]
fn merges_back_to_the_blocks_it_began_with() {
    let count: u32 = if cfg!(miri) { 40 } else { 5000 };
    let records = records(count as usize);
    let mut buddy = Buddy::new(&records);
    buddy.add(3..count);
    let before = buddy.blocks_by_order();
    let frames: Vec<u32> = core::iter::from_fn(|| buddy.allocate(0)).collect();
    assert_eq!(frames.len(), count as usize - 3);
    assert_eq!(buddy.free_frames(), 0);
    for frame in frames {
        buddy.free(frame, 0);
    }
    assert_eq!(buddy.blocks_by_order(), before);
}

#[test]
fn says_none_when_exhausted() {
    let records = records(16);
    let mut buddy = Buddy::new(&records);
    assert_eq!(buddy.allocate(0), None);
    buddy.add(0..16);
    assert_eq!(buddy.allocate(5), None);
    assert_eq!(buddy.allocate(MAX_ORDER + 1), None);
    assert_eq!(buddy.allocate(4), Some(0));
    assert_eq!(buddy.allocate(0), None);
}

#[test]
fn leaves_frames_without_a_record_alone() {
    let records = records(8);
    let mut buddy = Buddy::new(&records);
    buddy.add(4..100);
    assert_eq!(buddy.free_frames(), 4);
}

#[test]
fn hands_out_the_block_freed_last() {
    let records = records(64);
    let mut buddy = Buddy::new(&records);
    buddy.add(0..64);
    let frames: Vec<u32> = (0..8).filter_map(|_| buddy.allocate(0)).collect();
    buddy.free(frames[4], 0);
    buddy.free(frames[0], 0);
    assert_eq!(buddy.allocate(0), Some(frames[0]));
    assert_eq!(buddy.allocate(0), Some(frames[4]));
}

#[test]
fn gives_back_the_tail_of_a_run() {
    let records = records(64);
    let mut buddy = Buddy::new(&records);
    buddy.add(0..64);
    let start = buddy.allocate_run(5).expect("64 frames are free");
    assert_eq!(buddy.free_frames(), 59);
    buddy.free_run(start, 5);
    assert_eq!(buddy.free_frames(), 64);
    assert_eq!(buddy.blocks_by_order()[6], 1);
    assert_eq!(buddy.allocate_run(0), None);
    assert_eq!(buddy.allocate_run(65), None);
}

#[test]
fn takes_very_frames_or_none() {
    let records = records(64);
    let mut buddy = Buddy::new(&records);
    buddy.add(0..60);
    let start = buddy.allocate_run(3).expect("60 frames are free");
    assert_eq!(start, 56);
    assert!(!buddy.take(start + 2..start + 4), "one is not free");
    assert!(!buddy.take(start + 3..start + 5), "there is none");
    assert_eq!(buddy.free_frames(), 57);
    assert!(buddy.take(start + 3..start + 4));
    // A block, and a part of the next one, which is split.
    let start = buddy.allocate(2).expect("56 frames are free");
    assert_eq!(start, 48);
    assert!(buddy.take(start + 4..start + 5));
    assert_eq!(buddy.free_frames(), 51);
    assert_eq!(buddy.blocks_by_order()[..6], [1, 1, 0, 0, 1, 1]);
    buddy.free_run(start, 5);
    buddy.free_run(56, 4);
    assert_eq!(buddy.free_frames(), 60);
    assert_eq!(buddy.blocks_by_order()[..6], [0, 0, 1, 1, 1, 1]);
}

#[test]
fn notices_a_frame_freed_twice() {
    let cases: [(u32, &[u8]); 3] = [(0, &[0, 0]), (0, &[3, 0]), (8, &[3, 3])];
    for (offset, orders) in cases {
        let result = std::panic::catch_unwind(|| {
            let records = records(16);
            let mut buddy = Buddy::new(&records);
            buddy.add(0..16);
            assert_eq!(buddy.allocate(4), Some(0));
            for &order in orders {
                buddy.free(offset, order);
            }
        });
        assert!(result.is_err(), "{offset} {orders:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(u8),
    Run(u32),
    Free(usize),
    Lengthen(usize, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..=MAX_ORDER).prop_map(Step::Allocate),
        Just(Step::Allocate(0)),
        (1_u32..70).prop_map(Step::Run),
        (0_usize..64).prop_map(Step::Free),
        (0_usize..64).prop_map(Step::Free),
        (0_usize..64, 1_u32..20).prop_map(|(which, more)| Step::Lengthen(which, more)),
    ]
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn agrees_with_a_set_of_frames(
        start in 0_u32..50,
        len in 1_u32..if cfg!(miri) { 30 } else { 1500 },
        steps in proptest::collection::vec(step(), 0..if cfg!(miri) { 15 } else { 200 }),
    ) {
        let records = records((start + len) as usize);
        let mut buddy = Buddy::new(&records);
        buddy.add(start..start + len);
        let whole = buddy.blocks_by_order();
        let mut model = Model::new(start..start + len);
        for step in steps {
            let (count, got) = match step {
                Step::Allocate(order) => (1 << order, buddy.allocate(order)),
                Step::Run(count) => (count, buddy.allocate_run(count)),
                Step::Free(which) => {
                    if let Some((frame, count)) = model.take_back(which) {
                        buddy.free_run(frame, count);
                    }
                    continue;
                }
                Step::Lengthen(which, more) => {
                    if let Some((frame, count)) = model.held(which) {
                        let behind = frame + count..frame + count + more;
                        let is_done = buddy.take(behind.clone());
                        prop_assert_eq!(is_done, model.are_free(behind));
                        if is_done {
                            model.resized(which, count + more);
                        }
                    }
                    prop_assert_eq!(buddy.free_frames(), model.free_frames());
                    continue;
                }
            };
            if let Some(frame) = got {
                model.hand_out(frame, count);
            } else if count == 1 {
                prop_assert_eq!(model.free_frames(), 0);
            }
            prop_assert_eq!(buddy.free_frames(), model.free_frames());
        }
        while let Some((frame, count)) = model.take_back(0) {
            buddy.free_run(frame, count);
        }
        prop_assert_eq!(buddy.blocks_by_order(), whole);
    }
}
