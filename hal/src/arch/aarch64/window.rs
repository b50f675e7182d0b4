//! The two places where the kernel looks for interrupts.
//!
//! Interrupts stay masked in the processor as long as the kernel runs: it asks
//! the controller for the one that is pending. `wfi` ends also for a masked
//! interrupt, so none is lost between the look and the sleep.
//!
//! Errors of the memory system (SError) are masked in the kernel as well, and
//! looked for here: the same register tells of both, so it costs nothing, and
//! what comes between two looks is told at the second. (While one is pending
//! `wfi` does not sleep: who looked for interrupts alone would turn for ever.)
//! Where a program runs neither is masked.

use core::arch::asm;

use crate::irq::Event;
use crate::memory::presence;

use super::interrupts;
use super::system::mrs;

/// ISR_EL1: an interrupt is pending; an error is.
const INTERRUPT: u64 = 1 << 7;
const ERROR: u64 = 1 << 8;

/// Takes one pending interrupt, if there is one.
pub(crate) fn poll() -> Option<Event> {
    presence::between_tasks();
    look()
}

#[inline]
fn look() -> Option<Event> {
    let pending = mrs!("isr_el1") & (INTERRUPT | ERROR);
    if pending == 0 {
        return None;
    }
    if pending & ERROR != 0 {
        take_error();
    }
    Some(interrupts::acknowledge())
}

/// Lets the error come that is pending: it is told, and the machine ends.
#[cold]
#[inline(never)]
fn take_error() {
    // SAFETY: of what is unmasked the vector is set up, and does not come back.
    // (Where the error is gone, nothing happens.)
    unsafe {
        asm!(
            "msr daifclr, #4",
            "isb",
            "msr daifset, #4",
            options(nostack)
        )
    };
}

/// Sleeps until an interrupt is pending; it stays that.
pub(super) fn sleep() {
    // SAFETY: the processor sleeps until an interrupt is pending; nothing else changes.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
}

/// Sleeps until an interrupt arrives.
pub(crate) fn wait() -> Event {
    loop {
        presence::begin_idle();
        sleep();
        presence::end_idle();
        if let Some(event) = look() {
            return event;
        }
    }
}
