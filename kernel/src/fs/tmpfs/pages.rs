//! The bytes of a file: a sparse map of frames and a size.
//!
//! Generic over the frame so that the map is tested on a host, where frames of
//! user memory do not exist.
//!
//! # Invariants
//! No frame lies wholly past the size, except what `allocate` kept there; bytes
//! past the size in the last frame are zero.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::fcntl::Seals;
use ochre_hal::memory::{PAGE_SIZE, UserFrame};

use crate::memory::leftovers;
use crate::vfs::{Sink, Source};

/// The largest file.
pub(super) const SIZE_MAX: u64 = i64::MAX as u64;

const PAGE: u64 = PAGE_SIZE as u64;

/// Frames that one part of a call makes.
const MADE_AT_ONCE: u64 = 512;

/// Frames that one part of a call takes out.
pub(super) const TAKEN_AT_ONCE: usize = 1024;

/// Places that one part of a call looks at.
const LOOKED_AT: u64 = 16384;

/// A page of storage.
pub trait Frame: Clone + Sized {
    /// A fresh one of zeroes.
    ///
    /// # Errors
    /// ENOMEM.
    fn zeroed() -> Result<Self, Errno>;
    /// Puts a part of it into `sink`; returns how many bytes went.
    fn put(&self, sink: &mut Sink<'_>, offset: usize, len: usize) -> usize;
    /// Takes a part of it from `source`; returns how many bytes came.
    fn take(&self, source: &mut Source<'_>, offset: usize, len: usize) -> usize;
    /// Clears a part of it.
    fn clear(&self, range: Range<usize>);
    /// The frame as user memory, to be mapped.
    fn into_user(self) -> UserFrame;
    /// Gives frames back that no file has any more.
    fn give_back(frames: BTreeMap<u64, Self>);
}

impl Frame for UserFrame {
    fn zeroed() -> Result<UserFrame, Errno> {
        UserFrame::zeroed().map_err(|_| Errno::ENOMEM)
    }

    #[inline]
    fn put(&self, sink: &mut Sink<'_>, offset: usize, len: usize) -> usize {
        sink.put_frame(self, offset, len)
    }

    #[inline]
    fn take(&self, source: &mut Source<'_>, offset: usize, len: usize) -> usize {
        source.take_frame(self, offset, len)
    }

    fn clear(&self, range: Range<usize>) {
        self.zero(range);
    }

    fn into_user(self) -> UserFrame {
        self
    }

    fn give_back(frames: BTreeMap<u64, UserFrame>) {
        leftovers::give_back(frames);
    }
}

/// A sparse file's content.
#[derive(Debug)]
pub struct Pages<F> {
    frames: BTreeMap<u64, F>,
    size: u64,
    /// What must not happen to it any more.
    pub(super) seals: Seals,
}

impl<F> Default for Pages<F> {
    fn default() -> Pages<F> {
        Pages {
            frames: BTreeMap::new(),
            size: 0,
            seals: Seals::SEAL,
        }
    }
}

impl<F: Frame> Pages<F> {
    /// Bytes.
    #[inline]
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Frames in use.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.frames.len() as u64
    }

    /// Reads from `position`, which moves on. Stops at the end, at a full sink
    /// and at a fault.
    pub fn read(&self, sink: &mut Sink<'_>, position: &mut u64) -> usize {
        let mut sum = 0;
        while *position < self.size {
            let offset = (*position % PAGE) as usize;
            let left = usize::try_from(self.size - *position).unwrap_or(usize::MAX);
            let len = (PAGE_SIZE - offset).min(left).min(sink.remaining());
            if len == 0 {
                break;
            }
            let moved = match self.frames.get(&(*position / PAGE)) {
                Some(frame) => frame.put(sink, offset, len),
                None => sink.put_zeroes(len),
            };
            *position += moved as u64;
            sum += moved;
            if moved < len {
                break;
            }
        }
        sum
    }

    /// Writes at `position`, which moves on. `charge` is asked before a frame is
    /// added, `refund` told when it was not needed.
    ///
    /// # Errors
    /// EFBIG, EPERM for a seal, or what `charge` said, if nothing was written.
    pub fn write(
        &mut self,
        source: &mut Source<'_>,
        position: &mut u64,
        charge: impl Fn(u64) -> Result<(), Errno>,
        refund: impl Fn(u64),
    ) -> Result<usize, Errno> {
        let mut sum = 0;
        while source.remaining() > 0 {
            let index = *position / PAGE;
            let offset = (*position % PAGE) as usize;
            let room = usize::try_from(SIZE_MAX.saturating_sub(*position)).unwrap_or(usize::MAX);
            let len = (PAGE_SIZE - offset).min(source.remaining()).min(room);
            if len == 0 {
                return if sum > 0 { Ok(sum) } else { Err(Errno::EFBIG) };
            }
            if self.refuses_write(position.saturating_add(len as u64)) {
                return if sum > 0 { Ok(sum) } else { Err(Errno::EPERM) };
            }
            let moved = match self.frames.get(&index) {
                Some(frame) => frame.take(source, offset, len),
                None => {
                    let fresh = charge(1).and_then(|()| F::zeroed().inspect_err(|_| refund(1)));
                    let fresh = match fresh {
                        Ok(frame) => frame,
                        Err(_) if sum > 0 => return Ok(sum),
                        Err(errno) => return Err(errno),
                    };
                    let moved = fresh.take(source, offset, len);
                    if moved > 0 {
                        self.frames.insert(index, fresh);
                    } else {
                        refund(1);
                    }
                    moved
                }
            };
            *position += moved as u64;
            self.size = self.size.max(*position);
            sum += moved;
            if moved < len {
                break;
            }
        }
        Ok(sum)
    }

    /// Whether a seal forbids to write up to `end`.
    fn refuses_write(&self, end: u64) -> bool {
        self.seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE)
            || self.seals.contains(Seals::GROW) && end > self.size
    }

