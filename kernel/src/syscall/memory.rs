//! Calls about memory: mapping, protection, advice, the heap.

use alloc::sync::Arc;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::{
    Advice, LockAllFlags, MAP_DROPPABLE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_TYPE,
    MLOCK_ONFAULT, MapFlags, PROT_GROWSDOWN, PROT_GROWSUP, PROT_SEM, Protection, RemapFlags,
    SyncFlags,
};
use ochre_hal::cpu;
use ochre_hal::memory::{PAGE_SIZE, USER_END, untagged};

use super::{Call, Fd, Outcome, Ptr};
use crate::memory::{
    AreaFlags, Backing, LOWEST, MapRequest, Placement, Population, Promise, RemapRequest, Rest,
    SharedMemory, Source, check_headroom,
};
use crate::process::{Capability, Work};
use crate::sched;
use crate::vfs::OpenFile;

const PAGE: u64 = PAGE_SIZE as u64;

/// The bits of mmap(2)'s flags that say how large huge pages are to be.
const HUGE_SIZE: MapFlags = MapFlags::from_bits_retain(0x3f << 26);

/// The most pages that an object has: positions are signed.
const OBJECT_PAGES: u64 = i64::MAX as u64 / PAGE;

/// Whether the caller may map at an address, as far as privilege goes: the
/// lowest ones are not for everybody.
pub(super) fn may_map_at(call: &Call<'_>, address: u64) -> bool {
    address >= LOWEST || call.thread.has(Capability::SysRawIo)
}

/// Whether the caller may lock as much as it likes.
pub(super) fn may_lock_all(call: &Call<'_>) -> bool {
    call.thread.has(Capability::IpcLock)
}

/// `mmap(2)`.
pub fn mmap(
    call: &mut Call<'_>,
    address: u64,
    len: u64,
    protection: u32,
    flags: u32,
    fd: Fd,
    offset: u64,
) -> Result<Outcome, Errno> {
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let kind = flags & MAP_TYPE;
    let flags = MapFlags::from_bits_retain(flags & !MAP_TYPE);
    let mut protection = Protection::from_bits_truncate(protection);
    if protection.contains(Protection::GUARDED) && !cpu::has_landing_pads() {
        protection.remove(Protection::GUARDED);
    }
    let file = if flags.contains(MapFlags::ANONYMOUS) {
        None
    } else {
        Some(open_file(call, fd)?)
    };
    if flags.contains(MapFlags::HUGETLB) {
        return Err(if file.is_some() {
            Errno::EINVAL
        } else {
            Errno::ENOMEM
        });
    }
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let pages = len.div_ceil(PAGE);
    let mut area_flags = AreaFlags::empty();
    area_flags.set(AreaFlags::GROWS_DOWN, flags.contains(MapFlags::GROWSDOWN));
    area_flags.set(AreaFlags::LOCKED, flags.contains(MapFlags::LOCKED));
    area_flags.set(AreaFlags::NO_RESERVE, flags.contains(MapFlags::NORESERVE));
    area_flags.set(AreaFlags::SYNC, flags.contains(MapFlags::SYNC));
    area_flags.set(AreaFlags::NO_HUGE, flags.contains(MapFlags::STACK));
    let source = match &file {
        Some(file) => {
            let end = (offset / PAGE).saturating_add(pages);
            if end > OBJECT_PAGES {
                Err(Errno::EOVERFLOW)
            } else {
                file_source(file, kind, flags, protection, offset, &mut area_flags)
            }
        }
        None => anonymous_source(kind, pages, &mut area_flags),
    };
    let (source, refusal) = match source {
        Ok(source) => (source, None),
        Err(errno) => (None, Some(errno)),
    };
    let start = call.space.map(MapRequest {
        placement: placement(address, flags),
        len,
        protection,
        flags: area_flags,
        source,
        privileged: may_map_at(call, address),
        refusal,
        may_lock: may_lock_all(call),
    })?;
    // Locked by this call, or by an earlier mlockall(2).
    let (_, is_locked) = call.space.is_mapped(start..start + 1);
    let is_wanted =
        is_locked || flags.contains(MapFlags::POPULATE) && !flags.contains(MapFlags::NONBLOCK);
    let wanted = is_wanted.then(|| Population::early(start..start + pages * PAGE));
    // CAST: a user address.
    Ok(go_on(call, wanted, start as usize))
}

