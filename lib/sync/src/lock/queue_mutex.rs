//! A mutex whose waiters stand in a queue: first come, first served.
//!
//! One word holds it all: `LOCKED` in the lowest bit, and above it the address
//! of the waiter that came last, each of which knows the one before it.
//!
//! ```text
//!   free             null
//!   held             LOCKED
//!   held, awaited    LOCKED | newest -> .. -> oldest
//!
//!   lock     null -> LOCKED (Acquire), else puts itself in front of the newest (Release)
//!   unlock   LOCKED -> null (Release), else takes the whole chain (Acquire),
//!            turns it round into `served`, and gives the lock to the oldest
//! ```
//!
//! Each waiter sleeps at a word on its own stack, so giving the lock on wakes
//! exactly the one it is given to. The price of fairness: the lock is idle until
//! that one runs. Waiters cannot give up, as their neighbours know them.
//!
//! # What must hold
//! - Only the holder takes waiters out, and `served` is the holder's: those who
//!   came before all that the word leads to, the oldest first.
//! - A waiter stays until its word says that it has the lock; who writes it does
//!   not touch the waiter after that.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr;

use crate::backoff::Backoff;
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicPtr, AtomicU32, Ordering};

const WAITING: u32 = 0;
const GIVEN: u32 = 1;

/// One that waits; its address leaves the lowest bit free.
#[repr(align(8))]
struct Waiter {
    word: AtomicU32,
    /// The one that came before, or after it in `served`; written by its owner
    /// until it is in the queue, by the holder from then on.
    next: UnsafeCell<*const Waiter>,
}

const LOCKED: usize = 1;

fn is_locked(state: *mut Waiter) -> bool {
    state.addr() & LOCKED != 0
}

fn newest(state: *mut Waiter) -> *const Waiter {
    state.map_addr(|address| address & !LOCKED).cast_const()
}

fn locked(newest: *const Waiter) -> *mut Waiter {
    newest.cast_mut().map_addr(|address| address | LOCKED)
}

/// A fair mutex, without a value and without poisoning.
///
/// Waiters get it in the order in which they came, even if the lock thereby
/// stands idle until the next one runs: a crowd is slower here than at a
/// [`RawMutex`](super::RawMutex), but nobody waits for long.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::lock::RawQueueMutex;
///
/// let raw = RawQueueMutex::<Futex>::new();
/// raw.lock();
/// assert!(!raw.try_lock());
/// // SAFETY: locked above.
/// unsafe { raw.unlock() };
/// ```
pub struct RawQueueMutex<B> {
    state: AtomicPtr<Waiter>,
    served: UnsafeCell<*const Waiter>,
    backend: PhantomData<fn() -> B>,
}

// SAFETY: the waiters behind the pointers are reached by the holder only, and
// stay until they are told.
unsafe impl<B: Blocking> Send for RawQueueMutex<B> {}
// SAFETY: as above.
unsafe impl<B: Blocking> Sync for RawQueueMutex<B> {}

impl<B: Blocking> RawQueueMutex<B> {
    maybe_const! {
        /// A free mutex.
        ///
        /// ```
        /// use ochre_sync::blocking::Futex;
        /// use ochre_sync::lock::RawQueueMutex;
        ///
        /// static RAW: RawQueueMutex<Futex> = RawQueueMutex::new();
        /// assert!(!RAW.is_locked());
        /// ```
        #[must_use]
        pub fn new() -> RawQueueMutex<B> {
            RawQueueMutex {
                state: AtomicPtr::new(ptr::null_mut()),
                served: UnsafeCell::new(ptr::null()),
                backend: PhantomData,
            }
        }
    }

