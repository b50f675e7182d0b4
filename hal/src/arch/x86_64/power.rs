//! Ends the machine: QEMU's exit devices, ACPI's registers, a forced reset.
//!
//! What can be used is found at boot and on the command line, and kept in
//! [`MEANS`]. Every way of ending falls through to the next when it did not
//! work, and at last to a halt with interrupts off.

use core::arch::asm;

use ochre_sync::SpinLock;

use super::acpi::SoftOff;
use super::keyboard;
use super::port::Port;
use super::stop;
use crate::power::ExitPorts;

/// The only status port that is accepted: QEMU's second debug console, where
/// the host's tool puts it.
const STATUS_PORT: u16 = 0x403;

/// The only exit port that is accepted: where the host's tool puts QEMU's
/// `isa-debug-exit`. A PC has nothing else there but a relic of the 80287.
const EXIT_PORT: u16 = 0xf4;

// SAFETY: an output-only debug console, or nothing.
const STATUS: Port<u8> = unsafe { Port::new(STATUS_PORT) };
// SAFETY: a device that ends the emulator, or nothing.
const EXIT: Port<u32> = unsafe { Port::new(EXIT_PORT) };
// SAFETY: the chip set's reset control register: its only effect is a reset.
const RESET_CONTROL: Port<u8> = unsafe { Port::new(0xcf9) };

const RESET_FULL: [u8; 2] = [0x02, 0x0e];

const EXIT_CLEAN: u32 = 0;
const EXIT_FAILED: u32 = 1;

/// In a power management control register: go to the sleep type in bits 10 to 12.
const SLEEP_ENABLE: u16 = 1 << 13;
const SLEEP_TYPE_SHIFT: u32 = 10;

/// What this machine can be ended with.
struct Means {
    status: bool,
    exit: bool,
    soft_off: Option<SoftOff>,
}

static MEANS: SpinLock<Means> = SpinLock::new(Means {
    status: false,
    exit: false,
    soft_off: None,
});

pub(crate) fn configure(ports: ExitPorts) -> bool {
    let acceptable = ports.status.is_none_or(|port| port == STATUS_PORT)
        && ports.exit.is_none_or(|port| port == EXIT_PORT);
    if acceptable {
        let mut means = MEANS.lock();
        means.status = ports.status.is_some();
        means.exit = ports.exit.is_some();
    }
    acceptable
}

/// Remembers how ACPI turns the machine off.
pub(super) fn set_soft_off(soft_off: SoftOff) {
    MEANS.lock().soft_off = Some(soft_off);
}

pub(crate) fn power_off(status: u8) -> ! {
    // The lock may be held by whoever panicked into here: do without, then.
    if let Some(means) = MEANS.try_lock() {
        if means.status {
            STATUS.write(status);
        }
        if means.exit {
            EXIT.write(EXIT_CLEAN);
        }
        if let Some(soft_off) = means.soft_off {
            enter(soft_off);
        }
    }
    // It did not end: nothing goes on all the same.
    let _ = stop::others();
    halt()
}

pub(crate) fn reboot() -> ! {
    for value in RESET_FULL {
        RESET_CONTROL.write(value);
    }
    keyboard::pulse_reset();
    triple_fault()
}

pub(crate) fn fail() -> ! {
    // Whether or not it was configured: a kernel that fails before it has read
    // its command line must end too.
    EXIT.write(EXIT_FAILED);
    halt()
}

/// Turns the machine off by ACPI, if that works.
fn enter(soft_off: SoftOff) {
    for (number, sleep_type) in soft_off.control.into_iter().zip(soft_off.sleep_types) {
        if number != 0 {
            // SAFETY: ACPI's tables name this as the power management control
            // register (and no legacy device's port is accepted); the value
            // turns the machine off.
            let control: Port<u16> = unsafe { Port::new(number) };
            control.write(u16::from(sleep_type) << SLEEP_TYPE_SHIFT | SLEEP_ENABLE);
        }
    }
}

/// Stops this processor for ever.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: with interrupts off the processor sleeps; nothing else changes.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Resets by an exception that no table can deliver: every PC has this.
fn triple_fault() -> ! {
    let empty_table = [0_u16; 5];
    // SAFETY: the processor shuts down in the second instruction and no code
    // runs after it, so nobody meets the empty interrupt table.
    unsafe {
        asm!("lidt [{}]", "int3", "2: hlt", "jmp 2b", in(reg) empty_table.as_ptr(), options(noreturn));
    }
}
