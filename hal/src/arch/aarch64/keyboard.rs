//! A keyboard behind virtio (virtio 1.2, 5.8): the first one that the device
//! tree leads to.

use ochre_sync::Once;

use super::interrupts;
use super::pci::Bytes;
use super::platform::{SLOTS_MAX, Slot};
use super::virtio::{self, BUFFER_BYTES, CONFIGURATION, Listener, SLOT_BYTES};
use crate::irq::Line;
use crate::keyboard::ScanCodes;
use crate::memory::registers::Registers;

/// virtio's number for what people press and move.
const INPUT: u32 = 18;

/// In the configuration: what is asked for, of what, how long the answer is,
/// and the answer.
const SELECT: usize = 0;
const SUB_SELECT: usize = 1;
const SIZE: usize = 2;
const ANSWER: usize = 8;

/// The question which codes of a kind there are, a bit each.
const CODES: u8 = 0x11;

/// The kind of events that keys are.
const KEY: u16 = 1;

/// A code that only keyboards have: the Q.
const LETTER: usize = 16;

/// Registers are mapped by pages.
const PAGE: usize = 4096;

/// Events looked at in one go, if most are no keys.
const ROUND: usize = 1024;

static PLACES: Once<[Option<Slot>; SLOTS_MAX]> = Once::new();

/// Keeps where to look.
pub(super) fn init(places: &[Option<Slot>; SLOTS_MAX]) {
    if places.iter().any(Option::is_some) {
        let _ = PLACES.set(*places);
    }
}

/// A keyboard that tells its keys.
#[derive(Debug)]
pub(crate) struct Keyboard {
    listener: Listener,
    line: Line,
}

impl Keyboard {
    /// Looks for one and sets it up, interrupts off.
    pub(crate) fn open(_wanted: ScanCodes) -> Option<Keyboard> {
        let mut page: Option<(u64, Registers)> = None;
        for place in PLACES.get()?.iter().flatten() {
            let start = place.address / PAGE as u64 * PAGE as u64;
            let base = (place.address - start) as usize;
            if base + SLOT_BYTES > PAGE {
                continue;
            }
            if page.as_ref().is_none_or(|(mapped, _)| *mapped != start) {
                // SAFETY: the device tree says that virtio devices' registers
                // are there, and `map` that memory is not; the devices are told
                // of one page of ours alone (`virtio`).
                let registers = unsafe { Registers::map(start, PAGE) }?;
                page = Some((start, registers));
            }
            let (_, registers) = page.as_ref()?;
            if virtio::kind(registers, base) != Some(INPUT) || !has_letters(place.address) {
                continue;
            }
            let line = interrupts::line_of_shared(place.interrupt)?;
            let (_, registers) = page.take()?;
            return Some(Keyboard {
                listener: Listener::new(registers, base)?,
                line,
            });
        }
        None
    }

    /// The form in which codes come.
    pub(crate) fn codes(&self) -> ScanCodes {
        ScanCodes::Events
    }

    /// The interrupt line.
    pub(crate) fn line(&self) -> Line {
        self.line
    }

    /// Takes keys that are there now.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> usize {
        self.listener.acknowledge();
        let mut count = 0;
        let mut looked_at = 0;
        while looked_at < ROUND
            && let Some(slots) = to.get_mut(count..count + 2)
            && let Some(event) = self.listener.next()
        {
            looked_at += 1;
            if let Some(key) = key_of(event) {
                slots.copy_from_slice(&key);
                count += 2;
            }
        }
        if looked_at > 0 {
            self.listener.notify();
        }
        count
    }

    /// Whether a key raises the line.
    pub(crate) fn set_interrupt(&mut self, on: bool) {
        self.listener.set_interrupt(on);
    }
}

/// Whether the device at this place has keys with letters: there are mice too.
fn has_letters(address: u64) -> bool {
    let Some(place) = address.checked_add(CONFIGURATION as u64) else {
        return false;
    };
    // SAFETY: the configuration of a virtio device that answered, with no way
    // to memory.
    let Some(bytes) = (unsafe { Bytes::map(place, SLOT_BYTES - CONFIGURATION) }) else {
        return false;
    };
    bytes.write(SELECT, CODES);
    // CAST: one.
    bytes.write(SUB_SELECT, KEY as u8);
    usize::from(bytes.read(SIZE)) > LETTER / 8
        && bytes.read(ANSWER + LETTER / 8) & 1 << (LETTER % 8) != 0
}

/// The key of an event, if it is one of a key: its number, from the upper byte
/// on, whose top bit says that it came up.
fn key_of(event: [u8; BUFFER_BYTES]) -> Option<[u8; 2]> {
    const UP: u16 = 0x8000;
    let [kind_low, kind_high, code_low, code_high, pressed, ..] = event;
    let code = u16::from_le_bytes([code_low, code_high]);
    if u16::from_le_bytes([kind_low, kind_high]) != KEY || code >= UP {
        return None;
    }
    let up = if pressed == 0 { UP } else { 0 };
    Some((code | up).to_be_bytes())
}
