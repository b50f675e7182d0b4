//! The battery-backed clock: a PL031 (Arm DDI 0224), which counts seconds
//! since the Unix epoch.
//!
//! | register | is |
//! | --- | --- |
//! | data | the count |
//! | match | the count that raises the status |
//! | load | sets the count |
//! | control | bit 0 starts it |
//! | mask | bit 0 lets the status interrupt |
//! | raw status | bit 0: the match came |
//! | masked status | the same, as far as it interrupts |
//! | clear | writing bit 0 clears the status |

use ochre_sync::Once;

use super::interrupts;
use super::platform::Clock;
use crate::irq::Line;
use crate::memory::registers::Registers;

const BYTES: usize = 0x1000;

/// Offsets of the registers.
mod offset {
    pub(super) const DATA: usize = 0x00;
    pub(super) const MATCH: usize = 0x04;
    pub(super) const LOAD: usize = 0x08;
    pub(super) const CONTROL: usize = 0x0c;
    pub(super) const MASK: usize = 0x10;
    pub(super) const RAW_STATUS: usize = 0x14;
    pub(super) const MASKED_STATUS: usize = 0x18;
    pub(super) const CLEAR: usize = 0x1c;
}

/// The only bit of most registers.
const ON: u32 = 1;

/// The device.
struct Pl031 {
    registers: Registers,
    line: Option<Line>,
}

static RTC: Once<Pl031> = Once::new();

/// Maps the clock, starts it if it stands, and sees that it is silent.
pub(super) fn init(place: &Clock) {
    // SAFETY: the device tree says that a PL031 is there, and `map` that
    // memory is not; the device has no way to memory.
    let Some(registers) = (unsafe { Registers::map(place.address, BYTES) }) else {
        return;
    };
    registers.write(offset::MASK, 0);
    registers.write(offset::CLEAR, ON);
    if registers.read(offset::CONTROL) & ON == 0 {
        registers.write(offset::CONTROL, ON);
    }
    let line = place.interrupt.and_then(interrupts::line_of_shared);
    let _ = RTC.set(Pl031 { registers, line });
}

/// Seconds since the Unix epoch.
pub(crate) fn read_seconds() -> Option<u64> {
    read(offset::DATA).map(u64::from)
}

/// Sets the clock; false for a time past 2106, or without a clock.
pub(crate) fn set_seconds(seconds: u64) -> bool {
    write(offset::LOAD, seconds)
}

/// Sets the second at which the status rises.
pub(crate) fn set_match(seconds: u64) -> bool {
    write(offset::MATCH, seconds)
}

/// Whether the match came since it was last cleared.
pub(crate) fn raw_status() -> bool {
    read(offset::RAW_STATUS).is_some_and(|status| status & ON != 0)
}

/// Whether it interrupts.
pub(crate) fn masked_status() -> bool {
    read(offset::MASKED_STATUS).is_some_and(|status| status & ON != 0)
}

/// Clears the status.
pub(crate) fn clear() {
    let _ = write(offset::CLEAR, u64::from(ON));
}

/// Lets the status interrupt, or not.
pub(crate) fn set_interrupt(on: bool) {
    let _ = write(offset::MASK, u64::from(on));
}

/// The interrupt's line.
pub(crate) fn line() -> Option<Line> {
    RTC.get()?.line
}

fn read(register: usize) -> Option<u32> {
    RTC.get().map(|rtc| rtc.registers.read(register))
}

fn write(register: usize, value: u64) -> bool {
    match (RTC.get(), u32::try_from(value)) {
        (Some(rtc), Ok(value)) => {
            rtc.registers.write(register, value);
            true
        }
        _ => false,
    }
}