/// Answers where a mapping is, once its pages are there if it is locked.
pub(super) fn populate_if_locked(call: &Call<'_>, start: u64, len: u64) -> Outcome {
    let (_, is_locked) = call.space.is_mapped(start..start.saturating_add(1));
    let wanted = is_locked.then(|| Population::early(start..start.saturating_add(len)));
    // CAST: a user address.
    go_on(call, wanted, start as usize)
}

/// Faults in, or gives up, what has to come or go before the call answers,
/// letting others run now and then.
fn go_on(call: &Call<'_>, wanted: Option<impl Into<Rest>>, answer: usize) -> Outcome {
    let Some(mut wanted) = wanted.map(Into::into) else {
        return Outcome::Done(Ok(answer));
    };
    loop {
        match wanted.step(call.space) {
            Ok(true) => return Outcome::Done(Ok(answer)),
            Ok(false) => {}
            Err(errno) => return Outcome::error(errno),
        }
        // Nobody waits for memory to give memory back.
        if !matches!(wanted, Rest::Removal(_)) || check_headroom().is_ok() {
            break;
        }
    }
    let (space, thread) = (Arc::clone(call.space), Arc::clone(call.thread));
    Outcome::wait(async move {
        loop {
            sched::yield_now().await;
            // Who is told to end needs no pages, and leaves them to its end.
            if thread.work().contains(Work::EXIT) || wanted.step(&space)? {
                return Ok(answer);
            }
        }
    })
}

fn placement(address: u64, flags: MapFlags) -> Placement {
    if flags.contains(MapFlags::FIXED_NOREPLACE) {
        Placement::FixedNoReplace(address)
    } else if flags.contains(MapFlags::FIXED) {
        Placement::Fixed(address)
    } else if flags.contains(MapFlags::BELOW_2G) {
        Placement::Below2G(address)
    } else {
        Placement::Hint(address)
    }
}

/// The open file of a descriptor.
fn open_file(call: &Call<'_>, fd: Fd) -> Result<Arc<OpenFile>, Errno> {
    call.files().get(fd.0)
}

/// What is mapped of a file, or why it may not be.
fn file_source(
    file: &OpenFile,
    kind: u32,
    flags: MapFlags,
    protection: Protection,
    offset: u64,
    area_flags: &mut AreaFlags,
) -> Result<Option<Source>, Errno> {
    match kind {
        MAP_SHARED_VALIDATE
            if !MapFlags::all().contains(flags.difference(HUGE_SIZE))
                || flags.intersects(MapFlags::SYNC | MapFlags::FIXED_NOREPLACE) =>
        {
            return Err(Errno::EOPNOTSUPP);
        }
        MAP_SHARED | MAP_SHARED_VALIDATE => {
            if !file.is_writable() {
                if protection.contains(Protection::WRITE) {
                    return Err(Errno::EACCES);
                }
                area_flags.insert(AreaFlags::NEVER_WRITE);
            }
            area_flags.insert(AreaFlags::SHARED);
        }
        MAP_PRIVATE => {}
        _ => return Err(Errno::EINVAL),
    }
    if !file.is_readable() {
        return Err(Errno::EACCES);
    }
    let backing = file.backing().ok_or(Errno::ENODEV)?;
    if flags.contains(MapFlags::GROWSDOWN) {
        return Err(Errno::EINVAL);
    }
    if backing.is_anonymous() {
        area_flags.remove(AreaFlags::NEVER_WRITE);
        return Ok(area_flags
            .contains(AreaFlags::SHARED)
            .then(|| shared_source(OBJECT_PAGES, Promise::default())));
    }
    Ok(Some(Source {
        backing,
        first: offset / PAGE,
    }))
}

