//! `membarrier(2)`: a full barrier on every processor where it matters.
//!
//! Every other processor is interrupted, and the call waits until each has
//! taken an interrupt since it began. That is a full barrier
//! ([`Passes`](ochre_executor::Passes)), and as the way back from an interrupt
//! fetches instructions anew, one for code that was changed; and a thread that
//! was interrupted leaves its restartable section. With one processor every
//! thread has seen it all already.

use ochre_abi::Errno;
use ochre_hal::cpu::{self, CpuId};
use ochre_hal::irq;
use ochre_sync::primitive::atomic::Ordering;

use super::{Call, Outcome};
use crate::sched::{self, interrupt};

const QUERY: u32 = 0;
const GLOBAL: u32 = 1;
const GLOBAL_EXPEDITED: u32 = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: u32 = 1 << 2;
const PRIVATE_EXPEDITED: u32 = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: u32 = 1 << 4;
const PRIVATE_EXPEDITED_SYNC_CORE: u32 = 1 << 5;
const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 1 << 6;
const PRIVATE_EXPEDITED_RSEQ: u32 = 1 << 7;
const REGISTER_PRIVATE_EXPEDITED_RSEQ: u32 = 1 << 8;
const GET_REGISTRATIONS: u32 = 1 << 9;

/// `MEMBARRIER_CMD_FLAG_CPU`: only one processor is meant.
const FLAG_CPU: u32 = 1;

const ALL: u32 = (1 << 10) - 1;

/// `membarrier(2)`.
pub fn membarrier(
    call: &mut Call<'_>,
    command: i32,
    flags: u32,
    cpu: i32,
) -> Result<Outcome, Errno> {
    let done = |answer: u32| Ok(Outcome::Done(Ok(answer as usize)));
    let command = command.cast_unsigned();
    let only_one = command == PRIVATE_EXPEDITED_RSEQ && flags == FLAG_CPU;
    if flags != 0 && !only_one {
        return Err(Errno::EINVAL);
    }
    let registered = &call.process().control.barriers;
    let needs = match command {
        QUERY => return done(ALL),
        GET_REGISTRATIONS => return done(registered.load(Ordering::Relaxed)),
        REGISTER_GLOBAL_EXPEDITED
        | REGISTER_PRIVATE_EXPEDITED
        | REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
        | REGISTER_PRIVATE_EXPEDITED_RSEQ => {
            registered.fetch_or(command, Ordering::Relaxed);
            return done(0);
        }
        GLOBAL | GLOBAL_EXPEDITED => 0,
        PRIVATE_EXPEDITED => REGISTER_PRIVATE_EXPEDITED,
        PRIVATE_EXPEDITED_SYNC_CORE => REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
        PRIVATE_EXPEDITED_RSEQ => REGISTER_PRIVATE_EXPEDITED_RSEQ,
        _ => return Err(Errno::EINVAL),
    };
    if registered.load(Ordering::Relaxed) & needs != needs {
        return Err(Errno::EPERM);
    }
    let is_meant = |other: CpuId| {
        other != cpu::current() && (!only_one || usize::try_from(cpu) == Ok(other.index()))
    };
    // As many bits as there may be processors.
    let mut awaited = cpu::all()
        .filter(|other| is_meant(*other))
        .fold(0_u64, |all, other| all | 1 << other.index());
    if awaited == 0 {
        return done(0);
    }
    // A full barrier here, too.
    let before = interrupt::kicks();
    for other in members(awaited) {
        irq::kick(other);
    }
    Ok(Outcome::wait(async move {
        loop {
            let now = interrupt::kicks();
            for other in members(awaited) {
                if now[other.index()] != before[other.index()] {
                    awaited &= !(1 << other.index());
                }
            }
            if awaited == 0 {
                return Ok(0);
            }
            sched::yield_now().await;
        }
    }))
}

fn members(set: u64) -> impl Iterator<Item = CpuId> {
    cpu::all().filter(move |cpu| set >> cpu.index() & 1 != 0)
}
