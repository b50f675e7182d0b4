//! Whether all that programs had is given back when they are gone (`ochre.audit`).
//!
//! A machine that was asked for it does not end with process 1: it ends all
//! other processes then, and compares what is held with what was held without
//! programs. What came of it is one line on the log, which begins with
//! `audit: `; suites that ask for it let no guest pass without. A program that
//! ends the machine (reboot(2)) ends process 1 then, and the machine with it.
//!
//! Compared are frames by use, promises of memory and the objects that are
//! counted ([`objects`]). What is in files and segments of shared memory stays
//! with them. The heap's pages are not compared: where one of a page's objects
//! is a file's that is still there, the page stays.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use ochre_abi::signal::Signal;
use ochre_hal::clock;
use ochre_hal::memory;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicI64, Ordering};

use crate::fs::tmpfs;
use crate::ipc::sysv::shm;
use crate::line::{self, Line};
use crate::memory::{MakeRoom as _, commit};
use crate::objects::{self, Kind};
use crate::process::{ExitStatus, Pid, Process, table};

/// What the line on the log begins with.
const TOLD: &str = "audit: ";

/// How long processes may take to end, and other processors to let go of what
/// they used: they do when they come by.
const PATIENCE_NS: u64 = 30_000_000_000;

/// What is compared.
const NAMES: [&str; 8] = [
    "frames",
    "page tables",
    "promised pages",
    "processes",
    "threads",
    "open files",
    "waiters",
    "timers",
];

/// How much there is of each of [`NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held([i64; NAMES.len()]);

impl Held {
    /// What there is now.
    fn now() -> Held {
        let stats = memory::stats();
        let (segments, of_segments) = shm::held();
        let known = (stats.free + stats.heap + stats.page_tables) as u64;
        let known = known
            .saturating_add(tmpfs::frames())
            .saturating_add(segments);
        let alive = |kind| objects::alive(kind).cast_signed();
        Held([
            (stats.total as u64).wrapping_sub(known).cast_signed(),
            stats.page_tables as i64,
            commit::promised().wrapping_sub(of_segments).cast_signed(),
            alive(Kind::Process),
            alive(Kind::Thread),
            alive(Kind::OpenFile),
            alive(Kind::Waiter),
            alive(Kind::Timer),
        ])
    }

