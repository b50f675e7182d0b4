//! The keyboard that no AArch64 machine here has of its own.

use crate::irq::Line;
use crate::keyboard::ScanCodes;

/// There is none.
#[derive(Debug)]
pub(crate) enum Keyboard {}

impl Keyboard {
    /// Finds none.
    pub(crate) fn open(_wanted: ScanCodes) -> Option<Keyboard> {
        None
    }

    pub(crate) fn codes(&self) -> ScanCodes {
        match *self {}
    }

    pub(crate) fn line(&self) -> Line {
        match *self {}
    }

    pub(crate) fn read(&mut self, _to: &mut [u8]) -> usize {
        match *self {}
    }

    pub(crate) fn set_interrupt(&mut self, _on: bool) {
        match *self {}
    }
}
