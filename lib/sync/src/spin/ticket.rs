//! Tickets: first come, first served.
//!
//! `next` is the ticket that the next to come gets, `serving` the one that holds
//! the lock. Free: `serving == next`. Held with n waiting: `next - serving == n + 1`.
//!
//! | step | next | serving | ordering |
//! | --- | --- | --- | --- |
//! | come | n to n + 1 | | Relaxed |
//! | is it my turn? | | read | Acquire |
//! | go | | n to n + 1, by the holder alone | Release |
//!
//! Both wrap; they are only ever compared, and 2^32 processors would have to wait
//! for two tickets to be the same.

use super::lock::{Guard, Lock, RawSpin};
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::primitive::spin_loop;

/// A spin lock that nobody starves at: it goes to those who wait in the order
/// in which they came.
///
/// The price: when the one whose turn it is has been interrupted, everybody waits
/// for it; do not use it where the machine under you may take processors away
/// (a guest with more processors than the host) or where threads spin.
///
/// ```
/// use ochre_sync::TicketLock;
///
/// let lock = TicketLock::new(1);
/// *lock.lock() += 1;
/// let guard = lock.lock();
/// assert_eq!(*guard, 2);
/// assert!(lock.try_lock().is_none());
/// ```
pub type TicketLock<T> = Lock<Ticket, T>;

/// Access to a [`TicketLock`]'s value; gives the lock back when dropped.
///
/// ```
/// use ochre_sync::TicketLock;
/// use ochre_sync::spin::TicketLockGuard;
///
/// fn count(mut numbers: TicketLockGuard<'_, u32>) {
///     *numbers += 1;
/// }
///
/// let lock = TicketLock::new(1);
/// count(lock.lock());
/// assert_eq!(lock.into_inner(), 2);
/// ```
pub type TicketLockGuard<'a, T> = Guard<'a, Ticket, T>;

/// How a [`TicketLock`] waits.
///
/// ```
/// use ochre_sync::spin::{Lock, Ticket};
///
/// static LOCK: Lock<Ticket, u32> = Lock::with_raw(Ticket::new(), 1);
/// assert_eq!(*LOCK.lock(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Ticket {
    next: AtomicU32,
    serving: AtomicU32,
}

impl Ticket {
    maybe_const! {
        /// A free lock.
        ///
        /// ```
        /// use ochre_sync::spin::{RawSpin, Ticket};
        ///
        /// static RAW: Ticket = Ticket::new();
        /// RAW.lock();
        /// assert!(RAW.is_locked());
        /// // SAFETY: locked above.
        /// unsafe { RAW.unlock() };
        /// assert!(!RAW.is_locked());
        /// ```
        #[must_use]
        pub fn new() -> Ticket {
            Ticket {
                next: AtomicU32::new(0),
                serving: AtomicU32::new(0),
            }
        }
    }
}

// SAFETY: each ticket is handed out once, `serving` moves on by the holder alone
// and only when it goes, so it names one holder at a time; it does so with
// Release, and who sees its turn sees it with Acquire.
unsafe impl RawSpin for Ticket {
    const NAME: &'static str = "TicketLock";
    const FAIR: bool = true;

    #[inline]
    fn lock(&self) {
        // ORDERING: Relaxed; the counter alone says who comes when.
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        loop {
            // ORDERING: Acquire pairs with the Release of `unlock`.
            let serving = self.serving.load(Ordering::Acquire);
            if serving == ticket {
                return;
            }
            // One hint for each who is before us: who is far behind looks less
            // often, and disturbs the holder less.
            for _ in 0..ticket.wrapping_sub(serving).min(MOST_HINTS) {
                spin_loop();
            }
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `unlock`.
        let serving = self.serving.load(Ordering::Acquire);
        // If `next` is still the ticket that was being served, nobody had it,
        // and `serving` has not moved since.
        // ORDERING: Relaxed, both; the load above synchronised.
        self.next
            .compare_exchange(
                serving,
                serving.wrapping_add(1),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    #[inline]
    fn is_locked(&self) -> bool {
        // ORDERING: Relaxed, both; a number to look at.
        self.serving.load(Ordering::Relaxed) != self.next.load(Ordering::Relaxed)
    }

    #[inline]
    unsafe fn unlock(&self) {
        // ORDERING: Relaxed; nobody but the holder writes it, and that is this thread.
        let serving = self.serving.load(Ordering::Relaxed);
        // ORDERING: Release publishes what the holder wrote to the next one.
        self.serving
            .store(serving.wrapping_add(1), Ordering::Release);
    }
}

/// However far behind, nobody looks away for longer than this.
const MOST_HINTS: u32 = 64;

impl<T> Lock<Ticket, T> {
    maybe_const! {
        /// A free lock around `value`.
        ///
        /// ```
        /// use ochre_sync::TicketLock;
        ///
        /// static TURNS: TicketLock<u32> = TicketLock::new(0);
        /// std::thread::scope(|scope| {
        ///     for _ in 0..2 {
        ///         scope.spawn(|| *TURNS.lock() += 1);
        ///     }
        /// });
        /// assert_eq!(*TURNS.lock(), 2);
        /// ```
        pub fn new(value: T) -> Lock<Ticket, T> {
            Lock::with_raw(Ticket::new(), value)
        }
    }
}

#[cfg(all(test, not(loom)))]
impl Ticket {
    /// As if so many tickets had been served already.
    pub(super) fn skip(&self, tickets: u32) {
        self.next.store(tickets, Ordering::Relaxed);
        self.serving.store(tickets, Ordering::Relaxed);
    }

    /// How many have come.
    pub(super) fn issued(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }
}
