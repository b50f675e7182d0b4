//! Exceptions that arrive while the kernel runs.
//!
//! | exception | what happens |
//! |---|---|
//! | breakpoint instruction | told on the log, goes on |
//! | data fault at an address of `extable.rs` | goes on at its fixup |
//! | anything else, interrupts included | a report, and the machine ends |
//!
//! The kernel never lets an interrupt in: it asks the controller (`window.rs`).

use core::fmt::Write;

use crate::debug::Log;
use crate::extable;

use super::exceptions::{class, classes};
use super::registers::{Registers, kind};
use super::report;

/// Bytes of an instruction.
const INSTRUCTION: u64 = 4;

/// Called by the stubs; the registers go back as they are left here.
pub(super) extern "C" fn kernel_trap(frame: &mut Registers) {
    if frame.kind & !kind::NESTED != kind::SYNCHRONOUS {
        report::die(frame);
    }
    match class(frame.syndrome) {
        classes::BREAKPOINT => {
            let _ = writeln!(Log, "breakpoint in the kernel at {:#x}", frame.pc);
            frame.pc = frame.pc.wrapping_add(INSTRUCTION);
        }
        classes::DATA_KERNEL => match extable::fixup(frame.pc) {
            Some(target) => frame.pc = target,
            None => report::die(frame),
        },
        _ => report::die(frame),
    }
}
