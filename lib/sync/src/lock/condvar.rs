//! A condition variable: sleep until another thread says that something changed.
//!
//! The waiters stand in one queue, each with a word of its own on its stack:
//!
//! ```text
//!   WAITING --notify_one--> ALONE    go, there is nothing to hand on
//!   WAITING --notify_all--> CHAIN    go, and let the next go when you have the mutex
//!   WAITING --from before in a chain--> MOVED    the same, from the mutex
//! ```
//!
//! The queue has two parts, `front .. first_waiting` and `first_waiting .. back`:
//! those whom a `notify_all` has reached and who stay asleep until their turn,
//! and those whom nothing has reached yet. `notify_one` takes the first of the
//! second part. `notify_all` moves the border to the end and lets the front one
//! go; each that comes from a chain, once it has the mutex, has the next one
//! moved to sleep at the mutex (where the backend can) or woken. So a crowd
//! never runs for one mutex at once.
//!
//! # What must hold
//! - Where a part reached by `notify_all` is not empty, somebody of its chain is
//!   awake and has not yet handed on: nobody stays asleep in it.
//! - Who takes a node out of the queue writes its word, and touches it no more
//!   after that: its owner may be gone. Until its word is written, its owner
//!   stays, even if its time is over.
//! - A node is put in before its owner gives the mutex back, so that a change
//!   made under the mutex is not missed.
//!
//! # Lock protocol
//! `queue_lock` is innermost and held for a few instructions; nothing sleeps or
//! wakes under it but its own lockers.

use core::fmt;
use core::ptr;
use core::time::Duration;

use super::poison::Policy;
use super::{MutexGuard, RawMutex};
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::wait_list::{List, Node};

const WAITING: u32 = 0;
const ALONE: u32 = 1;
const CHAIN: u32 = 2;
const MOVED: u32 = 3;

/// How many a `notify_all` lets go at once. A wake-up takes far longer than most
/// hold a mutex, so waiting for one after the other takes that much longer; and
/// these few can wait for the mutex without sleeping.
const AT_ONCE: usize = 2;

/// One that waits.
struct Waiter<B> {
    word: AtomicU32,
    /// The mutex it comes back with; used as a name and for its word's address.
    mutex: *const RawMutex<B>,
}

/// Waits for a change of what a [`Mutex`](super::Mutex) guards.
///
/// Each notification ends exactly one wait ([`notify_all`](Condvar::notify_all):
/// all there are), first come, first served, and a wait ends for no other
/// reason. Look at the condition again all the same: between the notification
/// and the mutex another thread may have changed it back. The pattern is one
/// condition variable for each condition, and a loop:
///
/// ```
/// use std::collections::VecDeque;
/// use std::thread;
///
/// use ochre_sync::host::{Condvar, Mutex};
///
/// let queue = Mutex::new(VecDeque::new());
/// let not_empty = Condvar::new();
/// thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut items = queue.lock().expect("nobody panics");
///         let item = loop {
///             match items.pop_front() {
///                 Some(item) => break item,
///                 None => items = not_empty.wait(items).expect("nobody panics"),
///             }
///         };
///         assert_eq!(item, 7);
///     });
///     queue.lock().expect("nobody panics").push_back(7);
///     not_empty.notify_one();
/// });
/// ```
///
/// Notifying costs one load where nobody waits. Different mutexes may be used at
/// once; that is slower, never wrong.
pub struct Condvar<B: Blocking> {
    queue_lock: RawMutex<B>,
    queue: UnsafeCell<List<Waiter<B>>>,
    /// The first that no notification has reached, or null. Written under
    /// `queue_lock`; others only look whether it is null.
    first_waiting: AtomicPtr<Node<Waiter<B>>>,
    /// Takes the place of [`AT_ONCE`]: with one, smaller crowds hand on.
    #[cfg(loom)]
    at_once: usize,
}

// SAFETY: the nodes behind the pointers are reached under `queue_lock`, or by
// the one who took them out; they hold atomics and a pointer used as a name.
unsafe impl<B: Blocking> Send for Condvar<B> {}
// SAFETY: as above.
unsafe impl<B: Blocking> Sync for Condvar<B> {}

