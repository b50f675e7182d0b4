//! The battery-backed clock: a PL031, where the device tree has one. The driver
//! is `ochre_pl031`'s; here is where its registers are, and its line.

use ochre_pl031::registers::BYTES;
use ochre_pl031::{Block, Pl031, Seconds};
use ochre_sync::Once;

use super::interrupts;
use super::platform::Clock;
use crate::irq::Line;
use crate::memory::registers::Registers;

impl Block for Registers {
    fn load(&self, offset: usize) -> u32 {
        self.read(offset)
    }

    fn store(&self, offset: usize, word: u32) {
        self.write(offset, word);
    }
}

/// The machine's.
static RTC: Once<(Pl031<Registers>, Option<Line>)> = Once::new();

/// Maps the clock and takes it over.
pub(super) fn init(place: &Clock) {
    // SAFETY: the device tree says that a PL031 is there, and `map` that
    // memory is not; the device has no way to memory.
    let Some(registers) = (unsafe { Registers::map(place.address, BYTES) }) else {
        return;
    };
    let line = place.interrupt.and_then(interrupts::line_of_shared);
    let _ = RTC.set((Pl031::new(registers), line));
}

/// Seconds since the Unix epoch.
pub(crate) fn read_seconds() -> Option<u64> {
    clock().map(|clock| clock.now().0.into())
}

/// Sets the clock; false for a time past 2106, or without a clock.
pub(crate) fn set_seconds(seconds: u64) -> bool {
    with(seconds, Pl031::set)
}

/// Sets the second at which the status rises.
pub(crate) fn set_match(seconds: u64) -> bool {
    with(seconds, Pl031::set_match)
}

/// Whether the match came since it was last cleared.
pub(crate) fn raw_status() -> bool {
    clock().is_some_and(Pl031::has_matched)
}

/// Whether it interrupts.
pub(crate) fn masked_status() -> bool {
    clock().is_some_and(Pl031::interrupts)
}

/// Clears the status.
pub(crate) fn clear() {
    if let Some(clock) = clock() {
        clock.clear();
    }
}

/// Lets the status interrupt, or not.
pub(crate) fn set_interrupt(on: bool) {
    if let Some(clock) = clock() {
        clock.set_interrupt(on);
    }
}

/// The interrupt's line.
pub(crate) fn line() -> Option<Line> {
    RTC.get()?.1
}

fn clock() -> Option<&'static Pl031<Registers>> {
    RTC.get().map(|(clock, _)| clock)
}

/// Does something with a time, if the clock knows it.
fn with(seconds: u64, what: fn(&Pl031<Registers>, Seconds)) -> bool {
    match (clock(), u32::try_from(seconds)) {
        (Some(clock), Ok(seconds)) => {
            what(clock, Seconds(seconds));
            true
        }
        _ => false,
    }
}
