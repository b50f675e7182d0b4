//! Scheduling calls.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::system::SchedAttr;
use ochre_abi::time::TimeSpec;
use ochre_hal::cpu;

use super::{Call, Outcome, Ptr, SysResult};
use crate::process::{Capability, Pid, Process, Resource, Thread, table};
use crate::sched;

const SCHED_OTHER: i32 = 0;
const SCHED_FIFO: i32 = 1;
const SCHED_RR: i32 = 2;
const SCHED_BATCH: i32 = 3;
const SCHED_IDLE: i32 = 5;
const SCHED_DEADLINE: i32 = 6;

/// `sched_yield(2)`.
pub fn sched_yield(_call: &mut Call<'_>) -> Outcome {
    Outcome::wait(async {
        sched::yield_now().await;
        Ok::<usize, Errno>(0)
    })
}

/// The thread that a scheduling call means.
fn thread_of(call: &Call<'_>, pid: i32) -> Result<Arc<Thread>, Errno> {
    match pid {
        0 => Ok(Arc::clone(call.thread)),
        pid => {
            table::thread(Pid(u32::try_from(pid).map_err(|_| Errno::EINVAL)?)).ok_or(Errno::ESRCH)
        }
    }
}

fn nice_of(thread: &Thread) -> i32 {
    thread.task().map_or(0, |task| task.body().nice())
}

/// Which threads `getpriority` and `setpriority` mean.
fn selected(call: &Call<'_>, which: i32, who: i32) -> Result<Vec<Arc<Thread>>, Errno> {
    const PROCESS: i32 = 0;
    const GROUP: i32 = 1;
    const USER: i32 = 2;
    if !(PROCESS..=USER).contains(&which) {
        return Err(Errno::EINVAL);
    }
    if which == PROCESS {
        let thread = match who {
            0 => Ok(Arc::clone(call.thread)),
            who => table::thread(Pid(who.cast_unsigned())).ok_or(Errno::ESRCH),
        };
        return thread.map(|thread| alloc::vec![thread]);
    }
    let uid = match who {
        0 => call.process().credentials().uid.real,
        who => who.cast_unsigned(),
    };
    let mut found = Vec::new();
    let table = table::lock();
    let group = match who {
        0 => table.relations(call.process().pid).map(|of| of.group),
        who => Some(Pid(who.cast_unsigned())),
    };
    for of in table.iter() {
        let is_meant = if which == GROUP {
            Some(of.group) == group
        } else {
            of.process.credentials().uid.real == uid
        };
        if !is_meant {
            continue;
        }
        for thread in of.process.threads.lock().iter() {
            found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            found.push(Arc::clone(thread));
        }
    }
    drop(table);
    if found.is_empty() {
        Err(Errno::ESRCH)
    } else {
        Ok(found)
    }
}

/// `getpriority(2)`: 20 less the nice level, of whoever has it best.
pub fn getpriority(call: &mut Call<'_>, which: i32, who: i32) -> SysResult {
    let threads = selected(call, which, who)?;
    let best = threads.iter().map(|thread| nice_of(thread)).min();
    Ok((20 - best.unwrap_or(0)).unsigned_abs() as usize)
}

/// `setpriority(2)`.
pub fn setpriority(call: &mut Call<'_>, which: i32, who: i32, nice: i32) -> Result<(), Errno> {
    let nice = nice.clamp(-20, 19);
    let mut result = Ok(());
    for thread in selected(call, which, who)? {
        if let Err(errno) = set_nice(call, &thread, nice) {
            result = Err(errno);
        }
    }
    result
}

fn owns(call: &Call<'_>, target: &Process) -> bool {
    let own = call.process().credentials();
    let uid = own.uid.effective;
    let other = target.credentials();
    uid == other.uid.effective || uid == other.uid.real || own.has(Capability::SysNice)
}

fn set_nice(call: &Call<'_>, thread: &Thread, nice: i32) -> Result<(), Errno> {
    if !owns(call, &thread.process) {
        return Err(Errno::EPERM);
    }
    let lowest = 20 - i64::try_from(thread.process.limits.soft(Resource::Nice)).unwrap_or(40);
    if nice < nice_of(thread)
        && i64::from(nice) < lowest
        && !call.process().credentials().has(Capability::SysNice)
    {
        return Err(Errno::EACCES);
    }
    if let Some(task) = thread.task() {
        task.body().set_nice(nice);
    }
    Ok(())
}

/// `sched_setparam(2)`.
pub fn sched_setparam(call: &mut Call<'_>, pid: i32, parameter: Ptr<i32>) -> Result<(), Errno> {
    sched_setscheduler(call, pid, SCHED_OTHER, parameter)
}

/// `sched_getparam(2)`.
pub fn sched_getparam(call: &mut Call<'_>, pid: i32, parameter: Ptr<i32>) -> Result<(), Errno> {
    if parameter.is_null() || pid < 0 {
        return Err(Errno::EINVAL);
    }
    let _ = thread_of(call, pid)?;
    call.space.write_value(parameter, &0)
}

