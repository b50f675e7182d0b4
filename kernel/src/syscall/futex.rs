//! `futex(2)` and the robust list.

use ochre_abi::Errno;
use ochre_hal::user::Access;
use ochre_sync::primitive::atomic::Ordering;

use super::{Call, FromArgument, Outcome, Ptr, SysResult, tags};
use crate::ipc::futex::{
    self, Deadline, Ended, Key, Locked, Move, Scope, Target, Wait, WaitOnward,
};
use crate::process::{Pid, table};
use crate::signal;
use crate::time;

const PRIVATE: u32 = 128;
const CLOCK_REALTIME: u32 = 256;
const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const LOCK_PI: u32 = 6;
const UNLOCK_PI: u32 = 7;
const TRYLOCK_PI: u32 = 8;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const WAIT_REQUEUE_PI: u32 = 11;
const CMP_REQUEUE_PI: u32 = 12;
const LOCK_PI2: u32 = 13;

/// Bytes of a `struct robust_list_head`.
const ROBUST_HEAD: usize = 24;

/// `futex(2)`.
pub fn futex(
    call: &mut Call<'_>,
    address: u64,
    operation: u32,
    value: u32,
    timeout: u64,
    address2: u64,
    value3: u32,
) -> Result<Outcome, Errno> {
    let (mut first, mut second) = (address, address2);
    loop {
        match operate(call, first, operation, value, timeout, second, value3) {
            // A bad address is found before anything else is done.
            Err(Errno::EFAULT) if (tags::meant(first), tags::meant(second)) != (first, second) => {
                (first, second) = (tags::meant(first), tags::meant(second));
            }
            answer => return answer,
        }
    }
}

