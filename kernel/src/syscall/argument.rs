//! Raw registers to typed arguments.
//!
//! A type says how a register is read: `i32` takes the low half with its sign,
//! as the C prototype does. Nothing is validated here.

use core::marker::PhantomData;

/// A type that an argument register can be read as.
pub trait FromArgument {
    /// Bytes of what it is the address of; 0 if it is none, or of nobody knows
    /// what. One byte is where a string begins.
    const POINTEE: usize = 0;

    /// Reads the register.
    fn from_argument(raw: u64) -> Self;
}

impl FromArgument for i32 {
    #[inline]
    fn from_argument(raw: u64) -> i32 {
        raw as i32
    }
}

impl FromArgument for u32 {
    #[inline]
    fn from_argument(raw: u64) -> u32 {
        raw as u32
    }
}

impl FromArgument for i64 {
    #[inline]
    fn from_argument(raw: u64) -> i64 {
        raw.cast_signed()
    }
}

impl FromArgument for u64 {
    #[inline]
    fn from_argument(raw: u64) -> u64 {
        raw
    }
}

impl FromArgument for usize {
    #[inline]
    fn from_argument(raw: u64) -> usize {
        raw as usize
    }
}

/// A file descriptor as a program names it: any 32-bit value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(pub i32);

impl FromArgument for Fd {
    #[inline]
    fn from_argument(raw: u64) -> Fd {
        Fd(raw as i32)
    }
}

/// A user address that should hold a `T`: an allegation, any 64-bit value.
/// [`AddressSpace::read_value`](crate::memory::AddressSpace::read_value) and
/// `write_value` check it by using it.
#[derive(Debug)]
pub struct Ptr<T> {
    address: u64,
    target: PhantomData<fn() -> T>,
}

impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Ptr<T> {
        *self
    }
}

impl<T> Copy for Ptr<T> {}

impl<T> Ptr<T> {
    /// The address.
    #[inline]
    #[must_use]
    pub fn address(self) -> u64 {
        self.address
    }

    /// Whether it is the null pointer, which many calls take for "none".
    #[inline]
    #[must_use]
    pub fn is_null(self) -> bool {
        self.address == 0
    }

    /// The same address for another type.
    #[inline]
    #[must_use]
    pub fn cast<U>(self) -> Ptr<U> {
        Ptr {
            address: self.address,
            target: PhantomData,
        }
    }

    /// The address `bytes` further on, wrapping.
    #[inline]
    #[must_use]
    pub fn offset(self, bytes: u64) -> Ptr<T> {
        Ptr {
            address: self.address.wrapping_add(bytes),
            target: PhantomData,
        }
    }
}

impl<T> FromArgument for Ptr<T> {
    const POINTEE: usize = size_of::<T>();

    #[inline]
    fn from_argument(raw: u64) -> Ptr<T> {
        Ptr {
            address: raw,
            target: PhantomData,
        }
    }
}
