//! mremap(2): growing, shrinking and moving a mapping.

use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::RemapFlags;
use ochre_hal::memory::{self, OutOfMemory, USER_END};

use super::area::{Anonymous, Area, AreaFlags, PAGE};
use super::map::Placement;
use super::pressure::HEADROOM;
use super::space::Inner;
use super::{AddressSpace, Population, may_promise};

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
    /// Whether the program may lock more than its limit says.
    pub may_lock: bool,
}

/// Rounds up to pages, wrapping to 0 as mremap(2) does.
fn rounded(len: u64) -> u64 {
    len.wrapping_add(PAGE - 1) & !(PAGE - 1)
}

impl RemapRequest {
    /// Whether it says where the mapping goes, or at least that it goes.
    fn must_move(&self) -> bool {
        self.flags
            .intersects(RemapFlags::FIXED | RemapFlags::DONTUNMAP)
    }

    /// What can be said against it without a look at the areas.
    fn check(&self) -> Result<(), Errno> {
        if !self.address.is_multiple_of(PAGE) || self.new_len == 0 || self.new_len > USER_END {
            return Err(Errno::EINVAL);
        }
        if !self.must_move() {
            return Ok(());
        }
        let to = self.new_address;
        // An end that wraps overlaps nothing, as on Linux.
        let old_end = self.address.wrapping_add(self.old_len);
        if to > USER_END - self.new_len
            || !to.is_multiple_of(PAGE)
            || !self.flags.contains(RemapFlags::MAYMOVE)
            || self.flags.contains(RemapFlags::DONTUNMAP) && self.old_len != self.new_len
            || to < old_end && self.address < to + self.new_len
        {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }
}

impl AddressSpace {
    /// Does an mremap(2) and returns the mapping's address then, and what of it
    /// is to be faulted in: what is new of a locked one.
    ///
    /// # Errors
    /// As mremap(2): EINVAL, EFAULT, ENOMEM, EAGAIN.
    pub fn remap(&self, request: &RemapRequest) -> Result<(u64, Option<Population>), Errno> {
        let mut request = *request;
        request.old_len = rounded(request.old_len);
        request.new_len = rounded(request.new_len);
        request.check()?;
        self.make_room();
        let mut guard = self.inner();
        let inner = &mut *guard;
        let remapped = inner.remap(&request);
        // Also what was done before an error.
        inner.settle();
        let (start, grown) = remapped?;
        Ok((start, grown.map(Population::early)))
    }
}

/// Where a mapping is then, and what of it is new and has to be faulted in.
type Remapped = (u64, Option<Range<u64>>);

impl Inner {
    fn remap(&mut self, request: &RemapRequest) -> Result<Remapped, Errno> {
        if request.flags.contains(RemapFlags::FIXED) && request.old_len == request.new_len {
            return Ok((self.move_all(request)?, None));
        }
        self.check_remap(request)?;
        if request.must_move() {
            self.remap_to(request)
        } else {
            self.remap_at(request)
        }
    }

    /// Moves whatever is in a range; gaps stay gaps.
    fn move_all(&mut self, request: &RemapRequest) -> Result<u64, Errno> {
        let mut at = request.address;
        let end = at.wrapping_add(request.old_len);
        if end <= at || self.areas.get(at).is_none() {
            return Err(Errno::EFAULT);
        }
        while let Some(area) = self.areas.at_or_above(at).filter(|area| area.start < end) {
            let start = area.start.max(at);
            let len = area.end.min(end) - start;
            let one = RemapRequest {
                address: start,
                old_len: len,
                new_len: len,
                new_address: request.new_address + (start - request.address),
                ..*request
            };
            self.check_remap(&one)?;
            self.remap_to(&one)?;
            at = start + len;
            if at >= end {
                break;
            }
        }
        Ok(request.new_address)
    }

