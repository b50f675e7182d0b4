//! Counts of one frequency as counts of another.

/// Fraction bits of [`Scale::factor`].
pub(crate) const FRACTION_BITS: u32 = 40;

/// Multiplies by a fixed-point fraction, in 128 bits: no overflow for
/// centuries, and monotonic because a product with a constant is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    factor: u64,
}

impl Scale {
    /// From units of `from_hz` to units of `to_hz`.
    pub(crate) fn new(from_hz: u64, to_hz: u64) -> Scale {
        let factor = (u128::from(to_hz) << FRACTION_BITS) / u128::from(from_hz.max(1));
        Scale {
            factor: u64::try_from(factor).unwrap_or(u64::MAX),
        }
    }

    /// The factor, with [`FRACTION_BITS`] behind the point.
    pub(crate) fn factor(self) -> u64 {
        self.factor
    }

    /// The other count, at most `u64::MAX`.
    #[inline]
    pub(crate) fn apply(self, value: u64) -> u64 {
        let product = (u128::from(value) * u128::from(self.factor)) >> FRACTION_BITS;
        if product > u128::from(u64::MAX) {
            u64::MAX
        } else {
            product as u64
        }
    }

    /// As [`apply`](Scale::apply), for what has less than 64 bits as
    /// nanoseconds: five centuries.
    #[inline]
    pub(crate) fn apply_to_uptime(self, value: u64) -> u64 {
        // CAST: see above.
        ((u128::from(value) * u128::from(self.factor)) >> FRACTION_BITS) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;
    use crate::clock::NANOSECONDS;

    #[test]
    fn scales_without_drift_or_overflow() {
        for hz in [
            1_000_000,
            1_193_182,
            999_999_937,
            1_000_000_000,
            2_899_999_000,
            5_000_000_000,
        ] {
            let there = Scale::new(hz, NANOSECONDS);
            let day = hz * 86_400;
            let off = there.apply(day).abs_diff(86_400 * NANOSECONDS);
            assert!(off < 1_000_000, "{hz} Hz is {off} ns off in a day");
            assert_eq!(there.apply(0), 0);
            let (high, higher) = (there.apply(u64::MAX - 1), there.apply(u64::MAX));
            assert!(high <= higher);
        }
        assert_eq!(Scale::new(0, NANOSECONDS).apply(u64::MAX), u64::MAX);
    }

    #[test]
    fn one_gigahertz_is_exact() {
        let same = Scale::new(NANOSECONDS, NANOSECONDS);
        for value in [0, 1, 999, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(same.apply(value), value);
        }
    }
}
