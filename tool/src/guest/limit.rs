//! How long a guest may run, by the clock or by what its host let it have.
//!
//! A person who says ten seconds means ten seconds. A test means that the
//! guest hangs: on a host with more to do than it has processors a healthy one
//! may need several times as long, most of which it waits for its turn. So a
//! [`Limit::of_turns`] leaves out what the machine was ready to run and was
//! not run, but never grants more than [`MOST`] times itself: a guest that
//! spins for ever ends.

use core::time::Duration;

/// How often a limit may be granted once more.
const MOST: u32 = 4;

/// How long a guest may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    time: Duration,
    with_turns: bool,
}

impl Limit {
    /// So long by the clock.
    pub(super) fn of_clock(time: Duration) -> Self {
        Self {
            time,
            with_turns: false,
        }
    }

    /// So long without the time that the machine waits for a processor of the
    /// host.
    pub(super) fn of_turns(time: Duration) -> Self {
        Self {
            time,
            with_turns: true,
        }
    }

    /// How much is left after `elapsed`; `None` if the time is up. Asks how
    /// long the machine `waited` only when the clock's time is over.
    pub(super) fn left(
        self,
        elapsed: Duration,
        waited: impl FnOnce() -> Duration,
    ) -> Option<Duration> {
        let of = |time: Duration| time.checked_sub(elapsed).filter(|left| !left.is_zero());
        of(self.time).or_else(|| {
            let granted = self
                .with_turns
                .then(|| waited().min(self.time.saturating_mul(MOST)))?;
            of(self.time.saturating_add(granted))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_knows_no_excuse() {
        let limit = Limit::of_clock(seconds(10));
        assert_eq!(
            limit.left(seconds(4), || panic!("not asked")),
            Some(seconds(6))
        );
        assert_eq!(limit.left(seconds(10), || seconds(9)), None);
    }

    #[test]
    fn waiting_for_a_turn_does_not_count() {
        let limit = Limit::of_turns(seconds(10));
        assert_eq!(limit.left(seconds(10), || seconds(3)), Some(seconds(3)));
        assert_eq!(limit.left(seconds(13), || seconds(3)), None);
        assert_eq!(limit.left(seconds(10), Duration::default), None);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let limit = Limit::of_turns(seconds(10));
        assert_eq!(limit.left(seconds(49), || seconds(45)), Some(seconds(1)));
        assert_eq!(limit.left(seconds(50), || seconds(49)), None);
    }
}
