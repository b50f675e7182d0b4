//! Traps that arrive while the kernel runs.
//!
//! | trap | what happens |
//! |---|---|
//! | breakpoint | told on the log, goes on |
//! | fault at an address of `extable.rs` | goes on at its fixup |
//! | interrupt while the window is open | the event is kept, the window closes |
//! | NMI | what another processor wants ([`stop`], [`watch`]), or told on the log; goes on |
//! | anything else | a report, and the machine ends |

use core::fmt::Write;

use crate::debug::Log;
use crate::extable;
use crate::smp::watch;

use super::registers::{Registers, flags};
use super::{interrupts, percpu, report, stop, system};

/// Exceptions that a user access or a state load may raise.
const FIXABLE: [u64; 4] = [12, 13, 14, 17];

/// Called by the stubs; the registers go back as they are left here.
pub(super) extern "C" fn kernel_trap(frame: &mut Registers) {
    match frame.vector {
        3 => {
            let _ = writeln!(Log, "breakpoint in the kernel at {:#x}", frame.rip);
        }
        vector if vector < 32 => {
            let fixup = FIXABLE
                .contains(&vector)
                .then(|| extable::fixup(frame.rip))
                .flatten();
            match fixup {
                Some(target) => frame.rip = target,
                None => report::die(frame),
            }
        }
        vector => {
            let cpu = percpu::current();
            if !cpu.window.get() {
                report::die(frame);
            }
            // One interrupt per window: going back with interrupts off leaves
            // the next one at the controller, so none is overwritten here.
            frame.rflags &= !flags::INTERRUPT;
            cpu.window.set(false);
            // CAST: the stubs give 0..256.
            cpu.event.set(Some(interrupts::acknowledge(vector as u8)));
        }
    }
}

/// Called by the stub of the three that may come anywhere.
pub(super) extern "C" fn paranoid_trap(frame: &mut Registers) {
    if frame.vector != 2 {
        report::die(frame);
    }
    stop::stop_if_asked(frame.rip);
    // A report may fault, and the code that was interrupted may be about to
    // look which address its own fault was at.
    let address = system::fault_address();
    if !watch::tell_if_asked(|out, what| report::where_it_is(out, frame, what)) {
        let _ = writeln!(Log, "non-maskable interrupt at {:#x}", frame.rip);
    }
    system::set_fault_address(address);
}
