//! Calls about limits and use of resources.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::resource::{RLimit, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, RUsage, Tms};

use super::{Call, Ptr, SysResult};
use crate::process::{Capability, Pid, Process, Resource, table, usage};
use crate::time;

fn resource(number: u32) -> Result<Resource, Errno> {
    Resource::new(number).ok_or(Errno::EINVAL)
}

/// `getrlimit(2)`.
pub fn getrlimit(call: &mut Call<'_>, number: u32, to: Ptr<RLimit>) -> Result<(), Errno> {
    let limit = call.process().limits.get(resource(number)?);
    call.space.write_value(to, &limit)
}

/// `setrlimit(2)`.
pub fn setrlimit(call: &mut Call<'_>, number: u32, from: Ptr<RLimit>) -> Result<(), Errno> {
    let new = call.space.read_value(from)?;
    let process = Arc::clone(call.process());
    set(call, &process, resource(number)?, new).map(|_| ())
}

fn set(
    call: &Call<'_>,
    process: &Arc<Process>,
    resource: Resource,
    new: RLimit,
) -> Result<RLimit, Errno> {
    let is_privileged = call.thread.has(Capability::SysResource);
    let old = process.limits.set(resource, new, is_privileged)?;
    let is_of_memory = matches!(
        resource,
        Resource::Stack | Resource::Data | Resource::AddressSpace | Resource::MemLock
    );
    if is_of_memory {
        let space = Arc::clone(&process.space.lock());
        space.set_limits(process.limits.of_memory());
    }
    if resource == Resource::Cpu {
        time::cpu_limit::watch(process);
    }
    if resource == Resource::RtTime {
        time::rt_limit::watch(process);
    }
    Ok(old)
}

/// Whose limits `prlimit64(2)` works on.
fn target(call: &Call<'_>, pid: i32) -> Result<Arc<Process>, Errno> {
    if pid == 0 {
        return Ok(Arc::clone(call.process()));
    }
    let pid = Pid(u32::try_from(pid).map_err(|_| Errno::ESRCH)?);
    let thread = table::thread(pid).ok_or(Errno::ESRCH)?;
    let process = Arc::clone(&thread.process);
    if Arc::ptr_eq(&process, call.process()) {
        return Ok(process);
    }
    let own = call.thread.credentials();
    let other = process.credentials();
    let is_same = [other.uid.real, other.uid.effective, other.uid.saved]
        .iter()
        .all(|uid| *uid == own.uid.real)
        && [other.gid.real, other.gid.effective, other.gid.saved]
            .iter()
            .all(|gid| *gid == own.gid.real);
    if is_same || own.has(Capability::SysResource) {
        Ok(process)
    } else {
        Err(Errno::EPERM)
    }
}

/// `prlimit(2)`.
pub fn prlimit64(
    call: &mut Call<'_>,
    pid: i32,
    number: u32,
    new: Ptr<RLimit>,
    old: Ptr<RLimit>,
) -> Result<(), Errno> {
    let new = if new.is_null() {
        None
    } else {
        Some(call.space.read_value(new)?)
    };
    let process = target(call, pid)?;
    let resource = resource(number)?;
    let before = match new {
        Some(new) => set(call, &process, resource, new)?,
        None => process.limits.get(resource),
    };
    if !old.is_null() {
        call.space.write_value(old, &before)?;
    }
    Ok(())
}

/// `getrusage(2)`.
pub fn getrusage(call: &mut Call<'_>, who: i32, to: Ptr<RUsage>) -> Result<(), Errno> {
    let process = call.process();
    let own = || process.memory.own(call.space);
    let (times, memory) = match who {
        RUSAGE_SELF => (time::own_times(process), own()),
        RUSAGE_CHILDREN => (process.account.children(), process.memory.children()),
        RUSAGE_THREAD => (time::thread_times(call.thread), own()),
        _ => return Err(Errno::EINVAL),
    };
    call.space.write_value(to, &usage::of(times, memory))
}

/// `times(2)`.
pub fn times(call: &mut Call<'_>, to: Ptr<Tms>) -> SysResult {
    let ticks = |ns: u64| time::to_ticks(ns).cast_signed();
    if !to.is_null() {
        let (user, system) = time::own_times(call.process()).ns();
        let (children_user, children_system) = call.process().account.children().ns();
        let value = Tms {
            user: ticks(user),
            system: ticks(system),
            children_user: ticks(children_user),
            children_system: ticks(children_system),
        };
        call.space.write_value(to, &value)?;
    }
    Ok(time::to_ticks(time::monotonic_ns()) as usize)
}
