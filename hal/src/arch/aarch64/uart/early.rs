//! The serial port before there is a memory module: last words of a machine
//! that has too little, or says nonsense of it.
//!
//! The boot code's tables map memory in whole gigabytes; [`init`] adds the
//! port's, as a device's, where that is another one than the image's and the
//! device tree's. The final tables replace all of that, so [`byte`] looks which
//! are in use; later bytes are the mapped port's.

use core::ptr;

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::super::platform::Platform;
use super::super::{entry, layout};
use super::pl011::{DATA, FLAG_TRANSMITTER_FULL, FLAGS, PATIENCE};

/// Where the port is in the direct map; 0 for none.
///
/// ORDERING: Relaxed; only the boot processor runs while this is of use.
static PLACE: AtomicU64 = AtomicU64::new(0);

/// Finds the port and maps it. Once, before the memory module starts.
pub(in super::super) fn init(platform: &Platform) {
    let Some(serial) = platform.serial else {
        return;
    };
    // Registers of 32 bits, and one block of the boot code's.
    if serial.address.is_multiple_of(4)
        && serial.address % layout::EARLY_BYTES < layout::EARLY_BYTES - FLAGS as u64
        && entry::map_early_device(serial.address)
    {
        PLACE.store(layout::direct_map() + serial.address, Ordering::Relaxed);
    }
}

/// Polls one byte out, as long as the boot code's tables are in use.
pub(super) fn byte(byte: u8) {
    let place = PLACE.load(Ordering::Relaxed);
    if place == 0 || !entry::has_early_tables() {
        return;
    }
    let register = |offset: usize| {
        // CAST: an address.
        ptr::with_exposed_provenance_mut::<u32>(place as usize + offset)
    };
    for _ in 0..PATIENCE {
        // SAFETY: `init` mapped the gigabyte as a device's, and not as memory; the
        // device tree says that a PL011 is there.
        if unsafe { register(FLAGS).read_volatile() } & FLAG_TRANSMITTER_FULL == 0 {
            break;
        }
    }
    // SAFETY: as above; the port sends a byte.
    unsafe { register(DATA).write_volatile(u32::from(byte)) };
}
