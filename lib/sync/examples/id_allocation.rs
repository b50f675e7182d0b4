//! Five ways to give out numbers, and what goes wrong with the first three.
//!
//! The counters are 8 bits wide, so that going round takes 256 steps instead of
//! 4,294,967,296, which on a fast machine takes seconds all the same.
//!
//! ```sh
//! cargo run -p ochre-sync --example id_allocation
//! ```
#![forbid(unsafe_code)]

use core::panic::AssertUnwindSafe;
use std::collections::BTreeSet;
use std::panic::catch_unwind;

use ochre_sync::Ids;
use ochre_sync::primitive::atomic::{AtomicU8, Ordering::Relaxed};

/// The highest number that may be given out, and one more.
const LIMIT: u8 = 100;

/// Wraps: the 257th caller gets the first one's number.
fn wrapping(next: &AtomicU8) -> u8 {
    next.fetch_add(1, Relaxed)
}

/// Looks after adding: a failed call has added all the same, so enough failures
/// bring the counter round, and numbers are given out again.
fn assert_after(next: &AtomicU8) -> u8 {
    let id = next.fetch_add(1, Relaxed);
    assert!(id < LIMIT, "too many numbers");
    id
}

/// Takes back what it added before it fails. Right, as long as there are fewer
/// threads between adding and taking back than fit between the limit and the
/// highest number; `thread::scope` counts its threads like this.
fn subtract_again(next: &AtomicU8) -> u8 {
    let id = next.fetch_add(1, Relaxed);
    if id >= LIMIT {
        next.fetch_sub(1, Relaxed);
        std::panic::resume_unwind(Box::new("too many numbers"));
    }
    id
}

/// Ends the program. Right in the same way, and nobody goes on after a failure;
/// reference counts do it like this.
fn abort(next: &AtomicU8) -> u8 {
    let id = next.fetch_add(1, Relaxed);
    if id >= LIMIT {
        std::process::abort();
    }
    id
}

/// How many different numbers, and how many in all, 1,000 calls give.
fn census(mut allocate: impl FnMut() -> u8) -> (usize, usize) {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let given: Vec<u8> = (0..1_000)
        .filter_map(|_| catch_unwind(AssertUnwindSafe(&mut allocate)).ok())
        .collect();
    std::panic::set_hook(quiet);
    (given.iter().collect::<BTreeSet<_>>().len(), given.len())
}

pub(crate) fn main() {
    let next = AtomicU8::new(0);
    let (different, given) = census(|| wrapping(&next));
    println!("wrapping:        {given} given out, {different} of them different");
    assert!(different < given);

    let next = AtomicU8::new(0);
    let (different, given) = census(|| assert_after(&next));
    println!("assert after:    {given} given out, {different} of them different");
    assert!(different < given);

    let next = AtomicU8::new(0);
    let (different, given) = census(|| subtract_again(&next));
    println!("subtract again:  {given} given out, {different} of them different");
    assert_eq!((different, given), (100, 100));
    assert_eq!(next.load(Relaxed), LIMIT);

    let next = AtomicU8::new(0);
    let last = (0..LIMIT).map(|_| abort(&next)).last();
    println!("abort:           {last:?} was the last; one more would end the program");

    // Looks before it adds, in one step: the counter is never beyond the limit.
    let ids = Ids::new(LIMIT.into());
    let given = core::iter::from_fn(|| ids.allocate()).count();
    println!("compare-exchange: {given} given out, and it stays so");
    assert_eq!((given, ids.allocate()), (100, None));
}
