//! Address arithmetic that both formats share: 48 bits, nine per level.

/// Bits of an offset in a page.
pub const PAGE_BITS: u32 = 12;

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 1 << PAGE_BITS;

/// Entries in a table.
pub const ENTRIES: usize = 512;

const INDEX_BITS: u32 = 9;

/// Bytes that one entry of a table at `level` covers.
#[inline]
#[must_use]
pub const fn span(level: u32) -> u64 {
    1 << (PAGE_BITS + INDEX_BITS * level)
}

/// The entry of a table at `level` that an address goes through.
#[inline]
#[must_use]
pub const fn index(address: u64, level: u32) -> usize {
    // CAST: nine bits.
    (address >> (PAGE_BITS + INDEX_BITS * level)) as usize % ENTRIES
}

/// Whether an address is at the start of a page.
#[inline]
#[must_use]
pub const fn is_page_aligned(address: u64) -> bool {
    address.is_multiple_of(PAGE_SIZE)
}

/// Copies bit 47 into the bits above, as a 48-bit address wants it.
#[inline]
#[must_use]
pub const fn sign_extend(address: u64) -> u64 {
    // CAST: a sign-extending shift, there and back.
    ((address << 16) as i64 >> 16) as u64
}

/// Whether a machine with 48-bit addresses accepts the address at all.
#[inline]
#[must_use]
pub const fn is_canonical(address: u64) -> bool {
    sign_extend(address) == address
}

/// Whether `len` bytes from `start` lie below `end`, without wrapping round.
/// An empty range may begin anywhere up to `end`.
#[inline]
#[must_use]
pub const fn is_user_range(start: u64, len: u64, end: u64) -> bool {
    len <= end && start <= end - len
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES, index, is_canonical, is_user_range, sign_extend, span};
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn spans_are_pages_and_blocks() {
        assert_eq!(span(0), 4 << 10);
        assert_eq!(span(1), 2 << 20);
        assert_eq!(span(2), 1 << 30);
        assert_eq!(span(3), 512 << 30);
    }

    #[test]
    fn halves_meet_at_the_hole() {
        assert!(is_canonical(0x7fff_ffff_ffff));
        assert!(!is_canonical(0x8000_0000_0000));
        assert!(!is_canonical(0xffff_7fff_ffff_ffff));
        assert!(is_canonical(0xffff_8000_0000_0000));
        assert!(is_canonical(u64::MAX));
    }

    #[test]
    fn user_ranges_end_where_they_should() {
        let end = 0x7fff_ffff_f000;
        assert!(is_user_range(0, end, end));
        assert!(is_user_range(end, 0, end));
        assert!(is_user_range(end - 1, 1, end));
        assert!(!is_user_range(end - 1, 2, end));
        assert!(!is_user_range(end + 1, 0, end));
        assert!(!is_user_range(u64::MAX, 2, end));
        assert!(!is_user_range(1, u64::MAX, end));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn indices_and_offset_make_the_address(address in any::<u64>()) {
            let address = sign_extend(address);
            let mut sum = address % span(0);
            for level in 0..4 {
                let index = index(address, level);
                prop_assert!(index < ENTRIES);
                sum += index as u64 * span(level);
            }
            prop_assert_eq!(sign_extend(sum), address);
        }

        #[test]
        fn user_ranges_agree_with_wide_arithmetic(
            start in any::<u64>(), len in any::<u64>(), end in any::<u64>(),
        ) {
            let wide = u128::from(start) + u128::from(len) <= u128::from(end);
            prop_assert_eq!(is_user_range(start, len, end), wide);
        }
    }
}
