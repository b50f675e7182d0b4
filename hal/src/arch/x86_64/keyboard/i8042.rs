//! The i8042: the controller between a PC and its keyboard.
//!
//! Two ports: one takes commands and tells the status, one carries data in both
//! directions. A byte that is read frees the place for the next one and ends
//! the interrupt; there is an edge for each byte.
//!
//! # Whether there is one
//! A machine without a controller answers the status with all ones, which no
//! controller can mean: one read tells. (The ACPI tables are not asked. Those
//! of older QEMUs say that there is none on machines that have one.) What
//! answers must then pass its self-test. Every wait ends: a controller that
//! falls silent costs [`CONTROLLER_NS`], a plug without a keyboard
//! [`KEYBOARD_NS`] for each byte that is said to it.

use super::super::interrupts;
use super::super::port::Port;
use crate::clock;
use crate::irq::Line;
use crate::keyboard::ScanCodes;

// SAFETY: the controller's command and status port. Of its commands the one
// that could change what memory means, by the output port's gate of address
// line 20, is not among those below, and nothing else writes here.
const COMMAND: Port<u8> = unsafe { Port::new(0x64) };
// SAFETY: the controller's data port, of which the same holds: what is written
// goes to the keyboard, or into the configuration after its command.
const DATA: Port<u8> = unsafe { Port::new(0x60) };

/// No controller answers so.
const NOBODY: u8 = 0xff;

/// In the status: there is a byte to read.
const OUTPUT_FULL: u8 = 1 << 0;
/// In the status: the last byte that was written has not been taken.
const INPUT_FULL: u8 = 1 << 1;
/// In the status: the byte to read is the mouse's.
const FROM_MOUSE: u8 = 1 << 5;

/// What the controller is told.
mod command {
    pub(super) const READ_CONFIGURATION: u8 = 0x20;
    pub(super) const WRITE_CONFIGURATION: u8 = 0x60;
    pub(super) const DISABLE_MOUSE: u8 = 0xa7;
    pub(super) const SELF_TEST: u8 = 0xaa;
    pub(super) const DISABLE_KEYBOARD: u8 = 0xad;
    pub(super) const ENABLE_KEYBOARD: u8 = 0xae;
    pub(super) const PULSE_RESET: u8 = 0xfe;
}

const SELF_TEST_PASSED: u8 = 0x55;

/// In the configuration.
const KEYBOARD_INTERRUPT: u8 = 1 << 0;
const MOUSE_INTERRUPT: u8 = 1 << 1;
const KEYBOARD_CLOCK_OFF: u8 = 1 << 4;
const MOUSE_CLOCK_OFF: u8 = 1 << 5;
const TRANSLATE: u8 = 1 << 6;

/// What the keyboard is told, and answers.
mod word {
    pub(super) const CHOOSE_SET: u8 = 0xf0;
    pub(super) const START: u8 = 0xf4;
    pub(super) const TAKEN: u8 = 0xfa;
    pub(super) const AGAIN: u8 = 0xfe;
}

/// How often the keyboard is told again what it did not understand.
const TRIES: usize = 3;

/// How long the controller may take for a byte.
const CONTROLLER_NS: u64 = 20_000_000;

/// How long the keyboard may take for a byte.
const KEYBOARD_NS: u64 = 50_000_000;

/// Bytes that somebody left, at most.
const STALE_MAX: usize = 64;

/// The legacy line of the keyboard.
const ISA_LINE: u8 = 1;

/// The controller with a keyboard that answered.
#[derive(Debug)]
pub(crate) struct Keyboard {
    configuration: u8,
    codes: ScanCodes,
}