    /// Takes the mutex if it is free now.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawQueueMutex;
    ///
    /// let raw = RawQueueMutex::<Futex>::new();
    /// assert!(raw.try_lock() && !raw.try_lock());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `unlock`.
        self.state
            .compare_exchange(
                ptr::null_mut(),
                locked(ptr::null()),
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Takes the mutex; sleeps until those who came before have had it.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawQueueMutex;
    ///
    /// static RAW: RawQueueMutex<Futex> = RawQueueMutex::new();
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             RAW.lock();
    ///             // one thread is here
    ///             // SAFETY: locked above.
    ///             unsafe { RAW.unlock() };
    ///         });
    ///     }
    /// });
    /// assert!(!RAW.is_locked());
    /// ```
    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    /// Whether somebody holds it; old news as soon as it is told.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawQueueMutex;
    ///
    /// let raw = RawQueueMutex::<Futex>::new();
    /// raw.lock();
    /// assert!(raw.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        // ORDERING: Relaxed; nothing may be concluded from the answer.
        is_locked(self.state.load(Ordering::Relaxed))
    }

    /// Gives the mutex back, or on.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawQueueMutex;
    ///
    /// let raw = RawQueueMutex::<Futex>::new();
    /// for _ in 0..2 {
    ///     assert!(raw.try_lock(), "it was given back");
    ///     // SAFETY: locked above.
    ///     unsafe { raw.unlock() };
    /// }
    /// ```
    ///
    /// # Safety
    /// The caller holds it.
    #[inline]
    pub unsafe fn unlock(&self) {
        // SAFETY: the holder has `served`.
        let served = self.served.with(|served| unsafe { *served });
        // ORDERING: Release pairs with the Acquire in `try_lock`.
        let free = served.is_null()
            && self
                .state
                .compare_exchange(
                    locked(ptr::null()),
                    ptr::null_mut(),
                    Ordering::Release,
                    Ordering::Relaxed,
                )
                .is_ok();
        if !free {
            self.give_on(served);
        }
    }

    #[cold]
    fn lock_contended(&self) {
        let mut backoff = Backoff::<B>::for_lock();
        while !backoff.is_over() {
            // ORDERING: Relaxed; this only waits for a chance.
            let state = self.state.load(Ordering::Relaxed);
            if state.is_null() && self.try_lock() {
                return;
            }
            if !newest(state).is_null() {
                break;
            }
            backoff.between();
        }
        let waiter = Waiter {
            word: AtomicU32::new(WAITING),
            next: UnsafeCell::new(ptr::null()),
        };
        // ORDERING: Relaxed; the compare-exchange decides.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state.is_null() {
                if self.try_lock() {
                    return;
                }
                // ORDERING: Relaxed, as above.
                state = self.state.load(Ordering::Relaxed);
                continue;
            }
            // SAFETY: nobody else knows of this waiter yet.
            waiter
                .next
                .with_mut(|next| unsafe { *next = newest(state) });
            // ORDERING: Release pairs with the Acquire in `give_on`, which
            // reads the waiter.
            match self.state.compare_exchange(
                state,
                locked(&raw const waiter),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        // ORDERING: Acquire pairs with the Release in `give_on`.
        while waiter.word.load(Ordering::Acquire) == WAITING {
            B::wait(&waiter.word, WAITING);
        }
    }

    /// Gives the mutex, which the caller holds, to the oldest waiter; `served`
    /// are those known already.
    #[cold]
    fn give_on(&self, served: *const Waiter) {
        let oldest = if served.is_null() {
            // ORDERING: Acquire pairs with the Release of all who queued: the
            // exchanges between continue the release sequence.
            let state = self.state.swap(locked(ptr::null()), Ordering::Acquire);
            Self::turn_round(newest(state))
        } else {
            served
        };
        // SAFETY: it waits until it is told, so it is alive.
        let waiter = unsafe { &*oldest };
        // SAFETY: in the queue, and the caller holds the mutex.
        let rest = waiter.next.with(|next| unsafe { *next });
        // SAFETY: the holder has `served`.
        self.served.with_mut(|served| unsafe { *served = rest });
        let word = &raw const waiter.word;
        // ORDERING: Release pairs with the Acquire in `lock_contended`.
        waiter.word.store(GIVEN, Ordering::Release);
        B::wake_one(word);
    }

