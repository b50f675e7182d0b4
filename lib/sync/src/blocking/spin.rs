//! Waiting without a kernel: the thread goes on looking.

use core::time::Duration;

use super::Blocking;
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::primitive::spin_loop;

/// Waits by spinning. For code with no scheduler under it; it has no clock, so
/// it counts looks: a timeout is one look for each nanosecond.
///
/// ```
/// use ochre_sync::blocking::Spin;
/// use ochre_sync::lock::{Mutex, Plain};
///
/// static COUNT: Mutex<u32, Spin, Plain> = Mutex::new(0);
/// *COUNT.lock() += 1;
/// assert_eq!(*COUNT.lock(), 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Spin;

/// How many looks one wait takes before it returns for no reason.
const LOOKS: u32 = 64;

impl Blocking for Spin {
    type Instant = u64;

    fn after(timeout: Duration) -> Option<u64> {
        u64::try_from(timeout.as_nanos()).ok()
    }

    fn wait(word: &AtomicU32, expected: u32) {
        for _ in 0..LOOKS {
            spin_loop();
            // ORDERING: Relaxed; the caller looks again with the ordering it needs.
            if word.load(Ordering::Relaxed) != expected {
                return;
            }
        }
    }

    fn wait_until(word: &AtomicU32, expected: u32, looks: u64) -> bool {
        for _ in 0..looks {
            spin_loop();
            // ORDERING: Relaxed; as in `wait`.
            if word.load(Ordering::Relaxed) != expected {
                return true;
            }
        }
        false
    }

    fn wake_one(_word: *const AtomicU32) -> bool {
        true
    }

    fn wake_all(_word: *const AtomicU32) {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Spin;
    use crate::blocking::Blocking;
    use core::sync::atomic::AtomicU32;

    #[test]
    fn a_word_that_differs_is_not_waited_for() {
        let word = AtomicU32::new(1);
        Spin::wait(&word, 0);
        assert!(Spin::wait_until(&word, 0, 1_000));
        assert!(!Spin::wait_until(&word, 1, 1_000));
    }
}
