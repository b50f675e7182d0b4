//! System V shared memory.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::ipc::{
    IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, SHM_EXEC, SHM_INFO, SHM_LOCK, SHM_RDONLY, SHM_REMAP,
    SHM_RND, SHM_STAT, SHM_STAT_ANY, SHM_UNLOCK, ShmIdDs, ShmLimits, ShmUse,
};
use ochre_abi::mman::Protection;
use ochre_hal::memory::PAGE_SIZE;

use super::{Call, FromArgument, Outcome, Ptr, SysResult, memory};
use crate::ipc::sysv::shm::{self, Segment};
use crate::memory::{AreaFlags, MapRequest, Placement, Source};

const PAGE: u64 = PAGE_SIZE as u64;

/// What attaching for reading asks of a mode, and what for writing and for executing.
const READ: u32 = 0o444;
const WRITE: u32 = 0o222;
const EXECUTE: u32 = 0o111;

/// `shmget(2)`.
pub fn shmget(call: &mut Call<'_>, key: i32, size: u64, flags: u32) -> SysResult {
    let credentials = call.thread.credentials();
    let number = shm::get(key, size, flags, &credentials, call.thread.process.pid)?;
    // CAST: not negative.
    Ok(number as usize)
}

/// `shmat(2)`.
pub fn shmat(call: &mut Call<'_>, number: i32, address: u64, flags: u32) -> Result<Outcome, Errno> {
    let has = |flag: u32| flags & flag != 0;
    let mut at = address;
    if !at.is_multiple_of(PAGE) {
        if !has(SHM_RND) {
            return Err(Errno::EINVAL);
        }
        at &= !(PAGE - 1);
    }
    if at == 0 && has(SHM_REMAP) {
        return Err(Errno::EINVAL);
    }
    let mut protection = Protection::READ;
    let mut wanted = READ;
    let mut area_flags = AreaFlags::SHARED;
    if has(SHM_RDONLY) {
        area_flags |= AreaFlags::NEVER_WRITE;
    } else {
        protection |= Protection::WRITE;
        wanted |= WRITE;
    }
    if has(SHM_EXEC) {
        protection |= Protection::EXECUTE;
        wanted |= EXECUTE;
    }
    let segment = shm::find(number)?;
    segment.check(&call.thread.credentials(), wanted)?;
    let backing = segment.attach()?;
    let len = segment.size();
    let placement = match (address, has(SHM_REMAP)) {
        (0, _) => Placement::Hint(0),
        (_, true) => Placement::Fixed(at),
        _ if at == 0 => Placement::Fixed(0),
        _ => {
            at.checked_add(len).ok_or(Errno::EINVAL)?;
            Placement::FixedNoReplace(at)
        }
    };
    let start = call
        .space
        .map(MapRequest {
            placement,
            len,
            protection,
            flags: area_flags,
            source: Some(Source { backing, first: 0 }),
            privileged: memory::may_map_at(call, at),
            refusal: None,
            may_lock: memory::may_lock_all(call),
        })
        .map_err(|errno| match errno {
            Errno::EEXIST => Errno::EINVAL,
            other => other,
        })?;
    segment.attached_by(call.thread.process.pid);
    Ok(memory::populate_if_locked(call, start, len))
}

/// `shmdt(2)`.
pub fn shmdt(call: &mut Call<'_>, address: u64) -> Result<(), Errno> {
    shm::detach(call.space, address, call.thread.process.pid)
}

/// `shmctl(2)`.
pub fn shmctl(call: &mut Call<'_>, number: i32, command: i32, to: u64) -> SysResult {
    if number < 0 || command < 0 {
        return Err(Errno::EINVAL);
    }
    let credentials = call.thread.credentials();
    match command {
        IPC_INFO => {
            let (limits, highest) = shm::limits();
            let to = Ptr::<ShmLimits>::from_argument(to);
            call.space.write_value(to, &limits)?;
            Ok(highest as usize)
        }
        SHM_INFO => {
            let (usage, highest) = shm::usage();
            let to = Ptr::<ShmUse>::from_argument(to);
            call.space.write_value(to, &usage)?;
            Ok(highest as usize)
        }
        IPC_STAT | SHM_STAT | SHM_STAT_ANY => {
            let segment = match command {
                IPC_STAT => shm::find(number)?,
                _ => shm::find_at(number)?,
            };
            if command != SHM_STAT_ANY {
                segment.check(&credentials, READ)?;
            }
            let to = Ptr::<ShmIdDs>::from_argument(to);
            call.space.write_value(to, &segment.report())?;
            // CAST: not negative.
            let number = segment.number() as usize;
            Ok(if command == IPC_STAT { 0 } else { number })
        }
        IPC_SET => {
            let new = call.space.read_value(Ptr::<ShmIdDs>::from_argument(to))?;
            shm::find(number)?.set(&new.perm, &credentials).map(|()| 0)
        }
        IPC_RMID => {
            let segment: Arc<Segment> = shm::find(number)?;
            segment.remove(&credentials).map(|()| 0)
        }
        SHM_LOCK => {
            let limit = call.space.limits().locked;
            shm::find(number)?.lock(&credentials, limit).map(|()| 0)
        }
        SHM_UNLOCK => shm::find(number)?.unlock(&credentials).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}
