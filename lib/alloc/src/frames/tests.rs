//! The frames of several processors: against a model, and from several threads at once.

use std::collections::BTreeSet;
use std::thread;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::Frames;
use crate::record::Record;
use crate::testing::config;
use crate::testing::frames::{Model, records};

#[test]
fn a_cache_gives_what_was_freed_last() {
    let records = records(64);
    let frames: Frames<'_, 2> = Frames::new(&records, 16);
    frames.add(1..64);
    let held: Vec<u32> = (0..4).filter_map(|_| frames.allocate(0, 0)).collect();
    frames.free(0, held[2], 0);
    frames.free(0, held[0], 0);
    assert_eq!(frames.allocate(0, 0), Some(held[0]));
    assert_eq!(frames.allocate(0, 0), Some(held[2]));
    // The other processor's cache is another one.
    frames.free(0, held[1], 0);
    assert_ne!(frames.allocate(1, 0), Some(held[1]));
}

#[test]
fn exactly_as_many_frames_as_there_are() {
    // Two blocks of the order, and at each end what is not a whole one.
    let (end, order) = if cfg!(miri) { (125, 5) } else { (1000, 8) };
    let count = end as usize - 10;
    let records = records(end as usize);
    let frames: Frames<'_, 3> = Frames::new(&records, 64);
    assert_eq!(frames.allocate(0, 0), None);
    frames.add(10..5000);
    assert_eq!(frames.free_frames(), count);
    assert!(frames.has_more_than(count - 1) && !frames.has_more_than(count));
    // Others' caches hold some; the last one gets them all the same.
    let mine: Vec<u32> = (0..3)
        .filter_map(|processor| frames.allocate(processor, 0))
        .collect();
    let mut all: BTreeSet<u32> = core::iter::from_fn(|| frames.allocate(7, 0)).collect();
    all.extend(&mine);
    assert_eq!(all, (10..end).collect());
    assert_eq!(frames.free_frames(), 0);
    frames.free_all(1, all.into_iter());
    assert_eq!(frames.free_frames(), count);
    frames.drain();
    let (orders, cached) = frames.blocks_by_order();
    assert_eq!(cached, 0);
    assert_eq!(orders[order], 2, "merged again: {orders:?}");
}

#[test]
fn a_run_changes_its_length_where_it_is() {
    let records = records(64);
    let frames: Frames<'_, 2> = Frames::new(&records, 1);
    frames.add(0..64);
    let start = frames.allocate_run(0, 16).expect("there is room");
    assert!(frames.resize_run(0, start, 16, 2));
    assert_eq!(frames.free_frames(), 62);
    assert!(frames.resize_run(1, start, 2, 4));
    assert!(frames.resize_run(0, start, 4, 4));
    assert!(frames.resize_run(0, start, 4, 13));
    assert_eq!(frames.free_frames(), 51);
    assert!(!frames.resize_run(0, start, 13, 65), "there are no more");
    assert!(!frames.resize_run(0, start, 13, u32::MAX));
    assert_eq!(frames.free_frames(), 51);
    let behind = frames.allocate_run(0, 2).expect("there is room");
    assert_eq!(behind, start + 14);
    assert!(!frames.resize_run(0, start, 13, 16), "one is somebody's");
    assert!(frames.resize_run(0, start, 13, 14));
    frames.free_run(0, start, 14);
    frames.free_run(0, behind, 2);
    assert_eq!(frames.blocks_by_order().0[6], 1);
}

#[test]
fn caches_are_emptied_for_a_large_block() {
    let (count, order) = if cfg!(miri) { (64, 6) } else { (2048, 11) };
    let records = records(count as usize);
    let frames: Frames<'_, 2> = Frames::new(&records, count / 2);
    frames.add(0..count);
    let held: Vec<u32> = core::iter::from_fn(|| frames.allocate(0, 0)).collect();
    assert_eq!(held.len(), count as usize);
    frames.free_all(
        0,
        held.iter().copied().filter(|frame| frame.is_multiple_of(2)),
    );
    frames.free_all(1, held.iter().copied().filter(|frame| frame % 2 == 1));
    assert_eq!(frames.allocate(0, order), Some(0));
}

/// Not under Miri: a gigabyte is a quarter of a million records.
#[cfg(not(miri))]
mod gigabytes {
    use super::super::{Frames, SECTIONS};
    use super::records;
    use crate::source::MAX_ORDER;

    #[test]
    fn blocks_of_a_gigabyte() {
        let records = records(3 << MAX_ORDER);
        let frames: Frames<'_, 2> = Frames::new(&records, 512);
        frames.add(1..3 << MAX_ORDER);
        let first = frames.allocate(0, MAX_ORDER).expect("two are whole");
        let second = frames.allocate(1, MAX_ORDER).expect("two are whole");
        assert!(first != second && first.is_multiple_of(1 << MAX_ORDER) && first > 0);
        assert_eq!(frames.allocate(0, MAX_ORDER), None);
        assert_eq!(frames.allocate(0, MAX_ORDER + 1), None);
        let huge = frames.allocate(0, 9).expect("2 MiB of what is left");
        assert_eq!(huge % 512, 0);
        frames.free(1, first, MAX_ORDER);
        assert!(frames.allocate(1, MAX_ORDER).is_some());
    }