    /// Turns a chain round; gives the one that was last.
    fn turn_round(mut from: *const Waiter) -> *const Waiter {
        let mut behind = ptr::null();
        while !from.is_null() {
            // SAFETY: it waits until it is told, so it is alive.
            let waiter = unsafe { &*from };
            let before = waiter.next.with_mut(|next| {
                // SAFETY: what is in the queue is the holder's to change.
                unsafe { ptr::replace(next, behind) }
            });
            behind = from;
            from = before;
        }
        behind
    }
}

impl<B: Blocking> Default for RawQueueMutex<B> {
    fn default() -> RawQueueMutex<B> {
        RawQueueMutex::new()
    }
}

impl<B> fmt::Debug for RawQueueMutex<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawQueueMutex").finish_non_exhaustive()
    }
}

/// A fair mutex around a value: [`RawQueueMutex`], which see.
///
/// ```
/// use ochre_sync::host::QueueMutex;
///
/// let value = QueueMutex::new(1);
/// *value.lock() += 1;
/// assert_eq!(value.into_inner(), 2);
/// ```
pub struct QueueMutex<T: ?Sized, B: Blocking> {
    raw: RawQueueMutex<B>,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex owns the value; sending it sends the value.
unsafe impl<T: ?Sized + Send, B: Blocking> Send for QueueMutex<T, B> {}
// SAFETY: `&QueueMutex` gives `&mut T` to one thread at a time.
unsafe impl<T: ?Sized + Send, B: Blocking> Sync for QueueMutex<T, B> {}

impl<T, B: Blocking> QueueMutex<T, B> {
    maybe_const! {
        /// A free mutex around `value`.
        ///
        /// ```
        /// use ochre_sync::host::QueueMutex;
        ///
        /// static LINE: QueueMutex<Vec<u32>> = QueueMutex::new(Vec::new());
        /// LINE.lock().push(1);
        /// assert_eq!(*LINE.lock(), [1]);
        /// ```
        pub fn new(value: T) -> QueueMutex<T, B> {
            QueueMutex {
                raw: RawQueueMutex::new(),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Gives the value back; nobody else can have it.
    ///
    /// ```
    /// use ochre_sync::host::QueueMutex;
    ///
    /// let order = QueueMutex::new(Vec::new());
    /// std::thread::scope(|scope| {
    ///     for name in ["one", "other"] {
    ///         let order = &order;
    ///         scope.spawn(move || order.lock().push(name));
    ///     }
    /// });
    /// assert_eq!(order.into_inner().len(), 2);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized, B: Blocking> QueueMutex<T, B> {
    /// Takes the mutex; sleeps until those who came before have had it.
    ///
    /// ```
    /// use ochre_sync::host::QueueMutex;
    ///
    /// let turns = QueueMutex::new(0);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         // However often one comes back, the other has its turn in between.
    ///         scope.spawn(|| (0..100).for_each(|_| *turns.lock() += 1));
    ///     }
    /// });
    /// assert_eq!(*turns.lock(), 200);
    /// ```
    #[inline]
    pub fn lock(&self) -> QueueMutexGuard<'_, T, B> {
        self.raw.lock();
        QueueMutexGuard {
            mutex: self,
            not_send: PhantomData,
        }
    }

    /// Takes the mutex if it is free now.
    ///
    /// ```
    /// use ochre_sync::host::QueueMutex;
    ///
    /// let mutex = QueueMutex::new(1);
    /// let guard = mutex.lock();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert_eq!(mutex.try_lock().as_deref(), Some(&1));
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<QueueMutexGuard<'_, T, B>> {
        self.raw.try_lock().then_some(())?;
        Some(QueueMutexGuard {
            mutex: self,
            not_send: PhantomData,
        })
    }

    /// The value, through an exclusive reference to the mutex.
    ///
    /// ```
    /// use ochre_sync::host::QueueMutex;
    ///
    /// let mut mutex = QueueMutex::new(1);
    /// *mutex.get_mut() += 1;
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized + fmt::Debug, B: Blocking> fmt::Debug for QueueMutex<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("QueueMutex").field(&&*guard).finish(),
            None => f.write_str("QueueMutex(<locked>)"),
        }
    }
}

