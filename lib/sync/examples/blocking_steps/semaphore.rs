//! The semaphore, in two steps.
//!
//! 1. A number under a mutex, and a condition variable: short, and each permit
//!    taken or given locks and unlocks. A mutex must not be built on it.
//! 2. [`Semaphore`]: one word, which the backend can sleep on.

use std::thread;

use ochre_sync::lock::{Condvar, Mutex, Plain, Semaphore};

use super::counted::{Counted, calls};

/// What the steps have in common.
trait Step: Sync {
    const NAME: &'static str;
    fn new(permits: u32) -> Self;
    fn acquire(&self);
    fn release(&self);
}

/// Step 1.
struct Locked {
    permits: Mutex<u32, Counted, Plain>,
    given: Condvar<Counted>,
}

impl Step for Locked {
    const NAME: &'static str = "1. a number, a mutex, a condition variable";

    fn new(permits: u32) -> Locked {
        Locked {
            permits: Mutex::new(permits),
            given: Condvar::new(),
        }
    }

    fn acquire(&self) {
        let mut permits = self.permits.lock();
        while *permits == 0 {
            permits = self.given.wait(permits);
        }
        *permits -= 1;
    }

    fn release(&self) {
        *self.permits.lock() += 1;
        self.given.notify_one();
    }
}

impl Step for Semaphore<Counted> {
    const NAME: &'static str = "2. one word";

    fn new(permits: u32) -> Semaphore<Counted> {
        Semaphore::new(permits)
    }

    fn acquire(&self) {
        Semaphore::acquire(self);
    }

    fn release(&self) {
        Semaphore::release(self, 1);
    }
}

const ROUNDS: u32 = 20_000;

/// Calls of one thread that gives to itself, then of two that hand a permit
/// to and fro.
pub(crate) fn to_and_fro() {
    measure::<Locked>();
    measure::<Semaphore<Counted>>();
}

fn measure<S: Step>() {
    let own = S::new(1);
    calls();
    for _ in 0..ROUNDS {
        own.acquire();
        own.release();
    }
    let alone = calls();
    let (there, back) = (S::new(0), S::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                there.acquire();
                back.release();
            }
        });
        for _ in 0..ROUNDS {
            there.release();
            back.acquire();
        }
    });
    println!(
        "  {:<44} {alone:>6} calls alone, {:>6} handed to and fro",
        S::NAME,
        calls()
    );
}
