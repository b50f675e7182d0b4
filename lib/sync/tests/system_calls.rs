//! Who makes system calls: a lock that nobody waits for makes none.
//!
//! Counted by a backend that sleeps as Linux's does and counts each call of its
//! thread.
#![cfg(not(any(loom, shuttle)))]
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::time::Duration;
use std::thread;

use ochre_sync::blocking::{Blocking, Futex};
use ochre_sync::lock::{
    Barrier, BinarySemaphore, CallOnce, Condvar, LazyLock, Mutex, OnceLock, Plain, QueueMutex,
    RwLock, Semaphore,
};
use ochre_sync::park::Parker;
use ochre_sync::primitive::atomic::AtomicU32;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// [`Futex`], counted.
#[derive(Debug)]
struct Counted;

fn count() {
    CALLS.set(CALLS.get() + 1);
}

impl Blocking for Counted {
    type Instant = <Futex as Blocking>::Instant;

    fn after(timeout: Duration) -> Option<Self::Instant> {
        Futex::after(timeout)
    }

    fn wait(word: &AtomicU32, expected: u32) {
        count();
        Futex::wait(word, expected);
    }

    fn wait_until(word: &AtomicU32, expected: u32, deadline: Self::Instant) -> bool {
        count();
        Futex::wait_until(word, expected, deadline)
    }

    fn wake_one(word: *const AtomicU32) -> bool {
        count();
        Futex::wake_one(word)
    }

    fn wake_all(word: *const AtomicU32) {
        count();
        Futex::wake_all(word);
    }

    fn requeue(word: &AtomicU32, expected: u32, target: *const AtomicU32) -> bool {
        count();
        Futex::requeue(word, expected, target)
    }
}

/// How many calls this thread makes for `action`.
fn calls(action: impl FnOnce()) -> u32 {
    let before = CALLS.get();
    action();
    CALLS.get() - before
}

#[test]
fn locks_that_nobody_waits_for_make_none() {
    let mutex = Mutex::<_, Counted, Plain>::new(0);
    let fair = QueueMutex::<_, Counted>::new(0);
    let lock = RwLock::<_, Counted, Plain>::new(0);
    let long = Duration::from_secs(3_600);
    let made = calls(|| {
        for _ in 0..10 {
            *mutex.lock() += 1;
            *mutex.try_lock_for(long).expect("it is free") += 1;
            *fair.lock() += 1;
            *lock.write() += 1;
            let (one, other) = (lock.read(), lock.read());
            assert_eq!(*one, *other);
        }
    });
    assert_eq!(made, 0);
}

#[test]
fn signals_that_nobody_waits_for_make_none() {
    let made = calls(|| {
        let changed = Condvar::<Counted>::new();
        assert!(!changed.notify_one());
        changed.notify_all();
        let semaphore = Semaphore::<Counted>::new(1);
        semaphore.release(1);
        semaphore.acquire();
        let signal = BinarySemaphore::<Counted>::new(false);
        signal.raise();
        signal.acquire();
        let parker = Parker::<Counted>::new();
        parker.unpark();
        parker.park();
        CallOnce::<Counted>::new().call_once(|| ());
        assert_eq!(OnceLock::<_, Counted>::new().get_or_init(|| 1), &1);
        assert_eq!(*LazyLock::<_, Counted>::new(|| 1), 1);
    });
    assert_eq!(made, 0);
    // The last of a round wakes the others: one call for all of them.
    let made = calls(|| {
        Barrier::<Counted>::new(1).wait();
    });
    assert_eq!(made, 1);
}

#[test]
fn after_a_crowd_there_is_calm() {
    let mutex = Mutex::<u32, Counted, Plain>::new(0);
    let lock = RwLock::<u32, Counted, Plain>::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..if cfg!(miri) { 5 } else { 1_000 } {
                    *mutex.lock() += 1;
                    *lock.write() += 1;
                    drop(lock.read());
                }
            });
        }
    });
    // What the crowd left behind is gone after one more round.
    *mutex.lock() += 1;
    *lock.write() += 1;
    let made = calls(|| {
        *mutex.lock() += 1;
        *lock.write() += 1;
        drop(lock.read());
    });
    assert_eq!(made, 0);
}

#[test]
fn a_writer_that_waits_is_not_disturbed_by_readers() {
    let lock = RwLock::<u32, Counted, Plain>::new(0);
    let first = lock.read();
    let more = lock.read();
    thread::scope(|scope| {
        let writer = scope.spawn(|| calls(|| *lock.write() += 1));
        // It waits when no reader comes in any more.
        while let Some(another) = lock.try_read() {
            drop(another);
            thread::yield_now();
        }
        drop(more);
        drop(first);
        // Sleeping once, and perhaps once more because it was about to.
        assert!(writer.join().expect("no panic") <= 3);
    });
}

#[test]
fn notify_all_wakes_two_and_moves_the_others() {
    let waiting = Mutex::<u32, Counted, Plain>::new(0);
    let (come, go) = (Condvar::<Counted>::new(), Condvar::<Counted>::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut guard = waiting.lock();
                *guard += 1;
                come.notify_one();
                drop(go.wait(guard));
            });
        }
        drop(come.wait_while(waiting.lock(), |waiting| *waiting < 8));
        // Two to wake the first two; the queue's own lock may cost two.
        assert!(calls(|| go.notify_all()) <= 4);
    });
}