    fn with(self, other: Held, join: impl Fn(i64, i64) -> i64) -> Held {
        Held(core::array::from_fn(|at| join(self.0[at], other.0[at])))
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
enum Audit {
    /// Nobody asked.
    Off,
    /// What was held without programs.
    Before(Held),
    /// The same, and when the end is no longer waited for.
    Until(Held, u64),
}

/// How a program wanted the machine to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// Power off.
    Off,
    /// Restart.
    Restart,
}

static ORDERED: SpinLock<Option<Ordered>> = SpinLock::new(None);

/// How the machine ends when process 1 has, if a program said so.
pub fn ordered() -> Option<Ordered> {
    *ORDERED.lock()
}

/// A program ends the machine: whether it does so with process 1, which ends now,
/// for there is something to be compared then.
pub fn puts_off(how: Ordered) -> bool {
    if matches!(*AUDIT.lock(), Audit::Off) {
        return false;
    }
    let Some(init) = table::process(Pid::INIT) else {
        leave_out();
        return false;
    };
    *ORDERED.lock() = Some(how);
    init.begin_group_exit(ExitStatus::exited(0));
    true
}

/// What process 1 still has when it asks.
const OF_INIT: Held = Held([0, 0, 0, 1, 1, 0, 0, 0]);

static AUDIT: SpinLock<Audit> = SpinLock::new(Audit::Off);

/// Frames that are nobody's who can end.
///
/// ORDERING: Relaxed; written while the machine starts.
static OWN: AtomicI64 = AtomicI64::new(0);

/// Frames that the kernel has for itself, besides its heap and tables of pages.
#[must_use]
pub fn own_frames() -> u64 {
    u64::try_from(OWN.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Notes what is held now, which is nobody's who can end, and asks for the
/// comparison if that `is_wanted`.
pub fn start(is_wanted: bool) {
    let held = Held::now();
    OWN.store(held.0[0], Ordering::Relaxed);
    if is_wanted {
        *AUDIT.lock() = Audit::Before(held);
    }
}

/// Does what takes something for as long as the machine runs, while programs
/// take and give nothing, nor other processors before or after: what is on its
/// way to a processor's cache of frames is counted twice, or not at all.
pub fn for_ever(work: impl FnOnce()) {
    let before = Held::now();
    work();
    let more = Held::now().with(before, i64::wrapping_sub);
    OWN.fetch_add(more.0[0], Ordering::Relaxed);
    if let Audit::Before(held) = &mut *AUDIT.lock() {
        *held = held.with(more, i64::wrapping_add);
    }
}

/// Whether the machine may end, now that process 1 has nothing left but itself.
/// If not, others get a turn; then it asks again.
pub fn is_over() -> bool {
    let (before, deadline) = match *AUDIT.lock() {
        Audit::Off => return true,
        Audit::Before(held) => (held, clock::now_ns().saturating_add(PATIENCE_NS)),
        Audit::Until(held, deadline) => (held, deadline),
    };
    *AUDIT.lock() = Audit::Until(before, deadline);
    let is_late = clock::now_ns() >= deadline;
    let others = end_others();
    if others > 0 && !is_late {
        return false;
    }
    let more = Held::now()
        .with(before, i64::wrapping_sub)
        .with(OF_INIT, i64::wrapping_sub);
    if more != Held::default() && !is_late {
        return false;
    }
    tell(&more);
    *AUDIT.lock() = Audit::Off;
    true
}

/// Says that the machine ends without it.
pub fn leave_out() {
    if !matches!(*AUDIT.lock(), Audit::Off) {
        line::tell(b"audit: left out\n");
    }
}

/// Ends all processes but the first, and takes those that have ended out of the
/// table; how many there are still.
fn end_others() -> usize {
    let mut ended: Vec<Arc<Process>> = Vec::new();
    let mut table = table::lock();
    let (mut zombies, mut living) = (Vec::new(), 0);
    for of in table.iter().filter(|of| of.process.pid != Pid::INIT) {
        if !of.is_zombie {
            living += 1;
            of.process
                .begin_group_exit(ExitStatus::signaled(Signal::SIGKILL.number(), false));
        } else if zombies.make_room(1).is_ok() && ended.make_room(1).is_ok() {
            zombies.push(of.process.pid);
        }
    }
    ended.extend(zombies.iter().filter_map(|pid| table.remove(*pid)));
    drop(table);
    living
}

/// The line on the log.
fn tell(more: &Held) {
    let mut line: Line<256> = Line::new();
    // It has room for all of it.
    let _ = write_line(&mut line, more);
    line::tell(line.bytes());
}

fn write_line(line: &mut impl Write, more: &Held) -> fmt::Result {
    line.write_str(TOLD)?;
    if *more == Held::default() {
        return line.write_str("all is given back\n");
    }
    let differing = NAMES.iter().zip(more.0).filter(|(_, more)| *more != 0);
    for (at, (name, more)) in differing.enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        write!(line, "{comma}{more:+} {name}")?;
    }
    line.write_str("\n")
}

#[cfg(test)]
mod tests {
    use super::{Held, write_line};

    fn line(held: Held) -> String {
        let mut text = String::new();
        write_line(&mut text, &held).unwrap();
        text
    }

    #[test]
    fn what_differs_is_named() {
        assert_eq!(line(Held::default()), "audit: all is given back\n");
        let differing = Held([3, 0, -2, 0, 0, 1, 0, 1]);
        let told = "audit: +3 frames, -2 promised pages, +1 open files, +1 timers\n";
        assert_eq!(line(differing), told);
    }
}
