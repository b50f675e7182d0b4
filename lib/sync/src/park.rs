//! Parking: a thread sleeps until another says its name.
//!
//! One word, with at most one token in it:
//!
//! ```text
//!   EMPTY    --unpark (Release)-->  TOKEN
//!   TOKEN    --park (Acquire)-->    EMPTY     returns at once
//!   EMPTY    --park-->              PARKED    sleeps
//!   PARKED   --unpark (Release)-->  TOKEN     wakes the sleeper
//!   PARKED   --time is over-->      EMPTY
//! ```
//!
//! # What must hold
//! `unpark` happens before the end of the `park` that takes its token, and also
//! when the token was there already: the swap in `unpark` reads what an earlier
//! one wrote and is read by the `park` in its turn. So a thread that looks at a
//! flag (even Relaxed) after `park` sees what was written before `unpark`.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU32, Ordering};

const EMPTY: u32 = 0;
const TOKEN: u32 = 1;
const PARKED: u32 = 2;

/// A place for one thread to sleep at, with a token that lets it go on.
///
/// Works where the waker knows who waits. Tokens do not add up: two `unpark`s
/// let one `park` through. A `park` may also end for no reason, so look at the
/// condition in a loop; the program is right, if hot, with `park` left out.
///
/// One thread at a time parks; if several did, a token would go to one of them.
///
/// ```
/// use core::sync::atomic::{AtomicBool, Ordering};
/// use std::thread;
///
/// use ochre_sync::host::Parker;
///
/// let (parker, ready) = (Parker::new(), AtomicBool::new(false));
/// thread::scope(|scope| {
///     scope.spawn(|| {
///         while !ready.load(Ordering::Relaxed) {
///             parker.park();
///         }
///     });
///     ready.store(true, Ordering::Relaxed);
///     parker.unpark();
/// });
/// ```
///
/// For the ordinary `park()` of the current thread see
/// `host::park` (feature `std`).
pub struct Parker<B> {
    word: AtomicU32,
    backend: PhantomData<fn() -> B>,
}

impl<B: Blocking> Parker<B> {
    maybe_const! {
        /// A place where nobody sleeps, without a token.
        ///
        /// ```
        /// use ochre_sync::host::Parker;
        ///
        /// static MAIN: Parker = Parker::new();
        /// MAIN.unpark();
        /// MAIN.park();
        /// ```
        #[must_use]
        pub fn new() -> Parker<B> {
            Parker {
                word: AtomicU32::new(EMPTY),
                backend: PhantomData,
            }
        }
    }

    /// Sleeps until there is a token, and takes it.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU32, Ordering};
    /// use ochre_sync::host::Parker;
    ///
    /// let (parker, items) = (Parker::new(), AtomicU32::new(0));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         items.store(3, Ordering::Relaxed);
    ///         parker.unpark();
    ///     });
    ///     while items.load(Ordering::Relaxed) == 0 {
    ///         parker.park();
    ///     }
    /// });
    /// assert_eq!(items.into_inner(), 3);
    /// ```
    #[inline]
    pub fn park(&self) {
        if self.take_token() {
            return;
        }
        self.sleep(None);
    }

    /// As [`park`](Parker::park), but not for longer than `timeout`. Says
    /// whether there was a token.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::Parker;
    ///
    /// let parker = Parker::new();
    /// assert!(!parker.park_timeout(Duration::from_millis(1)), "nobody leaves a token");
    /// parker.unpark();
    /// assert!(parker.park_timeout(Duration::from_secs(60)));
    /// ```
    pub fn park_timeout(&self, timeout: Duration) -> bool {
        self.take_token() || self.sleep(B::after(timeout))
    }

    /// As [`park`](Parker::park), but not beyond `deadline`. Says whether there
    /// was a token.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::host::Parker;
    ///
    /// let parker = Parker::new();
    /// parker.unpark();
    /// // One deadline for all the waits of one piece of work.
    /// let deadline = Futex::after(Duration::from_millis(2)).expect("the clock can say it");
    /// assert!(parker.park_until(deadline));
    /// assert!(!parker.park_until(deadline));
    /// ```
    pub fn park_until(&self, deadline: B::Instant) -> bool {
        self.take_token() || self.sleep(Some(deadline))
    }

    /// Leaves a token, and wakes who sleeps here.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::Parker;
    ///
    /// let parker = Parker::new();
    /// parker.unpark();
    /// parker.unpark();
    /// assert!(parker.park_timeout(Duration::ZERO));
    /// assert!(!parker.park_timeout(Duration::ZERO), "two tokens are one");
    /// ```
    #[inline]
    pub fn unpark(&self) {
        // ORDERING: Release pairs with the Acquires that take the token. It is a
        // swap even if there is a token: the writes before this call must reach
        // the thread that takes it.
        if self.word.swap(TOKEN, Ordering::Release) == PARKED {
            B::wake_one(&raw const self.word);
        }
    }

