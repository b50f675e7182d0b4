//! An address space: areas and page table, and copies through them.
//!
//! The areas say what a program asked for; the page table holds the pages that
//! exist so far. Both are behind one lock and change together: an area is
//! always there before a page of it, and a page never outlives its area.
//!
//! Copies take no lock: they go through the page table as the program's own
//! accesses do, and only a fault on the way looks at the areas.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::Protection;
use ochre_hal::memory::{
    CopyFault, Flush, OutOfMemory, PAGE_SIZE, PageTable, SpaceRef, UserFrame, untagged,
};
use ochre_hal::user::Access;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};
use ochre_sync::{Once, SpinLock, SpinLockGuard};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::MakeRoom;
use super::area::{AreaFlags, PAGE};
use super::area_map::{AreaMap, Recent};
use super::spare::Spares;
use super::{Facts, Identity, Layout, Limits, Promise, Randomness, Usage};
use crate::syscall::{Ptr, tags};

/// A fault that cannot be resolved, as a signal tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `SIGSEGV`, `SIGBUS`, or `SIGKILL` when memory ran out.
    pub signal: u32,
    /// `si_code`: `SEGV_MAPERR`, `SEGV_ACCERR`, `BUS_ADRERR`...
    pub code: i32,
    /// The address.
    pub address: u64,
}

impl Fault {
    /// Whether the access is fine and only no frame is left.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        self.signal == super::fault::SIGKILL
    }
}

/// What the lock of an address space guards.
pub(super) struct Inner {
    /// The pages that exist.
    pub(super) table: PageTable,
    /// What was asked for.
    pub(super) areas: AreaMap,
    /// Resource limits that count here.
    pub(super) limits: Limits,
    /// Where mappings go.
    pub(super) layout: Layout,
    /// The heap's start and its end as brk(2) last set it.
    pub(super) heap: Range<u64>,
    /// Flags of areas to come: `mlockall(MCL_FUTURE)`.
    pub(super) future: AreaFlags,
    /// What execve(2) put where.
    pub(super) facts: Arc<Facts>,
    /// The next number for a set of pages of an area's own.
    pub(super) next_set: u64,
    /// Pages that were there when some were last given up, and faults.
    pub(super) usage: Usage,
    /// What is promised of the areas.
    pub(super) promise: Promise,
    /// Whether who locked memory last may lock what it likes: a stack that grows
    /// asks nobody.
    pub(super) locks_freely: bool,
    /// Whether the program wants no huge pages.
    pub(super) refuses_huge: bool,
    /// Where pages may be that the program can spare.
    pub(super) spares: Spares,
    /// An area in which a fault was.
    pub(super) recent: Recent,
}

impl Inner {
    /// Counts what is promised anew, after a change of the areas.
    #[inline]
    pub(super) fn settle(&mut self) {
        self.promise.set(self.areas.accounted_pages());
    }
}

/// The number of the next address space.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A program's address space.
pub struct AddressSpace {
    me: Weak<AddressSpace>,
    /// Larger than that of every older one.
    number: u64,
    root: SpaceRef,
    inner: SpinLock<Inner>,
}

impl core::fmt::Debug for AddressSpace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AddressSpace")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Joins flushes of one address space.
pub(super) fn join(all: &mut Option<Flush>, one: Flush) {
    match all {
        Some(all) => all.join(one),
        None => *all = Some(one),
    }
}

/// Whether an address has a tag, so that a copy refuses it.
#[inline]
fn has_tag(address: u64) -> bool {
    untagged(address) != address
}

/// Copies again without the tag, if the call takes such.
#[cold]
fn again<T>(
    address: u64,
    fault: CopyFault,
    copy: impl FnOnce(u64) -> Result<T, CopyFault>,
) -> Result<T, CopyFault> {
    match tags::meant(address) {
        meant if meant != address => copy(meant),
        _ => Err(fault),
    }
}

impl AddressSpace {
    /// The address space without anything in it, shared by those who have none.
    ///
    /// # Panics
    /// If the machine has not enough memory for one table: it is asked for at
    /// boot first.
    #[must_use]
    pub fn empty() -> Arc<AddressSpace> {
        static EMPTY: Once<Arc<AddressSpace>> = Once::new();
        loop {
            if let Some(empty) = EMPTY.get() {
                return Arc::clone(empty);
            }
            let empty =
                AddressSpace::new(Limits::default()).expect("boot leaves memory for a page table");
            // A second one that came too late is dropped.
            drop(EMPTY.set(empty));
        }
    }

