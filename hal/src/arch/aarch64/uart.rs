//! The serial ports: the machine's PL011, and the card's first 16550.

mod card;
pub(super) mod early;
mod pl011;

use super::platform::Platform;
use crate::irq::Line;
use crate::serial::{Early, Which};

pub(super) use card::last_byte as last_byte_of_card;
pub(super) use pl011::last_byte;

/// Maps the ports that there are.
pub(super) fn init(platform: &Platform) {
    if let Some(serial) = platform.serial {
        pl011::init(serial);
    }
    if let Some(bus) = &platform.bus {
        card::init(bus);
    }
}

/// One serial port.
#[derive(Debug)]
pub(crate) enum Uart {
    /// The first.
    Pl011(pl011::Port),
    /// The second.
    Card(card::Port),
}

impl Uart {
    /// Sets up the port: 8N1, FIFOs on, interrupts off.
    pub(crate) fn open(which: Which, early: Early) -> Option<Uart> {
        match which {
            Which::First => pl011::Port::open(early).map(Uart::Pl011),
            Which::Second => card::Port::open().map(Uart::Card),
        }
    }

    /// The interrupt line.
    pub(crate) fn line(&self) -> Line {
        match self {
            Uart::Pl011(port) => port.line(),
            Uart::Card(port) => port.line(),
        }
    }

    /// Takes received bytes that are there now.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> usize {
        match self {
            Uart::Pl011(port) => port.read(to),
            Uart::Card(port) => port.read(to),
        }
    }

    /// Hands over as many bytes as the device takes now.
    pub(crate) fn write(&mut self, from: &[u8]) -> usize {
        match self {
            Uart::Pl011(port) => port.write(from),
            Uart::Card(port) => port.write(from),
        }
    }

    /// Whether arriving bytes raise the line.
    pub(crate) fn set_receive_interrupt(&mut self, on: bool) {
        match self {
            Uart::Pl011(port) => port.set_receive_interrupt(on),
            Uart::Card(port) => port.set_receive_interrupt(on),
        }
    }

    /// Whether an empty transmitter raises the line.
    pub(crate) fn set_transmit_interrupt(&mut self, on: bool) {
        match self {
            Uart::Pl011(port) => port.set_transmit_interrupt(on),
            Uart::Card(port) => port.set_transmit_interrupt(on),
        }
    }

    /// Connects the transmitter to the receiver, for tests.
    #[cfg(feature = "ktest")]
    pub(crate) fn set_loopback(&mut self, _which: Which, on: bool) {
        match self {
            Uart::Pl011(port) => port.set_loopback(on),
            Uart::Card(port) => port.set_loopback(on),
        }
    }
}
