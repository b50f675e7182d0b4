//! A keyboard behind virtio (virtio 1.2, 5.8): the first one in the places
//! that the machine was told of; on both machines.

use super::ScanCodes;
use crate::irq::Line;
use crate::memory::registers::{Bytes, Registers};
use crate::virtio::{self, BUFFER_BYTES, CONFIGURATION, Listener, Place, SLOT_BYTES};

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

/// A keyboard that tells its keys.
#[derive(Debug)]
pub(crate) struct Keyboard {
    listener: Listener,
    line: Line,
}

impl Keyboard {
    /// Looks for one and sets it up, interrupts off.
    ///
    /// # Safety
    /// No read of a register in these places may affect memory safety, and
    /// what answers there as a virtio device must be one. (`map` refuses memory.)
    pub(crate) unsafe fn open(places: impl Iterator<Item = Place>) -> Option<Keyboard> {
        let mut page: Option<(u64, Registers)> = None;
        for place in places {
            let start = place.address / PAGE as u64 * PAGE as u64;
            // CAST: below a page.
            let base = (place.address - start) as usize;
            if base + SLOT_BYTES > PAGE || !base.is_multiple_of(size_of::<u32>()) {
                continue;
            }
            if page.as_ref().is_none_or(|(mapped, _)| *mapped != start) {
                // SAFETY: by this function's contract; nothing but a virtio
                // device is written to, and that is told of one page of ours
                // alone (`virtio`).
                let Some(registers) = (unsafe { Registers::map(start, PAGE) }) else {
                    continue;
                };
                page = Some((start, registers));
            }
            let (_, registers) = page.as_ref()?;
            if virtio::kind(registers, base) != Some(INPUT) || !has_letters(place.address) {
                continue;
            }
            let (_, registers) = page.take()?;
            return Some(Keyboard {
                listener: Listener::new(registers, base)?,
                line: place.line,
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