    /// The object behind an address, and the offset in it, for futexes that
    /// others see too; `None` where only this space sees the memory.
    ///
    /// # Errors
    /// EFAULT for memory that the program may not access, or may only read and
    /// nobody ever writes; ENOMEM.
    pub fn shared_object(
        &self,
        address: u64,
        access: Access,
    ) -> Result<Option<(Identity, u64)>, Errno> {
        let page = address & !(PAGE - 1);
        loop {
            {
                let inner = self.inner();
                let area = inner.areas.get(address).ok_or(Errno::EFAULT)?;
                if !area.allows(access) || !area.allows(Access::Read) {
                    return Err(Errno::EFAULT);
                }
                let is_private = !area.is_shared();
                if is_private && area.protection.contains(Protection::WRITE) {
                    return Ok(None);
                }
                let source = area.source.as_ref().ok_or(Errno::EFAULT)?;
                if area.index_of(source, page) >= source.backing.size().div_ceil(PAGE) {
                    return Err(Errno::EFAULT);
                }
                if is_private || inner.table.query(page).is_some() {
                    let offset = area
                        .index_of(source, page)
                        .wrapping_mul(PAGE)
                        .wrapping_add(address - page);
                    return Ok(Some((source.backing.identity(), offset)));
                }
            }
            self.fault_for_copy(address, access)?;
        }
    }

    /// An address space with nothing in it, and the same bases each time.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the root table.
    pub fn new(limits: Limits) -> Result<Arc<AddressSpace>, OutOfMemory> {
        AddressSpace::with(limits, &Randomness::NONE)
    }

    /// An address space with nothing in it.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the root table.
    pub fn with(limits: Limits, random: &Randomness) -> Result<Arc<AddressSpace>, OutOfMemory> {
        let table = PageTable::new()?;
        Ok(Arc::new_cyclic(|me| AddressSpace {
            me: Weak::clone(me),
            // ORDERING: numbers only have to differ and to grow; who has one
            // made of another has the other one's.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            root: table.space().clone(),
            inner: SpinLock::new(Inner {
                table,
                areas: AreaMap::new(),
                limits,
                layout: Layout::choose(limits.stack, random),
                heap: 0..0,
                future: AreaFlags::empty(),
                facts: Arc::new(Facts::default()),
                next_set: 1,
                usage: Usage::default(),
                promise: Promise::default(),
                locks_freely: false,
                refuses_huge: false,
                spares: Spares::default(),
                recent: Recent::default(),
            }),
        }))
    }

    /// What an object keeps to find this space.
    pub(super) fn me(&self) -> &Weak<AddressSpace> {
        &self.me
    }

    /// What tells it from others, and which of two is older.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The root, with which the program is run.
    #[inline]
    #[must_use]
    pub fn root(&self) -> &SpaceRef {
        &self.root
    }

