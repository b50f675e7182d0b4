//! Drives Arm's PL031 real-time clock (DDI 0224).
//!
//! It counts seconds since the Unix epoch, and compares the count with a
//! *match*. When they are the same it raises a status, which stays until it is
//! cleared and interrupts as long as that is let. So a second is waited for by
//! looking at the status or by taking the interrupt; nothing here waits.
//!
//! The driver is safe code over [`registers`] that have types; the way to them
//! is a [`Block`] of the caller's.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod register;
pub mod registers;

#[cfg(test)]
mod tests;

pub use register::{Block, Content, ReadOnly, ReadWrite, WriteOnly};
pub use registers::{Control, Interrupts, Seconds};

use registers::{CLEAR, CONTROL, DATA, LOAD, MASK, MASKED_STATUS, MATCH, RAW_STATUS};

/// One clock.
#[derive(Debug)]
pub struct Pl031<B> {
    registers: B,
}

impl<B: Block> Pl031<B> {
    /// Takes a clock over: it is silent, and counts.
    pub fn new(registers: B) -> Self {
        let clock = Self { registers };
        clock.set_interrupt(false);
        clock.clear();
        // Started again, some begin to count anew.
        if !CONTROL.read(&clock.registers).contains(Control::START) {
            CONTROL.write(&clock.registers, Control::START);
        }
        clock
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Seconds {
        DATA.read(&self.registers)
    }

    /// Sets the clock.
    pub fn set(&self, now: Seconds) {
        LOAD.write(&self.registers, now);
    }

    /// Sets the second at which the status rises.
    pub fn set_match(&self, at: Seconds) {
        MATCH.write(&self.registers, at);
    }

    /// Whether the match came since the status was last cleared.
    #[must_use]
    pub fn has_matched(&self) -> bool {
        RAW_STATUS
            .read(&self.registers)
            .contains(Interrupts::MATCHED)
    }

    /// Whether it interrupts.
    #[must_use]
    pub fn interrupts(&self) -> bool {
        MASKED_STATUS
            .read(&self.registers)
            .contains(Interrupts::MATCHED)
    }

    /// Clears the status, and with it the interrupt.
    pub fn clear(&self) {
        CLEAR.write(&self.registers, Interrupts::MATCHED);
    }

    /// Lets the status interrupt, or not.
    pub fn set_interrupt(&self, on: bool) {
        let which = if on {
            Interrupts::MATCHED
        } else {
            Interrupts::empty()
        };
        MASK.write(&self.registers, which);
    }
}
