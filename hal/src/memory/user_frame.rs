//! Counted handles to frames that programs see.
//!
//! The count lives in the frame's record. A page-table entry counts as a
//! handle, so a frame with count 1 belongs to whoever holds that handle.
//!
//! ```text
//! word   0          free, or on its way there
//!        1 ..       handles
//!        SATURATED  so many that some may be lost: never freed again, and
//!        .. MAX     put back to PINNED whenever seen
//! ```

use core::num::NonZeroU32;

use ochre_alloc::Record;
use ochre_sync::primitive::atomic::{Ordering, fence};

use crate::arch::machine::bytes;

use super::{OutOfMemory, PAGE_SIZE, direct, frames};

/// From here on a count is not believed any more.
const SATURATED: u32 = 1 << 31;

/// Where a saturated count stays: as far from 0 as from `SATURATED - 1` that no
/// number of handles in flight gets there.
pub(super) const PINNED: u32 = 3 << 30;

/// A counted handle to an untyped frame. Cloning shares the frame.
#[derive(Debug)]
pub struct UserFrame {
    /// INVARIANT: a frame of kind `USER`, of whose count one is ours.
    frame: NonZeroU32,
}

impl UserFrame {
    /// A fresh frame of zeroes.
    ///
    /// # Errors
    /// [`OutOfMemory`] when only the kernel's reserve is left.
    pub fn zeroed() -> Result<UserFrame, OutOfMemory> {
        let frame = frames::allocate_user()?;
        frames::clear(frame);
        Ok(UserFrame::from_raw(frame))
    }

    /// Has a frame of zeroes lie ready on this processor for
    /// [`zeroed_if_ready`](UserFrame::zeroed_if_ready), if it is to be had: for
    /// who is about to take a lock under which it may need one. Whether it
    /// does or not, nothing is to be given back; what lies ready counts as free.
    #[inline]
    pub fn prepare_zeroed() {
        frames::prepare_zeroed();
    }

    /// Whether a frame of zeroes lies ready on this processor.
    #[inline]
    #[must_use]
    pub fn has_zeroed_ready() -> bool {
        frames::has_zeroed()
    }

    /// A fresh frame of zeroes, if one lies ready on this processor.
    ///
    /// # Errors
    /// [`OutOfMemory`] when only the kernel's reserve is left.
    #[inline]
    pub fn zeroed_if_ready() -> Result<Option<UserFrame>, OutOfMemory> {
        Ok(frames::zeroed_if_ready()?.map(UserFrame::from_raw))
    }

    /// The one shared frame of zeroes, for read-only mappings.
    #[must_use]
    pub fn shared_zero() -> UserFrame {
        // Its count is pinned: the handle need not be counted.
        UserFrame::from_raw(frames::zero_frame())
    }

    /// A fresh frame with this one's content.
    ///
    /// # Errors
    /// [`OutOfMemory`] when only the kernel's reserve is left.
    pub fn duplicate(&self) -> Result<UserFrame, OutOfMemory> {
        if self.frame.get() == frames::zero_frame() {
            return UserFrame::zeroed();
        }
        let frame = frames::allocate_user()?;
        // SAFETY: two different frames in the direct map; the new one is ours alone.
        unsafe { bytes::copy(direct::pointer(frame), self.pointer(), PAGE_SIZE) };
        Ok(UserFrame::from_raw(frame))
    }

    /// Whether this is the only handle (mappings count as handles).
    #[inline]
    #[must_use]
    pub fn is_unique(&self) -> bool {
        // ORDERING: Acquire: what other handles' owners did before they dropped
        // theirs is done, so the frame may be written in place.
        self.record().word().load(Ordering::Acquire) == 1
    }

    /// Handles, mappings included.
    #[must_use]
    pub fn handles(&self) -> usize {
        // ORDERING: Acquire, as in `is_unique`: who counts all handles but its
        // own may write in place too.
        self.record().word().load(Ordering::Acquire) as usize
    }

