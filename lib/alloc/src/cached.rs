//! A stack of single frames before another allocator.
//!
//! Most requests are for one frame, and the frame freed last is the best one
//! to hand out: its content is still in the processor's cache. The stack also
//! spares the splitting and merging of blocks. It is filled and emptied by
//! half, so that a run of frees after a run of allocations does not move
//! frames back and forth. It is one processor's; [`Frames`](crate::Frames) has
//! the same for several.
//!
//! Frames on the stack are free, but not merged: when a larger block is wanted
//! and there is none, the stack is emptied and the request tried again.

use core::ops::Range;

use crate::record::Record;
use crate::source::FrameSource;

/// `S` with a stack of up to `N` frames in front.
#[derive(Debug)]
pub struct Cached<'m, S, const N: usize> {
    records: &'m [Record],
    stack: [u32; N],
    len: usize,
    inner: S,
}

impl<'m, S: FrameSource, const N: usize> Cached<'m, S, N> {
    const BATCH: usize = if N > 1 { N / 2 } else { 1 };

    /// An empty stack before `inner`, whose frames `records` describes.
    pub const fn new(records: &'m [Record], inner: S) -> Cached<'m, S, N> {
        Cached {
            records,
            stack: [0; N],
            len: 0,
            inner,
        }
    }

    /// The allocator behind.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Gives every frame of the stack to the allocator behind, to be merged.
    pub fn drain(&mut self) {
        self.give_back(self.len);
    }

    #[cold]
    fn refill(&mut self) {
        while self.len < Self::BATCH
            && let Some(frame) = self.inner.allocate(0)
            && let Some(slot) = self.stack.get_mut(self.len)
        {
            *slot = frame;
            self.len += 1;
        }
        // What came last would go first: turn it round, so that frames are
        // used in the order in which the allocator behind gave them.
        if let Some(fresh) = self.stack.get_mut(..self.len) {
            fresh.reverse();
        }
    }

    /// Gives back the `count` frames that lay longest.
    #[cold]
    fn give_back(&mut self, count: usize) {
        let count = count.min(self.len);
        for &frame in self.stack.iter().take(count) {
            self.inner.free(frame, 0);
        }
        self.stack.copy_within(count..self.len, 0);
        self.len -= count;
    }

    fn check_not_cached(&self, frame: u32) {
        let record = self.records.get(frame as usize);
        assert!(
            record.is_some_and(Record::is_allocated),
            "frame {frame:#x} is freed but not allocated ({record:?})"
        );
        assert!(
            !self.stack.iter().take(self.len).any(|&held| held == frame),
            "frame {frame:#x} is freed twice"
        );
    }
}

impl<S: FrameSource, const N: usize> FrameSource for Cached<'_, S, N> {
    fn add(&mut self, frames: Range<u32>) {
        self.inner.add(frames);
    }

    #[inline]
    fn allocate(&mut self, order: u8) -> Option<u32> {
        if order == 0 {
            if self.len == 0 {
                self.refill();
            }
            let top = self.len.checked_sub(1)?;
            let frame = *self.stack.get(top)?;
            self.len = top;
            if let Some(record) = self.records.get(frame as usize) {
                record.set_used();
            }
            return Some(frame);
        }
        self.inner.allocate(order).or_else(|| {
            self.drain();
            self.inner.allocate(order)
        })
    }

    #[inline]
    fn free(&mut self, frame: u32, order: u8) {
        if order != 0 {
            return self.inner.free(frame, order);
        }
        if cfg!(debug_assertions) {
            self.check_not_cached(frame);
        }
        if self.len == N {
            self.give_back(Self::BATCH);
        }
        match self.stack.get_mut(self.len) {
            Some(slot) => {
                *slot = frame;
                self.len += 1;
            }
            None => self.inner.free(frame, 0),
        }
    }

    /// None of those that lie on the stack.
    fn take(&mut self, frames: Range<u32>) -> bool {
        self.inner.take(frames)
    }

    fn free_frames(&self) -> usize {
        self.len + self.inner.free_frames()
    }
}

#[cfg(test)]
mod tests;
