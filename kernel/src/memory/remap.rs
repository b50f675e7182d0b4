//! mremap(2): growing, shrinking and moving a mapping.

use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::RemapFlags;
use ochre_hal::memory::{self, OutOfMemory, USER_END};

use super::AddressSpace;
use super::area::{Area, AreaFlags, PAGE};
use super::map::{Placement, page_range, page_up};
use super::space::Inner;

/// An mremap(2) to be done.
#[derive(Clone, Copy, Debug)]
pub struct RemapRequest {
    /// Where the mapping is.
    pub address: u64,
    /// How much of it; 0 makes a second mapping of a shared one.
    pub old_len: u64,
    /// How much it shall be.
    pub new_len: u64,
    /// How.
    pub flags: RemapFlags,
    /// Where it shall be, with `FIXED`; a hint with `DONTUNMAP`.
    pub new_address: u64,
    /// Whether the program may map the lowest addresses.
    pub privileged: bool,
}

impl AddressSpace {
    /// Does an mremap(2) and returns the mapping's address then.
    ///
    /// # Errors
    /// As mremap(2): EINVAL, EFAULT, ENOMEM, EAGAIN.
    pub fn remap(&self, request: &RemapRequest) -> Result<u64, Errno> {
        let flags = request.flags;
        if flags.intersects(RemapFlags::FIXED | RemapFlags::DONTUNMAP)
            && !flags.contains(RemapFlags::MAYMOVE)
        {
            return Err(Errno::EINVAL);
        }
        if flags.contains(RemapFlags::DONTUNMAP) && request.old_len != request.new_len
            || !request.address.is_multiple_of(PAGE)
        {
            return Err(Errno::EINVAL);
        }
        let old_len = page_up(request.old_len).ok_or(Errno::EINVAL)?;
        let new_len = page_up(request.new_len)
            .filter(|len| *len != 0)
            .ok_or(Errno::EINVAL)?;
        let mut guard = self.inner();
        let inner = &mut *guard;
        let address = request.address;
        if inner.areas.get(address).is_none() {
            return Err(Errno::EFAULT);
        }
        if flags.intersects(RemapFlags::FIXED | RemapFlags::DONTUNMAP) {
            let to = inner.target(request, old_len, new_len)?;
            if flags.contains(RemapFlags::FIXED) {
                inner.unmap(to..to + new_len);
            }
            let old_len = inner.shrink(address, old_len, new_len)?;
            let area = inner.remappable(address, old_len, new_len)?;
            return inner.relocate(&area, address..address + old_len, to..to + new_len, flags);
        }
        let old_len = inner.shrink(address, old_len, new_len)?;
        if old_len == new_len && old_len != 0 {
            return Ok(address);
        }
        let area = inner.remappable(address, old_len, new_len)?;
        if inner.grow_in_place(&area, address, old_len, new_len)? {
            return Ok(address);
        }
        if !flags.contains(RemapFlags::MAYMOVE) {
            return Err(Errno::ENOMEM);
        }
        let to = inner.place(Placement::Hint(0), new_len, false)?;
        inner.relocate(&area, address..address + old_len, to..to + new_len, flags)
    }
}

impl Inner {
    /// Where a mapping that must move goes.
    fn target(&mut self, request: &RemapRequest, old_len: u64, new_len: u64) -> Result<u64, Errno> {
        let to = request.new_address;
        let new = page_range(to, new_len, Errno::EINVAL)?;
        let old_end = request.address.saturating_add(old_len);
        if new.start < old_end && request.address < new.end {
            return Err(Errno::EINVAL);
        }
        if request.flags.contains(RemapFlags::FIXED) {
            self.place(Placement::Fixed(to), new_len, request.privileged)
        } else {
            self.place(Placement::Hint(to), new_len, request.privileged)
        }
    }

    /// Cuts a mapping down; returns how long it is then.
    fn shrink(&mut self, address: u64, old_len: u64, new_len: u64) -> Result<u64, Errno> {
        if old_len <= new_len {
            return Ok(old_len);
        }
        let end = address
            .checked_add(old_len)
            .filter(|end| *end <= USER_END)
            .ok_or(Errno::EINVAL)?;
        if !self.areas.has_room() {
            return Err(Errno::ENOMEM);
        }
        self.unmap(address + new_len..end);
        Ok(new_len)
    }

    /// The area to be moved or grown.
    fn remappable(&self, address: u64, old_len: u64, new_len: u64) -> Result<Area, Errno> {
        let area = self.areas.get(address).ok_or(Errno::EFAULT)?;
        if old_len == 0 && !area.is_shared() {
            return Err(Errno::EINVAL);
        }
        if old_len > area.end - address {
            return Err(Errno::EFAULT);
        }
        if let Some(source) = &area.source {
            // The object's page numbers must not wrap.
            area.index_of(source, address)
                .checked_add(new_len / PAGE)
                .ok_or(Errno::EINVAL)?;
        }
        if new_len > old_len {
            let mut more = area.clone();
            more.start = 0;
            more.end = (new_len - old_len).min(USER_END);
            self.check_growth(&more)?;
        }
        if !memory::has_headroom(4) {
            return Err(Errno::ENOMEM);
        }
        Ok(area.clone())
    }

    /// Like `check_limits`, for bytes that have no address yet.
    fn check_growth(&self, more: &Area) -> Result<(), Errno> {
        if self.total().saturating_add(more.bytes()) > self.limits.address_space {
            return Err(Errno::ENOMEM);
        }
        let beyond = Area {
            start: USER_END,
            end: USER_END.saturating_add(more.bytes()),
            ..more.clone()
        };
        self.check_limits(&beyond)
    }

    /// Grows a mapping whose end is its area's end, if what follows is free.
    fn grow_in_place(
        &mut self,
        area: &Area,
        address: u64,
        old_len: u64,
        new_len: u64,
    ) -> Result<bool, Errno> {
        let old_end = address + old_len;
        let Some(new_end) = address.checked_add(new_len).filter(|end| *end <= USER_END) else {
            return Ok(false);
        };
        if old_len == 0 || area.end != old_end || !self.areas.is_free_with_guard(old_end..new_end) {
            return Ok(false);
        }
        let mut more = area.clone();
        if let (Some(more), Some(source)) = (&mut more.source, &area.source) {
            more.first = area.index_of(source, old_end);
        }
        more.start = old_end;
        more.end = new_end;
        self.areas.insert(more);
        Ok(true)
    }

    /// Moves a range of an area to a free range that is at least as long.
    fn relocate(
        &mut self,
        area: &Area,
        from: Range<u64>,
        to: Range<u64>,
        flags: RemapFlags,
    ) -> Result<u64, Errno> {
        if !self.areas.has_room() {
            return Err(Errno::ENOMEM);
        }
        let mut moved = area.clone();
        moved.flags.remove(AreaFlags::STACK | AreaFlags::HEAP);
        if let (Some(moved), Some(source)) = (&mut moved.source, &area.source) {
            moved.first = area.index_of(source, from.start);
        }
        moved.start = to.start;
        moved.end = to.end;
        let len = from.end - from.start;
        if len != 0 {
            match self.table.relocate(from.start, to.start, len) {
                Ok(flush) => flush.flush(),
                Err(OutOfMemory) => {
                    // Back with what was moved: the tables there exist.
                    if let Ok(flush) = self.table.relocate(to.start, from.start, len) {
                        flush.flush();
                    }
                    return Err(Errno::ENOMEM);
                }
            }
        }
        self.areas.insert(moved);
        if !flags.contains(RemapFlags::DONTUNMAP) && len != 0 {
            self.unmap(from);
        }
        Ok(to.start)
    }
}
