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
use crate::memory::USER_END;

use super::exceptions::{self, class, classes};
use super::registers::{Registers, kind};
use super::{report, tlb};

/// Bytes of an instruction.
const INSTRUCTION: u64 = 4;

/// Forgets the translation that an access of user memory was refused by.
///
/// The machine may remember those like any other (Arm ARM, on the caching of
/// translations: only what is not there, or not marked as accessed, is never
/// remembered), and who gives a program more rights tells no processor: a fault
/// has to be enough, as it is on x86_64, or it would come again for ever.
#[inline]
pub(super) fn forget_refusal(syndrome: u64, address: u64) {
    if exceptions::is_about_rights(syndrome) && address < USER_END {
        tlb::forget_page(address);
    }
}

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
            Some(target) => {
                forget_refusal(frame.syndrome, frame.address);
                frame.pc = target;
            }
            None => report::die(frame),
        },
        _ => report::die(frame),
    }
}
