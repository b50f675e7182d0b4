//! Port I/O, typed: the only `in` and `out` instructions of this crate.
//!
//! A [`Port`] is a promise made once, where it is constructed: that no value
//! written there and no read from there can break memory safety (no DMA, no
//! change of what memory means). From then on using it is safe. The type is
//! private to the machine's module, so the promise is made in few places.

use core::arch::asm;
use core::marker::PhantomData;

/// An I/O port that takes and gives values of type `T`.
#[derive(Debug)]
pub(crate) struct Port<T> {
    number: u16,
    width: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Port<T> {
    fn clone(&self) -> Port<T> {
        *self
    }
}

impl<T> Copy for Port<T> {}

impl<T> Port<T> {
    /// The port with this number.
    ///
    /// # Safety
    /// No read or write of the port, at any time and in any order, may affect
    /// memory safety, except as the caller sees to.
    pub(crate) const unsafe fn new(number: u16) -> Port<T> {
        Port {
            number,
            width: PhantomData,
        }
    }
}

impl Port<u8> {
    /// Reads the port.
    pub(crate) fn read(self) -> u8 {
        let value: u8;
        // SAFETY: `new` was promised that reading this port is harmless; the
        // instruction touches `al` and `dx` only.
        unsafe {
            asm!("in al, dx", out("al") value, in("dx") self.number, options(nomem, nostack, preserves_flags));
        }
        value
    }

    /// Writes the port.
    pub(crate) fn write(self, value: u8) {
        // SAFETY: `new` was promised that writing this port is harmless.
        unsafe {
            asm!("out dx, al", in("al") value, in("dx") self.number, options(nomem, nostack, preserves_flags));
        }
    }
}

impl Port<u16> {
    /// Writes the port.
    pub(crate) fn write(self, value: u16) {
        // SAFETY: `new` was promised that writing this port is harmless.
        unsafe {
            asm!("out dx, ax", in("ax") value, in("dx") self.number, options(nomem, nostack, preserves_flags));
        }
    }
}

impl Port<u32> {
    /// Reads the port.
    pub(crate) fn read(self) -> u32 {
        let value: u32;
        // SAFETY: as for a byte; the instruction touches `eax` and `dx` only.
        unsafe {
            asm!("in eax, dx", out("eax") value, in("dx") self.number, options(nomem, nostack, preserves_flags));
        }
        value
    }

    /// Writes the port.
    pub(crate) fn write(self, value: u32) {
        // SAFETY: `new` was promised that writing this port is harmless. The
        // device may read memory then, so what was written there comes before.
        unsafe {
            asm!("out dx, eax", in("eax") value, in("dx") self.number, options(nostack, preserves_flags));
        }
    }
}
