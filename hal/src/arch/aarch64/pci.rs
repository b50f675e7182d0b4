//! As much of PCI as it takes to find one device: QEMU's card of four serial
//! ports, by which the host's tool gives this machine what a PC has at fixed
//! ports.
//!
//! Firmware leaves no addresses to cards here, so the card gets the first one
//! that the machine's window for ports allows. The window and the way to a
//! card's configuration are in the device tree.

use super::platform::Bus;
use crate::memory::registers::{Bytes, Registers};

/// Bytes of a function's configuration, and functions of a device.
const FUNCTION_BYTES: u64 = 4096;
const FUNCTIONS: u64 = 8;
const DEVICES: u64 = 32;

/// `1b36:0004`: vendor in the lower half.
const FOUR_PORTS: u32 = 0x0004_1b36;

const IDENTITY: usize = 0x00;
const COMMAND: usize = 0x04;
const FIRST_ADDRESS: usize = 0x10;

/// The card answers at its port address.
const ANSWER_PORTS: u32 = 1;

/// Where in the window the card goes: above what a PC keeps to itself.
const PLACE: u64 = 0x1000;

/// Bytes of a card: four ports of eight registers.
const CARD_BYTES: usize = 32;

/// The card, found and set up.
pub(super) struct Card {
    pub(super) registers: Bytes,
    /// Its interrupt among those that processors share.
    pub(super) interrupt: Option<u32>,
}

/// Finds the card on the first bus.
pub(super) fn find(bus: &Bus) -> Option<Card> {
    for device in 0..DEVICES {
        let at = bus
            .configuration
            .start
            .checked_add(device * FUNCTIONS * FUNCTION_BYTES)?;
        if at + FUNCTION_BYTES > bus.configuration.end {
            return None;
        }
        // SAFETY: the device tree says that configuration space is there, and
        // `map` that memory is not; the card is told an address and to answer there.
        let function = unsafe { Registers::map(at, 0x40) }?;
        if function.read(IDENTITY) != FOUR_PORTS {
            continue;
        }
        // CAST: far below 32 bits.
        function.write(FIRST_ADDRESS, PLACE as u32);
        function.write(COMMAND, function.read(COMMAND) & 0xffff | ANSWER_PORTS);
        let place = bus.ports.start.checked_add(PLACE)?;
        // SAFETY: the card's registers, since the lines above; it has no way to memory.
        let registers = unsafe { Bytes::map(place, CARD_BYTES) }?;
        // CAST: below 32.
        let interrupt = bus.interrupt(device as u32);
        return Some(Card {
            registers,
            interrupt,
        });
    }
    None
}