    #[inline]
    fn take_token(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `unpark`.
        self.word
            .compare_exchange(TOKEN, EMPTY, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Returns whether there was a token; false only if the deadline came first.
    #[cold]
    fn sleep(&self, deadline: Option<B::Instant>) -> bool {
        loop {
            // ORDERING: Relaxed; to say that one sleeps publishes nothing.
            let parked =
                self.word
                    .compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Relaxed);
            let in_time = match (parked, deadline) {
                // A token has come, or another parks here too and has said so.
                (Err(TOKEN), _) => true,
                (_, None) => {
                    B::wait(&self.word, PARKED);
                    true
                }
                (_, Some(deadline)) => B::wait_until(&self.word, PARKED, deadline),
            };
            if self.take_token() {
                return true;
            }
            if !in_time {
                // ORDERING: Acquire pairs with the Release in `unpark`, which may
                // have come at the last moment.
                return self.word.swap(EMPTY, Ordering::Acquire) == TOKEN;
            }
        }
    }
}

impl<B: Blocking> Default for Parker<B> {
    fn default() -> Parker<B> {
        Parker::new()
    }
}

impl<B> fmt::Debug for Parker<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Parker;
    use crate::blocking::{Blocking, Futex, Spin};
    use core::sync::atomic::{AtomicU32, Ordering};
    use core::time::Duration;
    use std::thread;

    #[test]
    fn tokens_are_remembered_and_do_not_add_up() {
        let parker = Parker::<Futex>::new();
        parker.unpark();
        parker.unpark();
        parker.park();
        assert!(!parker.park_timeout(Duration::from_millis(1)));
        parker.unpark();
        assert!(parker.park_timeout(Duration::ZERO));
        parker.unpark();
        assert!(parker.park_timeout(Duration::MAX));
    }

    fn turns<B: Blocking>(rounds: u32) {
        let turn = AtomicU32::new(0);
        let parkers = [Parker::<B>::new(), Parker::new()];
        thread::scope(|scope| {
            for me in 0..2 {
                let (turn, parkers) = (&turn, &parkers);
                scope.spawn(move || {
                    for round in 0..rounds {
                        while turn.load(Ordering::Relaxed) != 2 * round + me {
                            parkers[me as usize].park();
                        }
                        turn.store(2 * round + me + 1, Ordering::Relaxed);
                        parkers[1 - me as usize].unpark();
                    }
                });
            }
        });
        assert_eq!(turn.into_inner(), 2 * rounds);
    }

    #[test]
    fn two_threads_take_turns() {
        turns::<Futex>(if cfg!(miri) { 20 } else { 5_000 });
        turns::<Spin>(if cfg!(miri) { 5 } else { 50 });
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Parker;
    use crate::blocking::Model;
    use core::time::Duration;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::thread;

    struct Shared {
        parker: Parker<Model>,
        data: UnsafeCell<u32>,
        flag: AtomicU32,
    }

    // SAFETY: the models are there to check the accesses to `data`.
    unsafe impl Sync for Shared {}

    fn shared() -> Arc<Shared> {
        Arc::new(Shared {
            parker: Parker::new(),
            data: UnsafeCell::new(0),
            flag: AtomicU32::new(0),
        })
    }

    #[test]
    fn unpark_happens_before_the_end_of_park() {
        loom::model(|| {
            let shared = shared();
            let waker = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    // SAFETY: the other thread looks after its park.
                    shared.data.with_mut(|data| unsafe { *data = 7 });
                    shared.parker.unpark();
                })
            };
            shared.parker.park();
            // SAFETY: the token says that the writer is done.
            assert_eq!(shared.data.with(|data| unsafe { *data }), 7);
            waker.join().expect("the waker finishes");
        });
    }

    #[test]
    fn a_second_unpark_is_not_lost() {
        loom::model(|| {
            let shared = shared();
            let wakers: Vec<_> = (0..2)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        shared.flag.fetch_add(1, Ordering::Relaxed);
                        shared.parker.unpark();
                    })
                })
                .collect();
            // Relaxed is enough for the poll: the token orders.
            while shared.flag.load(Ordering::Relaxed) != 2 {
                shared.parker.park();
            }
            for waker in wakers {
                waker.join().expect("the waker finishes");
            }
        });
    }

    #[test]
    fn a_token_at_the_last_moment_is_taken() {
        loom::model(|| {
            let shared = shared();
            let waker = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    // SAFETY: the other thread looks only with the token.
                    shared.data.with_mut(|data| unsafe { *data = 7 });
                    shared.parker.unpark();
                })
            };
            if !shared.parker.park_timeout(Duration::ZERO) {
                shared.parker.park();
            }
            // SAFETY: one of the two had the token.
            assert_eq!(shared.data.with(|data| unsafe { *data }), 7);
            waker.join().expect("the waker finishes");
        });
    }
}
