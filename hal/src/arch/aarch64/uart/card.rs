//! A card of four 16550 ports, which have one interrupt.
//!
//! The first is the kernel's second serial port. The others only take bytes,
//! one at a time, with their interrupts off.

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};
use ochre_sync::primitive::spin_loop;

use super::super::clock;
use super::super::interrupts;
use super::super::pci;
use super::super::platform::Bus;
use crate::irq::Line;
use crate::memory::registers::Bytes;

/// Depth of the two FIFOs.
const FIFO_DEPTH: usize = 16;

/// Bytes of a port's registers.
const PORT_BYTES: usize = 8;

const DATA: usize = 0;
const INTERRUPT_ENABLE: usize = 1;
const FIFO_CONTROL: usize = 2;
const LINE_CONTROL: usize = 3;
const MODEM_CONTROL: usize = 4;
const LINE_STATUS: usize = 5;

const INTERRUPT_RECEIVED: u8 = 1 << 0;
const INTERRUPT_TRANSMITTER_EMPTY: u8 = 1 << 1;
/// FIFOs on; the receive interrupt comes at 14 bytes, or when fewer have waited.
const FIFO_ON: u8 = 0b1100_0001;
const LINE_8N1: u8 = 0b0000_0011;
const MODEM_READY: u8 = 0b0000_1011;
#[cfg(feature = "ktest")]
const MODEM_LOOPBACK: u8 = 1 << 4;
const STATUS_DATA_READY: u8 = 1 << 0;
const STATUS_TRANSMITTER_EMPTY: u8 = 1 << 5;

/// How many ports it has.
const PORTS: usize = 4;

/// How long a port is waited for that takes no byte: whoever reads on the
/// host's side may be late, and every byte is to come through.
const PATIENCE_NS: u64 = 5_000_000_000;

/// Looks at a port without one at the clock; before the clock runs, all there are.
const LOOKS: u32 = 100_000;

/// The card.
static CARD: Once<Card> = Once::new();

struct Card {
    registers: Bytes,
    line: Option<Line>,
    /// Which ports were waited for in vain. They are not waited for again
    /// until they take bytes.
    ///
    /// ORDERING: Relaxed; nothing but a wait depends on it.
    stalled: [AtomicBool; PORTS],
}

/// Finds the card.
pub(super) fn init(bus: &Bus) {
    if let Some(found) = pci::find(bus) {
        let _ = CARD.set(Card {
            registers: found.registers,
            line: found.interrupt.and_then(interrupts::line_of_shared),
            stalled: [const { AtomicBool::new(false) }; PORTS],
        });
    }
}

/// Polls one byte out of one of the card's ports, where there is a card.
pub(in super::super) fn last_byte(port: usize, byte: u8) {
    let Some(card) = CARD.get() else {
        return;
    };
    card.wait(port);
    card.registers.write(port * PORT_BYTES + DATA, byte);
}

impl Card {
    /// Waits until a port takes a byte, or it is not to be waited for: what is
    /// written then may push out what it has not sent.
    fn wait(&self, port: usize) {
        let takes =
            || self.registers.read(port * PORT_BYTES + LINE_STATUS) & STATUS_TRANSMITTER_EMPTY != 0;
        let Some(stalled) = self.stalled.get(port) else {
            return;
        };
        if takes() {
            stalled.store(false, Ordering::Relaxed);
            return;
        }
        let began = clock::now_ns();
        while !stalled.load(Ordering::Relaxed) {
            for _ in 0..LOOKS {
                if takes() {
                    return;
                }
                spin_loop();
            }
            let now = clock::now_ns();
            if now == 0 || now - began >= PATIENCE_NS {
                stalled.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// The card's first port.
pub(crate) struct Port {
    registers: &'static Bytes,
    line: Line,
    enabled: u8,
}

impl core::fmt::Debug for Port {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Port")
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl Port {
    pub(super) fn open() -> Option<Port> {
        let card = CARD.get()?;
        let registers = &card.registers;
        registers.write(INTERRUPT_ENABLE, 0);
        registers.write(LINE_CONTROL, LINE_8N1);
        registers.write(FIFO_CONTROL, FIFO_ON);
        registers.write(MODEM_CONTROL, MODEM_READY);
        Some(Port {
            registers,
            line: card.line?,
            enabled: 0,
        })
    }

    pub(super) fn line(&self) -> Line {
        self.line
    }

    pub(super) fn read(&mut self, to: &mut [u8]) -> usize {
        let mut count = 0;
        for slot in to.iter_mut() {
            if self.registers.read(LINE_STATUS) & STATUS_DATA_READY == 0 {
                break;
            }
            *slot = self.registers.read(DATA);
            count += 1;
        }
        count
    }

    /// An empty transmitter takes a FIFO's worth without being asked again.
    pub(super) fn write(&mut self, from: &[u8]) -> usize {
        let mut count = 0;
        for chunk in from.chunks(FIFO_DEPTH) {
            if self.registers.read(LINE_STATUS) & STATUS_TRANSMITTER_EMPTY == 0 {
                break;
            }
            for &byte in chunk {
                self.registers.write(DATA, byte);
            }
            count += chunk.len();
        }
        count
    }

    pub(super) fn set_receive_interrupt(&mut self, on: bool) {
        self.set_interrupt(INTERRUPT_RECEIVED, on);
    }

    pub(super) fn set_transmit_interrupt(&mut self, on: bool) {
        self.set_interrupt(INTERRUPT_TRANSMITTER_EMPTY, on);
    }

    #[cfg(feature = "ktest")]
    pub(super) fn set_loopback(&mut self, on: bool) {
        let loopback = if on { MODEM_LOOPBACK } else { 0 };
        self.registers.write(MODEM_CONTROL, MODEM_READY | loopback);
    }

    fn set_interrupt(&mut self, source: u8, on: bool) {
        let enabled = if on {
            self.enabled | source
        } else {
            self.enabled & !source
        };
        if enabled != self.enabled {
            self.enabled = enabled;
            self.registers.write(INTERRUPT_ENABLE, enabled);
        }
    }
}