    /// Whether both are the same frame.
    #[inline]
    #[must_use]
    pub fn same_as(&self, other: &UserFrame) -> bool {
        self.frame == other.frame
    }

    /// A number that identifies the frame (for shared futexes, `/proc`).
    #[inline]
    #[must_use]
    pub fn number(&self) -> u64 {
        u64::from(self.frame.get())
    }

    /// Copies bytes out, starting `offset` bytes into the frame.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    #[inline]
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        let from = self.at(offset, to.len());
        // SAFETY: `at` checked the range; a slice cannot overlap a program's frame.
        unsafe { bytes::copy(to.as_mut_ptr(), from, to.len()) }
    }

    /// Copies bytes in, starting `offset` bytes into the frame.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    #[inline]
    pub fn write(&self, offset: usize, from: &[u8]) {
        let to = self.at(offset, from.len());
        // SAFETY: as in `read`.
        unsafe { bytes::copy(to, from.as_ptr(), from.len()) }
    }

    /// Writes zeroes over a range.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    pub fn zero(&self, range: core::ops::Range<usize>) {
        let len = range.end.saturating_sub(range.start);
        let to = self.at(range.start, len);
        // SAFETY: `at` checked the range.
        unsafe { bytes::zero(to, len) }
    }

    /// The handle that a frame number stands for, which becomes this value's.
    #[inline]
    pub(super) fn from_raw(frame: u32) -> UserFrame {
        UserFrame {
            frame: NonZeroU32::new(frame).expect("frame 0 is never managed"),
        }
    }

    /// The frame's number; its handle is the caller's now.
    #[inline]
    pub(super) fn into_raw(self) -> u32 {
        let frame = self.frame.get();
        core::mem::forget(self);
        frame
    }

    #[inline]
    fn record(&self) -> &'static Record {
        frames::record(self.frame.get())
    }

    #[inline]
    fn pointer(&self) -> *mut u8 {
        direct::pointer(self.frame.get())
    }

    /// Where bytes of it are; a program may write them at any time.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    #[inline]
    pub(super) fn at(&self, offset: usize, len: usize) -> *mut u8 {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= PAGE_SIZE),
            "bytes {offset} + {len} leave the frame"
        );
        self.pointer().wrapping_add(offset)
    }
}

impl Clone for UserFrame {
    #[inline]
    fn clone(&self) -> UserFrame {
        retain(self.record());
        UserFrame { frame: self.frame }
    }
}

impl Drop for UserFrame {
    #[inline]
    fn drop(&mut self) {
        if release(self.record()) {
            frames::free_user(self.frame.get());
        }
    }
}

/// Counts one more handle.
#[inline]
pub(super) fn retain(record: &Record) {
    // ORDERING: Relaxed; the caller has a handle, so the frame cannot go away meanwhile.
    if record.word().fetch_add(1, Ordering::Relaxed) >= SATURATED - 1 {
        pin(record);
    }
}

/// Counts one handle less; whether it was the last.
#[inline]
pub(super) fn release(record: &Record) -> bool {
    // ORDERING: Release: what was done with this handle comes before the free.
    let before = record.word().fetch_sub(1, Ordering::Release);
    if before == 1 {
        // ORDERING: Acquire: what was done with the other handles, too.
        fence(Ordering::Acquire);
        return true;
    }
    debug_assert_ne!(before, 0, "a handle that was not counted");
    if before >= SATURATED {
        pin(record);
    }
    false
}

