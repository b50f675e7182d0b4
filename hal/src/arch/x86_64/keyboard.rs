//! This machine's keyboard: virtio's, where there is said to be one
//! ([`places`]), or a PC's ([`i8042`]).
//!
//! A machine that was given both sends its keys to virtio's once that is set up.

mod either;
mod i8042;
pub(super) mod places;

pub(super) use self::i8042::pulse_reset;

use self::either::Either;
use super::start;
use crate::keyboard::{ScanCodes, virtio};

/// What drives a keyboard here.
pub(crate) type Keyboard = Either;

/// Looks for one and sets it up, interrupts off.
pub(crate) fn open(wanted: ScanCodes) -> Option<Keyboard> {
    // SAFETY: the places are in the hole where a PC has nothing but devices,
    // and none has registers there that do anything to memory when they are
    // read. What answers as a virtio device is one.
    let found = unsafe { virtio::Keyboard::open(places::all(start::cmdline())) };
    found
        .map(Either::Virtio)
        .or_else(|| i8042::Keyboard::open(wanted).map(Either::Controller))
}
