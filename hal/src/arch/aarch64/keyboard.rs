//! This machine's keyboard is virtio's, in a place that the device tree names.

use ochre_sync::Once;

use super::interrupts;
use super::platform::{SLOTS_MAX, Slot};
use crate::keyboard::{ScanCodes, virtio};
use crate::virtio::Place;

static SLOTS: Once<[Option<Slot>; SLOTS_MAX]> = Once::new();

/// Keeps where to look.
pub(super) fn init(slots: &[Option<Slot>; SLOTS_MAX]) {
    if slots.iter().any(Option::is_some) {
        let _ = SLOTS.set(*slots);
    }
}

/// What drives a keyboard here.
pub(crate) type Keyboard = virtio::Keyboard;

/// Looks for one and sets it up, interrupts off.
pub(crate) fn open(_wanted: ScanCodes) -> Option<Keyboard> {
    let places = SLOTS.get()?.iter().flatten().filter_map(|slot| {
        Some(Place {
            address: slot.address,
            line: interrupts::line_of_shared(slot.interrupt)?,
        })
    });
    // SAFETY: the device tree says that virtio devices' registers are there.
    unsafe { Keyboard::open(places) }
}
