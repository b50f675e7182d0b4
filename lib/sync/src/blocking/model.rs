//! Waiting under loom and shuttle: a table of sleepers by address, whose deadlines may pass
//! at any moment.
//!
//! The table's lock orders a wake before the end of the wait that it causes, as
//! any kernel does. That may hide an ordering that a lock forgot on the path
//! where it sleeps; the paths where it does not sleep show it.

use core::time::Duration;

#[cfg(loom)]
use loom::{
    lazy_static,
    sync::{Mutex, atomic::AtomicBool},
    thread::{self, Thread},
};
#[cfg(shuttle)]
use shuttle::{
    lazy_static,
    sync::{Mutex, atomic::AtomicBool},
    thread::{self, Thread},
};
use std::sync::Arc;

use super::Blocking;
use crate::primitive::atomic::{AtomicU32, Ordering};

/// Sleeps in a table whose schedules the checker explores.
#[derive(Clone, Copy, Debug)]
pub struct Model;

struct Sleeper {
    address: usize,
    thread: Thread,
    woken: Arc<AtomicBool>,
}

lazy_static! {
    static ref SLEEPERS: Mutex<Vec<Sleeper>> = Mutex::new(Vec::new());
}

fn address(word: *const AtomicU32) -> usize {
    word.addr()
}

/// Wakes up to `count` sleepers; returns how many.
fn wake(word: *const AtomicU32, count: usize) -> usize {
    let mut woken = 0;
    let mut sleepers = SLEEPERS.lock().expect("no model panics here");
    while woken < count
        && let Some(index) = sleepers
            .iter()
            .position(|sleeper| sleeper.address == address(word))
    {
        let sleeper = sleepers.remove(index);
        // ORDERING: Release pairs with the Acquire in `wait`; no more than a
        // system call that comes back would give.
        sleeper.woken.store(true, Ordering::Release);
        sleeper.thread.unpark();
        woken += 1;
    }
    woken
}

impl Blocking for Model {
    /// Whether the deadline passes at once.
    type Instant = bool;

    fn after(timeout: Duration) -> Option<bool> {
        Some(timeout.is_zero())
    }

    fn wait(word: &AtomicU32, expected: u32) {
        let woken = Arc::new(AtomicBool::new(false));
        {
            let mut sleepers = SLEEPERS.lock().expect("no model panics here");
            // Relaxed: the futex gives no order that the caller could lean on.
            if word.load(Ordering::Relaxed) != expected {
                return;
            }
            sleepers.push(Sleeper {
                address: address(word),
                thread: thread::current(),
                woken: Arc::clone(&woken),
            });
        }
        // ORDERING: Acquire; see `wake`.
        while !woken.load(Ordering::Acquire) {
            thread::park();
        }
    }

    fn wait_until(word: &AtomicU32, expected: u32, passed: bool) -> bool {
        if passed {
            return word.load(Ordering::Relaxed) != expected;
        }
        Model::wait(word, expected);
        true
    }

    fn wake_one(word: *const AtomicU32) -> bool {
        wake(word, 1) > 0
    }

    fn wake_all(word: *const AtomicU32) {
        wake(word, usize::MAX);
    }

    fn requeue(word: &AtomicU32, expected: u32, target: *const AtomicU32) -> bool {
        let mut sleepers = SLEEPERS.lock().expect("no model panics here");
        if word.load(Ordering::Relaxed) != expected {
            return false;
        }
        for sleeper in sleepers.iter_mut() {
            if sleeper.address == address(word) {
                sleeper.address = address(target);
            }
        }
        true
    }
}
