//! Faulting whole ranges in, by parts: `MAP_POPULATE`, mlock(2), `MADV_POPULATE_READ`
//! and whatever becomes larger while it is locked.
//!
//! A range may be as large as memory. So who wants pages early is given a
//! [`Population`], of which each [`step`](Population::step) does no more than a
//! poll has time for. Between two steps no lock is held, and the space may
//! change: what is gone then needs no pages.

use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::Protection;
use ochre_hal::memory::UserFrame;
use ochre_hal::user::Access;

use super::area::{AreaFlags, PAGE};
use super::fault::Refusal;
use super::made::{Made, Stop};
use super::{AddressSpace, spare};

/// Pages that one step faults in at most.
const AT_ONCE: u64 = 512;

/// Pages after which the lock is given back, for other threads.
const LOCKED_FOR: u64 = 64;

/// What an error means for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// The pages are only wanted early: an error comes again when they are
    /// used, and what comes after the area is wanted all the same.
    Early,
    /// Of mprotect(2): locked memory that may be written now. The rest of the
    /// range is none of it.
    StillLocked,
    /// Of mlock(2): what could not be had is told, what was unmapped since is not.
    Locked,
    /// Of madvise(2), for this access: everything has to be there.
    Advised(Access),
}

/// A range whose pages are to be there, as far as that is not yet done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "no page comes before it is stepped"]
pub struct Population {
    rest: Range<u64>,
    wish: Wish,
}

impl Population {
    /// Pages that are wanted early: `MAP_POPULATE`, mlockall(2).
    pub fn early(range: Range<u64>) -> Population {
        let wish = Wish::Early;
        Population { rest: range, wish }
    }

    /// Pages that are locked and may be written now.
    pub(super) fn still_locked(range: Range<u64>) -> Population {
        let wish = Wish::StillLocked;
        Population { rest: range, wish }
    }

    /// Pages that mlock(2) asks for.
    pub(super) fn locked(range: Range<u64>) -> Population {
        let wish = Wish::Locked;
        Population { rest: range, wish }
    }

    /// Pages that madvise(2) asks for, for this access.
    pub(super) fn advised(range: Range<u64>, access: Access) -> Population {
        let wish = Wish::Advised(access);
        Population { rest: range, wish }
    }

    /// Does a part of it; whether that was the last one.
    ///
    /// # Errors
    /// As mlock(2) or madvise(2) say: EAGAIN, EFAULT, EINVAL, ENOMEM.
    pub fn step(&mut self, space: &AddressSpace) -> Result<bool, Errno> {
        let mut left = AT_ONCE;
        let mut made = Made::default();
        while left > 0 && self.rest.start < self.rest.end {
            match self.fault_in(space, &mut left, &mut made) {
                Err(Refusal::OutOfMemory) if spare::take_some() => {}
                Err(refusal) => self.meet(space, refusal)?,
                Ok(()) => {}
            }
        }
        Ok(self.rest.start >= self.rest.end)
    }

    /// Faults some pages of the next area in, up to one for which something has
    /// to be made.
    fn fault_in(
        &mut self,
        space: &AddressSpace,
        left: &mut u64,
        made: &mut Made,
    ) -> Result<(), Refusal> {
        UserFrame::prepare_zeroed();
        let mut inner = space.inner();
        let address = &mut self.rest.start;
        let area = inner.areas.get(*address).ok_or(Refusal::NotMapped)?;
        let end = area.end.min(self.rest.end);
        let want = match self.wish {
            Wish::Advised(access) => {
                let needed = match access {
                    Access::Write => Protection::WRITE,
                    _ => Protection::READ,
                };
                if !area.protection.contains(needed) {
                    return Err(Refusal::NotReadable);
                }
                access
            }
            Wish::StillLocked
                if !area.flags.contains(AreaFlags::LOCKED) || !area.is_private_writable() =>
            {
                *left -= 1;
                *address = end;
                return Ok(());
            }
            _ if area.flags.contains(AreaFlags::LOCK_ON_FAULT) => {
                *left -= 1;
                *address = end;
                return Ok(());
            }
            _ if area.is_private_writable() => Access::Write,
            _ if !area.protection.allows_access() => return Err(Refusal::NotAllowed),
            // Even where it may only be written or run, it is there then.
            _ => Access::Read,
        };
        let pages = LOCKED_FOR.min(*left);
        let stop = end.min(address.saturating_add(pages * PAGE));
        while *address < stop {
            match inner.attempt(*address, want, made) {
                Ok(()) => {}
                Err(Stop::Refused(refusal)) => return Err(refusal),
                Err(Stop::Wants(wanted)) => {
                    drop(inner);
                    return made.make(wanted);
                }
            }
            *made = Made::default();
            *address += PAGE;
            *left -= 1;
            if want == Access::Write && !UserFrame::has_zeroed_ready() {
                break;
            }
        }
        Ok(())
    }

    /// Goes on after a page that cannot be had, or ends with an error.
    fn meet(&mut self, space: &AddressSpace, refusal: Refusal) -> Result<(), Errno> {
        let rest = &mut self.rest;
        match (self.wish, refusal) {
            (Wish::Early | Wish::StillLocked | Wish::Locked, Refusal::NotMapped) => {
                let next = space.inner().areas.above(rest.start).map(|area| area.start);
                rest.start = next.unwrap_or(rest.end);
            }
            (Wish::Early | Wish::StillLocked, Refusal::OutOfMemory) => rest.start = rest.end,
            (Wish::Early | Wish::StillLocked, _) => {
                let inner = space.inner();
                rest.start = match inner.areas.get(rest.start) {
                    Some(area) => area.end,
                    // Unmapped since.
                    None => rest.start.saturating_add(PAGE),
                };
            }
            (Wish::Locked, Refusal::OutOfMemory) => return Err(Errno::EAGAIN),
            (Wish::Locked, _) => return Err(Errno::ENOMEM),
            (Wish::Advised(_), Refusal::NotReadable) => return Err(Errno::EINVAL),
            (Wish::Advised(_), Refusal::NotAllowed | Refusal::NoPage) => return Err(Errno::EFAULT),
            (Wish::Advised(_), Refusal::NotMapped | Refusal::OutOfMemory) => {
                return Err(Errno::ENOMEM);
            }
        }
        Ok(())
    }
}
