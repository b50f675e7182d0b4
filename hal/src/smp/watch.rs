//! Processors that do not come back from the kernel.
//!
//! Each processor looks after the next one, now and then, by its own timer. A
//! processor that is found in the kernel is asked for a sign by an ordinary
//! interrupt, which it takes as soon as it enters user mode, sleeps, or goes
//! from one task to the next; the sign costs nothing on the way of a system
//! call. One that gives none for `LIMIT_NS` is interrupted where it is, and
//! tells where that is.
//!
//! One processor alone is not watched; nor are those that all wait, with
//! interrupts off, for one another: somebody has to look, and nobody's timer is
//! heard. What interrupts all the same, by itself, would be an overflow of the
//! performance counters, which QEMU's translator does not have, or the real-time
//! clock, if the I/O APIC made its line one that cannot be masked, at the price
//! of a processor that wakes for it while it could sleep. Neither is done.
//!
//! Where nothing interrupts a processor in the kernel (AArch64), who watches
//! tells of it, and the processor itself once it goes on. Interrupts of the
//! controller's group 0 have a mask of their own there, but belong to the
//! firmware where there is one; masking by priority would cost an access to the
//! controller at each entry.

use core::fmt::{self, Write};

use ochre_sync::primitive::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::arch::machine::{interrupts, percpu};
use crate::cpu::{self, MAX_CPUS};
use crate::debug::Log;
use crate::{clock, irq};

/// A processor is stuck that was in the kernel for so long.
static LIMIT_NS: AtomicU64 = AtomicU64::new(10_000_000_000);

/// How often one was found stuck.
static REPORTS: AtomicUsize = AtomicUsize::new(0);

/// What is asked of a processor.
///
/// ORDERING: Relaxed throughout: each word is a message of its own.
///
/// Alone on its cache lines: who gives a sign takes nothing from others.
#[repr(align(128))]
struct Asked {
    /// Since when it owes a sign; 0 for nothing.
    since_ns: AtomicU64,
    /// It is to tell where it is.
    tell: AtomicBool,
    /// It was told of already.
    told: AtomicBool,
}

static ASKED: [Asked; MAX_CPUS] = [const {
    Asked {
        since_ns: AtomicU64::new(0),
        tell: AtomicBool::new(false),
        told: AtomicBool::new(false),
    }
}; MAX_CPUS];

/// Looks after the next processor; when to look again.
pub(crate) fn look(now_ns: u64) -> u64 {
    let limit_ns = LIMIT_NS.load(Ordering::Relaxed);
    let next = (cpu::current().index() + 1) % cpu::online();
    let asked = &ASKED[next];
    let since_ns = asked.since_ns.load(Ordering::Relaxed);
    if since_ns == 0 {
        let works = percpu::presence_of(next).is_some_and(|there| there.is_in_kernel());
        if works {
            asked.since_ns.store(now_ns.max(1), Ordering::Relaxed);
            interrupts::ask_for_a_sign(next);
        }
    } else if now_ns.saturating_sub(since_ns) >= limit_ns
        && !asked.told.swap(true, Ordering::Relaxed)
    {
        REPORTS.fetch_add(1, Ordering::Relaxed);
        asked.tell.store(true, Ordering::Relaxed);
        if !interrupts::interrupt_anywhere(next) {
            let ms = now_ns.saturating_sub(since_ns) / 1_000_000;
            let _ = writeln!(
                Log,
                "processor {next} is stuck: in the kernel for {ms} ms, nobody knows where"
            );
        }
    }
    now_ns.saturating_add(limit_ns / 4)
}

/// This processor was asked for a sign, and lives.
pub(crate) fn give_sign() -> irq::Event {
    let asked = &ASKED[cpu::current().index()];
    asked.since_ns.store(0, Ordering::Relaxed);
    asked.told.store(false, Ordering::Relaxed);
    irq::Event::Nothing
}

/// This processor was interrupted where it is: has `tell` tell of it, if that
/// was why.
pub(crate) fn tell_if_asked(
    tell: impl FnOnce(&mut dyn Write, fmt::Arguments<'_>) -> fmt::Result,
) -> bool {
    let me = cpu::current().index();
    let asked = &ASKED[me];
    if !asked.tell.swap(false, Ordering::Relaxed) {
        return false;
    }
    let since_ns = asked.since_ns.load(Ordering::Relaxed);
    let ms = clock::now_ns().saturating_sub(since_ns) / 1_000_000;
    let _ = tell(
        &mut Log,
        format_args!("processor {me} is stuck: in the kernel for {ms} ms"),
    );
    true
}

/// How often a processor was found stuck.
#[must_use]
pub fn reports() -> usize {
    REPORTS.load(Ordering::Relaxed)
}

/// Sets what counts as stuck; before the processors start.
#[cfg(feature = "boottest")]
pub fn set_limit(limit_ns: u64) {
    LIMIT_NS.store(limit_ns, Ordering::Relaxed);
}
