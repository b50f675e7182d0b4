//! Waiting in Linux: futex(2), private to the process.
//!
//! Every call is one system call through the C library, which Miri knows too.

use core::ffi::{c_int, c_long};
use core::ptr;
use core::time::Duration;
use std::io::{Error, ErrorKind};

use super::Blocking;
use crate::primitive::atomic::AtomicU32;

/// Sleeps in Linux's futexes.
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::blocking::{Blocking, Futex};
/// use ochre_sync::primitive::atomic::AtomicU32;
///
/// let word = AtomicU32::new(1);
/// Futex::wait(&word, 0); // it is not 0: returns at once
/// let soon = Futex::after(Duration::from_millis(1)).expect("the clock can say it");
/// assert!(!Futex::wait_until(&word, 1, soon));
/// assert!(!Futex::wake_one(&word), "nobody sleeps there");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Futex;

/// A moment on `CLOCK_MONOTONIC`, in nanoseconds.
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::blocking::{Blocking, Futex};
///
/// let soon = Futex::after(Duration::from_secs(1)).expect("the clock can say it");
/// let later = Futex::after(Duration::from_secs(60)).expect("the clock can say it");
/// assert!(soon < later);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(u64);

const SECOND: u64 = 1_000_000_000;

impl Monotonic {
    /// This moment.
    ///
    /// ```
    /// use ochre_sync::blocking::{Blocking, Futex};
    ///
    /// type Moment = <Futex as Blocking>::Instant;
    ///
    /// let before = Moment::now();
    /// assert!(before <= Moment::now());
    /// ```
    #[must_use]
    pub fn now() -> Monotonic {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `now` is a timespec that may be written; this clock always exists.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        assert_eq!(result, 0, "the monotonic clock is there (clock_gettime(2))");
        Monotonic(now.tv_sec.cast_unsigned() * SECOND + now.tv_nsec.cast_unsigned())
    }

    fn timespec(self) -> libc::timespec {
        libc::timespec {
            tv_sec: (self.0 / SECOND).cast_signed(),
            tv_nsec: (self.0 % SECOND).cast_signed(),
        }
    }
}

/// Sleeps while the word holds `expected`; false when the deadline has passed.
fn wait(word: &AtomicU32, expected: u32, deadline: Option<&libc::timespec>) -> bool {
    let deadline = deadline.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the kernel only reads the word and the deadline, which are
    // borrowed for the length of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
            expected,
            deadline,
            ptr::null::<u32>(),
            // FUTEX_BITSET_MATCH_ANY
            u32::MAX,
        )
    };
    !(result == -1 && Error::last_os_error().kind() == ErrorKind::TimedOut)
}

/// Wakes up to `count`; returns how many.
fn wake(word: *const AtomicU32, count: c_int) -> c_long {
    // SAFETY: FUTEX_WAKE uses the address as a name and touches no memory.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            count,
        )
    }
}

#[expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "the kernel takes the address for a name; nothing reads through it"
)]
impl Blocking for Futex {
    type Instant = Monotonic;

    fn after(timeout: Duration) -> Option<Monotonic> {
        let nanoseconds = u64::try_from(timeout.as_nanos()).ok()?;
        let moment = Monotonic::now().0.checked_add(nanoseconds)?;
        i64::try_from(moment).ok()?;
        Some(Monotonic(moment))
    }

    fn wait(word: &AtomicU32, expected: u32) {
        wait(word, expected, None);
    }

    fn wait_until(word: &AtomicU32, expected: u32, deadline: Monotonic) -> bool {
        wait(word, expected, Some(&deadline.timespec()))
    }

    fn wake_one(word: *const AtomicU32) -> bool {
        wake(word, 1) > 0
    }

    fn wake_all(word: *const AtomicU32) {
        wake(word, c_int::MAX);
    }

    fn relax() {
        // SAFETY: touches no memory.
        unsafe { libc::sched_yield() };
    }

    fn requeue(word: &AtomicU32, expected: u32, target: *const AtomicU32) -> bool {
        if cfg!(miri) {
            // Miri has no such operation.
            return false;
        }
        // SAFETY: the kernel reads the word, which is borrowed for the length of
        // the call, and uses the target's address as a name.
        let result = unsafe {
            libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                libc::FUTEX_CMP_REQUEUE | libc::FUTEX_PRIVATE_FLAG,
                0,
                c_long::from(c_int::MAX),
                target,
                expected,
            )
        };
        result >= 0
    }

    #[inline]
    fn panicking() -> bool {
        std::thread::panicking()
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocking, Futex};
    use core::sync::atomic::{AtomicU32, Ordering};
    use core::time::Duration;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let word = AtomicU32::new(0);
        let deadline = Futex::after(Duration::from_millis(1)).expect("a clock with a next second");
        while Futex::wait_until(&word, 0, deadline) {}
    }

    #[test]
    fn a_word_that_differs_is_not_waited_for() {
        let word = AtomicU32::new(1);
        Futex::wait(&word, 0);
        assert!(!Futex::wake_one(&raw const word));
    }

    #[test]
    fn a_wake_ends_a_wait() {
        let word = Arc::new(AtomicU32::new(0));
        let sleeper = {
            let word = Arc::clone(&word);
            thread::spawn(move || {
                while word.load(Ordering::Acquire) == 0 {
                    Futex::wait(&word, 0);
                }
            })
        };
        word.store(1, Ordering::Release);
        Futex::wake_all(&raw const *word);
        sleeper.join().expect("the sleeper ends");
    }

    #[test]
    fn requeue_refuses_a_word_that_differs() {
        let word = AtomicU32::new(1);
        let target = AtomicU32::new(0);
        assert!(!Futex::requeue(&word, 0, &raw const target));
    }
}
