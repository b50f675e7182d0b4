//! 16550-compatible serial ports.
//!
//! Non-blocking: bytes move while the device takes or has them; the interrupt
//! line says when to come again.

use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use crate::arch::machine::uart::Uart;
use crate::irq::Line;

/// Whether the first and the second port are open.
static OPEN: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

/// Which port of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The console (x86: 0x3f8, line 4).
    First,
    /// The second port (x86: 0x2f8, line 3).
    Second,
}

/// What becomes of bytes that were received before a port is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// They are read later. A port that cannot keep them and be fast (PL011,
    /// whose FIFOs forget all when they are switched on) is slow.
    Kept,
    /// One of them may be lost, the first, so that the port is fast.
    Spared,
}

/// An opened port. There is at most one per device; dropping it closes the
/// port, with its interrupts off.
#[derive(Debug)]
pub struct SerialPort {
    which: Which,
    uart: Uart,
}

impl SerialPort {
    /// Probes and initialises the port (115200 8N1, FIFOs on, interrupts off);
    /// `None` where there is no such device or it is already open. What was
    /// received before is kept.
    #[must_use]
    pub fn open(which: Which) -> Option<SerialPort> {
        SerialPort::open_with(which, Early::Kept)
    }

    /// As [`open`](SerialPort::open), where that may not be needed.
    #[must_use]
    pub fn open_with(which: Which, early: Early) -> Option<SerialPort> {
        // ORDERING: Acquire pairs with the Release in `drop`: the new owner
        // comes after everything the old one did.
        if OPEN[which as usize].swap(true, Ordering::Acquire) {
            return None;
        }
        let Some(uart) = Uart::open(which, early) else {
            // ORDERING: Relaxed; a failed probe leaves nothing to publish.
            OPEN[which as usize].store(false, Ordering::Relaxed);
            return None;
        };
        Some(SerialPort { which, uart })
    }

    /// The port's interrupt line.
    #[must_use]
    pub fn line(&self) -> Line {
        self.uart.line()
    }

    /// Takes received bytes that are there now; returns how many.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        self.uart.read(to)
    }

    // ANCHOR: write
    /// Hands over as many bytes as the device takes now; returns how many.
    pub fn write(&mut self, from: &[u8]) -> usize {
        self.uart.write(from)
    }
    // ANCHOR_END: write

    /// Whether arriving bytes raise the line. The line is an edge: after an
    /// event, read until nothing is left, or no further event comes.
    pub fn set_receive_interrupt(&mut self, on: bool) {
        self.uart.set_receive_interrupt(on);
    }

    /// Whether an empty transmitter raises the line. Turn it off when there is
    /// nothing more to write.
    pub fn set_transmit_interrupt(&mut self, on: bool) {
        self.uart.set_transmit_interrupt(on);
    }

    /// Connects the transmitter to the receiver, for tests.
    #[cfg(feature = "ktest")]
    pub(crate) fn set_loopback(&mut self, on: bool) {
        self.uart.set_loopback(self.which, on);
    }
}

impl Drop for SerialPort {
    fn drop(&mut self) {
        self.uart.set_receive_interrupt(false);
        self.uart.set_transmit_interrupt(false);
        // ORDERING: Release; see `open`.
        OPEN[self.which as usize].store(false, Ordering::Release);
    }
}
