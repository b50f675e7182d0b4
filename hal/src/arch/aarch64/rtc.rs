//! The battery-backed clock: a PL031, whose data register counts seconds
//! since the Unix epoch.

use ochre_sync::Once;

use crate::memory::registers::Registers;

const BYTES: usize = 0x1000;
const DATA: usize = 0;

static RTC: Once<Registers> = Once::new();

/// Maps the clock at a physical address.
pub(super) fn init(address: u64) {
    // SAFETY: the device tree says that a PL031 is there, and `map` that
    // memory is not; the device has no way to memory.
    if let Some(registers) = unsafe { Registers::map(address, BYTES) } {
        let _ = RTC.set(registers);
    }
}

/// Seconds since the Unix epoch.
pub(super) fn read_seconds() -> Option<u64> {
    RTC.get().map(|registers| u64::from(registers.read(DATA)))
}
