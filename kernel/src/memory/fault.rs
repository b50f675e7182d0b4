//! Faults: making a page exist when it is touched, or saying why it cannot.
//!
//! | page           | area              | access | becomes                           |
//! |----------------|-------------------|--------|-----------------------------------|
//! | absent         | anonymous         | read   | the shared zero frame, read-only  |
//! | absent         | anonymous         | write  | a fresh zeroed frame, or a huge page (`huge`) |
//! | absent         | private, backed   | read   | the backing's frame, read-only    |
//! | absent         | private, backed   | write  | a copy of the backing's frame     |
//! | absent         | shared            | any    | the backing's frame               |
//! | read-only      | private           | write  | writable if only it holds the frame, else a copy; no longer spare |
//! | read-only      | shared            | write  | writable                          |
//!
//! A read of a backed page also maps neighbours that the backing has at hand:
//! one fault instead of sixteen.
//!
//! The space is locked for the look at the area and the entry, and for the
//! change. What takes long is done before, or between two attempts ([`Made`]).

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_hal::memory::{OutOfMemory, PageTable, Rights, USER_END, UserFrame};
use ochre_hal::user::Access;

use super::area::{Area, AreaFlags, GUARD_GAP, PAGE, Source};
use super::made::{Made, Stop};
use super::space::Inner;
use super::{AddressSpace, Fault, UNLIMITED, huge, may_promise, spare};

const SIGBUS: u32 = 7;
pub(super) const SIGKILL: u32 = 9;
const SIGSEGV: u32 = 11;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRERR: i32 = 2;
const SI_KERNEL: i32 = 0x80;

/// Pages mapped around a faulting one, aligned to their number.
const AROUND: u64 = 16;

/// Why a page cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No area is there.
    NotMapped,
    /// The area does not allow the access.
    NotAllowed,
    /// As `NotAllowed`, for what madvise(2) is to fault in.
    NotReadable,
    /// The backing has no such page.
    NoPage,
    /// No frame is left.
    OutOfMemory,
}

impl From<OutOfMemory> for Refusal {
    fn from(_: OutOfMemory) -> Refusal {
        Refusal::OutOfMemory
    }
}

impl Refusal {
    fn at(self, address: u64) -> Fault {
        let (signal, code) = match self {
            Refusal::NotMapped => (SIGSEGV, SEGV_MAPERR),
            Refusal::NotAllowed | Refusal::NotReadable => (SIGSEGV, SEGV_ACCERR),
            Refusal::NoPage => (SIGBUS, BUS_ADRERR),
            Refusal::OutOfMemory => (SIGKILL, SI_KERNEL),
        };
        Fault {
            signal,
            code,
            address,
        }
    }
}

impl AddressSpace {
    /// Resolves a fault: makes `address` accessible for `access`, or says why not.
    ///
    /// # Errors
    /// The signal to send. SIGKILL means that memory ran out.
    pub fn fault(&self, address: u64, access: Access) -> Result<(), Fault> {
        self.resolve(address, access)
            .map_err(|refusal| refusal.at(address))
    }

    /// [`fault`](AddressSpace::fault) of the thread that has this handle of its
    /// process's space.
    ///
    /// # Errors
    /// As there.
    pub fn fault_of_thread(self: &Arc<Self>, address: u64, access: Access) -> Result<(), Fault> {
        // The process has a handle, too.
        let is_alone = Arc::strong_count(self) <= 2;
        self.resolve_with(address, access, Made::alone(is_alone))
            .map_err(|refusal| refusal.at(address))
    }

    /// Resolves a fault that a copy of the kernel met. Call it with no lock held.
    ///
    /// # Errors
    /// EFAULT; ENOMEM when memory ran out, somebody having been chosen to go.
    pub fn fault_for_copy(&self, address: u64, access: Access) -> Result<(), Errno> {
        self.resolve(address, access)
            .map_err(|refusal| match refusal {
                Refusal::OutOfMemory => {
                    // Who copies is refused, and so ends at some point.
                    let _ = super::pressure::relieve();
                    Errno::ENOMEM
                }
                _ => Errno::EFAULT,
            })
    }

    /// [`fault`](AddressSpace::fault) with the reason as such.
    pub(super) fn resolve(&self, address: u64, access: Access) -> Result<(), Refusal> {
        self.resolve_with(address, access, Made::default())
    }

