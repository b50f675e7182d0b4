//! `futex(2)` and the robust list.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

use ochre_abi::Errno;
use ochre_hal::clock;
use ochre_hal::user::Access;
use ochre_sync::primitive::atomic::Ordering;

use super::{Call, Outcome, Ptr, SysResult, deadline};
use crate::ipc::futex::{self, Key, Waiter};
use crate::memory::AddressSpace;
use crate::process::{Pid, Thread, table};
use crate::sched::Timer;

const PRIVATE: u32 = 128;
const CLOCK_REALTIME: u32 = 256;
const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;

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
    let private = operation & PRIVATE != 0;
    let realtime = operation & CLOCK_REALTIME != 0;
    let command = operation & !(PRIVATE | CLOCK_REALTIME);
    if realtime && command != WAIT_BITSET && command != WAIT {
        return Err(Errno::ENOSYS);
    }
    let count = |raw: u32| usize::try_from(raw.cast_signed()).map_err(|_| Errno::EINVAL);
    let done = |woken: usize| Ok(Outcome::Done(Ok(woken)));
    match command {
        WAIT => {
            let deadline_ns = deadline::after_timespec(call.space, timeout)?;
            wait(call, address, private, value, u32::MAX, deadline_ns)
        }
        WAIT_BITSET => {
            if value3 == 0 {
                return Err(Errno::EINVAL);
            }
            let deadline_ns = deadline::at_timespec(call.space, timeout, realtime)?;
            wait(call, address, private, value, value3, deadline_ns)
        }
        WAKE | WAKE_BITSET => {
            let bits = if command == WAKE { u32::MAX } else { value3 };
            if bits == 0 {
                return Err(Errno::EINVAL);
            }
            let key = futex::key(call.space, address, private)?;
            // Linux wakes one for counts below one.
            done(futex::wake(
                key,
                (value.cast_signed().max(1)).unsigned_abs() as usize,
                bits,
            ))
        }
        REQUEUE | CMP_REQUEUE => {
            let (wake_count, move_count) = (count(value)?, count(timeout as u32)?);
            let from = futex::key(call.space, address, private)?;
            let to = futex::key(call.space, address2, private)?;
            let expected = (command == CMP_REQUEUE).then_some(value3);
            let (woken, moved) = futex::requeue(
                call.space, address, expected, from, to, wake_count, move_count,
            )?;
            done(if command == CMP_REQUEUE {
                woken + moved
            } else {
                woken
            })
        }
        WAKE_OP => {
            let (first, second) = (count(value)?, count(timeout as u32)?);
            let from = futex::key(call.space, address, private)?;
            let to = futex::key(call.space, address2, private)?;
            let met = apply(call.space, address2, value3)?;
            let mut woken = futex::wake(from, first, u32::MAX);
            if met {
                woken += futex::wake(to, second, u32::MAX);
            }
            done(woken)
        }
        _ => Err(Errno::ENOSYS),
    }
}

fn wait(
    call: &Call<'_>,
    address: u64,
    private: bool,
    value: u32,
    bits: u32,
    deadline_ns: Option<u64>,
) -> Result<Outcome, Errno> {
    let key = futex::key(call.space, address, private)?;
    let thread = Arc::clone(call.thread);
    let space = Arc::clone(call.space);
    Ok(Outcome::wait(wait_at(
        thread,
        space,
        address,
        key,
        value,
        bits,
        deadline_ns,
    )))
}

async fn wait_at(
    thread: Arc<Thread>,
    space: Arc<AddressSpace>,
    address: u64,
    key: Key,
    value: u32,
    bits: u32,
    deadline_ns: Option<u64>,
) -> SysResult {
    let mut waiting = None;
    let mut timer = None;
    poll_fn(move |context| {
        let place = match &waiting {
            Some(place) => place,
            None => match Waiter::join(&space, address, key, value, bits, context.waker()) {
                Ok(place) => waiting.insert(place),
                Err(errno) => return Poll::Ready(Err(errno)),
            },
        };
        if place.is_woken() {
            return Poll::Ready(Ok(0));
        }
        if thread.has_work() {
            return Poll::Ready(Err(if deadline_ns.is_some() {
                Errno::ERESTARTNOHAND
            } else {
                Errno::ERESTARTSYS
            }));
        }
        if let Some(deadline_ns) = deadline_ns {
            if clock::now_ns() >= deadline_ns {
                return Poll::Ready(Err(Errno::ETIMEDOUT));
            }
            if timer.is_none() {
                timer = Some(Timer::arm(deadline_ns, context.waker().clone()));
            }
        }
        Poll::Pending
    })
    .await
}

/// `FUTEX_WAKE_OP`: changes the second word and compares what it held.
fn apply(space: &AddressSpace, address: u64, encoded: u32) -> Result<bool, Errno> {
    // Sign-extended 12-bit fields (futex(2)).
    let field = |shift: u32| ((encoded >> shift) << 20).cast_signed() >> 20;
    let operand = field(12);
    let compared = field(0);
    let operand = if encoded >> 31 != 0 {
        1_i32.wrapping_shl(operand.cast_unsigned())
    } else {
        operand
    }
    .cast_unsigned();
    let change = |old: u32| match encoded >> 28 & 7 {
        0 => Ok(operand),
        1 => Ok(old.wrapping_add(operand)),
        2 => Ok(old | operand),
        3 => Ok(old & !operand),
        4 => Ok(old ^ operand),
        _ => Err(Errno::ENOSYS),
    };
    let old = loop {
        let result = space.root().load_u32(address).and_then(|old| {
            Ok(match change(old) {
                Ok(new) => space
                    .root()
                    .compare_exchange_u32(address, old, new)
                    .map(|seen| (seen == old).then_some(Ok(old)))?,
                Err(errno) => Some(Err(errno)),
            })
        });
        match result {
            Ok(Some(old)) => break old?,
            Ok(None) => {}
            Err(fault) => space
                .fault(fault.address, Access::Write)
                .map_err(|_| Errno::EFAULT)?,
        }
    };
    let old = old.cast_signed();
    match encoded >> 24 & 0xf {
        0 => Ok(old == compared),
        1 => Ok(old != compared),
        2 => Ok(old < compared),
        3 => Ok(old <= compared),
        4 => Ok(old > compared),
        5 => Ok(old >= compared),
        _ => Err(Errno::ENOSYS),
    }
}

/// `set_robust_list(2)`.
pub fn set_robust_list(call: &mut Call<'_>, head: u64, size: usize) -> SysResult {
    if size != ROBUST_HEAD {
        return Err(Errno::EINVAL);
    }
    call.thread.robust_list.store(head, Ordering::Relaxed);
    Ok(0)
}

/// `get_robust_list(2)`.
pub fn get_robust_list(call: &mut Call<'_>, tid: i32, head: Ptr<u64>, size: Ptr<u64>) -> SysResult {
    let list = if tid == 0 {
        call.thread.robust_list.load(Ordering::Relaxed)
    } else {
        let tid = u32::try_from(tid).map_err(|_| Errno::ESRCH)?;
        let thread = table::thread(Pid(tid)).ok_or(Errno::ESRCH)?;
        thread.robust_list.load(Ordering::Relaxed)
    };
    call.space.write_value(size, &(ROBUST_HEAD as u64))?;
    call.space.write_value(head, &list)?;
    Ok(0)
}
