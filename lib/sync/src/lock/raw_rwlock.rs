//! The words of a readers-writer lock, without a value.
//!
//! ```text
//!   state  bits 0..29  how many readers, and those who just find that they are none
//!          bit 29      WRITE_LOCKED
//!          bit 30      READERS_WAIT: readers may sleep at `state`
//!          bit 31      WRITERS_WAIT: writers may sleep at `writer_wakes`
//!   writer_wakes       counts the calls to writers; writers sleep here, so that
//!                      readers coming and going do not disturb them
//! ```
//!
//! Readers come in while no writer holds the lock and none waits: a flood of
//! readers cannot keep a writer out. The last reader to leave wakes a writer. A
//! writer that leaves wakes the next writer, or else all the readers; if nobody
//! waits it wakes nobody and makes no system call.
//!
//! A reader adds its share before it knows whether it may, as the word's cache
//! line then moves once, to be written; reading it first moves it twice. One that
//! may not takes the share back as if it had been in, and then waits without
//! writing. Until then it looks like a reader to all others: a writer that sleeps
//! because of it is woken by it.
//!
//! # What must hold
//! - Readers asleep: `READERS_WAIT` is set, and the lock is write-locked, or
//!   `WRITERS_WAIT` is set, or somebody is on the way who will clear the bit and
//!   wake them.
//! - Writers asleep: `WRITERS_WAIT` is set, or one of them was woken and has not
//!   yet looked. That one sets it again, whether it takes the lock or sleeps.
//! - The count of readers never reaches the bit above it: it ends half-way, with
//!   a panic (guards can be forgotten, so this can be reached), which leaves room
//!   for a share of each thread that may not come in.

use core::fmt;
use core::marker::PhantomData;

use crate::backoff::Backoff;
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU32, Ordering};

/// The bits that count readers.
const READERS: u32 = WRITE_LOCKED - 1;
const MAX_READERS: u32 = WRITE_LOCKED / 2;
const WRITE_LOCKED: u32 = 1 << 29;
const READERS_WAIT: u32 = 1 << 30;
const WRITERS_WAIT: u32 = 1 << 31;

/// Whether a reader may come in.
#[inline]
fn admits(state: u32) -> bool {
    // The bits of writers are above all numbers of readers.
    state & !READERS_WAIT < MAX_READERS
}

/// Whether neither a writer nor readers hold it.
#[inline]
fn is_free(state: u32) -> bool {
    state & (READERS | WRITE_LOCKED) == 0
}

/// Many readers or one writer, without a value: what
/// [`RwLock`](super::RwLock) is made of.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::lock::RawRwLock;
///
/// let raw = RawRwLock::<Futex>::new();
/// raw.read();
/// assert!(raw.try_read() && !raw.try_write());
/// for _ in 0..2 {
///     // SAFETY: locked for reading twice above.
///     unsafe { raw.unlock_read() };
/// }
/// ```
pub struct RawRwLock<B> {
    state: AtomicU32,
    writer_wakes: AtomicU32,
    backend: PhantomData<fn() -> B>,
}

impl<B: Blocking> RawRwLock<B> {
    maybe_const! {
        /// A free lock.
        ///
        /// ```
        /// use ochre_sync::blocking::Futex;
        /// use ochre_sync::lock::RawRwLock;
        ///
        /// static RAW: RawRwLock<Futex> = RawRwLock::new();
        /// assert!(!RAW.is_locked());
        /// ```
        #[must_use]
        pub fn new() -> RawRwLock<B> {
            RawRwLock {
                state: AtomicU32::new(0),
                writer_wakes: AtomicU32::new(0),
                backend: PhantomData,
            }
        }
    }

    /// Takes the lock for reading; sleeps while a writer holds it or waits.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.read();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         raw.read(); // beside the other
    ///         // SAFETY: this thread's share.
    ///         unsafe { raw.unlock_read() };
    ///     });
    /// });
    /// assert!(raw.is_locked());
    /// ```
    ///
    /// # Panics
    /// If there are 2^28 readers already.
    #[inline]
    pub fn read(&self) {
        if !self.add_share() {
            self.read_contended(None);
        }
    }

