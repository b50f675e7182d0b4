//! Scheduling calls.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::system::SchedAttr;
use ochre_abi::time::TimeSpec;
use ochre_abi::{Errno, sched as abi};
use ochre_hal::cpu;
use zerocopy::{FromBytes, IntoBytes};

use super::{Call, Outcome, Ptr, SysResult};
use crate::ipc::futex;
use crate::memory::MakeRoom;
use crate::process::{Capability, Pid, Resource, Thread, table};
use crate::sched::{self, Attributes, Policy, SLICE_NS, TURN_NS};
use crate::time::rt_limit;

/// The largest structure that is taken.
const PAGE_SIZE: u32 = 4096;

/// `sched_yield(2)`.
pub fn sched_yield(_call: &mut Call<'_>) -> Outcome {
    Outcome::Yield
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

/// How a thread is scheduled; one that is ending, as any.
fn attributes_of(thread: &Thread) -> Attributes {
    thread
        .task()
        .map_or(Attributes::default(), |task| task.attributes())
}

fn nice_of(thread: &Thread) -> i32 {
    i32::from(attributes_of(thread).nice)
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
        0 => call.thread.credentials().uid.real,
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
            found.make_room(1)?;
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

fn owns(call: &Call<'_>, target: &Thread) -> bool {
    let own = call.thread.credentials();
    let uid = own.uid.effective;
    let other = target.credentials();
    uid == other.uid.effective || uid == other.uid.real || own.has(Capability::SysNice)
}

/// What a thread may do without privilege.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// `RLIMIT_NICE`.
    nice: u64,
    /// `RLIMIT_RTPRIO`.
    priority: u64,
}

impl Limits {
    fn of(thread: &Thread) -> Limits {
        let limits = &thread.process.limits;
        Limits {
            nice: limits.soft(Resource::Nice),
            priority: limits.soft(Resource::RtPriority),
        }
    }

    fn allow_nice(self, nice: i32) -> bool {
        u64::from((20 - nice).unsigned_abs()) <= self.nice
    }

    /// Whether a change gives a thread no more than this, and takes away no
    /// protection that its owner asked for.
    fn allow(self, before: Attributes, after: Attributes) -> bool {
        if after.policy.is_real_time() {
            if after.policy != before.policy && self.priority == 0 {
                return false;
            }
            if after.priority > before.priority && u64::from(after.priority) > self.priority {
                return false;
            }
        } else if after.nice < before.nice && !self.allow_nice(i32::from(after.nice)) {
            return false;
        }
        // Leaving SCHED_IDLE counts as a better nice level.
        let leaves_idle = before.policy == Policy::Idle && after.policy != Policy::Idle;
        if leaves_idle && !self.allow_nice(i32::from(before.nice)) {
            return false;
        }
        after.resets_on_fork || !before.resets_on_fork
    }
}

fn set_nice(call: &Call<'_>, thread: &Thread, nice: i32) -> Result<(), Errno> {
    if !owns(call, thread) {
        return Err(Errno::EPERM);
    }
    if nice < nice_of(thread)
        && !Limits::of(thread).allow_nice(nice)
        && !call.thread.has(Capability::SysNice)
    {
        return Err(Errno::EACCES);
    }
    if let Some(task) = thread.task() {
        let attributes = Attributes {
            nice: nice as i8,
            ..task.attributes()
        };
        sched::set_attributes(&task, attributes);
    }
    Ok(())
}

/// What Linux calls a policy.
#[must_use]
pub fn policy_number(policy: Policy) -> i32 {
    match policy {
        Policy::Other | Policy::Urgent => abi::OTHER,
        Policy::Fifo => abi::FIFO,
        Policy::RoundRobin => abi::RR,
        Policy::Batch => abi::BATCH,
        Policy::Idle => abi::IDLE,
    }
}

/// SCHED_DEADLINE is not there.
fn policy_of(number: i32) -> Result<Policy, Errno> {
    match number {
        abi::OTHER => Ok(Policy::Other),
        abi::FIFO => Ok(Policy::Fifo),
        abi::RR => Ok(Policy::RoundRobin),
        abi::BATCH => Ok(Policy::Batch),
        abi::IDLE => Ok(Policy::Idle),
        _ => Err(Errno::EINVAL),
    }
}

/// Sets how a thread is scheduled, if whoever asks may.
fn set_attributes(call: &Call<'_>, thread: &Thread, after: Attributes) -> Result<(), Errno> {
    check_attributes(call, thread, after)?;
    if let Some(task) = thread.task()
        && task.attributes() != after
    {
        sched::set_attributes(&task, after);
        futex::priority_changed(thread);
        if after.policy.is_real_time() {
            rt_limit::watch(&thread.process);
        }
    }
    Ok(())
}

fn check_attributes(call: &Call<'_>, thread: &Thread, after: Attributes) -> Result<(), Errno> {
    if after.policy.is_real_time() != (after.priority != 0) {
        return Err(Errno::EINVAL);
    }
    let before = attributes_of(thread);
    let is_allowed = call.thread.has(Capability::SysNice)
        || Limits::of(thread).allow(before, after) && owns(call, thread);
    if is_allowed {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// A priority as a program gives it.
fn priority_from(given: u32) -> Result<u8, Errno> {
    u8::try_from(given)
        .ok()
        .filter(|priority| *priority <= sched::MAX_PRIORITY)
        .ok_or(Errno::EINVAL)
}

/// `sched_setparam(2)`.
pub fn sched_setparam(call: &mut Call<'_>, pid: i32, parameter: Ptr<i32>) -> Result<(), Errno> {
    if parameter.is_null() || pid < 0 {
        return Err(Errno::EINVAL);
    }
    let priority = call.space.read_value(parameter)?.cast_unsigned();
    let thread = thread_of(call, pid)?;
    let attributes = Attributes {
        priority: priority_from(priority)?,
        ..attributes_of(&thread)
    };
    set_attributes(call, &thread, attributes)
}

/// `sched_getparam(2)`.
pub fn sched_getparam(call: &mut Call<'_>, pid: i32, parameter: Ptr<i32>) -> Result<(), Errno> {
    if parameter.is_null() || pid < 0 {
        return Err(Errno::EINVAL);
    }
    let thread = thread_of(call, pid)?;
    let priority = i32::from(attributes_of(&thread).priority);
    call.space.write_value(parameter, &priority)
}

/// `sched_setscheduler(2)`.
pub fn sched_setscheduler(
    call: &mut Call<'_>,
    pid: i32,
    policy: i32,
    parameter: Ptr<i32>,
) -> Result<(), Errno> {
    if parameter.is_null() || pid < 0 || policy < 0 {
        return Err(Errno::EINVAL);
    }
    let priority = call.space.read_value(parameter)?.cast_unsigned();
    let thread = thread_of(call, pid)?;
    let attributes = Attributes {
        policy: policy_of(policy & !abi::RESET_ON_FORK)?,
        priority: priority_from(priority)?,
        nice: attributes_of(&thread).nice,
        resets_on_fork: policy & abi::RESET_ON_FORK != 0,
    };
    set_attributes(call, &thread, attributes)
}

/// `sched_getscheduler(2)`.
pub fn sched_getscheduler(call: &mut Call<'_>, pid: i32) -> SysResult {
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let attributes = attributes_of(&*thread_of(call, pid)?);
    let flag = if attributes.resets_on_fork {
        abi::RESET_ON_FORK
    } else {
        0
    };
    Ok((policy_number(attributes.policy) | flag).unsigned_abs() as usize)
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
        abi::FIFO | abi::RR => Ok((1, usize::from(sched::MAX_PRIORITY))),
        abi::OTHER | abi::BATCH | abi::IDLE | abi::DEADLINE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// `sched_rr_get_interval(2)`: the turn of SCHED_RR, the slice of those with a
/// fair share; SCHED_FIFO has no end.
pub fn sched_rr_get_interval(
    call: &mut Call<'_>,
    pid: i32,
    to: Ptr<TimeSpec>,
) -> Result<(), Errno> {
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let thread = thread_of(call, pid)?;
    let interval_ns = match attributes_of(&thread).policy {
        Policy::Fifo => 0,
        Policy::RoundRobin => u64::from(TURN_NS),
        _ => SLICE_NS,
    };
    call.space.write_value(to, &TimeSpec::from_ns(interval_ns))
}

/// `sched_setaffinity(2)`.
pub fn sched_setaffinity(call: &mut Call<'_>, pid: i32, len: u32, mask: u64) -> Outcome {
    match set_affinity(call, pid, len, mask) {
        // A thread that must not run here goes where it may run at once.
        Ok(true) => Outcome::Yield,
        Ok(false) => Outcome::Done(Ok(0)),
        Err(errno) => Outcome::error(errno),
    }
}

/// Whether the calling thread has to leave its processor.
fn set_affinity(call: &Call<'_>, pid: i32, len: u32, mask: u64) -> Result<bool, Errno> {
    let mut bytes = [0; 8];
    let known = bytes.len().min(len as usize);
    call.space.read(mask, &mut bytes[..known])?;
    let thread = thread_of(call, pid).map_err(|_| Errno::ESRCH)?;
    if !owns(call, &thread) {
        return Err(Errno::EPERM);
    }
    let Some(task) = thread.task() else {
        return Err(Errno::ESRCH);
    };
    if !sched::allow(&task, u64::from_ne_bytes(bytes)) {
        return Err(Errno::EINVAL);
    }
    let is_here = task.allowed() >> cpu::current().index() & 1 != 0;
    Ok(Arc::ptr_eq(&thread, call.thread) && !is_here)
}

/// `sched_getaffinity(2)`.
pub fn sched_getaffinity(call: &mut Call<'_>, pid: i32, len: u32, mask: u64) -> SysResult {
    if (len as usize).saturating_mul(8) < cpu::online() || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let thread = thread_of(call, pid).map_err(|_| Errno::ESRCH)?;
    let allowed = thread.task().map_or(u64::MAX, |task| task.allowed());
    let bytes = (allowed & sched::all_processors()).to_ne_bytes();
    call.space.write(mask, &bytes)?;
    Ok(bytes.len())
}

/// Reads a `struct sched_attr` of any version; says which size is known if it
/// is of another.
fn read_attr(call: &Call<'_>, from: Ptr<SchedAttr>) -> Result<SchedAttr, Errno> {
    const KNOWN: usize = size_of::<SchedAttr>();
    let size: u32 = call.space.read_value(from.cast())?;
    let size = if size == 0 {
        abi::ATTR_SIZE_FIRST
    } else {
        size
    };
    let refuse = || {
        call.space
            .write_value(from.cast(), &(KNOWN as u32))
            .and(Err(Errno::E2BIG))
    };
    if !(abi::ATTR_SIZE_FIRST..=PAGE_SIZE).contains(&size) {
        return refuse();
    }
    let mut bytes = [0; PAGE_SIZE as usize];
    let given = &mut bytes[..size as usize];
    call.space.read(from.address(), given)?;
    if given.iter().skip(KNOWN).any(|byte| *byte != 0) {
        return refuse();
    }
    let (attr, _) = SchedAttr::read_from_prefix(&bytes).map_err(|_| Errno::EINVAL)?;
    if attr.flags & abi::FLAG_UTIL_CLAMP != 0 && (size as usize) < KNOWN {
        return Err(Errno::EINVAL);
    }
    Ok(attr)
}

/// `sched_setattr(2)`.
pub fn sched_setattr(
    call: &mut Call<'_>,
    pid: i32,
    attributes: Ptr<SchedAttr>,
    flags: u32,
) -> Result<(), Errno> {
    const KNOWN_FLAGS: u64 = abi::FLAG_RESET_ON_FORK
        | abi::FLAG_RECLAIM
        | abi::FLAG_DL_OVERRUN
        | abi::FLAG_KEEP_POLICY
        | abi::FLAG_KEEP_PARAMS
        | abi::FLAG_UTIL_CLAMP;
    if attributes.is_null() || pid < 0 || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let given = read_attr(call, attributes)?;
    let policy = i32::try_from(given.policy).map_err(|_| Errno::EINVAL)?;
    let thread = thread_of(call, pid)?;
    let before = attributes_of(&thread);
    let has = |flag| given.flags & flag != 0;
    let mut after = before;
    if !has(abi::FLAG_KEEP_POLICY) {
        after.policy = policy_of(policy)?;
        after.resets_on_fork = has(abi::FLAG_RESET_ON_FORK);
    }
    if given.flags & !KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    // What is kept is what the policy has so far: priority or nice level.
    let keeps = has(abi::FLAG_KEEP_PARAMS);
    let was_real_time = before.policy.is_real_time();
    if !keeps || !was_real_time {
        after.priority = priority_from(given.priority)?;
    }
    if (!keeps || was_real_time) && !after.policy.is_real_time() {
        after.nice = given.nice.clamp(-20, 19) as i8;
    }
    if has(abi::FLAG_UTIL_CLAMP) {
        return Err(Errno::EOPNOTSUPP);
    }
    if keeps {
        // Like Linux: what is given is checked, and the policy stays too.
        check_attributes(call, &thread, after)?;
        after = Attributes {
            resets_on_fork: after.resets_on_fork,
            ..before
        };
    }
    set_attributes(call, &thread, after)
}

/// `sched_getattr(2)`.
pub fn sched_getattr(
    call: &mut Call<'_>,
    pid: i32,
    to: Ptr<SchedAttr>,
    size: u32,
    flags: u32,
) -> Result<(), Errno> {
    if to.is_null() || pid < 0 || flags != 0 || !(abi::ATTR_SIZE_FIRST..=PAGE_SIZE).contains(&size)
    {
        return Err(Errno::EINVAL);
    }
    let attributes = attributes_of(&*thread_of(call, pid)?);
    let is_real_time = attributes.policy.is_real_time();
    let value = SchedAttr {
        size: size.min(size_of::<SchedAttr>() as u32),
        policy: policy_number(attributes.policy).unsigned_abs(),
        flags: if attributes.resets_on_fork {
            abi::FLAG_RESET_ON_FORK
        } else {
            0
        },
        nice: if is_real_time {
            0
        } else {
            i32::from(attributes.nice)
        },
        priority: u32::from(attributes.priority),
        runtime: if is_real_time { 0 } else { SLICE_NS },
        ..SchedAttr::default()
    };
    // What the program has room for beyond what is known is zero.
    let mut bytes = [0; PAGE_SIZE as usize];
    value
        .write_to_prefix(&mut bytes)
        .map_err(|_| Errno::EINVAL)?;
    call.space.write(to.address(), &bytes[..size as usize])
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Limits, Policy, policy_number, policy_of, priority_range};
    use ochre_abi::Errno;

    #[test]
    fn only_real_time_policies_have_priorities() {
        assert_eq!(priority_range(1), Ok((1, 99)));
        assert_eq!(priority_range(0), Ok((0, 0)));
        assert_eq!(priority_range(4), Err(Errno::EINVAL));
    }

    #[test]
    fn policies_have_numbers() {
        for number in [0, 1, 2, 3, 5] {
            assert_eq!(policy_of(number).map(policy_number), Ok(number));
        }
        assert_eq!(policy_of(6), Err(Errno::EINVAL));
    }

    fn check(limits: (u64, u64), before: Attributes, after: Attributes, allowed: bool) {
        let (nice, priority) = limits;
        let limits = Limits { nice, priority };
        assert_eq!(limits.allow(before, after), allowed, "{before:?} {after:?}");
    }

    fn fair(nice: i8) -> Attributes {
        Attributes {
            nice,
            ..Attributes::default()
        }
    }

    fn real_time(policy: Policy, priority: u8) -> Attributes {
        Attributes {
            policy,
            priority,
            ..Attributes::default()
        }
    }

    #[test]
    fn limits_let_through_what_they_say() {
        check((0, 0), fair(0), fair(0), true);
        check((0, 0), fair(0), fair(1), true);
        check((0, 0), fair(1), fair(0), false);
        check((22, 0), fair(1), fair(-2), true);
        check((22, 0), fair(1), fair(-3), false);
        let fifo = |priority| real_time(Policy::Fifo, priority);
        check((0, 0), fair(0), fifo(1), false);
        check((0, 5), fair(0), fifo(5), true);
        check((0, 5), fair(0), fifo(6), false);
        check((0, 5), fifo(8), fifo(8), true);
        check((0, 5), fifo(8), fifo(9), false);
        check((0, 0), fifo(8), fifo(7), true);
        check((0, 0), fifo(8), real_time(Policy::RoundRobin, 8), false);
        check((0, 0), fifo(8), fair(0), true);
    }

    #[test]
    fn idle_is_left_with_a_limit_for_it() {
        let idle = real_time(Policy::Idle, 0);
        check((0, 0), idle, fair(0), false);
        check((20, 0), idle, fair(0), true);
        check((0, 0), fair(0), idle, true);
    }

    #[test]
    fn resetting_on_fork_is_not_undone() {
        let resets = Attributes {
            resets_on_fork: true,
            ..fair(0)
        };
        check((40, 99), resets, fair(0), false);
        check((0, 0), fair(0), resets, true);
    }
}
