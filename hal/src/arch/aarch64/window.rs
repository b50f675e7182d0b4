//! The two places where the kernel looks for interrupts.
//!
//! Interrupts stay masked in the processor as long as the kernel runs: it asks
//! the controller for the one that is pending. `wfi` ends also for a masked
//! interrupt, so none is lost between the look and the sleep.

use core::arch::asm;

use crate::irq::Event;
use crate::memory::presence;

use super::interrupts;
use super::system::mrs;

/// ISR_EL1: an interrupt is pending.
const PENDING: u64 = 1 << 7;

/// Takes one pending interrupt, if there is one.
pub(crate) fn poll() -> Option<Event> {
    presence::between_tasks();
    (mrs!("isr_el1") & PENDING != 0).then(interrupts::acknowledge)
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
        if mrs!("isr_el1") & PENDING != 0 {
            return interrupts::acknowledge();
        }
    }
}
