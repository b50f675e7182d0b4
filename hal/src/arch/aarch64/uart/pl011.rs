//! The PL011 serial port.
//!
//! Nothing here waits: every loop is bounded by the caller's buffer or the
//! depth of a FIFO, so a port that misbehaves cannot hang the machine. The
//! line's speed is left as the firmware set it.

use ochre_sync::Once;

use super::super::interrupts;
use super::super::platform::Serial;
use super::early;
use crate::irq::Line;
use crate::memory::registers::Registers;
use crate::serial::Early;

const BYTES: usize = 0x1000;

pub(super) const DATA: usize = 0x00;
pub(super) const FLAGS: usize = 0x18;
const LINE_CONTROL: usize = 0x2c;
const CONTROL: usize = 0x30;
const INTERRUPT_LEVELS: usize = 0x34;
const INTERRUPT_MASK: usize = 0x38;
const INTERRUPT_CLEAR: usize = 0x44;

const FLAG_RECEIVER_EMPTY: u32 = 1 << 4;
pub(super) const FLAG_TRANSMITTER_FULL: u32 = 1 << 5;

/// Eight bits, no parity.
const LINE_8N1: u32 = 3 << 5;
/// FIFOs on; without, the receiver holds one byte.
const LINE_FIFOS: u32 = 1 << 4;

/// On, transmitter and receiver.
const ON: u32 = 1 | 1 << 8 | 1 << 9;
#[cfg(feature = "ktest")]
const LOOPBACK: u32 = 1 << 7;

/// Bytes arrived; they also waited for a while.
const RECEIVED: u32 = 1 << 4 | 1 << 6;
const TRANSMITTER_EMPTY: u32 = 1 << 5;

/// Looks at a port before a byte is dropped.
pub(super) const PATIENCE: u32 = 100_000;

/// The machine's port.
static PL011: Once<Pl011> = Once::new();

struct Pl011 {
    registers: Registers,
    /// Without one bytes only go out, one by one.
    line: Option<Line>,
}

/// Maps the port that the device tree names.
pub(super) fn init(serial: Serial) {
    let line = serial.interrupt.and_then(interrupts::line_of_shared);
    // SAFETY: the device tree says that a PL011 is there, and `map` that
    // memory is not; its ways to memory (DMA) are never switched on.
    if let Some(registers) = unsafe { Registers::map(serial.address, BYTES) } {
        let _ = PL011.set(Pl011 { registers, line });
    }
}

/// Polls one byte out, whatever state the port's owner left it in; gives up on
/// a port that never gets ready.
pub(in super::super) fn last_byte(byte: u8) {
    let Some(port) = PL011.get() else {
        early::byte(byte);
        return;
    };
    for _ in 0..PATIENCE {
        if port.registers.read(FLAGS) & FLAG_TRANSMITTER_FULL == 0 {
            break;
        }
    }
    port.registers.write(DATA, u32::from(byte));
}

/// One serial port's registers.
pub(crate) struct Port {
    port: &'static Pl011,
    line: Line,
    enabled: u32,
}

impl core::fmt::Debug for Port {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Port")
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl Port {
    /// Sets up the port: 8N1, FIFOs on, interrupts off. There is one.
    ///
    /// Switching FIFOs on empties the receiver, which is one byte without: while
    /// that is full, nothing follows (a host that did not wait for us goes on
    /// when it is read). Where it may not be lost, the FIFOs stay off. It
    /// cannot be taken first, as the next one may be there by the time of the
    /// switch, also if the receiver is told to stop before (QEMU's does not).
    pub(super) fn open(early: Early) -> Option<Port> {
        let port = PL011.get()?;
        let line = port.line?;
        let registers = &port.registers;
        registers.write(INTERRUPT_MASK, 0);
        registers.write(INTERRUPT_CLEAR, 0x7ff & !RECEIVED);
        let is_empty = registers.read(FLAGS) & FLAG_RECEIVER_EMPTY != 0;
        let fifos = match early {
            Early::Kept if !is_empty => registers.read(LINE_CONTROL) & LINE_FIFOS,
            _ => LINE_FIFOS,
        };
        registers.write(LINE_CONTROL, LINE_8N1 | fifos);
        // An interrupt when an eighth is full.
        registers.write(INTERRUPT_LEVELS, 0);
        registers.write(CONTROL, ON);
        Some(Port {
            port,
            line,
            enabled: 0,
        })
    }

    /// The interrupt line.
    pub(super) fn line(&self) -> Line {
        self.line
    }

    /// Takes received bytes that are there now.
    pub(super) fn read(&mut self, to: &mut [u8]) -> usize {
        let mut count = 0;
        for slot in to.iter_mut() {
            if self.port.registers.read(FLAGS) & FLAG_RECEIVER_EMPTY != 0 {
                break;
            }
            // CAST: the byte; errors are above it.
            *slot = self.port.registers.read(DATA) as u8;
            count += 1;
        }
        count
    }

    /// Hands over as many bytes as the device takes now.
    pub(super) fn write(&mut self, from: &[u8]) -> usize {
        let mut count = 0;
        for byte in from {
            if self.port.registers.read(FLAGS) & FLAG_TRANSMITTER_FULL != 0 {
                break;
            }
            self.port.registers.write(DATA, u32::from(*byte));
            count += 1;
        }
        count
    }

    /// Whether arriving bytes raise the line.
    pub(super) fn set_receive_interrupt(&mut self, on: bool) {
        self.set_interrupt(RECEIVED, on);
    }

    /// Whether an empty transmitter raises the line.
    pub(super) fn set_transmit_interrupt(&mut self, on: bool) {
        self.set_interrupt(TRANSMITTER_EMPTY, on);
    }

    /// Connects the transmitter to the receiver, for tests.
    #[cfg(feature = "ktest")]
    pub(super) fn set_loopback(&mut self, on: bool) {
        self.port
            .registers
            .write(CONTROL, if on { ON | LOOPBACK } else { ON });
    }

    fn set_interrupt(&mut self, source: u32, on: bool) {
        let enabled = if on {
            self.enabled | source
        } else {
            self.enabled & !source
        };
        if enabled != self.enabled {
            self.enabled = enabled;
            self.port.registers.write(INTERRUPT_MASK, enabled);
        }
    }
}
