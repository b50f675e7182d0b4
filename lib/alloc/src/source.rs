//! The two seams: where blocks of frames come from, and where a heap's pages
//! come from.
//!
//! Allocator designs are exchanged and compared behind these traits; nothing
//! above names a design.

use core::ops::Range;
use core::ptr::NonNull;

/// Blocks have at most `1 << MAX_ORDER` frames: a gigabyte.
pub const MAX_ORDER: u8 = 18;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// An allocator of blocks of frames.
pub trait FrameSource {
    /// Gives frames to the allocator. Frames outside of what it can manage
    /// are left alone.
    fn add(&mut self, frames: Range<u32>);

    /// A block of `1 << order` frames, aligned to its size; `None` if there is none.
    fn allocate(&mut self, order: u8) -> Option<u32>;

    /// Takes back `1 << order` frames that were allocated: a block, or an
    /// aligned part of one.
    fn free(&mut self, frame: u32, order: u8);

    /// Frames that are free.
    fn free_frames(&self) -> usize;

    /// A run of exactly `count` consecutive frames: the smallest block that
    /// holds them, its tail given back.
    fn allocate_run(&mut self, count: u32) -> Option<u32> {
        if count == 0 || count > 1 << MAX_ORDER {
            return None;
        }
        // CAST: at most MAX_ORDER.
        let order = count.next_power_of_two().trailing_zeros() as u8;
        let start = self.allocate(order)?;
        self.free_run(start + count, (1 << order) - count);
        Some(start)
    }

    /// Takes these very frames; false if one of them is not free, or if this
    /// cannot be told, and then nothing has changed.
    fn take(&mut self, frames: Range<u32>) -> bool {
        let _ = frames;
        false
    }

    /// Takes back consecutive frames that were allocated.
    fn free_run(&mut self, start: u32, count: u32) {
        for (frame, order) in blocks(start..start.saturating_add(count)) {
            self.free(frame, order);
        }
    }
}

/// Where a heap gets pages that it may read and write.
///
/// # Safety
/// The pages returned are valid for reads and writes of `count * PAGE_SIZE`
/// bytes, aligned to [`PAGE_SIZE`], and belong to the caller alone until it
/// gives them back.
///
/// Methods take `&self`: several heaps, or several processors of one heap, may
/// share a source, which does whatever locking that takes.
pub unsafe trait PageSource {
    /// `count` consecutive pages, content unspecified; `None` if there are none.
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>>;

    /// Takes back pages exactly as they were allocated.
    ///
    /// # Safety
    /// `start` came from [`allocate_pages`](PageSource::allocate_pages) of this
    /// source with the same `count`, and nobody uses the pages any more.
    unsafe fn free_pages(&self, start: NonNull<u8>, count: usize);

    /// Whether [`resize_pages`](PageSource::resize_pages) is worth a question:
    /// it always makes runs shorter, and longer where it can.
    fn resizes(&self) -> bool {
        false
    }

    /// Makes a run of `old` pages one of `new` where it is, not zero; false if
    /// that cannot be done, and then nothing has changed. After true it counts
    /// as allocated with `new` pages.
    ///
    /// # Safety
    /// As for [`free_pages`](PageSource::free_pages), but the first `new` pages
    /// may be in use.
    unsafe fn resize_pages(&self, start: NonNull<u8>, old: usize, new: usize) -> bool {
        let _ = start;
        old == new
    }
}

// SAFETY: the source behind the reference keeps the contract.
unsafe impl<P: PageSource + ?Sized> PageSource for &P {
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        P::allocate_pages(self, count)
    }

    unsafe fn free_pages(&self, start: NonNull<u8>, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { P::free_pages(self, start, count) }
    }

    fn resizes(&self) -> bool {
        P::resizes(self)
    }

    unsafe fn resize_pages(&self, start: NonNull<u8>, old: usize, new: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { P::resize_pages(self, start, old, new) }
    }
}

/// Cuts a range into the largest blocks that are aligned to their size.
pub(crate) fn blocks(range: Range<u32>) -> impl Iterator<Item = (u32, u8)> {
    let mut next = range.start;
    core::iter::from_fn(move || {
        let left = range.end.checked_sub(next).filter(|&left| left > 0)?;
        let by_alignment = next.trailing_zeros();
        let by_size = left.ilog2();
        let order = by_alignment.min(by_size).min(u32::from(MAX_ORDER));
        let frame = next;
        next += 1 << order;
        // CAST: at most MAX_ORDER.
        Some((frame, order as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::blocks;
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]
        #[test]
        fn blocks_cover_a_range_exactly(start in 0_u32..20_000, len in 0_u32..20_000) {
            let mut next = start;
            for (frame, order) in blocks(start..start + len) {
                prop_assert_eq!(frame, next);
                prop_assert!(frame.is_multiple_of(1 << order));
                next += 1 << order;
            }
            prop_assert_eq!(next, start + len);
        }
    }
}