    fn resolve_with(&self, address: u64, access: Access, mut made: Made) -> Result<(), Refusal> {
        if access == Access::Write {
            UserFrame::prepare_zeroed();
        }
        loop {
            let attempt = self.inner().attempt(address, access, &mut made);
            match attempt {
                Ok(()) => return Ok(()),
                Err(Stop::Refused(Refusal::OutOfMemory)) if spare::take_some() => {}
                Err(Stop::Refused(refusal)) => return Err(refusal),
                Err(Stop::Wants(wanted)) => made.make(wanted)?,
            }
        }
    }
}

impl Inner {
    /// Makes the page of `address` accessible, the space being locked all the time.
    pub(super) fn resolve(&mut self, address: u64, access: Access) -> Result<(), Refusal> {
        let mut made = Made::locked();
        loop {
            match self.attempt(address, access, &mut made) {
                Ok(()) => return Ok(()),
                Err(Stop::Refused(refusal)) => return Err(refusal),
                Err(Stop::Wants(wanted)) => made.make(wanted)?,
            }
        }
    }

    /// Makes the page of `address` accessible, or says what has to be made
    /// first; makes it itself if that was so several times, whatever it finds:
    /// an object may have another frame for a page each time.
    pub(super) fn attempt(
        &mut self,
        address: u64,
        access: Access,
        made: &mut Made,
    ) -> Result<(), Stop> {
        if made.begin(self.areas.changes(), self.refuses_huge) {
            self.usage.faults = self.usage.faults.wrapping_add(1);
        }
        let page = address & !(PAGE - 1);
        if page >= USER_END {
            return Err(Refusal::NotMapped.into());
        }
        let is_first = |area: &Area| {
            access == Access::Write && area.anonymous.is_none() && area.is_private_writable()
        };
        loop {
            let area = self.areas.get_near(page, &mut self.recent);
            if let Some(area) = area.filter(|area| !is_first(area)) {
                return resolve_in(area, &mut self.table, page, access, made);
            }
            self.prepare_first(page, access)?;
        }
    }

    /// Sees to it that there is an area, and that it can have pages of its own if
    /// it is about to get the first one.
    #[cold]
    fn prepare_first(&mut self, page: u64, access: Access) -> Result<(), Refusal> {
        if self.areas.get(page).is_none() {
            self.grow_down(page)?;
        }
        self.own_pages(page, access);
        Ok(())
    }

    /// An area may be about to get its first page of its own.
    fn own_pages(&mut self, page: u64, access: Access) {
        let is_private = self.areas.get(page).is_some_and(Area::is_private_writable);
        if access == Access::Write && is_private && self.areas.own_pages(page, self.next_set) {
            self.next_set = self.next_set.wrapping_add(1);
        }
    }

    /// Extends the stack above `page` down to it.
    fn grow_down(&mut self, page: u64) -> Result<(), Refusal> {
        let stack = self.areas.above(page).ok_or(Refusal::NotMapped)?;
        if !stack.flags.contains(AreaFlags::GROWS_DOWN) || stack.end - page > self.limits.stack {
            return Err(Refusal::NotMapped);
        }
        let start = stack.start;
        let gap = match self.areas.below(page) {
            Some(below) if keeps_distance(below) => below.end.saturating_add(GUARD_GAP),
            _ => super::layout::LOWEST,
        };
        let limit = self.limits.address_space;
        let is_beyond = || self.total().saturating_add(start - page) > limit;
        if page < gap || limit != UNLIMITED && is_beyond() {
            return Err(Refusal::NotMapped);
        }
        let is_locked = stack.flags.contains(AreaFlags::LOCKED);
        if is_locked && !self.locks_freely && self.check_locked(start - page).is_err() {
            return Err(Refusal::NotMapped);
        }
        if !may_promise((start - page) / PAGE) {
            return Err(Refusal::NotMapped);
        }
        if self.areas.own_pages(start, self.next_set) {
            self.next_set = self.next_set.wrapping_add(1);
        }
        self.areas.extend_down(start, page);
        self.settle();
        Ok(())
    }
}

/// Makes a page of an area accessible.
#[inline]
fn resolve_in(
    area: &Area,
    table: &mut PageTable,
    page: u64,
    access: Access,
    made: &mut Made,
) -> Result<(), Stop> {
    if !area.allows(access) {
        return Err(Refusal::NotAllowed.into());
    }
    let write = access == Access::Write;
    if !table.is_vacant(page) {
        return resolve_present(area, table, page, write, made);
    }
    if write && map_huge(area, table, page, made)? {
        return Ok(());
    }
    map_absent(area, table, page, write, made)
}

