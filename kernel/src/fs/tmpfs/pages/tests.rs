//! The sparse map, on frames that a host has.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ochre_abi::Errno;
use ochre_hal::memory::UserFrame;

use super::{Frame, PAGE, PAGE_SIZE, Pages, SIZE_MAX};
use crate::vfs::{Sink, Source};

/// A frame that is ordinary memory.
#[derive(Clone, Debug)]
pub(in crate::fs) struct HostFrame(Arc<Mutex<Vec<u8>>>);

impl Frame for HostFrame {
    fn zeroed() -> Result<HostFrame, Errno> {
        Ok(HostFrame(Arc::new(Mutex::new(vec![0; PAGE_SIZE]))))
    }

    fn put(&self, sink: &mut Sink<'_>, offset: usize, len: usize) -> usize {
        sink.put(&self.0.lock().unwrap()[offset..offset + len])
    }

    fn take(&self, source: &mut Source<'_>, offset: usize, len: usize) -> usize {
        source.take(&mut self.0.lock().unwrap()[offset..offset + len])
    }

    fn clear(&self, range: Range<usize>) {
        self.0.lock().unwrap()[range].fill(0);
    }

    fn into_user(self) -> UserFrame {
        panic!("a host has no frames of user memory")
    }

    fn give_back(frames: BTreeMap<u64, HostFrame>) {
        drop(frames);
    }
}

fn write(pages: &mut Pages<HostFrame>, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
    let mut position = at;
    pages.write(
        &mut Source::kernel(bytes),
        &mut position,
        |_| Ok(()),
        |_| (),
    )
}

fn read(pages: &Pages<HostFrame>, at: u64, len: usize) -> Vec<u8> {
    let mut buffer = vec![0xee; len];
    let mut position = at;
    let count = pages.read(&mut Sink::kernel(&mut buffer), &mut position);
    assert_eq!(position, at + count as u64);
    buffer.truncate(count);
    buffer
}

#[test]
fn holes_read_as_zeroes() {
    let mut pages = Pages::default();
    write(&mut pages, 3 * PAGE + 5, b"end").unwrap();
    assert_eq!(pages.size(), 3 * PAGE + 8);
    assert_eq!(pages.count(), 1);
    assert_eq!(read(&pages, PAGE, 4), [0; 4]);
    assert_eq!(read(&pages, 3 * PAGE + 3, 99), b"\0\0end");
}

#[test]
fn writes_cross_pages() {
    let mut pages = Pages::default();
    let data: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    assert_eq!(write(&mut pages, 100, &data), Ok(10_000));
    assert_eq!(read(&pages, 100, 20_000), data);
    assert_eq!(pages.count(), 3);
}

#[test]
fn a_cut_file_that_grows_again_has_zeroes() {
    let mut pages = Pages::default();
    write(&mut pages, 0, &[7; 9000]).unwrap();
    assert_eq!(pages.resize(10).len(), 2);
    pages.resize(5000);
    let content = read(&pages, 0, 9000);
    assert_eq!(content.len(), 5000);
    assert_eq!(content[..10], [7; 10]);
    assert!(content[10..].iter().all(|byte| *byte == 0));
}

#[test]
fn punched_ranges_read_as_zeroes() {
    let mut pages = Pages::default();
    write(&mut pages, 0, &[7; 4 * PAGE_SIZE]).unwrap();
    assert_eq!(pages.punch(100..200).0.len(), 0);
    assert_eq!(pages.punch(PAGE + 1..3 * PAGE + 1).0.len(), 1);
    let content = read(&pages, 0, 4 * PAGE_SIZE);
    for (at, byte) in content.iter().enumerate() {
        let at = at as u64;
        let hole = (100..200).contains(&at) || (PAGE + 1..3 * PAGE + 1).contains(&at);
        assert_eq!(*byte, if hole { 0 } else { 7 }, "{at}");
    }
    assert_eq!(pages.seek(PAGE, false), Ok(PAGE));
    assert_eq!(pages.seek(0, true), Ok(2 * PAGE));
    assert_eq!(pages.seek(2 * PAGE, false), Ok(3 * PAGE));
    assert_eq!(pages.seek(3 * PAGE, true), Ok(4 * PAGE));
    assert_eq!(pages.seek(4 * PAGE, true), Err(Errno::ENXIO));
}

