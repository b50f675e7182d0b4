//! Where virtio devices are, from the definition block.
//!
//! Like the sleep type of soft-off they live in bytecode, in the one form in
//! which monitors write them: the hardware's name, and soon after it a list of
//! resources, with a window of memory and an interrupt. That is looked for.
//!
//! ```text
//! "LNRO0005" 00 ... 86 09 00 rw address:4 size:4 ... 89 06 00 flags 01 line:4
//! ```

use super::Table;

/// The hardware's name, and its end.
const NAME: &[u8] = b"LNRO0005\0";

/// How far behind the name the resources may be.
const NEAR: u64 = 64;

/// Fixed memory of 32 bits, with the length of what follows.
const MEMORY: [u8; 3] = [0x86, 9, 0];

/// An interrupt, likewise; one number.
const INTERRUPT: [u8; 3] = [0x89, 6, 0];

/// Devices that are kept.
pub(in super::super) const PLACES_MAX: usize = 8;

/// Names that are looked at, if most lead nowhere.
const NAMES_MAX: usize = 64;

/// A device as the tables name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Device {
    /// Its registers' physical address.
    pub(in super::super) address: u64,
    /// How many bytes they take.
    pub(in super::super) bytes: u64,
    /// The global line of its interrupt.
    pub(in super::super) line: u32,
}

/// The first devices.
pub(super) fn devices(table: &Table<'_>) -> [Option<Device>; PLACES_MAX] {
    let mut devices = [None; PLACES_MAX];
    let mut slots = devices.iter_mut();
    let mut at = 0;
    for _ in 0..NAMES_MAX {
        let Some(found) = table.find(NAME, at) else {
            break;
        };
        at = found;
        if let Some(device) = device(table, found) {
            let Some(slot) = slots.next() else {
                break;
            };
            *slot = Some(device);
        }
    }
    devices
}

/// The device whose resources are near.
fn device(table: &Table<'_>, from: u64) -> Option<Device> {
    let near = |what: [u8; 3], from: u64| {
        (from..from + NEAR).find(|at| table.read::<3>(*at) == Some(what))
    };
    let memory = near(MEMORY, from)?;
    let interrupt = near(INTERRUPT, memory)?;
    (table.u8(interrupt + 4)? == 1).then_some(Device {
        address: u64::from(table.u32(memory + 4)?),
        bytes: u64::from(table.u32(memory + 8)?),
        line: table.u32(interrupt + 5)?,
    })
}
