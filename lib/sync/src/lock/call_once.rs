//! Something done once, while whoever else wants it done waits.
//!
//! ```text
//!   INCOMPLETE --one begins--> RUNNING --it ends (Release)--> COMPLETE
//!                                 |--it did not succeed-->    INCOMPLETE
//!                                 '--it panicked-->           POISONED
//!   POISONED --one that does not mind begins--> RUNNING
//!   WAITS, beside any state but COMPLETE: somebody may sleep at the word
//! ```
//!
//! # What must hold
//! Only the thread that made the state `RUNNING` changes it from there, and when
//! it does so it wakes all whose `WAITS` it clears.

use core::fmt;
use core::marker::PhantomData;

use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU32, Ordering};

const INCOMPLETE: u32 = 0;
const POISONED: u32 = 1;
const RUNNING: u32 = 2;
const COMPLETE: u32 = 3;
const WAITS: u32 = 1 << 2;
const STATE: u32 = WAITS - 1;

/// A closure run once: std's `Once`, under a name that tells it from
/// [`Once`](crate::Once), the cell for which nobody waits.
///
/// Where the outcome is a value, use [`OnceLock`](super::OnceLock) or
/// [`LazyLock`](super::LazyLock).
///
/// ```
/// use ochre_sync::host::CallOnce;
///
/// static START: CallOnce = CallOnce::new();
/// let mut runs = 0;
/// for _ in 0..2 {
///     START.call_once(|| runs += 1);
/// }
/// assert_eq!(runs, 1);
/// ```
pub struct CallOnce<B> {
    word: AtomicU32,
    backend: PhantomData<fn() -> B>,
}

impl<B: Blocking> CallOnce<B> {
    maybe_const! {
        /// Nothing done yet.
        ///
        /// ```
        /// use ochre_sync::host::CallOnce;
        ///
        /// static DEVICES: CallOnce = CallOnce::new();
        /// assert!(!DEVICES.is_completed());
        /// ```
        #[must_use]
        pub fn new() -> CallOnce<B> {
            CallOnce {
                word: AtomicU32::new(INCOMPLETE),
                backend: PhantomData,
            }
        }
    }

    /// Runs the closure if none has been run to its end; sleeps while another
    /// thread runs one. What the closure did happens before this returns.
    ///
    /// A closure that calls this again for the same cell waits for itself, for ever.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU32, Ordering};
    /// use ochre_sync::host::CallOnce;
    ///
    /// let (once, runs) = (CallOnce::new(), AtomicU32::new(0));
    /// std::thread::scope(|scope| {
    ///     for _ in 0..3 {
    ///         scope.spawn(|| {
    ///             once.call_once(|| {
    ///                 runs.fetch_add(1, Ordering::Relaxed);
    ///             });
    ///             // Whoever ran it, it has been run.
    ///             assert_eq!(runs.load(Ordering::Relaxed), 1);
    ///         });
    ///     }
    /// });
    /// ```
    ///
    /// # Panics
    /// If an earlier closure panicked.
    #[inline]
    pub fn call_once(&self, action: impl FnOnce()) {
        if !self.is_completed() {
            let mut action = Some(action);
            self.run(false, &mut || {
                if let Some(action) = action.take() {
                    action();
                }
                true
            });
        }
    }

    /// As [`call_once`](CallOnce::call_once), also after a panic.
    ///
    /// ```
    /// use std::panic::catch_unwind;
    /// use ochre_sync::host::CallOnce;
    ///
    /// static ONCE: CallOnce = CallOnce::new();
    /// assert!(catch_unwind(|| ONCE.call_once(|| panic!("the first try fails"))).is_err());
    /// assert!(catch_unwind(|| ONCE.call_once(|| ())).is_err(), "and that is remembered");
    /// ONCE.call_once_force(|| ());
    /// assert!(ONCE.is_completed());
    /// ```
    #[inline]
    pub fn call_once_force(&self, action: impl FnOnce()) {
        self.try_call(|| {
            action();
            true
        });
    }

    /// Runs the closure, also after a panic; if it says false, it does not
    /// count, and the next one is run.
    #[inline]
    pub(super) fn try_call(&self, action: impl FnOnce() -> bool) {
        if !self.is_completed() {
            let mut action = Some(action);
            self.run(true, &mut || action.take().is_some_and(|action| action()));
        }
    }