    /// Whether a seal forbids this size.
    pub fn refuses_size(&self, size: u64) -> bool {
        self.seals.contains(Seals::SHRINK) && size < self.size
            || self.seals.contains(Seals::GROW) && size > self.size
    }

    /// The frame of page `index`, made present if it was not.
    ///
    /// # Errors
    /// ENXIO past the end, or what `charge` said.
    pub fn page(
        &mut self,
        index: u64,
        charge: impl Fn(u64) -> Result<(), Errno>,
        refund: impl Fn(u64),
    ) -> Result<F, Errno> {
        if let Some(page) = self.page_at_hand(index) {
            return page;
        }
        charge(1)?;
        let frame = F::zeroed().inspect_err(|_| refund(1))?;
        self.frames.insert(index, frame.clone());
        Ok(frame)
    }

    /// The frame of page `index`, if nothing has to be made for it.
    pub fn page_at_hand(&self, index: u64) -> Option<Result<F, Errno>> {
        if index >= self.size.div_ceil(PAGE) {
            return Some(Err(Errno::ENXIO));
        }
        self.frames.get(&index).cloned().map(Ok)
    }

    /// Visits frames that are present.
    pub fn present(&self, pages: Range<u64>, visit: &mut dyn FnMut(u64, F)) {
        if pages.start < pages.end {
            for (index, frame) in self.frames.range(pages) {
                visit(*index, frame.clone());
            }
        }
    }

    /// Puts a frame made elsewhere at page `index`; the size is set by `resize`.
    pub fn adopt(&mut self, index: u64, frame: F) -> Option<F> {
        self.frames.insert(index, frame)
    }

    /// Takes all frames out of a file that ends.
    pub fn take(&mut self) -> BTreeMap<u64, F> {
        core::mem::take(&mut self.frames)
    }

    /// Cuts or extends the file. Frames past the new end come back, to be
    /// dropped after the lock.
    pub fn resize(&mut self, size: u64) -> BTreeMap<u64, F> {
        let mut cut = BTreeMap::new();
        if size < self.size {
            cut = self.frames.split_off(&size.div_ceil(PAGE));
            let offset = (size % PAGE) as usize;
            if offset > 0
                && let Some(frame) = self.frames.get(&(size / PAGE))
            {
                frame.clear(offset..PAGE_SIZE);
            }
        }
        self.size = size;
        cut
    }

