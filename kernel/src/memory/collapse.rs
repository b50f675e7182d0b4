//! Pages gathered to huge ones: `MADV_COLLAPSE` (madvise(2)).
//!
//! Each aligned 2 MiB of the range that have a page become a huge page, whatever
//! the policy is; what is missing in them is zeroes. The memory for it is found
//! and cleared with no lock held. The content is copied with the space locked
//! and nothing mapped there: who stores meanwhile must wait for the copy.
//!
//! # What must hold
//! Between two steps no lock is held, as with a [`Removal`](super::Removal).
//! What is at the next place is looked at anew each time.

use core::ops::Range;

use ochre_abi::Errno;
use ochre_hal::memory::BlockState;

use super::AddressSpace;
use super::area::{Area, AreaFlags};
use super::huge::{self, HUGE};
use super::space::Inner;

/// Huge pages that one part makes.
const AT_ONCE: usize = 4;

/// A range that is to have huge pages, as far as that is not yet done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is gathered before it is stepped"]
pub struct Collapse {
    rest: Range<u64>,
    has_hole: bool,
}

impl Collapse {
    /// A range, to be rounded to huge pages in each of its areas.
    pub(super) fn of(range: Range<u64>) -> Collapse {
        Collapse {
            rest: range,
            has_hole: false,
        }
    }

    /// Does a part of it; whether that was the last one.
    ///
    /// # Errors
    /// As madvise(2): EINVAL for what cannot have huge pages or has no page; ENOMEM
    /// if there is no memory for one, or part is not mapped.
    pub fn step(&mut self, space: &AddressSpace) -> Result<bool, Errno> {
        for _ in 0..AT_ONCE {
            if self.next(&space.inner())?.is_none() {
                return match self.has_hole {
                    true => Err(Errno::ENOMEM),
                    false => Ok(true),
                };
            }
            let block = huge::make_if_free().ok_or(Errno::ENOMEM)?;
            let mut inner = space.inner();
            let Some((place, area)) = self.next(&inner)? else {
                continue;
            };
            let rights = area.full_rights();
            let gathered = inner.table.collapse(place, block, rights);
            gathered.map_err(|_| Errno::ENOMEM)?;
            self.rest.start = place.saturating_add(HUGE);
        }
        Ok(false)
    }

    /// The next place that has pages, and its area; none if there is no other.
    fn next(&mut self, inner: &Inner) -> Result<Option<(u64, Area)>, Errno> {
        while self.rest.start < self.rest.end {
            let area = inner.areas.at_or_above(self.rest.start);
            let area = area.filter(|area| area.start < self.rest.end);
            let start = area.map_or(self.rest.end, |area| area.start);
            self.has_hole |= start > self.rest.start;
            self.rest.start = start.max(self.rest.start);
            let Some(area) = area else {
                break;
            };
            if !is_eligible(area) || inner.refuses_huge {
                return Err(Errno::EINVAL);
            }
            let end = area.end.min(self.rest.end);
            let place = self.rest.start.next_multiple_of(HUGE);
            let last = end & !(HUGE - 1);
            if place > last {
                // Within one: Linux says so, too.
                return Err(Errno::EINVAL);
            }
            if place == last {
                self.rest.start = end;
                continue;
            }
            match inner.table.block_state(place) {
                BlockState::Vacant => return Err(Errno::EINVAL),
                BlockState::Huge => self.rest.start = place + HUGE,
                BlockState::Pages => {
                    self.rest.start = place;
                    return Ok(Some((place, area.clone())));
                }
            }
        }
        Ok(None)
    }
}

/// Whether pages of an area can be gathered: memory without an object that has
/// had pages of its own, and has room for a huge one.
fn is_eligible(area: &Area) -> bool {
    let last = area.end.saturating_sub(HUGE) & !(HUGE - 1);
    last >= area.start
        && area.source.is_none()
        && !area.is_shared()
        && !area.flags.contains(AreaFlags::NO_HUGE)
        && !area.anonymous.is_none()
}