/// What is mapped of no file: nothing, or a new object for those who share it.
fn anonymous_source(
    kind: u32,
    pages: u64,
    area_flags: &mut AreaFlags,
) -> Result<Option<Source>, Errno> {
    match kind {
        MAP_PRIVATE => Ok(None),
        MAP_DROPPABLE if !area_flags.intersects(AreaFlags::LOCKED | AreaFlags::GROWS_DOWN) => {
            area_flags.insert(
                AreaFlags::DROPPABLE
                    | AreaFlags::NO_RESERVE
                    | AreaFlags::WIPE_ON_FORK
                    | AreaFlags::DONT_DUMP,
            );
            Ok(None)
        }
        MAP_SHARED if !area_flags.contains(AreaFlags::GROWS_DOWN) => {
            area_flags.insert(AreaFlags::SHARED);
            let is_reserved = !area_flags.contains(AreaFlags::NO_RESERVE);
            let promise = Promise::of_shared(pages, is_reserved)?;
            Ok(Some(shared_source(pages, promise)))
        }
        _ => Err(Errno::EINVAL),
    }
}

fn shared_source(pages: u64, promise: Promise) -> Source {
    let backing: Arc<dyn Backing> = Arc::new(SharedMemory::new(pages).promised(promise));
    Source { backing, first: 0 }
}

/// `munmap(2)`.
pub fn munmap(call: &mut Call<'_>, address: u64, len: u64) -> Result<Outcome, Errno> {
    let address = untagged(address);
    let left = call.space.start_unmap(address, len)?;
    Ok(go_on(call, left, 0))
}

/// `mprotect(2)`.
pub fn mprotect(
    call: &mut Call<'_>,
    address: u64,
    len: u64,
    protection: u32,
) -> Result<Outcome, Errno> {
    let address = untagged(address);
    let grows = protection & (PROT_GROWSDOWN | PROT_GROWSUP);
    let protection = protection & !(PROT_GROWSDOWN | PROT_GROWSUP);
    if grows == PROT_GROWSDOWN | PROT_GROWSUP || !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(Outcome::Done(Ok(0)));
    }
    if address
        .checked_add(len)
        .and_then(|end| end.checked_add(PAGE - 1))
        .is_none()
    {
        return Err(Errno::ENOMEM);
    }
    let protection = Protection::from_bits(protection & !PROT_SEM)
        .filter(|asked| !asked.contains(Protection::GUARDED) || cpu::has_landing_pads())
        .ok_or(Errno::EINVAL)?;
    if grows == PROT_GROWSUP {
        // No area grows so, if there is one.
        let (is_mapped, _) = call.space.is_mapped(address..address + 1);
        return Err(if is_mapped {
            Errno::EINVAL
        } else {
            Errno::ENOMEM
        });
    }
    let wanted = call
        .space
        .protect(address, len, protection, grows == PROT_GROWSDOWN)?;
    Ok(go_on(call, wanted, 0))
}

/// `mremap(2)`.
pub fn mremap(
    call: &mut Call<'_>,
    address: u64,
    old_len: u64,
    new_len: u64,
    flags: u32,
    new_address: u64,
) -> Result<Outcome, Errno> {
    let address = untagged(address);
    let flags = RemapFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let privileged = may_map_at(call, new_address);
    let (start, grown) = call.space.remap(&RemapRequest {
        address,
        old_len,
        new_len,
        flags,
        new_address,
        privileged,
        may_lock: may_lock_all(call),
    })?;
    // CAST: a user address.
    Ok(go_on(call, grown, start as usize))
}

/// `brk(2)`: the new end of the heap, or the old one if it cannot be moved.
pub fn brk(call: &mut Call<'_>, end: u64) -> Outcome {
    let may_lock = may_lock_all(call);
    let mut heap = call.space.set_heap_end(end, may_lock);
    // Nobody waits for memory to give memory back.
    while !heap.is_over && check_headroom().is_err() {
        heap = call.space.set_heap_end(end, may_lock);
    }
    if heap.is_over {
        // CAST: a user address.
        return go_on(call, heap.grown, heap.at as usize);
    }
    let (space, thread) = (Arc::clone(call.space), Arc::clone(call.thread));
    Outcome::wait(async move {
        // Who is told to end leaves the rest to its end.
        while !heap.is_over && !thread.work().contains(Work::EXIT) {
            sched::yield_now().await;
            heap = space.set_heap_end(end, may_lock);
        }
        // CAST: a user address.
        Ok(heap.at as usize)
    })
}

/// `madvise(2)`.
pub fn madvise(call: &mut Call<'_>, address: u64, len: u64, advice: i32) -> Result<Outcome, Errno> {
    let address = untagged(address);
    let advice = Advice::from_number(advice).ok_or(Errno::EINVAL)?;
    let wanted = call.space.advise(address, len, advice)?;
    Ok(go_on(call, wanted, 0))
}