    /// Whether the area allows it, and limits do.
    fn check_remap(&self, request: &RemapRequest) -> Result<(), Errno> {
        let (address, old_len, new_len) = (request.address, request.old_len, request.new_len);
        let area = self.areas.get(address).ok_or(Errno::EFAULT)?;
        if new_len <= old_len && !request.must_move() {
            return Ok(());
        }
        if old_len == 0 && !area.is_shared() {
            return Err(Errno::EINVAL);
        }
        // What is cut off may be anything.
        if old_len.min(new_len) > area.end - address {
            return Err(Errno::EFAULT);
        }
        if !self.areas.has_room() || !memory::has_headroom(HEADROOM) {
            return Err(Errno::ENOMEM);
        }
        if new_len <= old_len {
            return Ok(());
        }
        if let Some(source) = &area.source {
            // The object's page numbers must not wrap.
            area.index_of(source, address)
                .checked_add(new_len / PAGE)
                .ok_or(Errno::EINVAL)?;
        }
        let delta = new_len - old_len;
        if area.flags.contains(AreaFlags::LOCKED) && !request.may_lock {
            self.check_locked(delta)?;
        }
        let mut more = area.clone();
        more.start = 0;
        more.end = delta;
        self.check_growth(&more)
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

    /// Moves a mapping to where it has to go.
    fn remap_to(&mut self, request: &RemapRequest) -> Result<Remapped, Errno> {
        let (address, new_len) = (request.address, request.new_len);
        let delta = request.old_len.abs_diff(new_len);
        let mut old_len = request.old_len;
        let to = request.new_address;
        if request.flags.contains(RemapFlags::FIXED) {
            self.unmap(to..to + new_len)?;
            // It may have been just there.
            self.areas.get(address).ok_or(Errno::EFAULT)?;
        }
        if old_len > new_len {
            let end = address
                .checked_add(old_len)
                .filter(|end| *end <= USER_END)
                .ok_or(Errno::EINVAL)?;
            self.unmap(address + new_len..end)?;
            old_len = new_len;
        }
        if request.flags.contains(RemapFlags::DONTUNMAP) {
            let mut more = self.areas.get(address).ok_or(Errno::EFAULT)?.clone();
            more.start = 0;
            more.end = old_len;
            self.check_growth(&more)?;
        }
        let area = self.areas.get(address).ok_or(Errno::EFAULT)?;
        let is_accounted = area.flags.contains(AreaFlags::ACCOUNTED);
        if is_accounted && !may_promise(delta / PAGE) {
            // Linux counts the difference, whatever its sign.
            return Err(Errno::ENOMEM);
        }
        let placement = if request.flags.contains(RemapFlags::FIXED) {
            Placement::Fixed(to)
        } else {
            self.anywhere(address, Placement::Hint(to), new_len)
        };
        let to = self.place(placement, new_len, request.privileged)?;
        self.relocate(
            address..address + old_len,
            to..to + new_len,
            request.flags.contains(RemapFlags::DONTUNMAP),
        )
    }

    /// Shrinks or grows a mapping, which moves only if it has to.
    fn remap_at(&mut self, request: &RemapRequest) -> Result<Remapped, Errno> {
        let (address, old_len, new_len) = (request.address, request.old_len, request.new_len);
        if new_len <= old_len {
            if new_len < old_len {
                let end = address
                    .checked_add(old_len)
                    .filter(|end| *end <= USER_END)
                    .ok_or(Errno::EINVAL)?;
                if !self.areas.has_room() || !memory::has_headroom(HEADROOM) {
                    return Err(Errno::ENOMEM);
                }
                self.unmap(address + new_len..end)?;
            }
            return Ok((address, None));
        }
        if let Some(grown) = self.grow_in_place(address, old_len, new_len) {
            return Ok((address, grown));
        }
        if !request.flags.contains(RemapFlags::MAYMOVE) {
            return Err(Errno::ENOMEM);
        }
        let placement = self.anywhere(address, Placement::Hint(0), new_len);
        let to = self.place(placement, new_len, false)?;
        self.relocate(address..address + old_len, to..to + new_len, false)
    }

    /// Where what is mapped at an address goes, with `wish`.
    fn anywhere(&self, address: u64, wish: Placement, len: u64) -> Placement {
        let is_memory = |area: &Area| !area.is_shared() && area.source.is_none();
        match self.areas.get(address).is_some_and(is_memory) {
            true => wish.of_memory(len),
            false => wish,
        }
    }

    /// Grows a mapping whose end is its area's end, if what follows is free;
    /// what is new of it, if that is locked.
    fn grow_in_place(
        &mut self,
        address: u64,
        old_len: u64,
        new_len: u64,
    ) -> Option<Option<Range<u64>>> {
        let area = self.areas.get(address)?;
        let old_end = address.checked_add(old_len)?;
        let new_end = address
            .checked_add(new_len)
            .filter(|end| *end <= USER_END)?;
        if area.end != old_end || !self.areas.is_free(old_end..new_end) {
            return None;
        }
        let mut more = area.clone();
        more.skip((old_end - area.start) / PAGE);
        more.start = old_end;
        more.end = new_end;
        let is_locked = more.flags.contains(AreaFlags::LOCKED);
        self.areas.insert(more);
        Some(is_locked.then_some(old_end..new_end))
    }

    /// Moves a range of an area to a free range that is at least as long.
    fn relocate(
        &mut self,
        from: Range<u64>,
        to: Range<u64>,
        keep_old: bool,
    ) -> Result<Remapped, Errno> {
        if !self.areas.has_room() {
            return Err(Errno::ENOMEM);
        }
        let area = self.areas.get(from.start).ok_or(Errno::EFAULT)?;
        let mut moved = area.clone();
        moved.skip((from.start - area.start) / PAGE);
        if moved.source.is_none() && moved.anonymous.is_none() {
            // Nothing is there yet that would have to be found again.
            moved.origin = to.start / PAGE;
        }
        moved.start = to.start;
        moved.end = to.end;
        let old = area.range();
        let len = from.end - from.start;
        if len != 0 {
            match self.table.relocate(from.start, to.start, len) {
                Ok(flush) => {
                    flush.flush();
                    if self.spares.overlap(&from) {
                        self.spares.add(to.start..to.start + len);
                    }
                }
                Err(OutOfMemory) => {
                    // Back with what was moved: the tables there exist.
                    if let Ok(flush) = self.table.relocate(to.start, from.start, len) {
                        flush.flush();
                    }
                    return Err(Errno::ENOMEM);
                }
            }
        }
        let grown = to.start + len..to.end;
        let is_locked = moved.flags.contains(AreaFlags::LOCKED) && !grown.is_empty();
        self.areas.insert(moved);
        if keep_old {
            let is_whole = old == from;
            // As on Linux, it does not become one with its neighbours by that.
            self.areas.change(from.start, |area| {
                area.flags
                    .remove(AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT);
                if is_whole {
                    area.anonymous = Anonymous::default();
                }
            });
        } else if len != 0 {
            self.unmap(from)?;
        }
        Ok((to.start, is_locked.then_some(grown)))
    }
}