    /// Makes `range` zeroes by taking whole frames out, no more than a poll has
    /// time for; they come back, and up to where it is done.
    pub fn punch(&mut self, range: Range<u64>) -> (BTreeMap<u64, F>, u64) {
        let (first, end) = (range.start.div_ceil(PAGE), range.end / PAGE);
        let clear = |pages: &Pages<F>, index: u64, part: Range<usize>| {
            if let Some(frame) = pages.frames.get(&index) {
                frame.clear(part);
            }
        };
        let mut out = BTreeMap::new();
        let head = (range.start % PAGE) as usize;
        let tail = (range.end % PAGE) as usize;
        if first > end {
            clear(self, range.start / PAGE, head..tail);
            return (out, range.end);
        }
        if head > 0 {
            clear(self, range.start / PAGE, head..PAGE_SIZE);
        }
        // Frames far from each other are not taken out together: whoever maps
        // them looks at all between them.
        let mut stop = end;
        while let Some((&index, _)) = self.frames.range(first..stop).next() {
            if out.len() == TAKEN_AT_ONCE {
                return (out, index.saturating_mul(PAGE));
            }
            if out.is_empty() {
                stop = stop.min(index.saturating_add(LOOKED_AT));
            }
            if let Some(frame) = self.frames.remove(&index) {
                out.insert(index, frame);
            }
        }
        if stop < end {
            return (out, stop.saturating_mul(PAGE));
        }
        if tail > 0 {
            clear(self, end, 0..tail);
        }
        (out, range.end)
    }

    /// How many pages of a range are missing, as far as a poll has time to look;
    /// and up to where that is.
    pub fn missing(&self, range: Range<u64>) -> (u64, u64) {
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        let mut present = 0;
        for (index, _) in self.frames.range(pages.clone()) {
            if present == LOOKED_AT {
                let missing = index.saturating_sub(pages.start) - present;
                return (missing, index.saturating_mul(PAGE));
            }
            present += 1;
        }
        (pages.end.saturating_sub(pages.start) - present, range.end)
    }

    /// Makes pages of a range present, no more than a poll has time for; up to
    /// where they are.
    ///
    /// # Errors
    /// What `charge` said; ENOMEM. What was made stays.
    pub fn populate(
        &mut self,
        range: Range<u64>,
        charge: impl Fn(u64) -> Result<(), Errno>,
        refund: impl Fn(u64),
    ) -> Result<u64, Errno> {
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        let stop = pages.end.min(pages.start.saturating_add(LOOKED_AT));
        let mut made = 0;
        for index in pages.start..stop {
            if made == MADE_AT_ONCE {
                return Ok(index.saturating_mul(PAGE));
            }
            if let Entry::Vacant(place) = self.frames.entry(index) {
                charge(1)?;
                place.insert(F::zeroed().inspect_err(|_| refund(1))?);
                made += 1;
            }
        }
        Ok(stop.saturating_mul(PAGE).min(range.end))
    }

    /// The next data (or hole) at or after `offset`.
    ///
    /// # Errors
    /// ENXIO past the end, or when only a hole is left.
    pub fn seek(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        if offset >= self.size {
            return Err(Errno::ENXIO);
        }
        let first = offset / PAGE;
        if !hole {
            let (index, _) = self.frames.range(first..).next().ok_or(Errno::ENXIO)?;
            let at = offset.max(index.saturating_mul(PAGE));
            return if at < self.size {
                Ok(at)
            } else {
                Err(Errno::ENXIO)
            };
        }
        let mut at = first;
        for (index, _) in self.frames.range(first..) {
            if *index != at {
                break;
            }
            at += 1;
        }
        Ok(offset.max(at.saturating_mul(PAGE)).min(self.size))
    }
}

#[cfg(test)]
pub(in crate::fs) mod tests;
