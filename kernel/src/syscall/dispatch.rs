//! From number to handler, by a table built at compile time.
//!
//! An unknown number answers ENOSYS; how often each was asked for stands in
//! `/proc/ochre/unknown_syscalls`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_hal::cpu;
use ochre_sync::SpinLock;

use super::{Call, Outcome, tags, trace};
use crate::process::seccomp::{self, DIRECT_CALLS, Judged};

/// Highest number in the table plus one.
pub(super) const LIMIT: usize = DIRECT_CALLS as usize;

/// Unknown numbers remembered one by one; more are counted under the last.
const UNKNOWN_LIMIT: usize = 256;

type Handler = fn(&mut Call<'_>) -> Outcome;

macro_rules! dispatch_table {
    ($($name:ident = $x86:tt, $arm:tt: $family:ident($($argument:ident: $type:ty),*) $status:literal;)*) => {
        /// Shims that decode registers and call the handler of the same name.
        mod shims {
            use crate::syscall::{Call, Fd, FromArgument, IntoOutcome, Outcome, Ptr};
            use ochre_abi::clone::CloneArgs;
            use ochre_abi::poll::{EPOLL_EVENT_SIZE, PollFd};

            $(
                #[inline]
                pub(super) fn $name(call: &mut Call<'_>) -> Outcome {
                    // Of the registers only those are looked at that are used.
                    let [$($argument,)* ..] = call.user.syscall().arguments;
                    crate::syscall::$family::$name(
                        call
                        $(, <$type as FromArgument>::from_argument($argument))*
                    )
                    .into_outcome()
                }
            )*
        }

        const fn handlers() -> [Handler; LIMIT] {
            let mut rows: [Option<Handler>; LIMIT] = [None; LIMIT];
            $(
                let number: Option<usize> = ochre_abi::arch_number!($x86, $arm);
                if let Some(number) = number {
                    assert!(rows[number].is_none(), "two rows have one number");
                    rows[number] = Some(shims::$name);
                }
            )*
            let mut table: [Handler; LIMIT] = [missing; LIMIT];
            let mut number = 0;
            while number < LIMIT {
                if let Some(handler) = rows[number] {
                    table[number] = handler;
                }
                number += 1;
            }
            table
        }
    };
}

ochre_abi::syscall_table!(dispatch_table);

static HANDLERS: [Handler; LIMIT] = handlers();

static UNKNOWN: SpinLock<BTreeMap<u64, u64>> = SpinLock::new(BTreeMap::new());

/// Handles the call of this number.
#[inline]
pub fn dispatch(call: &mut Call<'_>, number: u32) -> Outcome {
    let direct = call.thread.seccomp.direct_calls() as usize;
    match cpu::lookup_among(&HANDLERS, number as usize, direct) {
        Some(handler) => handler(call),
        None => indirect(call, number),
    }
}

/// A call that is looked at first, or whose number is in no table.
#[cold]
fn indirect(call: &mut Call<'_>, number: u32) -> Outcome {
    let accepts_tags = call.thread.seccomp.accepts_tags();
    let begun = trace::begin(call, number);
    if seccomp::judge(call.thread, call.user, number) == Judged::Over {
        return Outcome::Resume;
    }
    let mut handle = || match cpu::lookup(&HANDLERS, number as usize) {
        Some(handler) => handler(call),
        None => missing(call),
    };
    let outcome = if accepts_tags {
        tags::handle(handle)
    } else {
        handle()
    };
    match begun {
        Some(begun) => begun.end(outcome),
        None => outcome,
    }
}

/// Handles a call that there is not.
#[cold]
fn missing(call: &mut Call<'_>) -> Outcome {
    let number = u64::from(call.user.syscall().number());
    let mut counts = UNKNOWN.lock();
    if counts.len() < UNKNOWN_LIMIT || counts.contains_key(&number) {
        let count = counts.entry(number).or_insert(0);
        *count = count.saturating_add(1);
    } else if let Some(mut last) = counts.last_entry() {
        let count = last.get_mut();
        *count = count.saturating_add(1);
    }
    Outcome::error(Errno::ENOSYS)
}

/// Unknown numbers and how often each was asked for.
#[must_use]
pub fn unknown_calls() -> Vec<(u64, u64)> {
    UNKNOWN.lock().iter().map(|(n, c)| (*n, *c)).collect()
}
