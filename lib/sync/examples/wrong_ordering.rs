//! A lock with orderings that are too weak, counted.
//!
//! Four threads count to a million each. The wrong lock keeps the compiler from
//! moving the count out of it, and says nothing to the processor. On x86-64,
//! where only a store may come after later loads, the sum is right all the same;
//! there are processors with other rules on which some counts get lost. The sum
//! with the right lock must be exact everywhere. That no such processor is
//! at hand does not matter: Miri says at once that the first one is a race
//! (`misuse.rs`).
//!
//! ```sh
//! cargo run --release -p ochre-sync --example wrong_ordering
//! ```
#![forbid(unsafe_code)]

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence};
use std::thread;

const THREADS: u64 = 4;
const ROUNDS: u64 = 1_000_000;

/// A load and a store: two that do it at once count once.
fn add(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn wrong(locked: &AtomicBool, count: &AtomicU64) {
    while locked.swap(true, Ordering::Relaxed) {
        spin_loop();
    }
    compiler_fence(Ordering::Acquire);
    add(count);
    compiler_fence(Ordering::Release);
    locked.store(false, Ordering::Relaxed);
}

fn right(locked: &AtomicBool, count: &AtomicU64) {
    // ORDERING: Acquire pairs with the Release below.
    while locked.swap(true, Ordering::Acquire) {
        spin_loop();
    }
    add(count);
    // ORDERING: Release pairs with the Acquire above.
    locked.store(false, Ordering::Release);
}

fn count(add_one: fn(&AtomicBool, &AtomicU64)) -> u64 {
    let (locked, count) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    add_one(&locked, &count);
                }
            });
        }
    });
    count.into_inner()
}

pub(crate) fn main() {
    println!("{} is what {THREADS} threads counted to", THREADS * ROUNDS);
    println!("{} with orderings for the compiler only", count(wrong));
    let exact = count(right);
    println!("{exact} with Acquire and Release");
    assert_eq!(exact, THREADS * ROUNDS);
}
