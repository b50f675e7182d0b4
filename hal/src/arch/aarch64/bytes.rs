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
    // SAFETY: writes `to..to + len`, reads `from..from + len`, the caller's to access.
    unsafe {
        asm!(
            "b 3f",
            "2: ldp {a}, {b}, [{from}], #16",
            "ldp {c}, {d}, [{from}], #16",
            "stp {a}, {b}, [{to}], #16",
            "stp {c}, {d}, [{to}], #16",
            "sub {len}, {len}, #32",
            "3: cmp {len}, #32",
            "b.hs 2b",
            "cbz {len}, 5f",
            "4: ldrb {a:w}, [{from}], #1",
            "strb {a:w}, [{to}], #1",
            "subs {len}, {len}, #1",
            "b.ne 4b",
            "5:",
            to = inout(reg) to => _,
            from = inout(reg) from => _,
            len = inout(reg) len => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
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
            "b 3f",
            "2: stp xzr, xzr, [{to}], #16",
            "stp xzr, xzr, [{to}], #16",
            "stp xzr, xzr, [{to}], #16",
            "stp xzr, xzr, [{to}], #16",
            "sub {len}, {len}, #64",
            "3: cmp {len}, #64",
            "b.hs 2b",
            "cbz {len}, 5f",
            "4: strb wzr, [{to}], #1",
            "subs {len}, {len}, #1",
            "b.ne 4b",
            "5:",
            to = inout(reg) to => _,
            len = inout(reg) len => _,
            options(nostack),
        );
    }
}
