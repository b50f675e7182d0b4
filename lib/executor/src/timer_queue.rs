//! Wakers by deadline.
//!
//! A balanced tree keyed by deadline and a serial number: arming may allocate,
//! firing and cancelling never do. Deadlines are any monotonic count
//! (nanoseconds in Ochre).

use alloc::collections::BTreeMap;
use core::task::Waker;

/// Names an armed timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    deadline: u64,
    serial: u64,
}

impl TimerKey {
    /// When the timer fires.
    #[must_use]
    pub fn deadline(self) -> u64 {
        self.deadline
    }
}

/// Armed timers of one processor.
#[derive(Debug, Default)]
pub struct TimerQueue {
    timers: BTreeMap<TimerKey, Waker>,
    serial: u64,
}

impl TimerQueue {
    /// A queue without timers.
    #[must_use]
    pub const fn new() -> TimerQueue {
        TimerQueue {
            timers: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Wakes `waker` at `deadline`.
    pub fn arm(&mut self, deadline: u64, waker: Waker) -> TimerKey {
        self.serial += 1;
        let key = TimerKey {
            deadline,
            serial: self.serial,
        };
        self.timers.insert(key, waker);
        key
    }

    /// Replaces the waker of an armed timer; false if it fired already.
    pub fn rearm(&mut self, key: TimerKey, waker: &Waker) -> bool {
        match self.timers.get_mut(&key) {
            Some(armed) => {
                armed.clone_from(waker);
                true
            }
            None => false,
        }
    }

    /// Takes a timer away; false if it fired already.
    pub fn cancel(&mut self, key: TimerKey) -> bool {
        self.timers.remove(&key).is_some()
    }

    /// When the next timer fires.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.first_key_value().map(|(key, _)| key.deadline)
    }

    /// Takes one timer that is due at `now`, earliest first. The caller wakes
    /// it after giving back whatever lock protects the queue.
    pub fn pop_due(&mut self, now: u64) -> Option<Waker> {
        if self.next_deadline()? > now {
            return None;
        }
        self.timers.pop_first().map(|(_, waker)| waker)
    }

    /// Armed timers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether no timer is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::TimerQueue;
    use core::task::Waker;

    #[test]
    fn fires_in_order_of_deadline_then_of_arming() {
        let mut queue = TimerQueue::new();
        let late = queue.arm(20, Waker::noop().clone());
        queue.arm(10, Waker::noop().clone());
        queue.arm(10, Waker::noop().clone());
        assert_eq!(queue.next_deadline(), Some(10));
        assert!(queue.pop_due(9).is_none());
        assert!(queue.pop_due(10).is_some());
        assert!(queue.pop_due(10).is_some());
        assert!(queue.pop_due(10).is_none());
        assert!(queue.cancel(late));
        assert!(!queue.cancel(late));
        assert!(queue.is_empty());
    }
}