/// What futex(2) does, at addresses without tags.
#[inline]
fn operate(
    call: &mut Call<'_>,
    address: u64,
    operation: u32,
    value: u32,
    timeout: u64,
    address2: u64,
    value3: u32,
) -> Result<Outcome, Errno> {
    let command = operation & !(PRIVATE | CLOCK_REALTIME);
    let realtime = operation & CLOCK_REALTIME != 0;
    // Linux looks at the time before anything else.
    let deadline = match command {
        WAIT => deadline_after(call, timeout)?,
        WAIT_BITSET | WAIT_REQUEUE_PI | LOCK_PI2 => deadline_at(call, timeout, realtime)?,
        // The older of the two knows the wall clock only.
        LOCK_PI => deadline_at(call, timeout, true)?,
        _ => None,
    };
    if realtime && !matches!(command, WAIT_BITSET | WAIT_REQUEUE_PI | LOCK_PI2) {
        return Err(Errno::ENOSYS);
    }
    let scope = scope(operation & PRIVATE != 0);
    let count = |raw: u32| usize::try_from(raw.cast_signed()).map_err(|_| Errno::EINVAL);
    // A wake stops after it has woken one and as many as asked, or more.
    let at_least_one = |raw: u32| raw.cast_signed().max(1).unsigned_abs() as usize;
    let done = |answer: usize| Ok(Outcome::Done(Ok(answer)));
    match command {
        WAIT => wait(call, Waited::new(address, scope, value, u32::MAX), deadline),
        WAIT_BITSET => wait(call, Waited::new(address, scope, value, value3), deadline),
        WAKE | WAKE_BITSET => {
            let bits = if command == WAKE { u32::MAX } else { value3 };
            if bits == 0 {
                return Err(Errno::EINVAL);
            }
            let key = Key::new(call.space, address, scope, Access::Read)?;
            done(futex::wake(&key, at_least_one(value), bits)?)
        }
        REQUEUE | CMP_REQUEUE => {
            let (wake, requeue) = (count(value)?, count(timeout as u32)?);
            let from = Key::new(call.space, address, scope, Access::Read)?;
            let to = Key::new(call.space, address2, scope, Access::Read)?;
            let request = Move {
                from,
                to,
                expected: (command == CMP_REQUEUE).then_some((address, value3)),
                wake,
                requeue,
            };
            done(futex::requeue(call.space, &request)?)
        }
        WAKE_OP => {
            let first = Key::new(call.space, address, scope, Access::Read)?;
            let second = Key::new(call.space, address2, scope, Access::Write)?;
            done(futex::wake_op(
                call.space,
                address2,
                value3,
                (&first, at_least_one(value)),
                (&second, at_least_one(timeout as u32)),
            )?)
        }
        LOCK_PI | LOCK_PI2 => {
            let key = Key::new(call.space, address, scope, Access::Write)?;
            Ok(
                match futex::lock(call.thread, call.space, (address, key), deadline)? {
                    Locked::Now => Outcome::Done(Ok(0)),
                    Locked::Later(lock) => Outcome::wait(async { lock.await.map(|()| 0) }),
                },
            )
        }
        TRYLOCK_PI => {
            let key = Key::new(call.space, address, scope, Access::Write)?;
            futex::try_lock(call.thread, call.space, (address, key))?;
            done(0)
        }
        UNLOCK_PI => {
            futex::check_owner(call.thread, call.space, address)?;
            let key = Key::new(call.space, address, scope, Access::Write)?;
            futex::unlock(call.thread, call.space, (address, key))?;
            done(0)
        }
        WAIT_REQUEUE_PI => {
            if address == address2 {
                return Err(Errno::EINVAL);
            }
            let to = Key::new(call.space, address2, scope, Access::Write)?;
            let target = Target {
                address,
                key: Key::new(call.space, address, scope, Access::Read)?,
                expected: value,
                bits: u32::MAX,
            };
            if target.key == to {
                return Err(Errno::EINVAL);
            }
            let (thread, space) = (call.thread, &*call.space);
            let wait = WaitOnward::join(thread, space, &target, (address2, to), deadline)?;
            Ok(Outcome::wait(async { wait.await.map(|()| 0) }))
        }
        CMP_REQUEUE_PI => {
            let (wake, requeue) = (count(value)?, count(timeout as u32)?);
            if address == address2 || wake != 1 {
                return Err(Errno::EINVAL);
            }
            let from = Key::new(call.space, address, scope, Access::Read)?;
            let to = Key::new(call.space, address2, scope, Access::Write)?;
            if from == to {
                return Err(Errno::EINVAL);
            }
            let request = Move {
                from,
                to,
                expected: Some((address, value3)),
                wake,
                requeue,
            };
            done(futex::requeue_inheriting(call.space, &request, address2)?)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// The scope that a flag stands for.
pub(super) fn scope(is_private: bool) -> Scope {
    if is_private {
        Scope::Private
    } else {
        Scope::Shared
    }
}

/// What a wait is about, so that it can be made again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waited {
    address: u64,
    scope: Scope,
    expected: u32,
    bits: u32,
}

impl Waited {
    /// A wait for a wake whose bits meet `bits`.
    pub(super) fn new(address: u64, scope: Scope, expected: u32, bits: u32) -> Waited {
        Waited {
            address,
            scope,
            expected,
            bits,
        }
    }
}

/// Waits at a word.
pub(super) fn wait(
    call: &Call<'_>,
    waited: Waited,
    deadline: Option<Deadline>,
) -> Result<Outcome, Errno> {
    if waited.bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = Key::new(call.space, waited.address, waited.scope, Access::Read)?;
    let target = Target {
        address: waited.address,
        key,
        expected: waited.expected,
        bits: waited.bits,
    };
    let place = Wait::join(call.thread, call.space, &target, deadline)?;
    let Some(deadline) = deadline else {
        return Ok(Outcome::wait(async {
            place.await.map_err(|_| Errno::ERESTARTSYS)?;
            Ok(0)
        }));
    };
    let thread = alloc::sync::Arc::clone(call.thread);
    Ok(Outcome::wait(async move {
        match place.await {
            Ok(()) => Ok(0),
            Err(Ended::Timeout) => Err(Errno::ETIMEDOUT),
            Err(Ended::Signal) => Err(signal::set_restart(&thread, move |call| {
                wait(call, waited, Some(deadline)).unwrap_or_else(Outcome::error)
            })),
        }
    }))
}

/// A relative `struct timespec` at `address` from now; null is for ever.
///
/// # Errors
/// EFAULT; EINVAL.
fn deadline_after(call: &Call<'_>, address: u64) -> Result<Option<Deadline>, Errno> {
    Ok(read_ns(call, address)?
        .map(|ns| Deadline::Monotonic(time::monotonic_ns().saturating_add(ns))))
}

/// An absolute `struct timespec` at `address`; null is for ever.
///
/// # Errors
/// EFAULT; EINVAL.
pub(super) fn deadline_at(
    call: &Call<'_>,
    address: u64,
    realtime: bool,
) -> Result<Option<Deadline>, Errno> {
    Ok(read_ns(call, address)?.map(|ns| {
        if realtime {
            Deadline::Wall(ns)
        } else {
            Deadline::Monotonic(ns)
        }
    }))
}

fn read_ns(call: &Call<'_>, address: u64) -> Result<Option<u64>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    let [seconds, nanoseconds] = call
        .space
        .read_value(Ptr::<[i64; 2]>::from_argument(address))?;
    super::deadline::duration_ns(seconds, nanoseconds).map(Some)
}

/// `set_robust_list(2)`.
pub fn set_robust_list(call: &mut Call<'_>, head: u64, size: usize) -> SysResult {
    if size != ROBUST_HEAD {
        return Err(Errno::EINVAL);
    }
    call.thread
        .robust_list
        .store(tags::meant(head), Ordering::Relaxed);
    Ok(0)
}

/// `get_robust_list(2)`.
pub fn get_robust_list(call: &mut Call<'_>, tid: i32, head: Ptr<u64>, size: Ptr<u64>) -> SysResult {
    let list = if tid == 0 {
        call.thread.robust_list.load(Ordering::Relaxed)
    } else {
        let tid = u32::try_from(tid).map_err(|_| Errno::ESRCH)?;
        let thread = table::thread(Pid(tid)).ok_or(Errno::ESRCH)?;
        let is_open = thread.process.control.dumpable.load(Ordering::Relaxed) == 1;
        let (own, target) = (call.thread.credentials(), thread.process.credentials());
        if !alloc::sync::Arc::ptr_eq(&thread.process, call.process())
            && !own.may_inspect(&target, is_open)
        {
            return Err(Errno::EPERM);
        }
        thread.robust_list.load(Ordering::Relaxed)
    };
    call.space.write_value(size, &(ROBUST_HEAD as u64))?;
    call.space.write_value(head, &list)?;
    Ok(0)
}