#[test]
fn a_full_file_system_writes_what_fits() {
    let mut pages: Pages<HostFrame> = Pages::default();
    let left = core::cell::Cell::new(2_u64);
    let charge = |count| match left.get().checked_sub(count) {
        Some(rest) => {
            left.set(rest);
            Ok(())
        }
        None => Err(Errno::ENOSPC),
    };
    let data = [1; 3 * PAGE_SIZE];
    let mut position = 0;
    let mut source = Source::kernel(&data);
    assert_eq!(
        pages.write(&mut source, &mut position, charge, |_| ()),
        Ok(2 * PAGE_SIZE)
    );
    assert_eq!(
        pages.write(&mut source, &mut position, charge, |_| ()),
        Err(Errno::ENOSPC)
    );
}

#[test]
fn populating_takes_what_is_missing_and_there_is_room_for() {
    let mut pages: Pages<HostFrame> = Pages::default();
    write(&mut pages, PAGE, b"x").unwrap();
    let huge = 0..SIZE_MAX;
    let missing = SIZE_MAX.div_ceil(PAGE) - 1;
    assert_eq!(pages.missing(huge.clone()), (missing, SIZE_MAX));
    let refuse = |_| Err(Errno::ENOSPC);
    assert_eq!(pages.populate(huge, refuse, |_| ()), Err(Errno::ENOSPC));
    assert_eq!(pages.count(), 1);
    let done = pages.populate(10..3 * PAGE, |_| Ok(()), |_| ());
    assert_eq!(done, Ok(3 * PAGE));
    assert_eq!(pages.count(), 3);
    assert_eq!(read(&pages, PAGE, 1), b"x");
}

/// Calls until it is done; how much each call changed.
fn parts(end: u64, mut part: impl FnMut(u64) -> (u64, u64)) -> Vec<u64> {
    let mut changes = Vec::new();
    let mut at = 0;
    while at < end {
        let (change, next) = part(at);
        assert!(next > at, "no way on from {at:#x}");
        changes.push(change);
        at = next;
    }
    changes
}

#[test]
fn long_ranges_are_made_counted_and_taken_out_by_parts() {
    let mut pages: Pages<HostFrame> = Pages::default();
    let end = 20_000 * PAGE;
    let made = parts(end, |at| {
        let before = pages.count();
        let next = pages.populate(at..end, |_| Ok(()), |_| ()).unwrap();
        (pages.count() - before, next)
    });
    assert_eq!(made.iter().sum::<u64>(), 20_000);
    assert!(made.iter().all(|made| *made <= 512), "{made:?}");
    // What is there is passed quickly, but not all in one go.
    let none = parts(end, |at| {
        let next = pages.populate(at..end, |_| Ok(()), |_| ()).unwrap();
        (0, next)
    });
    assert_eq!(none.len(), 2);
    let counted = parts(end, |at| pages.missing(at..end));
    assert_eq!(counted, [0, 0]);
    // Two that are far from each other are not taken out together.
    let far = end + (1 << 40);
    write(&mut pages, far - PAGE, b"x").unwrap();
    let taken = parts(far, |at| {
        let (out, next) = pages.punch(at..far);
        if let (Some((first, _)), Some((last, _))) = (out.first_key_value(), out.last_key_value()) {
            assert!(last - first < 16384);
        }
        (out.len() as u64, next)
    });
    assert_eq!(taken.iter().sum::<u64>(), 20_001);
    assert!(taken.iter().all(|taken| *taken <= 1024), "{taken:?}");
    assert!(taken.len() < 30, "{taken:?}");
    assert_eq!(pages.count(), 0);
}

#[test]
fn nothing_is_written_past_the_largest_size() {
    let mut pages = Pages::default();
    assert_eq!(write(&mut pages, SIZE_MAX - 1, b"ab"), Ok(1));
    assert_eq!(write(&mut pages, SIZE_MAX, b"b"), Err(Errno::EFBIG));
    assert_eq!(pages.seek(0, false), Ok((SIZE_MAX / PAGE) * PAGE));
}