/// `sched_setscheduler(2)`: there is one policy.
pub fn sched_setscheduler(
    call: &mut Call<'_>,
    pid: i32,
    policy: i32,
    parameter: Ptr<i32>,
) -> Result<(), Errno> {
    if parameter.is_null() || pid < 0 || policy < 0 {
        return Err(Errno::EINVAL);
    }
    let priority = call.space.read_value(parameter)?;
    let thread = thread_of(call, pid)?;
    if policy != SCHED_OTHER || priority != 0 {
        return Err(Errno::EINVAL);
    }
    if owns(call, &thread.process) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// `sched_getscheduler(2)`.
pub fn sched_getscheduler(call: &mut Call<'_>, pid: i32) -> SysResult {
    let _ = thread_of(call, pid)?;
    Ok(SCHED_OTHER.unsigned_abs() as usize)
}

/// `sched_get_priority_max(2)`.
pub fn sched_get_priority_max(_call: &mut Call<'_>, policy: i32) -> SysResult {
    priority_range(policy).map(|(_, highest)| highest)
}

/// `sched_get_priority_min(2)`.
pub fn sched_get_priority_min(_call: &mut Call<'_>, policy: i32) -> SysResult {
    priority_range(policy).map(|(lowest, _)| lowest)
}

fn priority_range(policy: i32) -> Result<(usize, usize), Errno> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok((1, 99)),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// `sched_rr_get_interval(2)`: the slice.
pub fn sched_rr_get_interval(
    call: &mut Call<'_>,
    pid: i32,
    to: Ptr<TimeSpec>,
) -> Result<(), Errno> {
    const SLICE_NS: u64 = 4_000_000;
    let _ = thread_of(call, pid)?;
    call.space.write_value(to, &TimeSpec::from_ns(SLICE_NS))
}

/// A bit for every processor.
fn online() -> u64 {
    u64::MAX >> (64 - cpu::online().clamp(1, 64))
}

/// `sched_setaffinity(2)`: a thread may be told to run where it runs anyway.
pub fn sched_setaffinity(call: &mut Call<'_>, pid: i32, len: u32, mask: u64) -> Result<(), Errno> {
    let mut bytes = [0; 8];
    let known = bytes.len().min(len as usize);
    call.space.read(mask, &mut bytes[..known])?;
    let thread = thread_of(call, pid).map_err(|_| Errno::ESRCH)?;
    if !owns(call, &thread.process) {
        return Err(Errno::EPERM);
    }
    let wanted = u64::from_ne_bytes(bytes) & online();
    // With several processors a part of them would have to be obeyed.
    if wanted == online() {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// `sched_getaffinity(2)`.
pub fn sched_getaffinity(call: &mut Call<'_>, pid: i32, len: u32, mask: u64) -> SysResult {
    let bytes = online().to_ne_bytes();
    if (len as usize).saturating_mul(8) < cpu::online() || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let _ = thread_of(call, pid).map_err(|_| Errno::ESRCH)?;
    call.space.write(mask, &bytes)?;
    Ok(bytes.len())
}

/// `sched_setattr(2)`.
pub fn sched_setattr(
    call: &mut Call<'_>,
    pid: i32,
    attributes: Ptr<SchedAttr>,
    flags: u32,
) -> Result<(), Errno> {
    if attributes.is_null() || pid < 0 || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let size: u32 = call.space.read_value(attributes.cast())?;
    if size != 0 && (size as usize) < size_of::<SchedAttr>() {
        return Err(Errno::E2BIG);
    }
    let given = call.space.read_value(attributes)?;
    let thread = thread_of(call, pid)?;
    if given.policy != SCHED_OTHER.unsigned_abs() || given.flags != 0 || given.priority != 0 {
        return Err(Errno::EINVAL);
    }
    set_nice(call, &thread, given.nice.clamp(-20, 19))
}

/// `sched_getattr(2)`.
pub fn sched_getattr(
    call: &mut Call<'_>,
    pid: i32,
    to: Ptr<SchedAttr>,
    size: u32,
    flags: u32,
) -> Result<(), Errno> {
    let known = size_of::<SchedAttr>() as u32;
    if to.is_null() || pid < 0 || flags != 0 || !(known..=4096).contains(&size) {
        return Err(Errno::EINVAL);
    }
    let thread = thread_of(call, pid)?;
    let value = SchedAttr {
        size: known,
        nice: nice_of(&thread),
        ..SchedAttr::default()
    };
    call.space.write_value(to, &value)
}

#[cfg(test)]
mod tests {
    use super::priority_range;
    use ochre_abi::Errno;

    #[test]
    fn only_real_time_policies_have_priorities() {
        assert_eq!(priority_range(1), Ok((1, 99)));
        assert_eq!(priority_range(0), Ok((0, 0)));
        assert_eq!(priority_range(4), Err(Errno::EINVAL));
    }
}
