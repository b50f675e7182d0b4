//! Bytes in frames that programs may write at the same moment.
//!
//! Inline assembly, because a program's stores are outside of what the
//! language knows: to the compiler each block is one opaque access, so that a
//! race changes the bytes that are copied and nothing else.

use core::arch::asm;

/// Copies `len` bytes.
///
/// # Safety
/// Both ranges are mapped for the kernel and do not overlap; what is not a
/// program's frame is the caller's alone.
#[inline]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: writes `to..to + len`, reads `from..from + len`, the caller's to
    // access; the direction flag is clear by the calling convention.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {tail:e}",
            "rep movsb",
            tail = in(reg) len % 8,
            inout("rcx") len / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack),
        );
    }
}

/// Writes `len` zeroes.
///
/// # Safety
/// The range is mapped for the kernel; what is not a program's frame is the caller's alone.
#[inline]
pub(crate) unsafe fn zero(to: *mut u8, len: usize) {
    // SAFETY: writes `to..to + len`, the caller's to access.
    unsafe {
        asm!(
            "rep stosq",
            "mov ecx, {tail:e}",
            "rep stosb",
            tail = in(reg) len % 8,
            inout("rcx") len / 8 => _,
            inout("rdi") to => _,
            in("rax") 0_u64,
            options(nostack),
        );
    }
}