    /// Whether a closure was run to its end; what it did happens before.
    ///
    /// ```
    /// use ochre_sync::host::CallOnce;
    ///
    /// let once = CallOnce::new();
    /// once.call_once(|| assert!(!once.is_completed(), "it is being done"));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    pub fn is_completed(&self) -> bool {
        // ORDERING: Acquire pairs with the Release at the end of the run.
        self.word.load(Ordering::Acquire) == COMPLETE
    }

    /// Sleeps until a closure was run to its end.
    ///
    /// ```
    /// use ochre_sync::host::CallOnce;
    ///
    /// let ready = CallOnce::new();
    /// std::thread::scope(|scope| {
    ///     let user = scope.spawn(|| {
    ///         ready.wait(); // without a way to do it oneself
    ///         ready.is_completed()
    ///     });
    ///     ready.call_once(|| ());
    ///     assert!(user.join().expect("no panic"));
    /// });
    /// ```
    ///
    /// # Panics
    /// If one panicked.
    pub fn wait(&self) {
        self.wait_for(false);
    }

    /// Sleeps until a closure was run to its end, if need be through panics.
    pub(super) fn wait_for(&self, mind_no_panic: bool) {
        loop {
            // ORDERING: Acquire, as in `is_completed`.
            let state = self.word.load(Ordering::Acquire);
            match state & STATE {
                COMPLETE => return,
                POISONED if !mind_no_panic => {
                    panic!("a closure that was to be run once panicked")
                }
                _ => self.sleep(state),
            }
        }
    }

    /// Sleeps while the state is `state`; may return for no reason.
    fn sleep(&self, state: u32) {
        let asleep = state | WAITS;
        // ORDERING: Relaxed; to say that one sleeps publishes nothing.
        if state == asleep
            || self
                .word
                .compare_exchange(state, asleep, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            B::wait(&self.word, asleep);
        }
    }

    #[cold]
    fn run(&self, mind_no_panic: bool, action: &mut dyn FnMut() -> bool) {
        // ORDERING: Acquire, as in `is_completed`.
        let mut state = self.word.load(Ordering::Acquire);
        loop {
            match state & STATE {
                COMPLETE => return,
                POISONED if !mind_no_panic => {
                    panic!("a closure that was to be run once panicked")
                }
                RUNNING => self.sleep(state),
                _ => {
                    // ORDERING: Acquire pairs with the Release of a run that did
                    // not succeed: the next goes on from what that one left.
                    let begun = self.word.compare_exchange(
                        state,
                        (state & WAITS) | RUNNING,
                        Ordering::Acquire,
                        Ordering::Relaxed,
                    );
                    if begun.is_ok() {
                        let mut end = End {
                            once: self,
                            state: POISONED,
                        };
                        end.state = if action() { COMPLETE } else { INCOMPLETE };
                        return;
                    }
                }
            }
            // ORDERING: Acquire, as above.
            state = self.word.load(Ordering::Acquire);
        }
    }
}

/// The end of a run, by return or by panic.
struct End<'a, B: Blocking> {
    once: &'a CallOnce<B>,
    state: u32,
}

impl<B: Blocking> Drop for End<'_, B> {
    fn drop(&mut self) {
        let word = &raw const self.once.word;
        // ORDERING: Release pairs with the Acquires of all who look.
        if self.once.word.swap(self.state, Ordering::Release) & WAITS != 0 {
            B::wake_all(word);
        }
    }
}

impl<B: Blocking> Default for CallOnce<B> {
    fn default() -> CallOnce<B> {
        CallOnce::new()
    }
}

impl<B> fmt::Debug for CallOnce<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOnce").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::CallOnce;
    use crate::blocking::Futex;
    use core::panic::AssertUnwindSafe;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::{panic, thread};

    #[test]
    fn runs_once_while_others_wait() {
        for _ in 0..if cfg!(miri) { 3 } else { 500 } {
            let (once, runs) = (CallOnce::<Futex>::new(), AtomicU32::new(0));
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        once.call_once(|| {
                            runs.fetch_add(1, Ordering::Relaxed);
                        });
                        assert_eq!(runs.load(Ordering::Relaxed), 1);
                    });
                }
                scope.spawn(|| {
                    once.wait();
                    assert!(once.is_completed());
                });
            });
        }
    }

    #[test]
    fn a_panic_is_told_until_somebody_does_not_mind() {
        let once = CallOnce::<Futex>::new();
        let panics = |action: &dyn Fn()| panic::catch_unwind(AssertUnwindSafe(action)).is_err();
        assert!(panics(&|| once.call_once(|| panic!("in the closure"))));
        assert!(panics(&|| once.call_once(|| ())));
        assert!(panics(&|| once.wait()));
        once.call_once_force(|| ());
        once.call_once(|| panic!("not run"));
        once.wait();
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::CallOnce;
    use crate::blocking::Model;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Shared {
        once: CallOnce<Model>,
        data: UnsafeCell<u32>,
    }

    // SAFETY: the models are there to check the accesses to `data`.
    unsafe impl Sync for Shared {}

    impl Shared {
        fn add(&self) {
            // SAFETY: called by what runs once.
            self.data.with_mut(|data| unsafe { *data += 1 });
        }

        fn seen(&self) -> u32 {
            // SAFETY: called behind the run.
            self.data.with(|data| unsafe { *data })
        }
    }

    fn model(actions: [fn(&Shared); 3]) {
        loom::model(move || {
            let shared = Arc::new(Shared {
                once: CallOnce::new(),
                data: UnsafeCell::new(0),
            });
            let threads = [actions[0], actions[1]].map(|action| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || action(&shared))
            });
            actions[2](&shared);
            for thread in threads {
                thread.join().expect("all finish");
            }
        });
    }

    fn call(shared: &Shared) {
        shared.once.call_once(|| shared.add());
        assert_eq!(shared.seen(), 1);
    }

    #[test]
    fn what_was_done_is_seen_by_all() {
        model([call, call, |shared| {
            shared.once.wait();
            assert_eq!(shared.seen(), 1);
        }]);
    }

    #[test]
    fn one_that_fails_leaves_it_to_the_next() {
        fn fail(shared: &Shared) {
            shared.once.try_call(|| {
                shared.add();
                false
            });
        }
        model([fail, fail, |shared| {
            shared.once.call_once(|| shared.add());
            assert!((1..=3).contains(&shared.seen()));
        }]);
    }
}
