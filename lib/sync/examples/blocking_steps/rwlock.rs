//! The readers-writer lock, in three steps.
//!
//! 1. One word: the number of readers, or all ones for a writer. A waiting
//!    writer sleeps at that word, and every reader that comes or goes disturbs
//!    it; if there is always one, it waits for ever.
//! 2. A second word for the writer to sleep at, counted up when the lock comes
//!    free. It is not disturbed, and still waits for ever. Giving back after
//!    writing calls the system twice, whoever waits.
//! 3. [`RwLock`]: bits say who waits. Readers stay out while a writer waits, and
//!    nobody is called who does not.
//!
//! In each, the number of readers must end before it looks like something else:
//! guards can be forgotten, and 2^32 of them take less than a minute.

use std::thread;

use ochre_sync::blocking::Blocking;
use ochre_sync::lock::{Plain, RwLock};
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU32, Ordering};

use super::counted::{Counted, calls};

const WRITER: u32 = u32::MAX;

/// What the steps have in common.
trait Step: Default + Sync {
    const NAME: &'static str;
    fn read(&self, action: impl FnOnce());
    fn write(&self, action: impl FnOnce());
}

/// Takes a share in a word that counts readers.
fn take_share(state: &AtomicU32) {
    // ORDERING: Relaxed; the compare-exchange decides.
    let mut seen = state.load(Ordering::Relaxed);
    loop {
        if seen == WRITER {
            Counted::wait(state, WRITER);
            // ORDERING: Relaxed, as above.
            seen = state.load(Ordering::Relaxed);
            continue;
        }
        assert!(seen < WRITER - 1, "too many readers");
        // ORDERING: Acquire pairs with the Release of a writer that leaves.
        match state.compare_exchange_weak(seen, seen + 1, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// Step 1.
#[derive(Default)]
struct OneWord(AtomicU32);

impl Step for OneWord {
    const NAME: &'static str = "1. one word";

    fn read(&self, action: impl FnOnce()) {
        take_share(&self.0);
        action();
        // ORDERING: Release pairs with the Acquire of the next writer.
        if self.0.fetch_sub(1, Ordering::Release) == 1 {
            Counted::wake_one(&raw const self.0);
        }
    }

    fn write(&self, action: impl FnOnce()) {
        // ORDERING: Acquire pairs with the Releases of all who leave.
        while let Err(seen) =
            self.0
                .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
        {
            Counted::wait(&self.0, seen);
        }
        action();
        // ORDERING: Release pairs with the Acquires of all who come.
        self.0.store(0, Ordering::Release);
        Counted::wake_all(&raw const self.0);
    }
}

/// Step 2.
#[derive(Default)]
struct WritersWord {
    state: AtomicU32,
    wakes: AtomicU32,
}

impl WritersWord {
    fn call_writer(&self) {
        // ORDERING: Release pairs with the Acquire in `write`: who sees the call
        // sees that the lock is free.
        self.wakes.fetch_add(1, Ordering::Release);
        Counted::wake_one(&raw const self.wakes);
    }
}

impl Step for WritersWord {
    const NAME: &'static str = "2. a word for the writer";

    fn read(&self, action: impl FnOnce()) {
        take_share(&self.state);
        action();
        // ORDERING: Release pairs with the Acquire of the next writer.
        if self.state.fetch_sub(1, Ordering::Release) == 1 {
            self.call_writer();
        }
    }

    fn write(&self, action: impl FnOnce()) {
        // ORDERING: Acquire pairs with the Releases of all who leave.
        while self
            .state
            .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            // ORDERING: Acquire pairs with the Release in `call_writer`.
            let seen = self.wakes.load(Ordering::Acquire);
            // ORDERING: Relaxed; the load above orders.
            if self.state.load(Ordering::Relaxed) != 0 {
                Counted::wait(&self.wakes, seen);
            }
        }
        action();
        // ORDERING: Release pairs with the Acquires of all who come.
        self.state.store(0, Ordering::Release);
        self.call_writer();
        Counted::wake_all(&raw const self.state);
    }
}

/// Step 3: the crate's.
struct Ours(RwLock<(), Counted, Plain>);

impl Default for Ours {
    fn default() -> Ours {
        Ours(RwLock::new(()))
    }
}

impl Step for Ours {
    const NAME: &'static str = "3. bits for who waits";

    fn read(&self, action: impl FnOnce()) {
        let guard = self.0.read();
        action();
        drop(guard);
    }

    fn write(&self, action: impl FnOnce()) {
        let guard = self.0.write();
        action();
        drop(guard);
    }
}

fn measure_churn<S: Step>() {
    /// Steps 1 and 2 promise the writer nothing: the readers stop some time.
    const ENOUGH: u32 = 20_000;
    let (step, written) = (S::default(), AtomicBool::new(false));
    let reads = AtomicU32::new(0);
    calls();
    let before = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // ORDERING: Relaxed, here and below; statistics.
                while !written.load(Ordering::Relaxed) && reads.load(Ordering::Relaxed) < ENOUGH {
                    step.read(|| {
                        reads.fetch_add(1, Ordering::Relaxed);
                        thread::yield_now();
                    });
                }
            });
        }
        while reads.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        let begun = reads.load(Ordering::Relaxed);
        let mut before = 0;
        step.write(|| before = reads.load(Ordering::Relaxed) - begun);
        written.store(true, Ordering::Relaxed);
        before
    });
    println!(
        "  {:40} {before} reads until it was the writer's turn, {} calls",
        S::NAME,
        calls(),
    );
}

/// Four readers, always there, and a writer.
pub(crate) fn churn() {
    measure_churn::<OneWord>();
    measure_churn::<WritersWord>();
    measure_churn::<Ours>();
}

fn measure_uncontended<S: Step>() {
    let step = S::default();
    calls();
    for _ in 0..1_000 {
        step.write(|| ());
    }
    println!("  {:40} {} calls for 1000", S::NAME, calls());
}

/// One writer.
pub(crate) fn uncontended() {
    measure_uncontended::<OneWord>();
    measure_uncontended::<WritersWord>();
    measure_uncontended::<Ours>();
}
