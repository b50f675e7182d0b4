//! The two places where the kernel lets interrupts in.
//!
//! `sti` takes effect after the next instruction, so `sti; hlt` cannot lose an
//! interrupt between the two: one that is pending arrives right after `hlt`
//! began and ends it.

use core::arch::asm;

use crate::irq::Event;
use crate::memory::presence;

use super::percpu;

/// Takes one pending interrupt, if there is one and no program ran since this was
/// asked last.
///
/// To open the window takes as long as a third of a short call, and there is
/// nothing to ask beforehand but the controller, which takes longer. A program
/// lets interrupts in by itself: what came since it was left ends the next one
/// as it begins, or is taken here if there is none.
pub(crate) fn poll() -> Option<Event> {
    presence::between_tasks();
    let cpu = percpu::current();
    if cpu.let_in.take() {
        return None;
    }
    cpu.window.set(true);
    // SAFETY: the window is open, so an interrupt's handler only records the
    // event and closes it; interrupts are off again after this.
    unsafe { asm!("sti", "nop", "cli") };
    cpu.window.set(false);
    cpu.event.take()
}

// ANCHOR: wait
/// Sleeps until an interrupt arrives.
pub(crate) fn wait() -> Event {
    let cpu = percpu::current();
    loop {
        presence::begin_idle();
        cpu.window.set(true);
        // SAFETY: as in `poll`.
        unsafe { asm!("sti", "hlt", "cli") };
        cpu.window.set(false);
        presence::end_idle();
        // Something that is not an interrupt (an NMI) also ends the sleep.
        if let Some(event) = cpu.event.take() {
            return event;
        }
    }
}
// ANCHOR_END: wait
