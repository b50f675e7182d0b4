//! Holes in what is mapped (`MADV_REMOVE`), by parts.
//!
//! What a range shows of files and shared memory loses its pages, for all who
//! map it. The areas stay. As with what is given up (`removal`), no lock is held
//! between two parts, and the range is looked at as it is when its turn comes.

use alloc::sync::Arc;
use core::ops::Range;

use ochre_abi::Errno;

use super::AddressSpace;
use super::Backing;
use super::area::{AreaFlags, PAGE};

/// Takings of an object that make a part.
const AT_ONCE: usize = 16;

/// A range that becomes a hole, as far as that is not yet done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is taken out before it is stepped"]
pub struct Hole {
    rest: Range<u64>,
    /// Whether something of the range was not mapped.
    has_gap: bool,
}

/// Pages of an object that an area shows.
struct Shown {
    backing: Arc<dyn Backing>,
    pages: Range<u64>,
}

impl Hole {
    /// A range of whole pages.
    pub(super) fn of(range: Range<u64>) -> Hole {
        Hole {
            rest: range,
            has_gap: false,
        }
    }

    /// Does a part of it; whether that was the last one.
    ///
    /// # Errors
    /// As madvise(2), what comes before being done: EINVAL for memory that is
    /// locked or no object's, EACCES for what is private or may not be written,
    /// what the object says. ENOMEM if part is not mapped, once the rest is done.
    pub fn step(&mut self, space: &AddressSpace) -> Result<bool, Errno> {
        for _ in 0..AT_ONCE {
            if self.rest.is_empty() {
                break;
            }
            let Some(Shown { backing, pages }) = self.next(space)? else {
                continue;
            };
            let reached = backing.punch(pages.clone())?;
            let done = reached.clamp(pages.start, pages.end) - pages.start;
            self.rest.start = self.rest.start.saturating_add(done * PAGE);
        }
        match self.rest.is_empty() {
            true if self.has_gap => Err(Errno::ENOMEM),
            is_over => Ok(is_over),
        }
    }

    /// The object that is shown where the rest begins, and its pages in the area
    /// there; `None` if there was a gap, which is passed over.
    fn next(&mut self, space: &AddressSpace) -> Result<Option<Shown>, Errno> {
        let inner = space.inner();
        let address = self.rest.start;
        let area = inner.areas.at_or_above(address).ok_or(Errno::ENOMEM)?;
        if area.start > address {
            self.has_gap = true;
            self.rest.start = area.start.min(self.rest.end);
            return Ok(None);
        }
        if area.flags.contains(AreaFlags::LOCKED) {
            return Err(Errno::EINVAL);
        }
        let source = area.source.as_ref().ok_or(Errno::EINVAL)?;
        if !area.is_shared() || area.flags.contains(AreaFlags::NEVER_WRITE) {
            return Err(Errno::EACCES);
        }
        let end = area.end.min(self.rest.end);
        let first = area.index_of(source, address);
        let pages = first..first.saturating_add((end - address) / PAGE);
        Ok(Some(Shown {
            backing: Arc::clone(&source.backing),
            pages,
        }))
    }
}
