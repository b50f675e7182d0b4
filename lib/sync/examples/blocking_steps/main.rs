//! How the sleeping locks came to be as they are: each step, and what is wrong
//! with it.
//!
//! ```sh
//! cargo run --release --package ochre-sync --example blocking_steps
//! ```
//!
//! The steps are words without values, written against the same backend as the
//! crate's own locks, which counts calls to the system. Times are of this
//! machine, in one run; the counts are what matters.
#![forbid(unsafe_code)]

mod condvar;
mod counted;
mod mutex;
mod rwlock;
mod semaphore;

pub(crate) fn main() {
    println!("Mutex: taking and giving back, one thread");
    mutex::uncontended();
    println!("\nMutex: four threads, one word");
    mutex::contended();
    println!("\nCondition variable: notifying, nobody waits");
    condvar::unheard();
    println!("\nCondition variable: one of four is notified, again and again");
    condvar::one_of_four();
    println!("\nReaders-writer lock: a writer waits while readers come and go");
    rwlock::churn();
    println!("\nReaders-writer lock: taking and giving back for writing, nobody else");
    rwlock::uncontended();
    println!("\nSemaphore: taking and giving");
    semaphore::to_and_fro();
}
