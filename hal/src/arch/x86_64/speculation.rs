//! What a processor may do ahead of time with a number that a program gave.
//!
//! A comparison keeps an index inside of a table, but a processor that guesses
//! its outcome reads behind the table first and forgets that it did; what it
//! read leaves traces in its caches (Spectre, variant 1). A mask made by
//! arithmetic is no guess: the index is 0 wherever the comparison would fail.

use core::arch::asm;

/// `index` if it is below `len`, else 0, also in what is done ahead of time.
#[inline(always)]
pub(crate) fn clamp(index: usize, len: usize) -> usize {
    let mask: usize;
    // SAFETY: arithmetic on registers. The compiler, which sees none of it,
    // cannot make a branch of it again.
    unsafe {
        asm!(
            "cmp {index}, {len}",
            "sbb {mask}, {mask}",
            index = in(reg) index,
            len = in(reg) len,
            mask = lateout(reg) mask,
            options(pure, nomem, nostack),
        );
    }
    index & mask
}

#[cfg(test)]
mod tests {
    use super::clamp;

    #[test]
    fn what_is_inside_stays_and_all_else_is_the_first() {
        for (index, len, clamped) in [
            (0, 1, 0),
            (1, 1, 0),
            (5, 6, 5),
            (6, 6, 0),
            (usize::MAX, 6, 0),
            (usize::MAX - 1, usize::MAX, usize::MAX - 1),
            (1 << 63, 5, 0),
            (0, 0, 0),
        ] {
            assert_eq!(clamp(index, len), clamped, "{index} of {len}");
        }
    }
}