/// Whether a timed wait ended because its time was over.
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::host::{Condvar, Mutex};
///
/// let (mutex, changed) = (Mutex::new(false), Condvar::new());
/// let guard = mutex.lock().expect("nobody panics");
/// let (guard, result) = changed
///     .wait_timeout_while(guard, Duration::from_millis(1), |done| !*done)
///     .expect("nobody panics");
/// assert!(result.timed_out() && !*guard);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over before a notification came.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::{Condvar, Mutex};
    ///
    /// let (mutex, changed) = (Mutex::new(()), Condvar::new());
    /// let guard = mutex.lock().expect("new");
    /// let patience = Duration::from_millis(1);
    /// let (_guard, result) = changed.wait_timeout(guard, patience).expect("not poisoned");
    /// assert!(result.timed_out(), "nobody notifies");
    /// ```
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl<B: Blocking> Condvar<B> {
    maybe_const! {
        /// A condition variable that nobody waits for.
        ///
        /// ```
        /// use ochre_sync::host::Condvar;
        ///
        /// static CHANGED: Condvar = Condvar::new();
        /// assert!(!CHANGED.notify_one(), "nobody waits");
        /// ```
        #[must_use]
        pub fn new() -> Condvar<B> {
            Condvar {
                queue_lock: RawMutex::new(),
                queue: UnsafeCell::new(List::new()),
                first_waiting: AtomicPtr::new(ptr::null_mut()),
                #[cfg(loom)]
                at_once: 1,
            }
        }
    }

    #[cfg(not(loom))]
    const fn at_once(&self) -> usize {
        AT_ONCE
    }

    #[cfg(loom)]
    fn at_once(&self) -> usize {
        self.at_once
    }

    /// Gives the mutex back and sleeps until notified, as one step for who
    /// changes things under the mutex; then takes the mutex again.
    ///
    /// ```compile_fail,E0382
    /// use ochre_sync::host::{Condvar, Mutex};
    /// let (mutex, changed) = (Mutex::new(0), Condvar::new());
    /// let guard = mutex.lock().expect("new");
    /// let _again = changed.wait(guard);
    /// println!("{}", *guard); // it went into the wait
    /// ```
    ///
    /// ```
    /// use ochre_sync::host::{Condvar, Mutex};
    ///
    /// let (full, changed) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *full.lock().expect("nobody panics") = true;
    ///         changed.notify_one();
    ///     });
    ///     let mut guard = full.lock().expect("nobody panics");
    ///     while !*guard {
    ///         guard = changed.wait(guard).expect("nobody panics");
    ///     }
    /// });
    /// ```
    pub fn wait<'a, T: ?Sized, P: Policy>(
        &self,
        guard: MutexGuard<'a, T, B, P>,
    ) -> P::Locked<MutexGuard<'a, T, B, P>> {
        self.sleep(MutexGuard::raw(&guard), None);
        MutexGuard::finish(guard)
    }

    /// Waits while `condition` holds; ends early if the mutex is poisoned.
    ///
    /// ```
    /// use ochre_sync::host::{Condvar, Mutex};
    /// let (ready, changed) = (Mutex::new(true), Condvar::new());
    /// let guard = ready.lock().expect("new");
    /// let guard = changed.wait_while(guard, |ready| !*ready).expect("not poisoned");
    /// assert!(*guard);
    /// ```
    pub fn wait_while<'a, T: ?Sized, P: Policy>(
        &self,
        mut guard: MutexGuard<'a, T, B, P>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> P::Locked<MutexGuard<'a, T, B, P>> {
        while condition(&mut guard) {
            self.sleep(MutexGuard::raw(&guard), None);
            if MutexGuard::is_poisoned(&guard) {
                break;
            }
        }
        MutexGuard::finish(guard)
    }

    /// As [`wait`](Condvar::wait), but not for longer than `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::{Condvar, Mutex};
    /// let (mutex, changed) = (Mutex::new(0), Condvar::new());
    /// let guard = mutex.lock().expect("new");
    /// let (guard, result) = changed
    ///     .wait_timeout(guard, Duration::from_millis(1))
    ///     .expect("not poisoned");
    /// assert!(result.timed_out());
    /// assert_eq!(*guard, 0);
    /// ```
    pub fn wait_timeout<'a, T: ?Sized, P: Policy>(
        &self,
        guard: MutexGuard<'a, T, B, P>,
        timeout: Duration,
    ) -> P::Locked<(MutexGuard<'a, T, B, P>, WaitTimeoutResult)> {
        let notified = self.sleep(MutexGuard::raw(&guard), B::after(timeout));
        MutexGuard::finish_with(guard, WaitTimeoutResult(!notified))
    }

    /// As [`wait`](Condvar::wait), but not beyond `deadline`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::host::{Condvar, Mutex};
    ///
    /// let (mutex, changed) = (Mutex::new(()), Condvar::new());
    /// // One deadline for all rounds, however often the thread is woken.
    /// let deadline = Futex::after(Duration::from_millis(2)).expect("the clock can say it");
    /// let mut guard = mutex.lock().expect("new");
    /// loop {
    ///     let result;
    ///     (guard, result) = changed.wait_until(guard, deadline).expect("not poisoned");
    ///     if result.timed_out() {
    ///         break;
    ///     }
    /// }
    /// assert!(Futex::after(Duration::ZERO).is_some_and(|now| now >= deadline));
    /// ```
    pub fn wait_until<'a, T: ?Sized, P: Policy>(
        &self,
        guard: MutexGuard<'a, T, B, P>,
        deadline: B::Instant,
    ) -> P::Locked<(MutexGuard<'a, T, B, P>, WaitTimeoutResult)> {
        let notified = self.sleep(MutexGuard::raw(&guard), Some(deadline));
        MutexGuard::finish_with(guard, WaitTimeoutResult(!notified))
    }

    /// Waits while `condition` holds, but not for longer than `timeout`. If the
    /// time was over, the condition still held at the end.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::{Condvar, Mutex};
    ///
    /// let (jobs, changed) = (Mutex::new(vec![1]), Condvar::new());
    /// let guard = jobs.lock().expect("new");
    /// let patience = Duration::from_secs(60);
    /// let (mut guard, result) = changed
    ///     .wait_timeout_while(guard, patience, |jobs| jobs.is_empty())
    ///     .expect("not poisoned");
    /// assert_eq!((guard.pop(), result.timed_out()), (Some(1), false));
    /// ```
    pub fn wait_timeout_while<'a, T: ?Sized, P: Policy>(
        &self,
        mut guard: MutexGuard<'a, T, B, P>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> P::Locked<(MutexGuard<'a, T, B, P>, WaitTimeoutResult)> {
        let deadline = B::after(timeout);
        let mut notified = true;
        while condition(&mut guard) {
            if !notified {
                return MutexGuard::finish_with(guard, WaitTimeoutResult(true));
            }
            notified = self.sleep(MutexGuard::raw(&guard), deadline);
            if MutexGuard::is_poisoned(&guard) {
                break;
            }
        }
        MutexGuard::finish_with(guard, WaitTimeoutResult(false))
    }

    /// Lets the one go that has waited longest; says whether there was one.
    ///
    /// ```
    /// use ochre_sync::host::{Condvar, Mutex};
    ///
    /// let (jobs, changed) = (Mutex::new(0), Condvar::new());
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             let guard = jobs.lock().expect("nobody panics");
    ///             let mut guard = changed.wait_while(guard, |jobs| *jobs == 0).expect("nobody panics");
    ///             *guard -= 1;
    ///         });
    ///     }
    ///     for _ in 0..2 {
    ///         *jobs.lock().expect("nobody panics") += 1;
    ///         changed.notify_one(); // one job, one thread
    ///     }
    /// });
    /// assert_eq!(*jobs.lock().expect("nobody panics"), 0);
    /// ```
    #[inline]
    pub fn notify_one(&self) -> bool {
        // ORDERING: Relaxed; one that began to wait before the change was made
        // under the mutex is seen, because the mutex orders its entry before.
        !self.first_waiting.load(Ordering::Relaxed).is_null() && self.wake_first()
    }

    /// Lets all go that wait now: two at once, and one more whenever one of them
    /// gets the mutex.
    ///
    /// ```
    /// use ochre_sync::host::{Condvar, Mutex};
    ///
    /// let (open, changed) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|scope| {
    ///     for _ in 0..3 {
    ///         scope.spawn(|| {
    ///             let guard = open.lock().expect("nobody panics");
    ///             drop(changed.wait_while(guard, |open| !*open));
    ///         });
    ///     }
    ///     *open.lock().expect("nobody panics") = true;
    ///     changed.notify_all(); // a door that is open is open for all
    /// });
    /// ```
    #[inline]
    pub fn notify_all(&self) {
        // ORDERING: Relaxed, as in `notify_one`.
        if !self.first_waiting.load(Ordering::Relaxed).is_null() {
            self.wake_chain();
        }
    }

    #[cold]
    fn wake_first(&self) -> bool {
        let node = self.with_queue(|queue| {
            // ORDERING: Relaxed; written under the lock that is held.
            let first = self.first_waiting.load(Ordering::Relaxed).cast_const();
            if !first.is_null() {
                // SAFETY: it is not null, so it is in the queue.
                unsafe { self.take_out(queue, first) };
            }
            first
        });
        if node.is_null() {
            return false;
        }
        // SAFETY: this thread took it out of the queue.
        unsafe { Self::let_go(node, ALONE) };
        true
    }

    #[cold]
    fn wake_chain(&self) {
        let mut first = [ptr::null(); AT_ONCE];
        let nodes = self.with_queue(|queue| {
            // ORDERING: Relaxed; the lock is held.
            if self.first_waiting.load(Ordering::Relaxed).is_null() {
                return first;
            }
            self.first_waiting.store(ptr::null_mut(), Ordering::Relaxed);
            for place in first.iter_mut().take(self.at_once()) {
                *place = queue.front();
                if place.is_null() {
                    break;
                }
                // SAFETY: it is not null, so it is in the queue.
                unsafe { self.take_out(queue, *place) };
            }
            first
        });
        for node in nodes.into_iter().take_while(|node| !node.is_null()) {
            // SAFETY: this thread took it out of the queue.
            unsafe { Self::let_go(node, CHAIN) };
        }
    }

    /// Gives the mutex back, sleeps, takes it again. Returns whether it was
    /// notified: false only if the deadline came first.
    fn sleep(&self, mutex: &RawMutex<B>, deadline: Option<B::Instant>) -> bool {
        let node = Node::new(Waiter {
            word: AtomicU32::new(WAITING),
            mutex,
        });
        self.with_queue(|queue| {
            // SAFETY: the node is new; it leaves its place only below, when it
            // was taken out and its word was written, or it took itself out.
            unsafe { queue.push_back(&raw const node) };
            // ORDERING: Relaxed; the lock is held, and others only look for null.
            if self.first_waiting.load(Ordering::Relaxed).is_null() {
                let first = (&raw const node).cast_mut();
                self.first_waiting.store(first, Ordering::Relaxed);
            }
        });
        // SAFETY: the caller's guard says that the mutex is held, and it is
        // taken again before the guard is used.
        unsafe { mutex.unlock() };

        let told = self.sleep_at(&node, deadline);
        if told == MOVED {
            // Who was moved to the mutex may leave others asleep there.
            mutex.lock_as_contended(None);
        } else {
            mutex.lock();
        }
        if told == CHAIN || told == MOVED {
            self.hand_on(mutex);
        }
        told != WAITING
    }

    /// Sleeps until the word is written; `WAITING` if the deadline came first.
    fn sleep_at(&self, node: &Node<Waiter<B>>, deadline: Option<B::Instant>) -> u32 {
        let word = &node.data.word;
        let mut in_time = true;
        loop {
            // ORDERING: Acquire pairs with the Release in `let_go`: the one who
            // took the node out is done with it.
            let told = word.load(Ordering::Acquire);
            if told != WAITING {
                return told;
            }
            match deadline {
                Some(deadline) if in_time => {
                    in_time = B::wait_until(word, WAITING, deadline);
                    if !in_time && self.leave(node) {
                        return WAITING;
                    }
                }
                // Without a deadline; or taken out, and about to be told.
                _ => B::wait(word, WAITING),
            }
        }
    }

    /// Takes a node out whose time is over; false if somebody else has.
    fn leave(&self, node: &Node<Waiter<B>>) -> bool {
        self.with_queue(|queue| {
            // SAFETY: the lock is held.
            let linked = unsafe { node.is_linked() };
            if linked {
                // SAFETY: it is linked, and there is no other queue.
                unsafe { self.take_out(queue, node) };
            }
            linked
        })
    }

    /// Lets the next one go that a `notify_all` has reached. The caller holds
    /// the mutex and will give it back.
    fn hand_on(&self, mutex: &RawMutex<B>) {
        let node = self.with_queue(|queue| {
            let front = queue.front();
            // ORDERING: Relaxed; the lock is held.
            if front.is_null() || front == self.first_waiting.load(Ordering::Relaxed).cast_const() {
                return ptr::null();
            }
            // SAFETY: it is in the queue.
            unsafe { self.take_out(queue, front) };
            front
        });
        if node.is_null() {
            return;
        }
        // SAFETY: this thread took the node out and has not written its word,
        // without which its owner does not leave.
        let waiter = unsafe { &(*node).data };
        if !ptr::eq(waiter.mutex, mutex) {
            // SAFETY: as above.
            unsafe { Self::let_go(node, CHAIN) };
            return;
        }
        // The owner needs the mutex before it can leave, and this thread holds
        // it: the node stays even though its word is written.
        // ORDERING: Relaxed, for the same reason: the mutex orders.
        waiter.word.store(MOVED, Ordering::Relaxed);
        if !mutex.move_sleepers_here(&waiter.word, MOVED) {
            B::wake_one(&raw const waiter.word);
        }
    }

    /// Tells a waiter to go.
    ///
    /// # Safety
    /// The caller took the node out of the queue and has not told it anything.
    unsafe fn let_go(node: *const Node<Waiter<B>>, told: u32) {
        // SAFETY: until its word is written, its owner does not leave.
        let word = unsafe { &raw const (*node).data.word };
        // SAFETY: as above.
        // ORDERING: Release pairs with the Acquire in `sleep_at`: all that was
        // done with the node happens before its owner leaves.
        unsafe { (*word).store(told, Ordering::Release) };
        B::wake_one(word);
    }

    /// Takes a node out of the queue.
    ///
    /// # Safety
    /// It is in it; `queue` is this one's, under its lock.
    unsafe fn take_out(&self, queue: &mut List<Waiter<B>>, node: *const Node<Waiter<B>>) {
        // SAFETY: it is in the queue.
        let next = unsafe { queue.remove(node) };
        // ORDERING: Relaxed; the lock is held.
        if ptr::eq(self.first_waiting.load(Ordering::Relaxed), node) {
            self.first_waiting.store(next.cast_mut(), Ordering::Relaxed);
        }
    }

    fn with_queue<R>(&self, action: impl FnOnce(&mut List<Waiter<B>>) -> R) -> R {
        self.queue_lock.lock();
        // SAFETY: the lock that was just taken makes this the only access.
        let result = self.queue.with_mut(|queue| action(unsafe { &mut *queue }));
        // SAFETY: taken above.
        unsafe { self.queue_lock.unlock() };
        result
    }
}

impl<B: Blocking> Default for Condvar<B> {
    fn default() -> Condvar<B> {
        Condvar::new()
    }
}

impl<B: Blocking> fmt::Debug for Condvar<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
