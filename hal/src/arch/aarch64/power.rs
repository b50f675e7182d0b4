//! Ends the machine, by the firmware.
//!
//! QEMU ends with code 0 whatever a machine's firmware call said, so process
//! 1's status goes out before, as one byte on the channel that the host's tool
//! set up for it (`console.rs`). A kernel that fails sends none.

use core::arch::asm;

use super::{console, psci, stop};
use crate::power::ExitPorts;

/// Takes note of the ways to end; whether they are acceptable.
pub(crate) fn configure(ports: ExitPorts) -> bool {
    ports.exit.is_none() && ports.status.is_none_or(console::set_status_port)
}

pub(crate) fn power_off(status: u8) -> ! {
    console::write_status(status);
    psci::off();
    // It did not end: nothing goes on all the same.
    let _ = stop::others();
    halt()
}

pub(crate) fn reboot() -> ! {
    psci::reset();
    let _ = stop::others();
    halt()
}

pub(crate) fn fail() -> ! {
    psci::off();
    halt()
}

/// Stops this processor for ever.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: interrupts are masked; the processor sleeps, and nothing else changes.
        unsafe { asm!("msr daifset, #15", "wfi", options(nomem, nostack)) };
    }
}
