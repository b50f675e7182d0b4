//! Any frame allocator behind one lock, with the methods of [`Frames`](crate::Frames).
//!
//! The simple way: right for one processor, a queue for many. A kernel can be
//! built with either, and what the caches of [`Frames`](crate::Frames) gain is
//! the difference.

use core::ops::Range;

use ochre_sync::SpinLock;

use crate::source::FrameSource;

/// `S` behind a lock.
#[derive(Debug)]
pub struct OneLock<S> {
    source: SpinLock<S>,
}

impl<S> OneLock<S> {
    /// A lock around `source`.
    pub const fn new(source: S) -> OneLock<S> {
        OneLock {
            source: SpinLock::new(source),
        }
    }
}

impl<S: FrameSource> OneLock<S> {
    /// Puts another allocator in the place of this one.
    pub fn replace(&self, source: S) {
        *self.source.lock() = source;
    }

    /// Does something with the allocator, alone.
    pub fn with<T>(&self, work: impl FnOnce(&mut S) -> T) -> T {
        work(&mut self.source.lock())
    }

    /// See [`FrameSource::add`].
    pub fn add(&self, frames: Range<u32>) {
        self.source.lock().add(frames);
    }

    /// See [`FrameSource::allocate`]; who asks makes no difference.
    #[inline]
    pub fn allocate(&self, _processor: usize, order: u8) -> Option<u32> {
        self.source.lock().allocate(order)
    }

    /// See [`FrameSource::free`].
    #[inline]
    pub fn free(&self, _processor: usize, frame: u32, order: u8) {
        self.source.lock().free(frame, order);
    }

    /// Takes back single frames.
    pub fn free_all(&self, _processor: usize, frames: impl Iterator<Item = u32>) {
        let mut source = self.source.lock();
        for frame in frames {
            source.free(frame, 0);
        }
    }

    /// See [`FrameSource::allocate_run`].
    pub fn allocate_run(&self, _processor: usize, count: u32) -> Option<u32> {
        self.source.lock().allocate_run(count)
    }

    /// See [`FrameSource::free_run`].
    pub fn free_run(&self, _processor: usize, start: u32, count: u32) {
        self.source.lock().free_run(start, count);
    }

    /// Makes a run of `old` frames one of `new`, not zero, where it is; false
    /// if the frames behind are not free. Shorter always works.
    pub fn resize_run(&self, _processor: usize, start: u32, old: u32, new: u32) -> bool {
        let mut source = self.source.lock();
        if new > old {
            return source.take(start + old..start.saturating_add(new));
        }
        source.free_run(start + new, old - new);
        true
    }

    /// Frames that are free.
    pub fn free_frames(&self) -> usize {
        self.source.lock().free_frames()
    }

    /// Whether more than `count` frames are free.
    pub fn has_more_than(&self, count: usize) -> bool {
        self.free_frames() > count
    }
}
