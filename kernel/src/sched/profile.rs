//! Where programs' time goes, told to the host (`ochre profile`).
//!
//! A processor takes a sample whenever a period of its time is over. In user
//! mode that is an alarm, and the sample says where the program was. The kernel
//! takes no interrupts while it works for a program, so a period that ends then
//! is noticed when the work is done or has to wait, and the sample says what it
//! was for: the system call, or a fault. Whatever a processor does for nobody
//! is not told. A line of the log is
//!
//! ```text
//! profile PERIODS PID TID NAME WHAT [FILE:PLACE[,PLACE]...]...
//! ```
//!
//! with `user`, `trap` or a system call's number as `WHAT`, and the places of
//! the calls that led there, innermost first: hexadecimal offsets in a file, or
//! addresses where `FILE` is `-`. Names and paths are hexadecimal digits.
//!
//! A sample is told when it is taken, so the kernel loses none; telling is not
//! sampled. Off, this costs a look at a flag per alarm and per wait.
//!
//! # What a stack may be
//! Calls are followed by frame pointers, which are the program's to forge: each
//! has to be above the last, is read as the program would read it, never
//! brings a page in, and what it leads to has to be in executable memory.

use core::fmt::{self, Write};
use core::num::NonZero;

use ochre_abi::system::trimmed;
use ochre_hal::clock;
use ochre_hal::cpu::{self as machine, MAX_CPUS};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::cpu;
use crate::line::{self, Line};
use crate::memory::AddressSpace;
use crate::process::{Thread, ThreadState};
use crate::time;

/// Most calls of a sample.
const FRAMES: usize = 64;

/// Room for a sample; calls that do not fit are left out.
const LINE: usize = 2048;

/// How the host knows a trap from a system call's number.
const TRAP: u64 = u64::MAX;

// ORDERING: Relaxed throughout. The period is set before there is a program,
// and a processor's next sample is its own business.
/// Time between two samples; 0 while none are taken.
static PERIOD_NS: AtomicU64 = AtomicU64::new(0);

/// When each processor's next sample is due; 0 before it ran a program.
static NEXT_NS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Takes samples from now on, so many a second.
pub fn start(hz: NonZero<u32>) {
    PERIOD_NS.store(1_000_000_000 / u64::from(hz.get()), Ordering::Relaxed);
}

/// Whether samples are taken.
#[inline]
#[must_use]
pub fn is_on() -> bool {
    PERIOD_NS.load(Ordering::Relaxed) != 0
}

/// An alarm came, and has been told to whoever it interrupted.
pub(super) fn alarm() {
    if !is_on() {
        return;
    }
    let next_ns = &NEXT_NS[machine::current().index()];
    let now = clock::now_ns();
    if next_ns.load(Ordering::Relaxed) <= now {
        // It interrupted nobody.
        next_ns.store(after(now), Ordering::Relaxed);
    }
    cpu::this().alarm_by(next_ns.load(Ordering::Relaxed));
}

/// An alarm interrupted a thread's program.
#[inline]
pub(crate) fn user(thread: &Thread, state: &ThreadState) {
    if is_on() {
        sample(thread, state, 0, What::User);
    }
}

/// A thread goes back to its program: it was in the kernel since the cycle
/// counter was `entered`, for the system call `serving` (or `u64::MAX`).
#[cold]
pub(crate) fn kernel(thread: &Thread, state: &ThreadState, entered: u64, serving: u64) {
    let what = match serving {
        TRAP => What::Trap,
        number => What::Call(number),
    };
    sample(thread, state, stay_since(entered), what);
}

/// A thread's system call waits: it was in the kernel since `entered`.
#[inline]
pub(crate) fn waits(thread: &Thread, state: &ThreadState, entered: u64) {
    if is_on() {
        let number = state.user.syscall().number();
        kernel(thread, state, entered, u64::from(number));
    }
}

fn stay_since(entered: u64) -> u64 {
    let cycles = machine::cycles().wrapping_sub(entered);
    clock::now_ns().saturating_sub(time::cycles_to_ns(cycles))
}

fn after(now_ns: u64) -> u64 {
    now_ns.saturating_add(PERIOD_NS.load(Ordering::Relaxed))
}

/// What a thread was at.
#[derive(Clone, Copy)]
enum What {
    User,
    Call(u64),
    Trap,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::User => f.write_str("user"),
            What::Call(number) => number.fmt(f),
            What::Trap => f.write_str("trap"),
        }
    }
}