impl Keyboard {
    /// Looks for both and sets them up, interrupts off.
    pub(crate) fn open(wanted: ScanCodes) -> Option<Keyboard> {
        if COMMAND.read() == NOBODY {
            return None;
        }
        // Nothing comes in between while the rest is said.
        order(command::DISABLE_KEYBOARD)?;
        order(command::DISABLE_MOUSE)?;
        for _ in 0..STALE_MAX {
            if COMMAND.read() & OUTPUT_FULL == 0 {
                break;
            }
            let _ = DATA.read();
        }
        order(command::SELF_TEST)?;
        if answer(CONTROLLER_NS)? != SELF_TEST_PASSED {
            return None;
        }
        // The test may have undone everything.
        let mut configuration = read_configuration()?;
        configuration &= !(KEYBOARD_INTERRUPT | MOUSE_INTERRUPT | KEYBOARD_CLOCK_OFF | TRANSLATE);
        configuration |= MOUSE_CLOCK_OFF;
        if wanted == ScanCodes::Set1 {
            configuration |= TRANSLATE;
        }
        write_configuration(configuration)?;
        // Some controllers only translate.
        let codes = match read_configuration()? & TRANSLATE {
            0 => ScanCodes::Set2,
            _ => ScanCodes::Set1,
        };
        order(command::ENABLE_KEYBOARD)?;
        tell(word::CHOOSE_SET)?;
        tell(2)?;
        tell(word::START)?;
        Some(Keyboard {
            configuration,
            codes,
        })
    }

    /// The form in which codes come.
    pub(crate) fn codes(&self) -> ScanCodes {
        self.codes
    }

    /// The interrupt line.
    pub(crate) fn line(&self) -> Line {
        interrupts::line_of_isa(ISA_LINE)
    }

    /// Takes bytes that are there now.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> usize {
        let mut count = 0;
        // Each round takes a byte, if only the mouse's.
        for _ in 0..to.len() {
            let status = COMMAND.read();
            if status & OUTPUT_FULL == 0 {
                break;
            }
            let byte = DATA.read();
            if status & FROM_MOUSE == 0
                && let Some(slot) = to.get_mut(count)
            {
                *slot = byte;
                count += 1;
            }
        }
        count
    }

    /// Whether a key raises the line.
    pub(crate) fn set_interrupt(&mut self, on: bool) {
        let configuration = match on {
            true => self.configuration | KEYBOARD_INTERRUPT,
            false => self.configuration & !KEYBOARD_INTERRUPT,
        };
        // A controller that does not take this has gone, and its keys with it.
        if write_configuration(configuration).is_some() {
            self.configuration = configuration;
        }
    }
}

/// Has the controller reset the machine, where there is one.
pub(in super::super) fn pulse_reset() {
    COMMAND.write(command::PULSE_RESET);
}

/// Waits until the status has these bits so, or gives up.
fn wait(mask: u8, wanted: u8, limit_ns: u64) -> Option<()> {
    let deadline = clock::now_ns().saturating_add(limit_ns);
    loop {
        // Read before the clock: whoever is held up in between looks once more.
        let late = clock::now_ns() >= deadline;
        if COMMAND.read() & mask == wanted {
            return Some(());
        }
        if late {
            return None;
        }
        core::hint::spin_loop();
    }
}

/// Tells the controller.
fn order(command: u8) -> Option<()> {
    wait(INPUT_FULL, 0, CONTROLLER_NS)?;
    COMMAND.write(command);
    Some(())
}

/// The next byte that is not the mouse's.
fn answer(limit_ns: u64) -> Option<u8> {
    for _ in 0..STALE_MAX {
        wait(OUTPUT_FULL, OUTPUT_FULL, limit_ns)?;
        let mouse = COMMAND.read() & FROM_MOUSE != 0;
        let byte = DATA.read();
        if !mouse {
            return Some(byte);
        }
    }
    None
}

fn read_configuration() -> Option<u8> {
    order(command::READ_CONFIGURATION)?;
    answer(CONTROLLER_NS)
}

fn write_configuration(configuration: u8) -> Option<()> {
    order(command::WRITE_CONFIGURATION)?;
    wait(INPUT_FULL, 0, CONTROLLER_NS)?;
    DATA.write(configuration);
    Some(())
}

/// Tells the keyboard, and waits until it has understood. Keys that were
/// pressed meanwhile are passed over.
fn tell(byte: u8) -> Option<()> {
    for _ in 0..TRIES {
        wait(INPUT_FULL, 0, CONTROLLER_NS)?;
        DATA.write(byte);
        for _ in 0..STALE_MAX {
            match answer(KEYBOARD_NS)? {
                word::TAKEN => return Some(()),
                word::AGAIN => break,
                _ => {}
            }
        }
    }
    None
}