    /// Areas and page table.
    pub(super) fn inner(&self) -> SpinLockGuard<'_, Inner> {
        self.inner.lock()
    }

    /// [`inner`](AddressSpace::inner), or nothing where that would have to be
    /// waited for and is not to be.
    pub(super) fn try_inner(&self, may_wait: bool) -> Option<SpinLockGuard<'_, Inner>> {
        if may_wait {
            return Some(self.inner.lock());
        }
        self.inner.try_lock()
    }

    /// The bases chosen for it.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.inner().layout
    }

    /// The resource limits that count here.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.inner().limits
    }

    /// Replaces the resource limits; `setrlimit(2)` calls it.
    pub fn set_limits(&self, limits: Limits) {
        self.inner().limits = limits;
    }

    /// [`SpaceRef::copy_in`], also from an address with a tag if the call takes
    /// such.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn copy_in(&self, from: u64, to: &mut [u8]) -> Result<(), CopyFault> {
        match self.root.copy_in(from, to) {
            Err(fault) if has_tag(from) => again(from, fault, |from| self.root.copy_in(from, to)),
            result => result,
        }
    }

    /// [`SpaceRef::copy_out`], likewise.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn copy_out(&self, to: u64, from: &[u8]) -> Result<(), CopyFault> {
        match self.root.copy_out(to, from) {
            Err(fault) if has_tag(to) => again(to, fault, |to| self.root.copy_out(to, from)),
            result => result,
        }
    }

    /// [`SpaceRef::copy_out_frame`], likewise.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn copy_out_frame(
        &self,
        to: u64,
        frame: &UserFrame,
        offset: usize,
        len: usize,
    ) -> Result<(), CopyFault> {
        let copy = |to| self.root.copy_out_frame(to, frame, offset, len);
        match copy(to) {
            Err(fault) if has_tag(to) => again(to, fault, copy),
            result => result,
        }
    }

    /// [`SpaceRef::copy_in_frame`], likewise.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn copy_in_frame(
        &self,
        from: u64,
        frame: &UserFrame,
        offset: usize,
        len: usize,
    ) -> Result<(), CopyFault> {
        let copy = |from| self.root.copy_in_frame(from, frame, offset, len);
        match copy(from) {
            Err(fault) if has_tag(from) => again(from, fault, copy),
            result => result,
        }
    }

    /// [`SpaceRef::zero_out`], likewise.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn zero_out(&self, to: u64, len: usize) -> Result<(), CopyFault> {
        match self.root.zero_out(to, len) {
            Err(fault) if has_tag(to) => again(to, fault, |to| self.root.zero_out(to, len)),
            result => result,
        }
    }

    /// [`SpaceRef::copy_in_string`], likewise.
    fn copy_in_string(&self, from: u64, to: &mut [u8]) -> Result<Option<usize>, CopyFault> {
        match self.root.copy_in_string(from, to) {
            Err(fault) if has_tag(from) => {
                again(from, fault, |from| self.root.copy_in_string(from, to))
            }
            result => result,
        }
    }

    /// Copies from the program's memory, faulting pages in.
    ///
    /// # Errors
    /// EFAULT; then nothing may be assumed of `to`.
    #[inline]
    pub fn read(&self, from: u64, to: &mut [u8]) -> Result<(), Errno> {
        match self.copy_in(from, to) {
            Ok(()) => Ok(()),
            Err(stop) => self.read_on(from, to, stop),
        }
    }

    /// Goes on with [`read`](AddressSpace::read) where it stopped.
    #[cold]
    fn read_on(&self, from: u64, to: &mut [u8], mut stop: CopyFault) -> Result<(), Errno> {
        let mut done = 0;
        loop {
            done += stop.copied;
            self.fault_for_copy(stop.address, Access::Read)?;
            let rest = from.wrapping_add(done as u64);
            match self.copy_in(rest, &mut to[done..]) {
                Ok(()) => return Ok(()),
                Err(next) => stop = next,
            }
        }
    }

    /// Copies to the program's memory, faulting pages in.
    ///
    /// # Errors
    /// EFAULT; part may be written.
    #[inline]
    pub fn write(&self, to: u64, from: &[u8]) -> Result<(), Errno> {
        match self.copy_out(to, from) {
            Ok(()) => Ok(()),
            Err(stop) => self.write_on(to, from, stop),
        }
    }

    /// Copies bytes of a frame to the program's memory, faulting pages in.
    ///
    /// # Errors
    /// EFAULT; ENOMEM; part may be written.
    pub fn write_frame(
        &self,
        to: u64,
        frame: &UserFrame,
        offset: usize,
        len: usize,
    ) -> Result<(), Errno> {
        let mut done = 0;
        loop {
            let rest = to.wrapping_add(done as u64);
            match self.copy_out_frame(rest, frame, offset + done, len - done) {
                Ok(()) => return Ok(()),
                Err(stop) => {
                    done += stop.copied;
                    self.fault_for_copy(stop.address, Access::Write)?;
                }
            }
        }
    }

    /// Goes on with [`write`](AddressSpace::write) where it stopped.
    #[cold]
    fn write_on(&self, to: u64, from: &[u8], mut stop: CopyFault) -> Result<(), Errno> {
        let mut done = 0;
        loop {
            done += stop.copied;
            self.fault_for_copy(stop.address, Access::Write)?;
            let rest = to.wrapping_add(done as u64);
            match self.copy_out(rest, &from[done..]) {
                Ok(()) => return Ok(()),
                Err(next) => stop = next,
            }
        }
    }

    /// Reads a plain structure.
    ///
    /// # Errors
    /// EFAULT.
    pub fn read_value<T: FromBytes + IntoBytes>(&self, from: Ptr<T>) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        self.read(from.address(), value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a plain structure.
    ///
    /// # Errors
    /// EFAULT.
    pub fn write_value<T: IntoBytes + Immutable>(
        &self,
        to: Ptr<T>,
        value: &T,
    ) -> Result<(), Errno> {
        self.write(to.address(), value.as_bytes())
    }

    /// Reads a NUL-terminated string of at most `limit` bytes, the NUL included.
    ///
    /// # Errors
    /// EFAULT, ENOMEM; `too_long` if no NUL came within the limit.
    pub fn read_string(&self, from: u64, limit: usize, too_long: Errno) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        self.append_string(from, limit, too_long, &mut string)?;
        Ok(string)
    }

    /// Appends to `to` what [`read_string`](AddressSpace::read_string) reads.
    ///
    /// # Errors
    /// As there; `to` may then have grown.
    pub fn append_string(
        &self,
        from: u64,
        limit: usize,
        too_long: Errno,
        to: &mut Vec<u8>,
    ) -> Result<(), Errno> {
        let first = to.len();
        let mut done = 0;
        let mut chunk = 64;
        loop {
            let room = chunk.min(limit - done);
            if room == 0 {
                return Err(too_long);
            }
            to.make_room(first + done + room - to.len())?;
            to.resize(first + done + room, 0);
            let at = from.wrapping_add(done as u64);
            match self.copy_in_string(at, &mut to[first + done..]) {
                Ok(Some(len)) => {
                    to.truncate(first + done + len);
                    return Ok(());
                }
                Ok(None) => done += room,
                Err(stop) => {
                    done += stop.copied;
                    self.fault_for_copy(stop.address, Access::Read)?;
                }
            }
            chunk = (chunk * 2).min(PAGE_SIZE);
        }
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let inner = self.inner();
        for area in inner.areas.iter() {
            if let Some(source) = &area.source {
                if let Some(mappers) = source.backing.mappers() {
                    mappers.remove(self);
                }
                source.backing.unmapped();
            }
        }
    }
}

#[cfg(test)]
mod tests;
