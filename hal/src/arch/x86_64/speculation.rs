//! What a processor may do ahead of time with a number that a program gave.
//!
//! A comparison keeps an index inside of a table, but a processor that guesses
//! its outcome reads behind the table first and forgets that it did; what it
//! read leaves traces in its caches (Spectre, variant 1). A mask made by
//! arithmetic is no guess: the index is 0 wherever the comparison would fail.
//!
//! The same goes for the addresses that programs give ([`user_address`]), and
//! for the GS base that the ways in choose by a comparison: they wait until it
//! is decided before they use it (`trap.rs`; Intel's and AMD's papers on SWAPGS,
//! CVE-2019-1125).

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

/// `address` if it is at most `last`, else `last`, also in what is done ahead of
/// time: what is loaded or stored there does not reach beyond.
///
/// *Not taken:* clearing the top bit alone, one instruction: it leaves addresses
/// that are not canonical, and there are processors that go on with the lower
/// 48 bits of such before they refuse them (AMD, CVE-2020-12965).
#[inline(always)]
pub(crate) fn user_address(address: u64, last: u64) -> u64 {
    let masked;
    // SAFETY: arithmetic on registers. What the compiler could see it would leave
    // out behind the comparison that was made before. Neither Intel's nor AMD's
    // processors guess what a conditional move moves.
    unsafe {
        asm!(
            "cmp {address}, {last}",
            "cmova {address}, {last}",
            address = inlateout(reg) address => masked,
            last = in(reg) last,
            options(pure, nomem, nostack),
        );
    }
    masked
}

#[cfg(feature = "ktest")]
mod ktests;
#[cfg(feature = "ktest")]
pub(crate) use ktests::has_mask;

#[cfg(test)]
mod tests {
    use super::{clamp, user_address};

    #[test]
    fn addresses_end_where_they_may() {
        for (address, last, masked) in [
            (0, 0, 0),
            (0x1000, 0x7fff_ffff_e000, 0x1000),
            (0x7fff_ffff_e000, 0x7fff_ffff_e000, 0x7fff_ffff_e000),
            (0x7fff_ffff_e001, 0x7fff_ffff_e000, 0x7fff_ffff_e000),
            (0xffff_8000_0000_0000, 0x7fff_ffff_e000, 0x7fff_ffff_e000),
            (0x8000_0000_0000_0000, 0x7fff_ffff_e000, 0x7fff_ffff_e000),
            (u64::MAX, 5, 5),
        ] {
            let found = user_address(address, last);
            assert_eq!(found, masked, "{address:#x} up to {last:#x}");
        }
    }

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
