//! What the tests of frame allocators share: a model that knows which frames are
//! free, and which runs of them were handed out.
//!
//! A test does the same to an allocator and to a [`Model`], which panics where a
//! frame would be handed out twice. What an allocator may refuse is the test's
//! to say: a stack or a cache in front keeps frames that are free.

use core::ops::Range;
use std::collections::BTreeSet;

use crate::record::Record;

/// Records of the first frames.
pub(crate) fn records(count: usize) -> Vec<Record> {
    (0..count).map(|_| Record::default()).collect()
}

/// Which frames are free, and which runs were handed out.
pub(crate) struct Model {
    free: BTreeSet<u32>,
    /// The first frame of each, and how many there are.
    held: Vec<(u32, u32)>,
}

impl Model {
    /// These are free, and nothing was handed out.
    pub(crate) fn new(free: Range<u32>) -> Model {
        Model {
            free: free.collect(),
            held: Vec::new(),
        }
    }

    /// How many frames are free.
    pub(crate) fn free_frames(&self) -> usize {
        self.free.len()
    }

    /// Whether all of these are free.
    pub(crate) fn are_free(&self, mut frames: Range<u32>) -> bool {
        frames.all(|frame| self.free.contains(&frame))
    }

    /// Whether a block of so many frames, aligned to its size, is free as a whole.
    pub(crate) fn has_block(&self, count: u32) -> bool {
        let mut starts = self.free.iter().filter(|start| start.is_multiple_of(count));
        starts.any(|start| self.are_free(*start..start + count))
    }

    /// A run was handed out: it begins as a block of so many frames would, and all
    /// of it was free.
    pub(crate) fn hand_out(&mut self, frame: u32, count: u32) {
        assert!(frame.is_multiple_of(count.next_power_of_two()));
        self.take(frame..frame + count);
        self.held.push((frame, count));
    }

    /// One of the runs, if there are any: its first frame, and how many.
    pub(crate) fn held(&self, which: usize) -> Option<(u32, u32)> {
        self.held.get(which % self.held.len().max(1)).copied()
    }

    /// That run was made longer or shorter at its end.
    pub(crate) fn resized(&mut self, which: usize, new: u32) {
        let index = which % self.held.len();
        let (frame, old) = self.held[index];
        self.take(frame + old..frame + new);
        self.free.extend(frame + new..frame + old);
        self.held[index] = (frame, new);
    }

    /// One of the runs, if there are any, to be freed by the caller.
    pub(crate) fn take_back(&mut self, which: usize) -> Option<(u32, u32)> {
        let (frame, count) = self.held(which)?;
        self.held.swap_remove(which % self.held.len());
        self.free.extend(frame..frame + count);
        Some((frame, count))
    }

    fn take(&mut self, frames: Range<u32>) {
        for frame in frames {
            assert!(self.free.remove(&frame), "{frame} was not free");
        }
    }
}
