//! The condition variable, in three steps.
//!
//! 1. A counter: `wait` reads it, gives the mutex back and sleeps while it is
//!    what it was; `notify` counts up and wakes. Right (until exactly 2^32
//!    notifications come between reading and sleeping), but every notification
//!    calls the system.
//! 2. The same with a count of who waits: no call if nobody does. Still a
//!    notification ends each wait that has read the counter and does not sleep
//!    yet, beside the one it wakes, and `notify_all` sends all for the mutex at
//!    once.
//! 3. [`Condvar`]: a queue of the waiters, each with a word of its own. A
//!    notification ends one wait, the oldest, and those whom `notify_all` reaches
//!    come one after the other.

use std::thread;

use ochre_sync::blocking::Blocking;
use ochre_sync::lock::{Condvar, Mutex, MutexGuard, Plain};
use ochre_sync::primitive::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::counted::{Counted, calls};

type Lock<T> = Mutex<T, Counted, Plain>;
type Guard<'a, T> = MutexGuard<'a, T, Counted, Plain>;

/// What the steps have in common.
trait Step: Default + Sync {
    const NAME: &'static str;
    fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T>;
    fn notify_one(&self);
    fn notify_all(&self);
}

/// Step 1: a counter of notifications.
#[derive(Default)]
struct Counter(AtomicU32);

impl Step for Counter {
    const NAME: &'static str = "1. a counter";

    fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        // ORDERING: Relaxed, here and below; the mutex orders.
        let seen = self.0.load(Ordering::Relaxed);
        let mutex = MutexGuard::mutex(&guard);
        drop(guard);
        Counted::wait(&self.0, seen);
        mutex.lock()
    }

    fn notify_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted::wake_one(&raw const self.0);
    }

    fn notify_all(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted::wake_all(&raw const self.0);
    }
}

/// Step 2: and a count of the waiters.
#[derive(Default)]
struct Waiters {
    counter: Counter,
    waiters: AtomicUsize,
}

impl Step for Waiters {
    const NAME: &'static str = "2. a counter, and the number of waiters";

    fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        // ORDERING: Relaxed, here and below; the mutex orders.
        self.waiters.fetch_add(1, Ordering::Relaxed);
        let guard = self.counter.wait(guard);
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    fn notify_one(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.counter.notify_one();
        }
    }

    fn notify_all(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.counter.notify_all();
        }
    }
}

/// Step 3: the crate's.
#[derive(Default)]
struct Ours(Condvar<Counted>);

impl Step for Ours {
    const NAME: &'static str = "3. a queue of the waiters";

    fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        self.0.wait(guard)
    }

    fn notify_one(&self) {
        self.0.notify_one();
    }

    fn notify_all(&self) {
        self.0.notify_all();
    }
}

fn measure_unheard<S: Step>() {
    let step = S::default();
    calls();
    for _ in 0..1_000 {
        step.notify_one();
        step.notify_all();
    }
    println!("  {:40} {} calls for 2000", S::NAME, calls());
}

/// Notifications without a waiter.
pub(crate) fn unheard() {
    measure_unheard::<Counter>();
    measure_unheard::<Waiters>();
    measure_unheard::<Ours>();
}

fn measure_one_of_four<S: Step>() {
    const TOKENS: u32 = 2_000;
    // The tokens, and whether there will be more.
    let (tokens, step) = (Lock::new((0_u32, true)), S::default());
    let wakes = AtomicU32::new(0);
    calls();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut guard = tokens.lock();
                while guard.1 {
                    guard = step.wait(guard);
                    // ORDERING: Relaxed; a statistic.
                    wakes.fetch_add(1, Ordering::Relaxed);
                    guard.0 = guard.0.saturating_sub(1);
                }
            });
        }
        for _ in 0..TOKENS {
            // Again and again, until one of them has been there.
            tokens.lock().0 = 1;
            while tokens.lock().0 == 1 {
                step.notify_one();
                thread::yield_now();
            }
        }
        tokens.lock().1 = false;
        step.notify_all();
    });
    println!(
        "  {:40} {} waits ended for {TOKENS} tokens, {} calls",
        S::NAME,
        wakes.into_inner(),
        calls(),
    );
}

/// Four consumers of one producer's tokens.
pub(crate) fn one_of_four() {
    measure_one_of_four::<Counter>();
    measure_one_of_four::<Waiters>();
    measure_one_of_four::<Ours>();
}
