//! Where a thread sleeps: the layer under every lock that blocks.
//!
//! A lock keeps its whole state in 32-bit words and asks this layer only to
//! sleep while a word holds a value, and to wake those who sleep at a word.
//! Nothing but speed may depend on it: a wait may end for no reason, so every
//! caller looks at its word again, and a lock over a backend whose `wait`
//! returns at once is a correct spin lock.
//!
//! # What must hold
//! Looking at the word and falling asleep are one step beside `wake_*`: a
//! thread that changes the word and then wakes is not missed (futex(2)).
//!
//! ```
//! use ochre_sync::blocking::{Futex, Spin};
//! use ochre_sync::lock::{Mutex, Plain};
//!
//! // The same lock, with two ways to wait.
//! static SLEEPS: Mutex<u32, Futex, Plain> = Mutex::new(1);
//! static SPINS: Mutex<u32, Spin, Plain> = Mutex::new(2);
//! assert_eq!(*SLEEPS.lock() + *SPINS.lock(), 3);
//! ```

use core::time::Duration;

use crate::primitive::atomic::AtomicU32;

mod spin;

pub use spin::Spin;

#[cfg(all(feature = "std", target_os = "linux", not(loom), not(shuttle)))]
mod futex;
#[cfg(all(feature = "std", target_os = "linux", not(loom), not(shuttle)))]
pub use futex::Futex;

#[cfg(any(loom, shuttle))]
mod model;
#[cfg(any(loom, shuttle))]
pub use model::Model;

/// A way to sleep at a word and to wake those who do.
///
/// The functions have no receiver: a backend is a place in the system, not a
/// value, and locks name it as a type parameter.
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::blocking::Blocking;
/// use ochre_sync::lock::{Mutex, Plain};
/// use ochre_sync::primitive::atomic::AtomicU32;
///
/// /// Lets others run instead of sleeping: as little as there has to be.
/// struct Polite;
///
/// impl Blocking for Polite {
///     type Instant = std::time::Instant;
///
///     fn after(timeout: Duration) -> Option<Self::Instant> {
///         std::time::Instant::now().checked_add(timeout)
///     }
///
///     fn wait(_: &AtomicU32, _: u32) {
///         std::thread::yield_now();
///     }
///
///     fn wait_until(_: &AtomicU32, _: u32, deadline: Self::Instant) -> bool {
///         std::thread::yield_now();
///         std::time::Instant::now() < deadline
///     }
///
///     fn wake_one(_: *const AtomicU32) -> bool {
///         true // whoever waits wakes by itself
///     }
///
///     fn wake_all(_: *const AtomicU32) {}
/// }
///
/// let mutex: Mutex<u32, Polite, Plain> = Mutex::new(0);
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| *mutex.lock() += 1);
///     }
/// });
/// assert_eq!(mutex.into_inner(), 2);
/// ```
pub trait Blocking: 'static {
    /// A moment on the backend's monotonic clock.
    type Instant: Copy + Ord;

    /// The moment that is `timeout` from now; `None` if the clock cannot say it.
    fn after(timeout: Duration) -> Option<Self::Instant>;

    /// Sleeps while `word` holds `expected`, until woken. May return for no reason.
    fn wait(word: &AtomicU32, expected: u32);

    /// As [`wait`](Blocking::wait), but not beyond `deadline`. Returns false if
    /// it ended because the deadline has passed.
    fn wait_until(word: &AtomicU32, expected: u32, deadline: Self::Instant) -> bool;

    /// Wakes one thread that sleeps at the word, if there is one; returns
    /// whether there was. A backend that cannot tell says no, unless its `wait`
    /// ends by itself.
    ///
    /// Takes an address and never reads it: the lock that contained the word
    /// may be gone by the time its last owner comes here.
    fn wake_one(word: *const AtomicU32) -> bool;

    /// Wakes all threads that sleep at the word.
    fn wake_all(word: *const AtomicU32);

    /// Lets other threads run: one of them is about to finish what the caller
    /// waits for, unless it waits for this processor.
    fn relax() {
        crate::primitive::spin_loop();
    }

    /// If `word` holds `expected`, lets those who sleep there sleep at `target`
    /// instead, and wakes nobody. Returns false, having done nothing, if it does
    /// not hold it or the backend cannot.
    fn requeue(word: &AtomicU32, expected: u32, target: *const AtomicU32) -> bool {
        let _ = (word, expected, target);
        false
    }

    /// Whether this thread is unwinding from a panic: a lock that it holds is
    /// poisoned. Where nothing unwinds, never.
    #[inline]
    fn panicking() -> bool {
        false
    }
}
