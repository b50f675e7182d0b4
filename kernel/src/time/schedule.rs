//! When a timer expires: arithmetic and nothing else.

/// The next expiration and the time between two; all in nanoseconds of
/// whatever clock the timer runs by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The next expiration; `None` for a timer that does not run.
    pub next_ns: Option<u64>,
    /// Between two; 0 for one only.
    pub interval_ns: u64,
}

impl Schedule {
    /// Whether the timer has expired.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.next_ns.is_some_and(|next| next <= now_ns)
    }

    /// Goes on to the first expiration after `now_ns`; answers how many there
    /// were up to then. A timer without interval stops.
    pub fn advance(&mut self, now_ns: u64) -> u64 {
        let Some(next) = self.next_ns.filter(|next| *next <= now_ns) else {
            return 0;
        };
        let late = now_ns - next;
        let Some(missed) = late.checked_div(self.interval_ns) else {
            self.next_ns = None;
            return 1;
        };
        let expirations = missed.saturating_add(1);
        self.next_ns = Some(next.saturating_add(expirations.saturating_mul(self.interval_ns)));
        expirations
    }

    /// Time to the next expiration, 0 for none: what `gettime` calls tell. The
    /// expirations up to `now_ns` are passed over.
    #[must_use]
    pub fn remaining_ns(&self, now_ns: u64) -> u64 {
        let mut ahead = *self;
        ahead.advance(now_ns);
        ahead.next_ns.map_or(0, |next| next.saturating_sub(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    fn schedule(next_ns: u64, interval_ns: u64) -> Schedule {
        Schedule {
            next_ns: Some(next_ns),
            interval_ns,
        }
    }

    #[test]
    fn a_single_timer_expires_once() {
        let mut once = schedule(100, 0);
        assert_eq!(once.remaining_ns(30), 70);
        assert_eq!(once.advance(99), 0);
        assert_eq!(once.advance(100), 1);
        assert_eq!(once.advance(200), 0);
        assert_eq!(once.remaining_ns(200), 0);
    }

    #[test]
    fn a_late_look_counts_what_was_missed() {
        let mut every = schedule(100, 10);
        assert_eq!(every.advance(100), 1);
        assert_eq!(every.next_ns, Some(110));
        assert_eq!(every.advance(139), 3);
        assert_eq!(every.next_ns, Some(140));
        assert_eq!(every.remaining_ns(165), 5);
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        let mut far = schedule(1, 1);
        assert_eq!(far.advance(u64::MAX), u64::MAX);
        assert_eq!(far.next_ns, Some(u64::MAX));
        let mut long = schedule(0, u64::MAX);
        assert_eq!(long.advance(5), 1);
        assert_eq!(long.next_ns, Some(u64::MAX));
    }

    proptest::proptest! {
        #[test]
        fn looking_often_counts_as_much_as_looking_once(
            first in 0_u64..1000,
            interval in 1_u64..50,
            looks in proptest::collection::vec(0_u64..100, 1..30),
        ) {
            let mut often = schedule(first, interval);
            let mut now = 0;
            let mut counted = 0;
            for step in looks {
                now += step;
                counted += often.advance(now);
                assert!(often.next_ns.is_some_and(|next| next > now));
            }
            let mut once = schedule(first, interval);
            assert_eq!(once.advance(now), counted);
            assert_eq!(once, often);
        }
    }
}
