//! What the readers-writer lock promises, on the host's threads.

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use std::panic;
use std::sync::Barrier;
use std::thread;

use crate::blocking::{Blocking, Futex, Spin};
use crate::lock::{Plain, RwLock, RwLockWriteGuard, TryLockError};

fn mixed<B: Blocking>(rounds: u32) {
    let lock = RwLock::<[u32; 2], B>::new([0; 2]);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let mut value = lock.write().expect("no panic");
                    value[0] += 1;
                    value[1] += 1;
                }
            });
            scope.spawn(|| {
                for _ in 0..rounds {
                    let value = lock.read().expect("no panic");
                    assert_eq!(value[0], value[1]);
                }
            });
            scope.spawn(|| {
                for _ in 0..rounds {
                    let patience = Duration::from_micros(5);
                    if let Ok(mut value) = lock.try_write_for(patience) {
                        value[0] += 0;
                    }
                    if let Ok(value) = lock.try_read_for(patience) {
                        assert_eq!(value[0], value[1]);
                    }
                }
            });
        }
    });
    assert_eq!(lock.into_inner().expect("no panic"), [2 * rounds; 2]);
}

#[test]
fn readers_see_whole_values() {
    mixed::<Futex>(if cfg!(miri) { 20 } else { 20_000 });
}

#[test]
fn is_a_spin_lock_where_nobody_can_sleep() {
    mixed::<Spin>(if cfg!(miri) { 5 } else { 500 });
}

#[test]
fn readers_share_and_writers_do_not() {
    let lock = RwLock::<_, Futex>::new(1);
    let (one, other) = (lock.read().unwrap(), lock.try_read().unwrap());
    assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    assert!(lock.try_write_for(Duration::from_millis(1)).is_err());
    assert!(lock.try_read().is_ok(), "the writer has given up");
    drop((one, other));
    let writer = lock.try_write().unwrap();
    assert!(lock.try_read().is_err() && lock.try_write().is_err());
    assert!(lock.try_read_for(Duration::from_millis(1)).is_err());
    let reader = RwLockWriteGuard::downgrade(writer);
    assert!(lock.try_read().is_ok() && lock.try_write().is_err());
    drop(reader);
    assert!(lock.try_write_for(Duration::MAX).is_ok());
    assert!(lock.try_read_for(Duration::MAX).is_ok());
}

#[test]
fn a_flood_of_readers_does_not_keep_a_writer_out() {
    let lock = RwLock::<(), Futex, Plain>::new(());
    let (written, reads) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                // Always somebody reads, until the writer has been in.
                let mut guard = lock.read();
                while !written.load(Ordering::Relaxed) {
                    reads.fetch_add(1, Ordering::Relaxed);
                    drop(guard);
                    guard = lock.read();
                }
            });
        }
        while reads.load(Ordering::Relaxed) < 10 {
            thread::yield_now();
        }
        drop(lock.write());
        written.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_in() {
    let lock = RwLock::<(), Futex, Plain>::new(());
    let held = lock.read();
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            for _ in 0..if cfg!(miri) { 3 } else { 50 } {
                assert!(lock.try_write_for(Duration::from_micros(200)).is_none());
            }
        });
        scope.spawn(|| {
            start.wait();
            // Each comes in although `held` never leaves.
            for _ in 0..if cfg!(miri) { 3 } else { 200 } {
                drop(lock.read());
            }
        });
    });
    drop(held);
    assert!(lock.try_write().is_some());
}

#[test]
fn only_writers_poison() {
    let lock = RwLock::<_, Futex>::new(1);
    let panics = |action: &dyn Fn()| {
        let result = panic::catch_unwind(AssertUnwindSafe(action));
        assert!(result.is_err());
    };
    panics(&|| {
        let _guard = lock.read();
        panic!("while reading");
    });
    assert!(!lock.is_poisoned());
    panics(&|| {
        let _guard = lock.write();
        panic!("while writing");
    });
    assert!(lock.is_poisoned());
    assert_eq!(**lock.read().unwrap_err().get_ref(), 1);
    assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
    lock.clear_poison();
    assert!(lock.write().is_ok());
}

#[test]
fn shares_of_those_who_are_gone_can_be_given_back() {
    let mut lock = RwLock::<_, Futex>::new(1);
    core::mem::forget(lock.read());
    // SAFETY: the guard was forgotten.
    unsafe { lock.abandon_read() };
    core::mem::forget(lock.try_write().unwrap());
    // SAFETY: the guard was forgotten.
    unsafe { lock.abandon_write() };
    assert!(lock.is_poisoned() && lock.get_mut().is_err());
    assert_eq!(lock.into_inner().unwrap_err().into_inner(), 1);
}
