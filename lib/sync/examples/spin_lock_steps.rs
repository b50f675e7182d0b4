//! The steps to a spin lock: a flag, a better wait, a value, a guard.
//!
//! Each version counts to the same number with four threads. The last one is
//! `ochre_sync::SpinLock`.
//!
//! ```sh
//! cargo run --release -p ochre-sync --example spin_lock_steps
//! ```
#![expect(unsafe_code, reason = "one of the steps has an unsafe interface")]

use std::thread;
use std::time::Instant;

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU64, Ordering};
use ochre_sync::primitive::{UnsafeCell, spin_loop};

const THREADS: u64 = 4;
const ROUNDS: u64 = 20_000;

/// Step 1. Only a flag. Safe, since it guards nothing that the compiler knows of.
struct Flag(AtomicBool);

impl Flag {
    fn lock(&self) {
        // Acquire: what follows sees what was done before the last unlock.
        while self.0.swap(true, Ordering::Acquire) {
            spin_loop();
        }
    }

    fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Step 2. The same, looking before it tries: a swap takes the cache line away from the
/// holder even if it changes nothing, a load does not.
struct Patient(AtomicBool);

impl Patient {
    fn lock(&self) {
        while self
            .0
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            while self.0.load(Ordering::Relaxed) {
                spin_loop();
            }
        }
    }

    fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Step 3. With the value inside; but who unlocks promises not to use it any more.
struct Valued<T> {
    flag: Patient,
    value: UnsafeCell<T>,
}

// SAFETY: the flag lets one thread at a time have the value; `T: Sync` is not needed.
unsafe impl<T: Send> Sync for Valued<T> {}

impl<T> Valued<T> {
    /// The value; whoever has it must call `unlock`.
    #[expect(clippy::mut_from_ref, reason = "the flag makes it exclusive")]
    fn lock(&self) -> &mut T {
        self.flag.lock();
        // SAFETY: the flag is ours, so nobody else has a reference.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    /// # Safety
    /// The reference from `lock` must not be used after this.
    unsafe fn unlock(&self) {
        self.flag.unlock();
    }
}

fn measure(name: &str, count: impl Fn() + Sync, total: impl FnOnce() -> u64) {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    count();
                }
            });
        }
    });
    let each = start.elapsed().as_nanos() / u128::from(THREADS * ROUNDS);
    assert_eq!(total(), THREADS * ROUNDS, "{name} excludes");
    println!("{name:<24} {each} ns for each lock and unlock");
}

pub(crate) fn main() {
    // Not an atomic addition: without the lock, some would be lost.
    let add = |number: &AtomicU64| {
        number.store(number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    };

    let (flag, number) = (Flag(AtomicBool::new(false)), AtomicU64::new(0));
    measure(
        "1. swap",
        || {
            flag.lock();
            add(&number);
            flag.unlock();
        },
        || number.load(Ordering::Relaxed),
    );

    let (patient, number) = (Patient(AtomicBool::new(false)), AtomicU64::new(0));
    measure(
        "2. look before trying",
        || {
            patient.lock();
            add(&number);
            patient.unlock();
        },
        || number.load(Ordering::Relaxed),
    );

    let valued = Valued {
        flag: Patient(AtomicBool::new(false)),
        value: UnsafeCell::new(0),
    };
    measure(
        "3. with a value",
        || {
            *valued.lock() += 1;
            // SAFETY: the reference above is gone.
            unsafe { valued.unlock() };
        },
        || *valued.lock(),
    );

    // 4. With a guard: the lock cannot be forgotten, and the value cannot be used
    // without it.
    let lock = SpinLock::new(0);
    measure("4. with a guard", || *lock.lock() += 1, || *lock.lock());
}
