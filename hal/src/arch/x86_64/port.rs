//! Port input and output.
//!
//! A port is a device's door: writing to one can start a transfer into any
//! memory. So the functions are unsafe and each caller names the device it
//! owns and why the access cannot reach memory.

use core::arch::asm;

/// Reads a byte.
///
/// # Safety
/// Reading `port` must have no effect on memory.
pub(crate) unsafe fn read_u8(port: u16) -> u8 {
    let value;
    // SAFETY: the caller vouches for the port; the instruction itself touches
    // no memory and no flags.
    unsafe {
        asm!("in al, dx", out("al") value, in("dx") port, options(nomem, nostack, preserves_flags));
    }
    value
}

/// Writes a byte.
///
/// # Safety
/// Writing `value` to `port` must have no effect on memory.
pub(crate) unsafe fn write_u8(port: u16, value: u8) {
    // SAFETY: the caller vouches for the port and the value.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags));
    }
}

/// Reads 16 bits.
///
/// # Safety
/// As [`read_u8`].
pub(crate) unsafe fn read_u16(port: u16) -> u16 {
    let value;
    // SAFETY: as in `read_u8`.
    unsafe {
        asm!("in ax, dx", out("ax") value, in("dx") port, options(nomem, nostack, preserves_flags));
    }
    value
}

/// Writes 16 bits.
///
/// # Safety
/// As [`write_u8`].
pub(crate) unsafe fn write_u16(port: u16, value: u16) {
    // SAFETY: the caller vouches for the port and the value.
    unsafe {
        asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags));
    }
}

/// Reads 32 bits.
///
/// # Safety
/// As [`read_u8`].
pub(crate) unsafe fn read_u32(port: u16) -> u32 {
    let value;
    // SAFETY: as in `read_u8`.
    unsafe {
        asm!("in eax, dx", out("eax") value, in("dx") port, options(nomem, nostack, preserves_flags));
    }
    value
}

/// Writes 32 bits.
///
/// # Safety
/// As [`write_u8`].
pub(crate) unsafe fn write_u32(port: u16, value: u32) {
    // SAFETY: the caller vouches for the port and the value.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags));
    }
}
