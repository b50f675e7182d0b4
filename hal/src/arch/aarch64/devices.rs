//! Brings up the machine's own devices, in the order in which they need each other.

use super::platform::Platform;
use super::{clock, firmware, interrupts, keyboard, others, rtc, uart};
use crate::screen;

/// Sets up console, interrupt controller and clocks. Once, on the
/// boot processor, when the memory module has started.
pub(super) fn init(platform: &Platform) {
    uart::init(platform);
    interrupts::init(platform);
    if let Some(place) = &platform.rtc {
        rtc::init(place);
    }
    clock::init();
    firmware::init(platform.firmware);
    screen::init();
    keyboard::init(&platform.slots);
    others::prepare(platform.processors);
}
