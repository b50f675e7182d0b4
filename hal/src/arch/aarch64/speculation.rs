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

/// `address` without the bits that no address of a program's has, also in what is
/// done ahead of time: one that is at most `last`, which is in the program's half,
/// is as it was, and what is loaded or stored at any other does not reach the
/// kernel's half. One instruction, and no guess: it depends on no comparison.
#[inline(always)]
pub(crate) fn user_address(address: u64, last: u64) -> u64 {
    let _ = last;
    let masked;
    // SAFETY: arithmetic on registers. What the compiler could see it would leave
    // out behind the comparison that was made before.
    unsafe {
        asm!(
            "and {address}, {address}, #{bits}",
            address = inlateout(reg) address => masked,
            bits = const USER_BITS,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    masked
}

/// The bits that addresses of programs have.
const USER_BITS: u64 = crate::memory::USER_END.next_power_of_two() - 1;

#[cfg(feature = "ktest")]
mod ktests;
#[cfg(feature = "ktest")]
pub(crate) use ktests::has_mask;
