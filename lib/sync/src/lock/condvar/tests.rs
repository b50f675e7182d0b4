//! What the condition variable promises, on the host's threads.

use core::time::Duration;
use std::collections::VecDeque;
use std::thread;

use crate::blocking::{Blocking, Futex, Spin};
use crate::lock::{Condvar, Mutex, Plain};

/// `producers` put numbers in, as many consumers take them out.
fn pipe<B: Blocking>(producers: u32, rounds: u32, all: bool) {
    let queue = Mutex::<VecDeque<u32>, B, Plain>::new(VecDeque::new());
    let not_empty = Condvar::<B>::new();
    let taken: u32 = thread::scope(|scope| {
        let consumers: Vec<_> = (0..producers)
            .map(|_| {
                scope.spawn(|| {
                    let mut sum = 0;
                    for _ in 0..rounds {
                        let guard = queue.lock();
                        let mut guard = not_empty.wait_while(guard, |queue| queue.is_empty());
                        sum += guard.pop_front().expect("it is not empty");
                    }
                    sum
                })
            })
            .collect();
        for _ in 0..producers {
            scope.spawn(|| {
                for number in 0..rounds {
                    queue.lock().push_back(number);
                    if all {
                        not_empty.notify_all();
                    } else {
                        not_empty.notify_one();
                    }
                }
            });
        }
        consumers
            .into_iter()
            .map(|consumer| consumer.join().expect("no panic"))
            .sum()
    });
    assert_eq!(taken, producers * (rounds * (rounds - 1) / 2));
}

#[test]
fn items_reach_their_consumers() {
    pipe::<Futex>(3, if cfg!(miri) { 10 } else { 2_000 }, false);
    pipe::<Futex>(3, if cfg!(miri) { 10 } else { 2_000 }, true);
}

#[test]
fn items_reach_their_consumers_where_nobody_can_sleep() {
    pipe::<Spin>(2, if cfg!(miri) { 3 } else { 100 }, false);
    pipe::<Spin>(2, if cfg!(miri) { 3 } else { 100 }, true);
}

/// As many threads as asked wait; the last to come tells.
fn crowd(size: usize, tell: impl Fn(&Condvar<Futex>) + Sync) -> u32 {
    let waiting = Mutex::<usize, Futex, Plain>::new(0);
    let (come, go) = (Condvar::<Futex>::new(), Condvar::<Futex>::new());
    let wakeups = Mutex::<u32, Futex, Plain>::new(0);
    thread::scope(|scope| {
        for _ in 0..size {
            scope.spawn(|| {
                let mut guard = waiting.lock();
                *guard += 1;
                come.notify_one();
                drop(go.wait(guard));
                *wakeups.lock() += 1;
            });
        }
        let guard = come.wait_while(waiting.lock(), |waiting| *waiting < size);
        drop(guard);
        tell(&go);
    });
    wakeups.into_inner()
}

#[test]
fn notify_all_ends_each_wait_once() {
    for size in 1..=if cfg!(miri) { 3 } else { 32 } {
        assert_eq!(crowd(size, Condvar::notify_all), size as u32);
    }
}

#[test]
fn one_notification_ends_one_wait() {
    let size = if cfg!(miri) { 3 } else { 16 };
    let woken = crowd(size, |go| {
        for _ in 0..size {
            assert!(go.notify_one());
        }
        assert!(!go.notify_one());
    });
    assert_eq!(woken, size as u32);
}

#[test]
fn both_kinds_mixed_reach_everybody() {
    let size = if cfg!(miri) { 3 } else { 16 };
    let woken = crowd(size, |go| {
        assert!(go.notify_one());
        go.notify_all();
        assert!(!go.notify_one());
    });
    assert_eq!(woken, size as u32);
}

#[test]
fn a_wait_ends_at_its_time() {
    let mutex = Mutex::<u32, Futex>::new(1);
    let changed = Condvar::new();
    let (guard, result) = changed
        .wait_timeout(mutex.lock().unwrap(), Duration::from_millis(1))
        .unwrap();
    assert!(result.timed_out());
    let (guard, result) = changed
        .wait_timeout_while(guard, Duration::from_millis(1), |value| *value == 1)
        .unwrap();
    assert!(result.timed_out());
    let (_guard, result) = changed
        .wait_timeout_while(guard, Duration::from_millis(1), |value| *value == 2)
        .unwrap();
    assert!(!result.timed_out());
    // Whoever left is not notified in the place of another.
    assert!(!changed.notify_one());
}

#[test]
fn short_waits_swallow_no_notification() {
    let rounds = if cfg!(miri) { 5 } else { 500 };
    let tokens = Mutex::<u32, Futex, Plain>::new(0);
    let changed = Condvar::<Futex>::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let mut guard = changed.wait_while(tokens.lock(), |tokens| *tokens == 0);
                    *guard -= 1;
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..rounds {
                let patience = Duration::from_micros(20);
                let (_guard, result) = changed.wait_timeout(tokens.lock(), patience);
                if !result.timed_out() {
                    // It was meant for somebody, who is told instead.
                    changed.notify_one();
                }
            }
        });
        for _ in 0..2 * rounds {
            *tokens.lock() += 1;
            changed.notify_one();
        }
    });
    assert_eq!(tokens.into_inner(), 0);
}

#[test]
fn two_mutexes_may_wait_at_once() {
    let mutexes = [(); 2].map(|()| Mutex::<bool, Futex, Plain>::new(false));
    let changed = Condvar::<Futex>::new();
    thread::scope(|scope| {
        for mutex in &mutexes {
            scope.spawn(|| drop(changed.wait_while(mutex.lock(), |ready| !*ready)));
        }
        for mutex in &mutexes {
            *mutex.lock() = true;
        }
        changed.notify_all();
        // One that looked before its mutex's change had no time to sleep yet.
        for mutex in &mutexes {
            drop(mutex.lock());
        }
        changed.notify_all();
    });
}

#[test]
fn a_wait_tells_of_poison() {
    let mutex = Mutex::<bool, Futex>::new(false);
    let changed = Condvar::<Futex>::new();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            // The panic may have come before.
            let Ok(guard) = mutex.lock() else {
                return true;
            };
            changed.wait_while(guard, |ready| !*ready).is_err()
        });
        let broken = scope.spawn(|| {
            let _guard = mutex.lock();
            panic!("while holding");
        });
        assert!(broken.join().is_err());
        while !changed.notify_one() && !waiter.is_finished() {
            thread::yield_now();
        }
        assert!(waiter.join().unwrap());
    });
}