#[cold]
fn pin(record: &Record) {
    // ORDERING: Relaxed; any count from `SATURATED` on means the same.
    record.word().store(PINNED, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::super::{PAGE_SIZE, host, stats};
    use super::{PINNED, SATURATED, UserFrame};
    use ochre_sync::primitive::atomic::Ordering;

    #[test]
    fn counts_handles_and_knows_the_last() {
        let _arena = host::start();
        let frame = UserFrame::zeroed().expect("the arena has frames");
        assert!(frame.is_unique());
        let other = frame.clone();
        assert!(!frame.is_unique());
        assert_eq!(frame.handles(), 2);
        assert!(frame.same_as(&other));
        assert_eq!(frame.number(), other.number());
        drop(other);
        assert!(frame.is_unique());
    }

    #[test]
    fn a_frame_that_lies_ready_is_free_and_of_zeroes() {
        let _arena = host::start();
        let used = UserFrame::zeroed().expect("the arena has frames");
        used.write(0, &[1; PAGE_SIZE]);
        drop(used);
        let free = stats().free;
        for _ in 0..2 {
            UserFrame::prepare_zeroed();
            assert!(UserFrame::has_zeroed_ready());
            assert_eq!(stats().free, free);
        }
        let frame = UserFrame::zeroed_if_ready().expect("there is memory");
        let frame = frame.expect("one lies ready");
        assert_eq!(stats().free, free - 1);
        assert!(frame.is_unique());
        let mut all = [1; PAGE_SIZE];
        frame.read(0, &mut all);
        assert!(all.iter().all(|&byte| byte == 0));
        assert!(!UserFrame::has_zeroed_ready());
        assert!(UserFrame::zeroed_if_ready().is_ok_and(|none| none.is_none()));
        // Who has nothing else left gets it.
        UserFrame::prepare_zeroed();
        let rest: Vec<UserFrame> = core::iter::from_fn(|| UserFrame::zeroed().ok()).collect();
        assert!(UserFrame::zeroed_if_ready().is_err() || !UserFrame::has_zeroed_ready());
        drop(rest);
        drop(frame);
        assert_eq!(stats().free, free);
    }

    #[test]
    fn reads_back_what_was_written() {
        let _arena = host::start();
        let frame = UserFrame::zeroed().expect("the arena has frames");
        let mut all = [1; PAGE_SIZE];
        frame.read(0, &mut all);
        assert!(all.iter().all(|&byte| byte == 0));
        frame.write(4090, b"sixbyt");
        frame.write(0, b"abc");
        let copy = frame.duplicate().expect("the arena has frames");
        assert!(!copy.same_as(&frame));
        frame.zero(1..4095);
        let mut end = [0; 6];
        copy.read(4090, &mut end);
        assert_eq!(&end, b"sixbyt");
        frame.read(4090, &mut end);
        assert_eq!(&end, b"\0\0\0\0\0t");
        frame.read(0, &mut end);
        assert_eq!(&end, b"a\0\0\0\0\0");
    }

    #[test]
    fn refuses_to_leave_the_frame() {
        let _arena = host::start();
        let frame = UserFrame::zeroed().expect("the arena has frames");
        for (offset, len) in [(4096, 1), (4090, 7), (usize::MAX, 2)] {
            let result = std::panic::catch_unwind(|| frame.write(offset, &vec![0; len]));
            assert!(result.is_err(), "{offset} {len}");
        }
        frame.write(4096, &[]);
    }

    #[test]
    fn a_saturated_frame_is_never_freed() {
        let _arena = host::start();
        let frame = UserFrame::zeroed().expect("the arena has frames");
        let word = frame.record().word();
        word.store(SATURATED - 1, Ordering::Relaxed);
        let other = frame.clone();
        assert_eq!(word.load(Ordering::Relaxed), PINNED);
        drop(other);
        assert_eq!(word.load(Ordering::Relaxed), PINNED);
        word.store(1, Ordering::Relaxed);
    }

    #[test]
    fn the_shared_zero_frame_stays() {
        let _arena = host::start();
        let frames: Vec<UserFrame> = (0..100).map(|_| UserFrame::shared_zero()).collect();
        assert!(frames.iter().all(|frame| frame.same_as(&frames[0])));
        drop(frames);
        let zero = UserFrame::shared_zero();
        let clone = zero.clone();
        assert!(!clone.is_unique());
        let own = zero.duplicate().expect("the arena has frames");
        assert!(own.is_unique());
    }
}