    #[test]
    fn a_node_is_served_from_its_own_memory() {
        let gigabyte = 1 << MAX_ORDER;
        let records = records(2 * gigabyte as usize);
        let frames: Frames<'_, 2> = Frames::new(&records, 64);
        // 64 MiB at the end of the first, and of the second gigabyte.
        frames.add(gigabyte - 16384..gigabyte);
        frames.add(2 * gigabyte - 16384..2 * gigabyte);
        frames.set_node(gigabyte..2 * gigabyte, 1);
        frames.set_processor_node(1, 1);
        let mut far = 0;
        for processor in [0, 1] {
            for _ in 0..16384 {
                let frame = frames
                    .allocate(processor, 0)
                    .expect("each node has so many");
                far += usize::from((frame >= gigabyte) != (processor == 1));
            }
        }
        assert_eq!(far, 0);
        assert_eq!(frames.free_frames(), 0);
        // A frame of another node goes home, not into the cache.
        frames.free(0, gigabyte * 2 - 1, 0);
        assert_eq!(frames.allocate_on(0, 0), None);
        assert_eq!(frames.allocate_on(1, 0), Some(gigabyte * 2 - 1));
    }

    #[test]
    fn large_machines_have_large_sections() {
        let records = records((SECTIONS + 1) << 12);
        let frames: Frames<'_, 1> = Frames::new(&records, 8);
        assert_eq!(frames.shift(), u32::from(MAX_ORDER));
        frames.add(0..u32::MAX);
        assert_eq!(frames.free_frames(), records.len());
    }
}

#[test]
fn notices_a_frame_freed_twice() {
    for order in [0, 3] {
        let result = std::panic::catch_unwind(|| {
            let records = records(16);
            let frames: Frames<'_, 1> = Frames::new(&records, 8);
            frames.add(0..16);
            let frame = frames.allocate(0, order).expect("there is one");
            frames.free(0, frame, order);
            frames.free(0, frame, order);
        });
        assert!(result.is_err(), "{order}");
    }
}

#[test]
fn several_processors_never_share_a_frame() {
    let (count, rounds) = if cfg!(miri) { (32, 10) } else { (4096, 20_000) };
    let records = records(count as usize);
    let frames: Frames<'_, 4> = Frames::new(&records, 32);
    frames.add(0..count);
    thread::scope(|scope| {
        for processor in 0..4 {
            let (frames, records) = (&frames, &records);
            scope.spawn(move || {
                let mut held: Vec<(u32, u8)> = Vec::new();
                for round in 0..rounds {
                    let random = (round * 7919 + processor * 104_729) % 1009;
                    let order = if random % 11 == 0 { 2 } else { 0 };
                    if random % 2 == 0 {
                        let Some(frame) = frames.allocate(processor, order) else {
                            continue;
                        };
                        for part in frame..frame + (1 << order) {
                            let kind = records[part as usize].kind();
                            assert_eq!(kind, Record::USED, "{part} is somebody's");
                            records[part as usize].set(3 + processor as u8, round as u32);
                        }
                        held.push((frame, order));
                    } else if !held.is_empty() {
                        let (frame, order) = held.swap_remove(random % held.len());
                        for part in frame..frame + (1 << order) {
                            assert_eq!(records[part as usize].kind(), 3 + processor as u8);
                        }
                        frames.free(processor, frame, order);
                    }
                }
                for (frame, order) in held {
                    frames.free(processor, frame, order);
                }
            });
        }
    });
    assert_eq!(frames.free_frames(), count as usize);
    frames.drain();
    let (orders, _) = frames.blocks_by_order();
    assert_eq!(orders[count.ilog2() as usize], 1, "{orders:?}");
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn agrees_with_a_set_of_frames(
        start in 0_u32..50,
        len in 1_u32..if cfg!(miri) { 30 } else { 1500 },
        batch in 1_u32..80,
        steps in proptest::collection::vec(
            (0_usize..3, 0_u32..70, 0_usize..64, 0_u8..5),
            0..if cfg!(miri) { 15 } else { 300 },
        ),
    ) {
        let records = records((start + len) as usize);
        let frames: Frames<'_, 2> = Frames::new(&records, batch);
        frames.add(start..start + len);
        let mut model = Model::new(start..start + len);
        for (processor, count, which, what) in steps {
            match what {
                0 => match frames.allocate(processor, 0) {
                    Some(frame) => model.hand_out(frame, 1),
                    None => prop_assert_eq!(model.free_frames(), 0),
                },
                1 => match frames.allocate_run(processor, count) {
                    Some(frame) => model.hand_out(frame, count),
                    None => prop_assert!(count != 1 || model.free_frames() == 0),
                },
                2 => {
                    let Some((frame, old)) = model.held(which) else {
                        continue;
                    };
                    // Some of those behind may lie in a cache.
                    let new = count.max(1);
                    let is_done = frames.resize_run(processor, frame, old, new);
                    prop_assert!(is_done || new > old);
                    if is_done {
                        model.resized(which, new);
                    }
                }
                _ => {
                    if let Some((frame, count)) = model.take_back(which) {
                        frames.free_run(processor, frame, count);
                    }
                }
            }
            prop_assert_eq!(frames.free_frames(), model.free_frames());
        }
    }
}
