//! What a processor may do ahead of time with a number that a program gave:
//! the same as on x86_64, where it is explained. The barrier keeps the
//! processor from guessing the outcome of the selection too.

use core::arch::asm;

/// `index` if it is below `len`, else 0, also in what is done ahead of time.
#[inline(always)]
pub(crate) fn clamp(index: usize, len: usize) -> usize {
    let clamped: usize;
    // SAFETY: arithmetic on registers, and a barrier that every processor
    // knows, be it as an instruction that does nothing.
    unsafe {
        asm!(
            "cmp {index}, {len}",
            "csel {clamped}, {index}, xzr, lo",
            "hint #20",
            index = in(reg) index,
            len = in(reg) len,
            clamped = lateout(reg) clamped,
            options(pure, nomem, nostack),
        );
    }
    clamped
}
