//! Locks made of a word and a futex: mutexes, condition variable, read-write lock, semaphore.
//!
//! Steps on the way to what `lib/sync` has: the simplest that is right, and
//! what the next one does better. They guard nothing but what their users
//! keep in atomics. Each counts its system calls, for that is where they
//! differ.

use core::{
    hint,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::word;

/// A lock.
pub(crate) trait Lock: Sync {
    /// Waits for it.
    fn lock(&self);
    /// Gives it back.
    fn unlock(&self);
    /// How many system calls it made.
    fn calls(&self) -> u32;
}

/// A word to wait at, and the count of calls.
#[derive(Default)]
pub(crate) struct Word {
    pub(crate) value: AtomicU32,
    calls: AtomicU32,
}

impl Word {
    /// Waits while the word has this value.
    pub(crate) fn wait(&self, value: u32) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        // Whether it slept or not: the caller looks again.
        let _ = word::wait(&self.value, value, None);
    }

    /// Wakes up to so many.
    pub(crate) fn wake(&self, count: i32) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let _ = word::wake(&self.value, count);
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// 0 is free, 1 is taken. Every unlock calls the kernel, for nobody knows
/// whether someone waits.
#[derive(Default)]
pub(crate) struct TwoStates(Word);

impl Lock for TwoStates {
    fn lock(&self) {
        // ORDERING: Acquire pairs with the Release of the unlock.
        while self.0.value.swap(1, Ordering::Acquire) == 1 {
            self.0.wait(1);
        }
    }

    fn unlock(&self) {
        self.0.value.store(0, Ordering::Release);
        self.0.wake(1);
    }

    fn calls(&self) -> u32 {
        self.0.calls()
    }
}

/// 2 is taken and somebody may wait. Who waited takes it as 2, for others may
/// still wait.
#[derive(Default)]
pub(crate) struct ThreeStates(Word);

impl ThreeStates {
    fn lock_waited_for(&self) {
        while self.0.value.swap(2, Ordering::Acquire) != 0 {
            self.0.wait(2);
        }
    }

    /// The word, for a condition variable to move its waiters to.
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.0.value
    }
}

impl Lock for ThreeStates {
    fn lock(&self) {
        // ORDERING: Acquire pairs with the Release of the unlock.
        let taken = self
            .0
            .value
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            self.lock_waited_for();
        }
    }

    fn unlock(&self) {
        if self.0.value.swap(0, Ordering::Release) == 2 {
            self.0.wake(1);
        }
    }

    fn calls(&self) -> u32 {
        self.0.calls()
    }
}

/// As before, but looks a few times before it sleeps, unless others sleep.
#[derive(Default)]
pub(crate) struct Spinning(ThreeStates);

impl Lock for Spinning {
    fn lock(&self) {
        let word = &self.0.0.value;
        for _ in 0..100 {
            // ORDERING: Acquire pairs with the Release of the unlock.
            let taken = word.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed);
            match taken {
                Ok(_) => return,
                Err(2) => break,
                Err(_) => hint::spin_loop(),
            }
        }
        self.0.lock_waited_for();
    }

    fn unlock(&self) {
        self.0.unlock();
    }

    fn calls(&self) -> u32 {
        self.0.calls()
    }
}

/// Counts notifications; who waits sleeps while the count is what it was.
#[derive(Default)]
pub(crate) struct Condition {
    word: Word,
    waiting: AtomicU32,
}

impl Condition {
    /// Gives the lock back, waits for a notification (or for nothing), takes
    /// the lock again.
    pub(crate) fn wait(&self, lock: &ThreeStates) {
        // ORDERING: both are read and changed under the lock, which orders
        // them.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let seen = self.word.value.load(Ordering::Relaxed);
        lock.unlock();
        self.word.wait(seen);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        // Others may have been moved to the lock.
        lock.lock_waited_for();
    }

    /// Wakes one.
    pub(crate) fn notify_one(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.word.value.fetch_add(1, Ordering::Relaxed);
            self.word.wake(1);
        }
    }

    /// Wakes one and lets the others wait for the lock, which one of them
    /// only can have. The caller has it.
    pub(crate) fn notify_all(&self, lock: &ThreeStates) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            let now = self.word.value.fetch_add(1, Ordering::Relaxed) + 1;
            // Who unlocks must know that they are there.
            lock.word().store(2, Ordering::Relaxed);
            let _ = word::requeue(&self.word.value, now, 1, lock.word());
        }
    }

    /// How many system calls it made.
    pub(crate) fn calls(&self) -> u32 {
        self.word.calls()
    }
}

/// Two for each reader, one if a writer waits, all bits for a writer inside.
#[derive(Default)]
pub(crate) struct ReadWrite {
    state: Word,
    writers: Word,
}

impl ReadWrite {
    const WRITTEN: u32 = u32::MAX;

    /// Waits for a share; behind a writer that waits.
    pub(crate) fn read(&self) {
        let mut state = self.state.value.load(Ordering::Relaxed);
        loop {
            if state.is_multiple_of(2) {
                assert!(state < Self::WRITTEN - 3, "too many readers");
                // ORDERING: Acquire pairs with the Release of a writer's end.
                match self.state.value.compare_exchange_weak(
                    state,
                    state + 2,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return,
                    Err(now) => state = now,
                }
            } else {
                self.state.wait(state);
                state = self.state.value.load(Ordering::Relaxed);
            }
        }
    }

    /// Gives a share back.
    pub(crate) fn end_read(&self) {
        // ORDERING: Release pairs with the Acquire of the writer.
        if self.state.value.fetch_sub(2, Ordering::Release) == 3 {
            // The last one, and a writer waits.
            self.wake_writer();
        }
    }

    /// Waits for the whole.
    pub(crate) fn write(&self) {
        let mut state = self.state.value.load(Ordering::Relaxed);
        loop {
            if state <= 1 {
                match self.state.value.compare_exchange(
                    state,
                    Self::WRITTEN,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return,
                    Err(now) => state = now,
                }
                continue;
            }
            if state.is_multiple_of(2) {
                let marked = self.state.value.compare_exchange(
                    state,
                    state + 1,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if let Err(now) = marked {
                    state = now;
                    continue;
                }
            }
            // ORDERING: pairs with the Release below: who sees the new count
            // sees the new state.
            let seen = self.writers.value.load(Ordering::Acquire);
            state = self.state.value.load(Ordering::Relaxed);
            if state >= 2 {
                self.writers.wait(seen);
                state = self.state.value.load(Ordering::Relaxed);
            }
        }
    }

    /// Gives the whole back.
    pub(crate) fn end_write(&self) {
        self.state.value.store(0, Ordering::Release);
        self.wake_writer();
        self.state.wake(i32::MAX);
    }

    fn wake_writer(&self) {
        self.writers.value.fetch_add(1, Ordering::Release);
        self.writers.wake(1);
    }
}

/// A count that waits at zero.
#[derive(Default)]
pub(crate) struct Units(Word);

impl Units {
    /// Adds one.
    pub(crate) fn add(&self) {
        // ORDERING: Release pairs with the Acquire of whoever takes it.
        self.0.value.fetch_add(1, Ordering::Release);
        self.0.wake(1);
    }

    /// Takes one, or waits for it.
    pub(crate) fn take(&self) {
        loop {
            let taken = self
                .0
                .value
                .fetch_update(Ordering::Acquire, Ordering::Relaxed, |n| n.checked_sub(1));
            if taken.is_ok() {
                return;
            }
            self.0.wait(0);
        }
    }
}
