//! The buddy allocator: blocks of `1 << order` frames, split and merged.
//!
//! A free block of order `n` at frame `f` has its buddy at `f ^ (1 << n)`; two
//! free buddies of one order are always merged, so that "is my buddy free" is
//! one look at its record. The free blocks of an order form a doubly linked
//! list through the records of their first frames, newest first.
//!
//! # Invariants
//! 1. A record of kind `FREE` belongs to the first frame of exactly one free
//!    block, and that block is on the list of its order.
//! 2. No two buddies of one order below [`MAX_ORDER`] are both free.
//! 3. `free_frames` is the sum of the sizes of the blocks on the lists.
//!
//! A frame is a number; whoever owns the memory behind it argues about that.

use core::ops::Range;

use crate::record::Record;
use crate::source::{FrameSource, MAX_ORDER, blocks};

const ORDERS: usize = MAX_ORDER as usize + 1;

/// A buddy allocator over the frames that `records` describes.
#[derive(Debug)]
pub struct Buddy<'m> {
    records: &'m [Record],
    /// The first frame of each order's newest free block.
    heads: [Option<u32>; ORDERS],
    free_frames: usize,
}

impl<'m> Buddy<'m> {
    /// An allocator without frames. `records[n]` describes frame `n`.
    #[must_use]
    pub const fn new(records: &'m [Record]) -> Buddy<'m> {
        Buddy {
            records,
            heads: [None; ORDERS],
            free_frames: 0,
        }
    }

    /// Free blocks of each order.
    #[must_use]
    pub fn blocks_by_order(&self) -> [usize; ORDERS] {
        let mut counts = [0; ORDERS];
        for (count, head) in counts.iter_mut().zip(self.heads) {
            let mut next = head;
            while let Some((_, _, after)) = next.and_then(|frame| self.free_block(frame)) {
                *count += 1;
                next = after;
            }
        }
        counts
    }

    fn record(&self, frame: u32) -> Option<&'m Record> {
        self.records.get(frame as usize)
    }

    fn free_block(&self, frame: u32) -> Option<(u8, Option<u32>, Option<u32>)> {
        self.record(frame)?.free_block()
    }

    fn push(&mut self, frame: u32, order: u8) {
        let Some(head) = self.heads.get_mut(usize::from(order)) else {
            return;
        };
        let next = head.replace(frame);
        if let Some((order, _, after)) = next.and_then(|next| self.free_block(next))
            && let Some(record) = next.and_then(|next| self.record(next))
        {
            record.set_free(order, Some(frame), after);
        }
        if let Some(record) = self.record(frame) {
            record.set_free(order, None, next);
        }
        self.free_frames += 1 << order;
    }

    /// Takes the free block at `frame` off its list; its record becomes `USED`.
    fn unlink(&mut self, frame: u32) {
        let Some(record) = self.record(frame) else {
            return;
        };
        let Some((order, previous, next)) = record.free_block() else {
            return;
        };
        match previous.and_then(|previous| self.record(previous)) {
            Some(before) => {
                if let Some((order, previous, _)) = before.free_block() {
                    before.set_free(order, previous, next);
                }
            }
            None => {
                if let Some(head) = self.heads.get_mut(usize::from(order)) {
                    *head = next;
                }
            }
        }
        if let Some(after) = next.and_then(|next| self.record(next))
            && let Some((order, _, next)) = after.free_block()
        {
            after.set_free(order, previous, next);
        }
        record.set_used();
        self.free_frames -= 1 << order;
    }

    /// In checked builds: no frame of the block is free, unmanaged or unknown.
    fn check_allocated(&self, frame: u32, order: u8) {
        assert!(order <= MAX_ORDER, "a block of order {order}");
        assert!(
            frame.is_multiple_of(1 << order),
            "frame {frame:#x} is not aligned to order {order}"
        );
        for part in frame..frame + (1 << order) {
            let record = self.record(part);
            assert!(
                record.is_some_and(Record::is_allocated),
                "frame {part:#x} is freed but not allocated ({record:?})"
            );
        }
        // A larger free block around it would begin at one of these.
        for larger in order + 1..=MAX_ORDER {
            let first = frame & !((1 << larger) - 1);
            let around = self.free_block(first);
            assert!(
                around.is_none_or(|(order, _, _)| order < larger),
                "frame {frame:#x} is freed twice"
            );
        }
    }

    /// A free block of at most `1 << order` frames, as large as can be had
    /// without splitting more than needed: a smaller free one before a part of
    /// a larger one.
    pub(crate) fn allocate_up_to(&mut self, order: u8) -> Option<(u32, u8)> {
        let first = self.heads.iter().position(Option::is_some)?;
        // CAST: an index into the heads.
        let order = order.min(first as u8);
        self.allocate(order).map(|frame| (frame, order))
    }

    fn mark_used(&self, frame: u32, order: u8) {
        for part in frame..frame + (1 << order) {
            if let Some(record) = self.record(part) {
                record.set_used();
            }
        }
    }
}

impl FrameSource for Buddy<'_> {
    fn add(&mut self, frames: Range<u32>) {
        // CAST: at most MAX_FRAMES.
        let end = self.records.len().min(Record::MAX_FRAMES as usize) as u32;
        let managed = frames.start.min(end)..frames.end.min(end);
        for (frame, order) in blocks(managed) {
            self.mark_used(frame, order);
            self.free(frame, order);
        }
    }

    fn allocate(&mut self, order: u8) -> Option<u32> {
        let wanted = self.heads.get(usize::from(order)..)?;
        // CAST: an index into the heads.
        let found = order + wanted.iter().position(Option::is_some)? as u8;
        let frame = (*self.heads.get(usize::from(found))?)?;
        self.unlink(frame);
        // Split: the upper halves stay free.
        for smaller in (order..found).rev() {
            self.push(frame + (1 << smaller), smaller);
        }
        if cfg!(debug_assertions) {
            self.mark_used(frame, order);
        }
        Some(frame)
    }

    fn free(&mut self, frame: u32, order: u8) {
        if cfg!(debug_assertions) {
            self.check_allocated(frame, order);
        }
        let mut block = frame;
        let mut order = order;
        while order < MAX_ORDER {
            let buddy = block ^ (1 << order);
            match self.free_block(buddy) {
                Some((theirs, _, _)) if theirs == order => {}
                _ => break,
            }
            self.unlink(buddy);
            block &= !(1 << order);
            order += 1;
        }
        self.push(block, order);
    }

    /// A frame that is free behind one that is not begins a block, and what is
    /// behind that block does so again: a look at each is enough.
    fn take(&mut self, frames: Range<u32>) -> bool {
        let mut next = frames.start;
        while next < frames.end {
            let Some((order, _, _)) = self.free_block(next) else {
                return false;
            };
            next += 1 << order;
        }
        // The last one may reach beyond.
        let end = next;
        let mut next = frames.start;
        while let Some((order, _, _)) = self.free_block(next).filter(|_| next < frames.end) {
            self.unlink(next);
            if cfg!(debug_assertions) {
                self.mark_used(next, order);
            }
            next += 1 << order;
        }
        // A part of it has no free buddy: that one holds frames that were taken.
        for (frame, order) in blocks(frames.end.min(end)..end) {
            self.push(frame, order);
        }
        true
    }

    fn free_frames(&self) -> usize {
        self.free_frames
    }
}

#[cfg(test)]
mod tests;
