//! From the timeouts that programs give to monotonic deadlines.
//!
//! `None` is "for ever", `Some(0)` "do not wait": zero timeouts are told apart
//! from deadlines that happen to have passed, which are never zero.

use ochre_abi::Errno;
use ochre_hal::clock;

use super::{FromArgument, Ptr};
use crate::memory::AddressSpace;

const NS_PER_SECOND: u64 = 1_000_000_000;

fn after_ns(duration_ns: u64) -> u64 {
    if duration_ns == 0 {
        return 0;
    }
    clock::now_ns().saturating_add(duration_ns)
}

/// Milliseconds from now; negative is for ever (poll(2)).
#[must_use]
pub(super) fn after_ms(timeout_ms: i32) -> Option<u64> {
    let ms = u64::try_from(timeout_ms).ok()?;
    Some(after_ns(ms * 1_000_000))
}

/// A valid `struct timespec` in nanoseconds, clamped to what fits.
pub(super) fn duration_ns(seconds: i64, nanoseconds: i64) -> Result<u64, Errno> {
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let nanoseconds = u64::try_from(nanoseconds)
        .ok()
        .filter(|ns| *ns < NS_PER_SECOND)
        .ok_or(Errno::EINVAL)?;
    Ok(seconds
        .saturating_mul(NS_PER_SECOND)
        .saturating_add(nanoseconds))
}

/// A relative `struct timespec` at `address`; null is for ever.
///
/// # Errors
/// EFAULT; EINVAL for negative or too many nanoseconds.
pub(super) fn after_timespec(space: &AddressSpace, address: u64) -> Result<Option<u64>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    let [seconds, nanoseconds] = space.read_value(Ptr::<[i64; 2]>::from_argument(address))?;
    Ok(Some(after_ns(duration_ns(seconds, nanoseconds)?)))
}

/// A relative `struct timeval` at `address`; null is for ever. Microseconds
/// beyond a second are taken, as Linux's select does.
///
/// # Errors
/// EFAULT; EINVAL for negative values.
pub(super) fn after_timeval(space: &AddressSpace, address: u64) -> Result<Option<u64>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    let [seconds, microseconds] = space.read_value(Ptr::<[i64; 2]>::from_argument(address))?;
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let microseconds = u64::try_from(microseconds).map_err(|_| Errno::EINVAL)?;
    Ok(Some(after_ns(
        seconds
            .saturating_mul(NS_PER_SECOND)
            .saturating_add(microseconds.saturating_mul(1000)),
    )))
}

#[cfg(test)]
mod tests {
    use super::duration_ns;
    use ochre_abi::Errno;

    #[test]
    fn durations_are_checked_and_clamped() {
        assert_eq!(duration_ns(1, 5), Ok(1_000_000_005));
        assert_eq!(duration_ns(-1, 0), Err(Errno::EINVAL));
        assert_eq!(duration_ns(0, 1_000_000_000), Err(Errno::EINVAL));
        assert_eq!(duration_ns(0, -1), Err(Errno::EINVAL));
        assert_eq!(duration_ns(i64::MAX, 0), Ok(u64::MAX));
    }
}