/// Access to a [`QueueMutex`]'s value; gives the mutex on when dropped.
///
/// ```
/// use ochre_sync::host::QueueMutex;
///
/// let mutex = QueueMutex::new(1);
/// let mut guard = mutex.lock();
/// *guard += 1;
/// drop(guard);
/// assert_eq!(mutex.into_inner(), 2);
/// ```
///
/// It stays on its thread:
///
/// ```compile_fail,E0277
/// use ochre_sync::host::QueueMutex;
/// let mutex = QueueMutex::new(1);
/// let guard = mutex.lock();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
#[must_use = "the mutex is given on at once if the guard is not kept"]
pub struct QueueMutexGuard<'a, T: ?Sized, B: Blocking> {
    mutex: &'a QueueMutex<T, B>,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: sharing the guard shares `&T` only.
unsafe impl<T: ?Sized + Sync, B: Blocking> Sync for QueueMutexGuard<'_, T, B> {}

impl<T: ?Sized, B: Blocking> Deref for QueueMutexGuard<'_, T, B> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the mutex is held on this guard's behalf.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized, B: Blocking> DerefMut for QueueMutexGuard<'_, T, B> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only use of the guard.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized, B: Blocking> Drop for QueueMutexGuard<'_, T, B> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard stands for one lock of the mutex, and ends here.
        unsafe { self.mutex.raw.unlock() };
    }
}

impl<T: ?Sized + fmt::Debug, B: Blocking> fmt::Debug for QueueMutexGuard<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::QueueMutex;
    use crate::blocking::{Blocking, Futex, Spin};
    use std::thread;

    fn counts<B: Blocking>(rounds: u32) {
        let mutex = QueueMutex::<u32, B>::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        *mutex.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(mutex.into_inner(), 4 * rounds);
    }

    #[test]
    fn counts_from_several_threads() {
        counts::<Futex>(if cfg!(miri) { 30 } else { 5_000 });
        counts::<Spin>(if cfg!(miri) { 5 } else { 200 });
    }

    #[test]
    fn waiters_are_served_as_they_came() {
        let order = QueueMutex::<Vec<u32>, Futex>::new(Vec::new());
        thread::scope(|scope| {
            let mut held = order.lock();
            for number in 0..4 {
                let before = order.raw.state.load(core::sync::atomic::Ordering::Relaxed);
                scope.spawn({
                    let order = &order;
                    move || order.lock().push(number)
                });
                // Until it stands in the queue.
                while order.raw.state.load(core::sync::atomic::Ordering::Relaxed) == before {
                    thread::yield_now();
                }
            }
            held.push(7);
        });
        assert_eq!(order.into_inner(), [7, 0, 1, 2, 3]);
    }

    #[test]
    fn excludes_other_holders() {
        let mut mutex = QueueMutex::<_, Futex>::new(1);
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
        *mutex.get_mut() = 2;
        assert_eq!(format!("{mutex:?}"), "QueueMutex(2)");
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::QueueMutex;
    use crate::blocking::Model;
    use loom::sync::Arc;
    use loom::thread;

    fn model(rounds: [u32; 3]) {
        loom::model(move || {
            let mutex = Arc::new(QueueMutex::<u32, Model>::new(0));
            let add = |mutex: &QueueMutex<u32, Model>, rounds| {
                for _ in 0..rounds {
                    let mut value = mutex.lock();
                    let seen = *value;
                    *value = seen + 1;
                }
            };
            let threads = [rounds[0], rounds[1]].map(|rounds| {
                let mutex = Arc::clone(&mutex);
                thread::spawn(move || add(&mutex, rounds))
            });
            add(&mutex, rounds[2]);
            for thread in threads {
                thread.join().expect("all finish");
            }
            assert_eq!(*mutex.lock(), rounds.iter().sum::<u32>());
        });
    }

    #[test]
    fn three_threads_are_served() {
        model([1, 1, 1]);
    }

    #[test]
    fn two_threads_come_again() {
        model([2, 0, 1]);
    }
}
