//! Ends the machine: power off with a status, reset, stop.

use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use crate::arch::machine::power as machine;

/// Whether a machine whose kernel failed stays as it is.
///
/// ORDERING: Relaxed throughout; a lone value, set in boot.
static STAYS: AtomicBool = AtomicBool::new(false);

/// Ways to end that the command line named. Ports outside the short list of
/// harmless ones (0x403 for the status, 0xf4 for the exit) are refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExitPorts {
    /// Output-only port that takes the exit status as one byte.
    pub status: Option<u16>,
    /// QEMU's `isa-debug-exit`.
    pub exit: Option<u16>,
}

/// Says how to end the machine; `false` if a port is not acceptable.
#[must_use]
pub fn configure(ports: ExitPorts) -> bool {
    machine::configure(ports)
}

/// Ends the machine with process 1's status: status port and debug exit where
/// configured, else ACPI power off, else a halt.
pub fn power_off(status: u8) -> ! {
    machine::power_off(status)
}

/// Resets the machine.
pub fn reboot() -> ! {
    machine::reboot()
}

/// Says whether a machine whose kernel failed stays as it is, so that a person
/// can read on its screen why. Otherwise it ends.
pub fn stay_after_failure(yes: bool) {
    STAYS.store(yes, Ordering::Relaxed);
}

/// Ends the machine after a kernel failure: debug exit with value 1, or stops
/// for ever.
pub fn fail() -> ! {
    if STAYS.load(Ordering::Relaxed) {
        machine::halt();
    }
    machine::fail()
}