/// `msync(2)`: files in memory are always in step; only errors are left to find.
pub fn msync(call: &mut Call<'_>, address: u64, len: u64, flags: u32) -> Result<(), Errno> {
    let address = untagged(address);
    let flags = SyncFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if !address.is_multiple_of(PAGE) || flags.contains(SyncFlags::ASYNC | SyncFlags::SYNC) {
        return Err(Errno::EINVAL);
    }
    // A length that wraps is none, as on Linux.
    let rounded = len.wrapping_add(PAGE - 1) & !(PAGE - 1);
    let end = address.checked_add(rounded).ok_or(Errno::ENOMEM)?;
    if end == address {
        return Ok(());
    }
    let (mapped, locked) = call.space.is_mapped(address..end);
    if locked && flags.contains(SyncFlags::INVALIDATE) {
        return Err(Errno::EBUSY);
    }
    mapped.then_some(()).ok_or(Errno::ENOMEM)
}

/// `mincore(2)`.
pub fn mincore(call: &mut Call<'_>, address: u64, len: u64, vector: Ptr<u8>) -> Result<(), Errno> {
    let address = untagged(address);
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if address.checked_add(len).is_none_or(|end| end > USER_END) {
        return Err(Errno::ENOMEM);
    }
    let pages = len.div_ceil(PAGE);
    let mut done = 0;
    let mut bytes = [0; 512];
    while done < pages {
        let count = (pages - done).min(bytes.len() as u64);
        // CAST: at most the buffer's length.
        let part = &mut bytes[..count as usize];
        let count = call.space.residence(address + done * PAGE, part)?;
        let part = part.get(..count).unwrap_or_default();
        call.space.write(vector.offset(done).address(), part)?;
        done += count as u64;
    }
    Ok(())
}

/// The pages that hold a range that need not start at one.
fn pages_of(address: u64, len: u64) -> Result<Range<u64>, Errno> {
    let start = address & !(PAGE - 1);
    // A length that wraps is none, as on Linux.
    let len = len.wrapping_add(address - start).wrapping_add(PAGE - 1) & !(PAGE - 1);
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    Ok(start..end)
}

/// `mlock(2)`.
pub fn mlock(call: &mut Call<'_>, address: u64, len: u64) -> Result<Outcome, Errno> {
    mlock2(call, address, len, 0)
}

/// `mlock2(2)`.
pub fn mlock2(call: &mut Call<'_>, address: u64, len: u64, flags: u32) -> Result<Outcome, Errno> {
    let address = untagged(address);
    if flags & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    let unlimited = may_lock_all(call);
    let range = match pages_of(address, len) {
        Err(_) if !unlimited => {
            // No limit is so large.
            return Err(match call.space.limits().locked {
                0 => Errno::EPERM,
                _ => Errno::ENOMEM,
            });
        }
        range => range?,
    };
    let on_fault = flags == MLOCK_ONFAULT;
    let wanted = call.space.lock(range, on_fault, unlimited)?;
    Ok(go_on(call, Some(wanted), 0))
}

/// `munlock(2)`.
pub fn munlock(call: &mut Call<'_>, address: u64, len: u64) -> Result<(), Errno> {
    let address = untagged(address);
    call.space.unlock(pages_of(address, len)?)
}

/// `mlockall(2)`.
pub fn mlockall(call: &mut Call<'_>, flags: u32) -> Result<Outcome, Errno> {
    let flags = LockAllFlags::from_bits(flags)
        .filter(|flags| !flags.is_empty() && *flags != LockAllFlags::ONFAULT)
        .ok_or(Errno::EINVAL)?;
    let unlimited = may_lock_all(call);
    let wanted = call.space.lock_all(
        flags.contains(LockAllFlags::CURRENT),
        flags.contains(LockAllFlags::FUTURE),
        flags.contains(LockAllFlags::ONFAULT),
        unlimited,
    )?;
    Ok(go_on(call, wanted, 0))
}

/// `munlockall(2)`.
pub fn munlockall(call: &mut Call<'_>) -> Result<(), Errno> {
    call.space.unlock_all();
    Ok(())
}
