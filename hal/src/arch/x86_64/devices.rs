//! Brings up the machine's own devices, in the order in which they need each other.

use super::acpi::Platform;
use super::pvh::Physical;
use super::{clock, interrupts, keyboard, power};
use crate::boot::memory_map::Ranges;
use crate::screen;

/// Reads what the firmware says of the machine: while physical memory below 4 GiB is mapped.
pub(super) fn find(memory: &impl Physical, rsdp: Option<u64>) -> Platform {
    Platform::find(memory, rsdp)
}

/// Sets up interrupt controllers, clock and power control. Once, on the boot
/// processor, with interrupts off, the interrupt table loaded (or at least no
/// interrupt let in before it is) and the memory module started.
pub(super) fn init(mut platform: Platform, ram: &Ranges) {
    for slot in &mut platform.io_apics {
        // A table that puts registers into memory is wrong, and believing it
        // would write there.
        *slot = slot.filter(|place| !touches(ram, place.address));
    }
    interrupts::init(&platform);
    clock::init();
    screen::init();
    keyboard::places::init(&platform.virtio);
    if let Some(soft_off) = platform.soft_off {
        power::set_soft_off(soft_off);
    }
}

/// Whether the page at `address` has memory in it.
fn touches(ram: &Ranges, address: u64) -> bool {
    let page = address & !0xfff;
    ram.iter()
        .any(|range| range.start < page.saturating_add(0x1000) && page < range.end)
}
