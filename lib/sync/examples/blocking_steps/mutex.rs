//! The mutex, in three steps.
//!
//! 1. Two states. Right, but `unlock` cannot know whether anybody sleeps, so it
//!    calls the system every time.
//! 2. Three states: the third says that somebody may sleep. No call without a
//!    crowd. One that has slept takes the mutex in the third state, because it
//!    cannot know whether others sleep still.
//! 3. [`Mutex`]: looks a hundred times before it sleeps, unless others sleep
//!    already. Most holders are shorter than a call to the system.

use std::thread;
use std::time::Instant;

use ochre_sync::blocking::Blocking;
use ochre_sync::lock::{Mutex, Plain};
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use super::counted::{Counted, calls};

/// What the steps have in common.
trait Step: Default + Sync {
    const NAME: &'static str;
    fn with(&self, action: impl FnOnce());
}

/// Step 1: 0 free, 1 held.
#[derive(Default)]
struct TwoStates(AtomicU32);

impl Step for TwoStates {
    const NAME: &'static str = "1. two states";

    fn with(&self, action: impl FnOnce()) {
        // ORDERING: Acquire pairs with the Release below.
        while self.0.swap(1, Ordering::Acquire) == 1 {
            Counted::wait(&self.0, 1);
        }
        action();
        // ORDERING: Release pairs with the Acquire above.
        self.0.store(0, Ordering::Release);
        Counted::wake_one(&raw const self.0);
    }
}

/// Step 2: 0 free, 1 held, 2 held and awaited.
#[derive(Default)]
struct ThreeStates(AtomicU32);

impl Step for ThreeStates {
    const NAME: &'static str = "2. three states";

    fn with(&self, action: impl FnOnce()) {
        // ORDERING: Acquire, here and below, pairs with the Release at the end.
        let free = self
            .0
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        if free.is_err() {
            while self.0.swap(2, Ordering::Acquire) != 0 {
                Counted::wait(&self.0, 2);
            }
        }
        action();
        // ORDERING: Release pairs with the Acquires above.
        if self.0.swap(0, Ordering::Release) == 2 {
            Counted::wake_one(&raw const self.0);
        }
    }
}

/// Step 3: the crate's.
struct Ours(Mutex<(), Counted, Plain>);

impl Default for Ours {
    fn default() -> Ours {
        Ours(Mutex::new(()))
    }
}

impl Step for Ours {
    const NAME: &'static str = "3. three states, spinning for a moment";

    fn with(&self, action: impl FnOnce()) {
        let guard = self.0.lock();
        action();
        drop(guard);
    }
}

/// Many rounds in so many threads.
fn measure<S: Step>(threads: u32, rounds: u32) {
    let step = S::default();
    let inside = AtomicU32::new(0);
    calls();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..rounds {
                    step.with(|| {
                        // ORDERING: Relaxed; a load and a store, so that two
                        // inside at once would be counted as one.
                        let seen = inside.load(Ordering::Relaxed);
                        inside.store(seen + 1, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    let time = start.elapsed();
    assert_eq!(inside.into_inner(), threads * rounds);
    let total = f64::from(threads * rounds);
    println!(
        "  {:40} {:6.1} ns, {:.3} calls each",
        S::NAME,
        time.as_secs_f64() * 1e9 / total,
        calls() as f64 / total,
    );
}

/// One thread.
pub(crate) fn uncontended() {
    measure::<TwoStates>(1, 200_000);
    measure::<ThreeStates>(1, 2_000_000);
    measure::<Ours>(1, 2_000_000);
}

/// Four threads.
pub(crate) fn contended() {
    measure::<TwoStates>(4, 50_000);
    measure::<ThreeStates>(4, 200_000);
    measure::<Ours>(4, 200_000);
}