    /// Takes the lock for reading if that is possible now.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// assert!(raw.try_read() && raw.try_read());
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.write();
    /// assert!(!raw.try_read());
    /// ```
    #[inline]
    pub fn try_read(&self) -> bool {
        // ORDERING: Relaxed; the compare-exchange decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while admits(state) {
            // ORDERING: Acquire pairs with the Release of a writer's unlock.
            match self.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Takes the lock for reading unless `deadline` passes first.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.write();
    /// let soon = Futex::after(Duration::from_millis(1)).expect("the clock can say it");
    /// assert!(!raw.read_until(soon), "a writer has it");
    /// ```
    #[inline]
    pub fn read_until(&self, deadline: B::Instant) -> bool {
        self.add_share() || self.read_contended(Some(deadline))
    }

    /// Takes the lock for writing; sleeps while anybody holds it.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.write();
    /// assert!(!raw.try_read() && !raw.try_write());
    /// ```
    #[inline]
    pub fn write(&self) {
        if !self.write_free() {
            self.write_contended(None);
        }
    }

    /// Takes the lock for writing if it is free now, and nobody just finds that
    /// it was not.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.read();
    /// assert!(!raw.try_write(), "not beside a reader");
    /// // SAFETY: locked for reading above.
    /// unsafe { raw.unlock_read() };
    /// assert!(raw.try_write());
    /// ```
    #[inline]
    pub fn try_write(&self) -> bool {
        // ORDERING: Relaxed; the compare-exchange decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while is_free(state) {
            // ORDERING: Acquire pairs with the Releases of all unlocks.
            match self.state.compare_exchange_weak(
                state,
                state | WRITE_LOCKED,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Takes the lock for writing unless `deadline` passes first.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.read();
    /// let soon = Futex::after(Duration::from_millis(1)).expect("the clock can say it");
    /// assert!(!raw.write_until(soon), "the reader stays");
    /// assert!(raw.try_read(), "and who gave up keeps nobody out");
    /// ```
    #[inline]
    pub fn write_until(&self, deadline: B::Instant) -> bool {
        self.write_free() || self.write_contended(Some(deadline))
    }

    /// Gives a reader's share back.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.read();
    /// // SAFETY: locked for reading above.
    /// unsafe { raw.unlock_read() };
    /// assert!(!raw.is_locked());
    /// ```
    ///
    /// # Safety
    /// The caller has one.
    #[inline]
    pub unsafe fn unlock_read(&self) {
        // ORDERING: Release pairs with the Acquire of the next writer: what was
        // read here is read before it writes.
        let state = self.state.fetch_sub(1, Ordering::Release) - 1;
        // Readers that sleep alone, with no writer waiting, are on their way.
        if state & !READERS_WAIT == WRITERS_WAIT {
            self.wake(state);
        }
    }

    /// Gives the lock back after writing.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.write();
    /// // SAFETY: locked for writing above.
    /// unsafe { raw.unlock_write() };
    /// assert!(raw.try_read());
    /// ```
    ///
    /// # Safety
    /// The caller holds it for writing.
    #[inline]
    pub unsafe fn unlock_write(&self) {
        // ORDERING: Release pairs with the Acquires that take the lock.
        let state = self.state.fetch_sub(WRITE_LOCKED, Ordering::Release) - WRITE_LOCKED;
        if state & (READERS_WAIT | WRITERS_WAIT) != 0 {
            self.wake(state);
        }
    }

    /// Makes a writer a reader; no other writer comes between.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.write();
    /// // SAFETY: locked for writing above.
    /// unsafe { raw.downgrade() };
    /// assert!(raw.try_read() && !raw.try_write());
    /// ```
    ///
    /// # Safety
    /// The caller holds it for writing, and from now on has a reader's share.
    pub unsafe fn downgrade(&self) {
        // ORDERING: Release pairs with the Acquires of readers that come in now.
        let state = self
            .state
            .fetch_sub(WRITE_LOCKED - 1, Ordering::Release)
            .wrapping_sub(WRITE_LOCKED - 1);
        if state & READERS_WAIT != 0 {
            self.wake_readers();
        }
    }

    /// Whether anybody holds it; old news as soon as it is told.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.read();
    /// assert!(raw.is_locked() && !raw.is_write_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        // ORDERING: Relaxed; nothing may be concluded from the answer.
        !is_free(self.state.load(Ordering::Relaxed))
    }

    /// Whether a writer holds it; old news as soon as it is told.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawRwLock;
    ///
    /// let raw = RawRwLock::<Futex>::new();
    /// raw.write();
    /// assert!(raw.is_locked() && raw.is_write_locked());
    /// ```
    pub fn is_write_locked(&self) -> bool {
        // ORDERING: Relaxed; as above.
        self.state.load(Ordering::Relaxed) & WRITE_LOCKED != 0
    }

    /// Takes the lock for reading if that is possible now; if not, its state may
    /// have looked for a moment as if there were one reader more.
    #[inline]
    fn add_share(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of a writer's unlock.
        if admits(self.state.fetch_add(1, Ordering::Acquire)) {
            return true;
        }
        self.take_back();
        false
    }

    /// Takes back a share that was not to be had.
    #[cold]
    fn take_back(&self) {
        // SAFETY: the caller has just added one, which nobody else takes away.
        unsafe { self.unlock_read() };
    }

    #[inline]
    fn write_free(&self) -> bool {
        // ORDERING: Acquire pairs with the Releases of all unlocks.
        self.state
            .compare_exchange(0, WRITE_LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Looks until `enough` or `backoff` is over; gives the last look.
    fn look(&self, backoff: &mut Backoff<B>, enough: impl Fn(u32) -> bool) -> u32 {
        loop {
            // ORDERING: Relaxed; this only waits for a chance.
            let state = self.state.load(Ordering::Relaxed);
            if enough(state) || backoff.is_over() {
                return state;
            }
            backoff.between();
        }
    }

    #[cold]
    fn read_contended(&self, deadline: Option<B::Instant>) -> bool {
        let mut backoff = Backoff::for_lock();
        loop {
            // Where others sleep already, spinning helps nobody.
            let state = self.look(&mut backoff, |state| state & !READERS != WRITE_LOCKED);
            if admits(state) {
                if self.add_share() {
                    return true;
                }
                continue;
            }
            assert!(state & READERS < MAX_READERS, "too many readers");
            let asleep = state | READERS_WAIT;
            if state != asleep {
                // ORDERING: Relaxed; to say that one sleeps publishes nothing.
                let said = self.state.compare_exchange(
                    state,
                    asleep,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if said.is_err() {
                    continue;
                }
            }
            match deadline {
                None => B::wait(&self.state, asleep),
                Some(deadline) => {
                    if !B::wait_until(&self.state, asleep, deadline) {
                        return self.try_read();
                    }
                }
            }
            backoff = Backoff::for_lock();
        }
    }

    #[cold]
    fn write_contended(&self, deadline: Option<B::Instant>) -> bool {
        // Whether other writers may sleep, as far as this one is answerable.
        let mut others = 0;
        let mut backoff = Backoff::for_lock();
        loop {
            let state = self.look(&mut backoff, |state| {
                is_free(state) || state & WRITERS_WAIT != 0
            });
            if is_free(state) {
                if self.write_from(state, others) {
                    return true;
                }
                // Whoever was faster is soon done; who is slower each time looks
                // less and less often, and sleeps in the end.
                backoff.between();
                continue;
            }
            if state & WRITERS_WAIT == 0 {
                // ORDERING: Relaxed; to say that one sleeps publishes nothing.
                let said = self.state.compare_exchange(
                    state,
                    state | WRITERS_WAIT,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if said.is_err() {
                    continue;
                }
            }
            others = WRITERS_WAIT;
            // ORDERING: Acquire pairs with the Release in `call_writer`: who sees
            // a call sees the state that was the reason for it.
            let call = self.writer_wakes.load(Ordering::Acquire);
            // ORDERING: Relaxed; the load above orders.
            let state = self.state.load(Ordering::Relaxed);
            if is_free(state) || state & WRITERS_WAIT == 0 {
                continue;
            }
            match deadline {
                None => B::wait(&self.writer_wakes, call),
                Some(deadline) => {
                    if !B::wait_until(&self.writer_wakes, call, deadline) {
                        return self.give_up_writing(others);
                    }
                }
            }
            backoff = Backoff::for_lock();
        }
    }

    /// Takes the lock, which is free in `state`, for writing.
    fn write_from(&self, state: u32, others: u32) -> bool {
        // ORDERING: Acquire pairs with the Releases of all unlocks.
        self.state
            .compare_exchange_weak(
                state,
                state | WRITE_LOCKED | others,
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// The end of a writer's patience: takes the lock if it is free at last;
    /// else makes sure that nobody waits because of this writer.
    fn give_up_writing(&self, others: u32) -> bool {
        loop {
            // ORDERING: Relaxed; the compare-exchange decides.
            let state = self.state.load(Ordering::Relaxed);
            if is_free(state) {
                if self.write_from(state, others) {
                    return true;
                }
                continue;
            }
            // Readers waited because a writer did. All look again; a writer
            // that still waits says so again.
            // ORDERING: Relaxed; nothing is published but the bits.
            let cleared = self.state.compare_exchange_weak(
                state,
                state & (READERS | WRITE_LOCKED),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if cleared.is_ok() {
                self.call_writer();
                if state & READERS_WAIT != 0 {
                    B::wake_all(&raw const self.state);
                }
                return false;
            }
        }
    }

    /// Wakes whoever comes next; `state` is free, with somebody waiting.
    #[cold]
    fn wake(&self, mut state: u32) {
        // Whoever took the lock meanwhile wakes the others when it leaves.
        while is_free(state) && state & WRITERS_WAIT != 0 {
            // ORDERING: Relaxed; `call_writer` publishes it.
            match self.state.compare_exchange(
                state,
                state & !WRITERS_WAIT,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    if self.call_writer() {
                        // The readers, if any, are that writer's to wake.
                        return;
                    }
                    break;
                }
                Err(now) => state = now,
            }
        }
        self.wake_readers();
    }

    /// Wakes a writer; says whether one slept.
    fn call_writer(&self) -> bool {
        // ORDERING: Release pairs with the Acquire in `write_contended`.
        self.writer_wakes.fetch_add(1, Ordering::Release);
        B::wake_one(&raw const self.writer_wakes)
    }

    /// Wakes the readers, unless a writer has come that will.
    fn wake_readers(&self) {
        // ORDERING: Relaxed, here and below; the sleepers look again.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & READERS_WAIT != 0 && state & (WRITERS_WAIT | WRITE_LOCKED) == 0 {
            match self.state.compare_exchange(
                state,
                state & !READERS_WAIT,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    B::wake_all(&raw const self.state);
                    return;
                }
                Err(now) => state = now,
            }
        }
    }
}

impl<B: Blocking> Default for RawRwLock<B> {
    fn default() -> RawRwLock<B> {
        RawRwLock::new()
    }
}

impl<B> fmt::Debug for RawRwLock<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRwLock").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{MAX_READERS, READERS_WAIT, RawRwLock, WRITE_LOCKED, WRITERS_WAIT};
    use crate::blocking::Spin;
    use core::sync::atomic::Ordering;
    use std::panic;

    #[test]
    fn the_number_of_readers_ends_before_the_writers_bit() {
        let raw = RawRwLock::<Spin>::new();
        raw.state.store(MAX_READERS - 1, Ordering::Relaxed);
        raw.read();
        assert_eq!(raw.state.load(Ordering::Relaxed), MAX_READERS);
        assert!(!raw.try_read());
        let more = panic::catch_unwind(panic::AssertUnwindSafe(|| raw.read()));
        assert!(more.is_err());
        assert_eq!(raw.state.load(Ordering::Relaxed), MAX_READERS);
        assert!(!raw.is_write_locked() && !raw.try_write());
        // A waiting writer's bit does not make it look locked, or free.
        raw.state.fetch_or(WRITERS_WAIT, Ordering::Relaxed);
        assert!(!raw.is_write_locked() && !raw.try_write() && !raw.try_read());
        assert!(raw.is_locked());
        assert!(u64::from(MAX_READERS) + (1 << 22) < u64::from(WRITE_LOCKED));
    }

    #[test]
    fn a_share_that_was_not_to_be_had_leaves_nothing() {
        let raw = RawRwLock::<Spin>::new();
        for state in [
            WRITE_LOCKED,
            WRITE_LOCKED | READERS_WAIT,
            WRITE_LOCKED | WRITERS_WAIT,
            WRITERS_WAIT | 3,
        ] {
            raw.state.store(state, Ordering::Relaxed);
            assert!(!raw.add_share());
            assert_eq!(raw.state.load(Ordering::Relaxed), state);
        }
        // Where it looked like the last reader, it calls the writer as one would.
        raw.state.store(WRITERS_WAIT, Ordering::Relaxed);
        let calls = raw.writer_wakes.load(Ordering::Relaxed);
        assert!(!raw.add_share());
        assert_eq!(raw.state.load(Ordering::Relaxed), 0);
        assert_eq!(raw.writer_wakes.load(Ordering::Relaxed), calls + 1);
    }
}
