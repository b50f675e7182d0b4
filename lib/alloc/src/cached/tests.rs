//! The stack in front: order of reuse, counts, and getting large blocks past it.

use super::Cached;
use crate::buddy::Buddy;
use crate::record::Record;
use crate::source::FrameSource;

fn records(count: usize) -> Vec<Record> {
    (0..count).map(|_| Record::default()).collect()
}

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
