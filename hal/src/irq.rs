//! Interrupts as values.

use crate::arch::machine::interrupts as machine;
use crate::cpu::CpuId;

/// What an interrupt was for; already acknowledged at the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// This processor's alarm ([`clock::set_alarm`](crate::clock::set_alarm)).
    Timer,
    /// A device's line fired.
    Line(Line),
    /// Another processor asks this one to look at its queues.
    Reschedule,
    /// Nothing to do (spurious, or handled inside `hal`).
    Nothing,
}

/// A device interrupt line (global system interrupt number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(pub(crate) u16);

impl Line {
    /// The line's number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// Takes one pending interrupt, if there is one: the executor's window.
///
/// Where programs run, it may be left to the next of them that is entered, which
/// is interrupted at once; not twice in a row without a program in between.
#[must_use]
pub fn poll_pending() -> Option<Event> {
    crate::arch::machine::window::poll()
}

/// Lets `line` interrupt the boot processor.
pub fn unmask(line: Line) {
    machine::unmask(line);
}

/// Stops `line` from interrupting.
pub fn mask(line: Line) {
    machine::mask(line);
}

/// Raises [`Event::Reschedule`] on a processor, the caller's own included: it
/// ends user mode or sleep there, or is what [`poll_pending`] finds.
/// Kicks that were not taken yet are one.
pub fn kick(cpu: CpuId) {
    machine::kick(cpu);
}