/// Tells a sample if one is due, and was no earlier than `since_ns`.
#[cold]
fn sample(thread: &Thread, state: &ThreadState, since_ns: u64, what: What) {
    let next_ns = &NEXT_NS[machine::current().index()];
    let now = clock::now_ns();
    let due = next_ns.load(Ordering::Relaxed);
    if due == 0 {
        next_ns.store(after(now), Ordering::Relaxed);
        cpu::this().alarm_by(after(now));
        return;
    }
    let periods = periods(due, now, since_ns, PERIOD_NS.load(Ordering::Relaxed));
    if periods > 0 {
        let mut line: Line<LINE> = Line::new();
        // The header fits.
        let _ = put_together(&mut line, thread, state, periods, what);
        line::tell(line.bytes());
    }
    let now = clock::now_ns();
    if due <= now {
        next_ns.store(after(now), Ordering::Relaxed);
    }
}

/// How many periods, the first of which ended at `due_ns`, ended until now and
/// not before `since_ns`.
fn periods(due_ns: u64, now_ns: u64, since_ns: u64, period_ns: u64) -> u64 {
    let period_ns = period_ns.max(1);
    let missed = since_ns.saturating_sub(due_ns).div_ceil(period_ns);
    let first = due_ns.saturating_add(missed.saturating_mul(period_ns));
    match now_ns.checked_sub(first) {
        Some(passed) => (passed / period_ns).saturating_add(1),
        None => 0,
    }
}

fn put_together(
    line: &mut Line<LINE>,
    thread: &Thread,
    state: &ThreadState,
    periods: u64,
    what: What,
) -> fmt::Result {
    let (process, tid) = (thread.process.pid, thread.tid());
    write!(line, "profile {periods} {} {} ", process.0, tid.0)?;
    let name = *thread.name.lock();
    line.write_digits(trimmed(&name))?;
    write!(line, " {what}")?;
    write_calls(line, state);
    line.write_str("\n")
}

/// Adds as many of the calls as there are and have room.
fn write_calls(line: &mut Line<LINE>, state: &ThreadState) {
    let space = &state.space;
    let mut last = None;
    let first = state.user.instruction_pointer();
    let callers = Callers {
        frame: state.user.frame_pointer(),
        // Nothing below it is in use.
        lowest: state.user.stack_pointer(),
        space,
    };
    for place in core::iter::once(first).chain(callers).take(FRAMES) {
        let before = line.len();
        let written = write_place(line, space, place, &mut last);
        // What closes the line must fit too.
        if written.is_err() || line.len() >= LINE {
            line.truncate(before);
            return;
        }
    }
}

/// Adds a place in a program; an error if it is in none, or does not fit.
/// `last` is where the area of the one before begins.
fn write_place(
    line: &mut Line<LINE>,
    space: &AddressSpace,
    place: u64,
    last: &mut Option<u64>,
) -> fmt::Result {
    let area = space.code_at(place).ok_or(fmt::Error)?;
    let place = match &area.source {
        Some(source) => (place - area.start).wrapping_add(source.first.wrapping_mul(4096)),
        None => place,
    };
    if *last == Some(area.start) {
        return write!(line, ",{place:x}");
    }
    *last = Some(area.start);
    line.write_str(" ")?;
    match &area.source {
        Some(source) => line.write_digits(&source.backing.path())?,
        None => line.write_str("-")?,
    }
    write!(line, ":{place:x}")
}

/// The calls that led to a place in a program, innermost first.
struct Callers<'a> {
    space: &'a AddressSpace,
    frame: u64,
    lowest: u64,
}

impl Iterator for Callers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.frame < self.lowest || !self.frame.is_multiple_of(8) {
            return None;
        }
        let mut record = [[0; 8]; 2];
        let root = self.space.root();
        root.copy_in(self.frame, record.as_flattened_mut()).ok()?;
        let [next, back] = record.map(u64::from_le_bytes);
        // Stacks grow down, so callers are above.
        self.lowest = self.frame.saturating_add(16);
        self.frame = next;
        // The call, not what comes after it.
        back.checked_sub(1)
    }
}

#[cfg(all(feature = "ktest", target_os = "none"))]
mod ktests;

#[cfg(test)]
mod tests {
    use super::periods;

    #[test]
    fn periods_count_from_when_they_are_due() {
        let check = |now, since, expected| assert_eq!(periods(100, now, since, 10), expected);
        check(99, 0, 0);
        check(100, 0, 1);
        check(109, 0, 1);
        check(110, 0, 2);
        // Those before were somebody else's.
        check(110, 101, 1);
        check(110, 110, 1);
        check(119, 111, 0);
        check(110, u64::MAX, 0);
        assert_eq!(periods(0, u64::MAX, 0, 1), u64::MAX);
    }
}
