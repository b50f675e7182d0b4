//! The 16550 serial ports, COM1 and COM2.
//!
//! Nothing here waits: every loop is bounded by the depth of a FIFO or by the
//! caller's buffer, so a port that is not there (all ones) or misbehaves
//! cannot hang the machine.
//!
//! # Bytes that came early
//! Turning the FIFOs on empties them, and with them a byte that the other side
//! sent before the kernel ran. [`Uart::open`] therefore takes such bytes
//! first and hands them out before the device's.

use super::interrupts;
use super::port::Port;
use crate::irq::Line;
use crate::serial::{Early, Which};

/// Depth of the 16550's two FIFOs.
const FIFO_DEPTH: usize = 16;

const INTERRUPT_RECEIVED: u8 = 1 << 0;
const INTERRUPT_TRANSMITTER_EMPTY: u8 = 1 << 1;

/// FIFOs on and emptied; the receive interrupt comes at 14 bytes, or when
/// fewer have waited for four characters' time.
const FIFO_CONTROL: u8 = 0b1100_0111;

const LINE_8N1: u8 = 0b0000_0011;
const LINE_DIVISOR_ACCESS: u8 = 1 << 7;

const MODEM_READY: u8 = 0b0000_0011;
/// Auxiliary output 2 gates the interrupt line on a PC.
const MODEM_INTERRUPT_GATE: u8 = 1 << 3;
const MODEM_LOOPBACK: u8 = 1 << 4;

const STATUS_DATA_READY: u8 = 1 << 0;
const STATUS_TRANSMITTER_EMPTY: u8 = 1 << 5;

/// One serial port's registers.
#[derive(Debug)]
pub(crate) struct Uart {
    which: Which,
    data: Port<u8>,
    interrupt_enable: Port<u8>,
    line_status: Port<u8>,
    enabled: u8,
    early: [u8; FIFO_DEPTH],
    early_range: core::ops::Range<usize>,
}

impl Uart {
    /// Probes and sets up the port: 115200 8N1, FIFOs on, interrupts off.
    pub(crate) fn open(which: Which, _early: Early) -> Option<Uart> {
        let base: u16 = match which {
            Which::First => 0x3f8,
            Which::Second => 0x2f8,
        };
        // SAFETY: these are the eight registers of a legacy serial port, a
        // device without DMA, or no device at all; the same holds for each of
        // the ports below.
        let register = |offset: u16| unsafe { Port::<u8>::new(base + offset) };
        let data = register(0);
        let interrupt_enable = register(1);
        let fifo_control = register(2);
        let line_control = register(3);
        let modem_control = register(4);
        let line_status = register(5);
        let scratch = register(7);

        for pattern in [0x5a, 0xa5] {
            scratch.write(pattern);
            if scratch.read() != pattern {
                return None;
            }
        }

        let mut uart = Uart {
            which,
            data,
            interrupt_enable,
            line_status,
            enabled: 0,
            early: [0; FIFO_DEPTH],
            early_range: 0..0,
        };
        interrupt_enable.write(0);
        // In loopback nothing new is asked of the other side, which keeps the
        // window between the last look and the FIFO reset shut.
        modem_control.write(MODEM_LOOPBACK | MODEM_READY);
        line_control.write(LINE_8N1);
        while uart.early_range.end < FIFO_DEPTH && line_status.read() & STATUS_DATA_READY != 0 {
            uart.early[uart.early_range.end] = data.read();
            uart.early_range.end += 1;
        }
        fifo_control.write(FIFO_CONTROL);
        line_control.write(LINE_8N1 | LINE_DIVISOR_ACCESS);
        data.write(1);
        interrupt_enable.write(0);
        line_control.write(LINE_8N1);
        if line_status.read() == 0xff {
            return None;
        }
        modem_control.write(MODEM_READY | MODEM_INTERRUPT_GATE);
        Some(uart)
    }

    /// The interrupt line.
    pub(crate) fn line(&self) -> Line {
        interrupts::line_of_isa(match self.which {
            Which::First => 4,
            Which::Second => 3,
        })
    }

    /// Takes received bytes that are there now.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> usize {
        let mut count = 0;
        for slot in to.iter_mut() {
            if let Some(index) = self.early_range.next() {
                *slot = self.early[index];
            } else if self.line_status.read() & STATUS_DATA_READY != 0 {
                *slot = self.data.read();
            } else {
                break;
            }
            count += 1;
        }
        count
    }

    /// Hands over as many bytes as the device takes now. An empty transmitter
    /// takes a FIFO's worth without being asked again.
    pub(crate) fn write(&mut self, from: &[u8]) -> usize {
        let mut count = 0;
        for chunk in from.chunks(FIFO_DEPTH) {
            if self.line_status.read() & STATUS_TRANSMITTER_EMPTY == 0 {
                break;
            }
            for &byte in chunk {
                self.data.write(byte);
            }
            count += chunk.len();
        }
        count
    }

    /// Whether arriving bytes raise the line.
    pub(crate) fn set_receive_interrupt(&mut self, on: bool) {
        self.set_interrupt(INTERRUPT_RECEIVED, on);
    }

    /// Whether an empty transmitter raises the line.
    pub(crate) fn set_transmit_interrupt(&mut self, on: bool) {
        self.set_interrupt(INTERRUPT_TRANSMITTER_EMPTY, on);
    }

    /// Connects the transmitter to the receiver, for tests.
    #[cfg(feature = "ktest")]
    pub(crate) fn set_loopback(&mut self, which: Which, on: bool) {
        let number = match which {
            Which::First => 0x3fc,
            Which::Second => 0x2fc,
        };
        // SAFETY: the modem control register of a legacy serial port.
        let modem_control: Port<u8> = unsafe { Port::new(number) };
        modem_control.write(if on {
            MODEM_LOOPBACK | MODEM_READY
        } else {
            MODEM_READY | MODEM_INTERRUPT_GATE
        });
    }

    fn set_interrupt(&mut self, source: u8, on: bool) {
        let enabled = if on {
            self.enabled | source
        } else {
            self.enabled & !source
        };
        if enabled != self.enabled {
            self.enabled = enabled;
            self.interrupt_enable.write(enabled);
        }
    }
}
