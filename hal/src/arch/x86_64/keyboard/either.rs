//! A keyboard of one of two kinds.

use super::i8042;
use crate::irq::Line;
use crate::keyboard::{ScanCodes, virtio};

/// A keyboard.
#[derive(Debug)]
pub(crate) enum Either {
    /// Behind virtio.
    Virtio(virtio::Keyboard),
    /// Behind a PC's controller.
    Controller(i8042::Keyboard),
}

impl Either {
    /// The form in which codes come.
    pub(crate) fn codes(&self) -> ScanCodes {
        match self {
            Either::Virtio(keyboard) => keyboard.codes(),
            Either::Controller(keyboard) => keyboard.codes(),
        }
    }

    /// The interrupt line.
    pub(crate) fn line(&self) -> Line {
        match self {
            Either::Virtio(keyboard) => keyboard.line(),
            Either::Controller(keyboard) => keyboard.line(),
        }
    }

    /// Takes bytes that are there now.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> usize {
        match self {
            Either::Virtio(keyboard) => keyboard.read(to),
            Either::Controller(keyboard) => keyboard.read(to),
        }
    }

    /// Whether a key raises the line.
    pub(crate) fn set_interrupt(&mut self, on: bool) {
        match self {
            Either::Virtio(keyboard) => keyboard.set_interrupt(on),
            Either::Controller(keyboard) => keyboard.set_interrupt(on),
        }
    }
}
