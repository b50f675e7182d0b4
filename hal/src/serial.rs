//! 16550-compatible serial ports.
//!
//! Non-blocking: bytes move while the device takes or has them; the interrupt
//! line says when to come again.

use crate::irq::Line;

/// Which port of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The console (x86: 0x3f8, line 4).
    First,
    /// The second port (x86: 0x2f8, line 3).
    Second,
}

/// An opened port. There is at most one per device.
#[derive(Debug)]
pub struct SerialPort {
    _private: (),
}

impl SerialPort {
    /// Probes and initialises the port (115200 8N1, FIFOs on, interrupts off);
    /// `None` where there is no such device or it is already open.
    #[must_use]
    pub fn open(which: Which) -> Option<SerialPort> {
        let _ = which;
        unimplemented!()
    }

    /// The port's interrupt line.
    #[must_use]
    pub fn line(&self) -> Line {
        unimplemented!()
    }

    /// Takes received bytes that are there now; returns how many.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        let _ = to;
        unimplemented!()
    }

    /// Hands over as many bytes as the device takes now; returns how many.
    pub fn write(&mut self, from: &[u8]) -> usize {
        let _ = from;
        unimplemented!()
    }

    /// Whether arriving bytes raise the line.
    pub fn set_receive_interrupt(&mut self, on: bool) {
        let _ = on;
        unimplemented!()
    }

    /// Whether an empty transmitter raises the line.
    pub fn set_transmit_interrupt(&mut self, on: bool) {
        let _ = on;
        unimplemented!()
    }
}