/// Makes a page accessible that is there.
#[inline(never)]
fn resolve_present(
    area: &Area,
    table: &mut PageTable,
    page: u64,
    write: bool,
    made: &mut Made,
) -> Result<(), Stop> {
    let mut mapping = table.query(page).ok_or(Refusal::NotMapped)?;
    if write && !mapping.rights.contains(Rights::WRITE) {
        // One more would be somebody else's handle.
        drop(mapping);
        let is_new = table.own_for_store(page, area.full_rights())?;
        mapping = table.query(page).ok_or(Refusal::NotMapped)?;
        // It may have been the table only that a fork left to two.
        if is_new && mapping.rights.contains(Rights::WRITE) {
            return Ok(());
        }
    }
    if write && !mapping.rights.contains(Rights::WRITE) {
        if area.is_shared() || is_only_mapped_here(&mapping.frame) {
            table.set_rights(page, area.full_rights())?.flush();
        } else {
            let copy = made.copy(area, mapping.frame)?;
            table.replace(page, copy, area.full_rights())?.flush();
        }
        return Ok(());
    }
    // There, and yet it faulted: another thread was faster, or the page was
    // made inaccessible and is accessible again.
    let rights = area.common_rights() | (mapping.rights & Rights::WRITE);
    if rights != mapping.rights {
        table.set_rights(page, rights)?.flush();
    }
    Ok(())
}

/// Maps the huge page around a page that is not there yet, if it is to have
/// one; whether it has.
#[inline]
fn map_huge(area: &Area, table: &mut PageTable, page: u64, made: &mut Made) -> Result<bool, Stop> {
    let Some(start) = huge::place(area, table, page) else {
        return Ok(false);
    };
    let block = made.block()?;
    Ok(block.is_some_and(|block| table.map_huge(start, block, area.full_rights()).is_ok()))
}

// ANCHOR: map_absent
/// Maps a page that is not there yet.
#[inline]
fn map_absent(
    area: &Area,
    table: &mut PageTable,
    page: u64,
    write: bool,
    made: &mut Made,
) -> Result<(), Stop> {
    let Some(source) = &area.source else {
        let (frame, rights) = if write {
            (made.zeroes()?, area.full_rights())
        } else {
            (UserFrame::shared_zero(), area.common_rights())
        };
        return Ok(table.map(page, frame, rights)?);
    };
    map_of_object(area, source, table, page, write, made)
}
// ANCHOR_END: map_absent

/// Maps a page of an object that is not there yet, and perhaps its neighbours.
#[inline(never)]
fn map_of_object(
    area: &Area,
    source: &Source,
    table: &mut PageTable,
    page: u64,
    write: bool,
    made: &mut Made,
) -> Result<(), Stop> {
    let frame = made.page(&source.backing, area.index_of(source, page))?;
    if write && !area.is_shared() {
        let copy = made.copy(area, frame)?;
        return Ok(table.map(page, copy, area.full_rights())?);
    }
    let rights = area.common_rights();
    table.map(page, frame, rights)?;
    if !write {
        map_around(area, source, table, page, rights);
    }
    Ok(())
}

/// Maps neighbours of a page that the backing has at hand.
fn map_around(area: &Area, source: &Source, table: &mut PageTable, page: u64, rights: Rights) {
    let first = (page & !(AROUND * PAGE - 1)).max(area.start);
    let end = (page | (AROUND * PAGE - 1)).saturating_add(1).min(area.end);
    let index = area.index_of(source, first);
    let Some(index_end) = index.checked_add((end - first) / PAGE) else {
        return;
    };
    source
        .backing
        .present(index..index_end, &mut |at, neighbour| {
            let Some(pages) = at.checked_sub(index).filter(|_| at < index_end) else {
                return;
            };
            let address = first + pages * PAGE;
            if table.is_vacant(address) {
                // A neighbour that finds no table faults later, if ever.
                let _ = table.map(address, neighbour, rights);
            }
        });
}

/// Whether a stack must stay away from this area. Another stack and an
/// inaccessible guard area of the program's own need no further gap.
fn keeps_distance(area: &Area) -> bool {
    !area.flags.contains(AreaFlags::GROWS_DOWN) && area.protection.allows_access()
}

/// Whether the one mapping that was just looked up is all that holds the frame:
/// the handle at hand and the page table's.
fn is_only_mapped_here(frame: &UserFrame) -> bool {
    frame.handles() == 2
}
