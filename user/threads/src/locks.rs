//! Locks of std: mutex and what poisons it, read-write lock, condition variable, barrier, once.

use core::time::Duration;
use std::{
    collections::VecDeque,
    sync::{Arc, Barrier, Condvar, Mutex, Once, PoisonError, RwLock, TryLockError},
    thread,
    time::Instant,
};

use crate::{Outcome, quietly};

pub(crate) fn run() -> Outcome {
    counting()?;
    pushing()?;
    sleeping_with_a_guard();
    poisoned();
    readers_and_writers();
    writers_get_their_turn();
    condition();
    consumers()?;
    barriers();
    once()
}

/// Ten threads, a hundred steps each; whoever looks under the lock sees whole
/// hundreds.
fn counting() -> Outcome {
    let count = Mutex::new(0_u32);
    let whole = thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let mut guard = count.lock().unwrap_or_else(PoisonError::into_inner);
                for _ in 0..100 {
                    *guard += 1;
                    if guard.is_multiple_of(25) {
                        thread::yield_now();
                    }
                }
            });
        }
        let observer = scope.spawn(|| {
            (0..50).all(|_| {
                thread::yield_now();
                count.lock().is_ok_and(|guard| *guard % 100 == 0)
            })
        });
        observer.join()
    });
    println!("count {}, whole hundreds {whole:?}", count.into_inner()?);
    let count = Mutex::new(0_u32);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                }
            });
        }
    });
    println!("8 times 2000 is {}", count.into_inner()?);
    Ok(())
}

/// A vector shared and changed by five.
fn pushing() -> Outcome {
    let shared = Arc::new(Mutex::new(vec![10, 20, 30]));
    let handles: Vec<_> = (0..5)
        .map(|n| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut numbers = shared.lock().map_err(|_| "poisoned")?;
                numbers.push(10 * n);
                Ok::<usize, &str>(numbers.len())
            })
        })
        .collect();
    let mut lengths = Vec::new();
    for handle in handles {
        lengths.push(handle.join().map_err(|_| "panicked")??);
    }
    lengths.sort_unstable();
    let mut numbers = shared.lock().map_err(|_| "poisoned")?;
    numbers.sort_unstable();
    println!("lengths seen {lengths:?}, numbers {numbers:?}");
    Ok(())
}

/// Who sleeps with the guard makes everyone wait, who drops it first does not.
fn sleeping_with_a_guard() {
    const SLEEP: Duration = Duration::from_millis(10);
    let timed = |hold: bool| {
        let lock = Mutex::new(());
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let guard = lock.lock();
                    if !hold {
                        drop(guard);
                        thread::sleep(SLEEP);
                    } else {
                        thread::sleep(SLEEP);
                        drop(guard);
                    }
                });
            }
        });
        start.elapsed()
    };
    println!("one after the other: {}", timed(true) >= SLEEP * 10);
    println!("at least one sleep: {}", timed(false) >= SLEEP);
}

/// A panic under the lock is seen by those who lock after it, and repaired.
fn poisoned() {
    let pair = Mutex::new((1, 1));
    quietly(|| {
        thread::scope(|scope| {
            let half_way = scope.spawn(|| {
                let mut guard = pair.lock().unwrap_or_else(PoisonError::into_inner);
                guard.0 += 1;
                assert_eq!(guard.0, guard.1, "half way");
            });
            println!("panicked: {}", half_way.join().is_err());
        });
    });
    println!("poisoned: {}", pair.is_poisoned());
    match pair.lock() {
        Ok(_) => println!("as if nothing had been"),
        Err(error) => {
            let mut guard = error.into_inner();
            println!("found {:?}", *guard);
            guard.1 = guard.0;
        }
    }
    pair.clear_poison();
    println!("repaired: {:?}", pair.lock().map(|guard| *guard).ok());
    let guard = pair.lock();
    let other = thread::scope(|scope| {
        let tried = scope.spawn(|| matches!(pair.try_lock(), Err(TryLockError::WouldBlock)));
        tried.join().ok()
    });
    drop(guard);
    println!("taken: {other:?}");
}

/// Readers are inside together, which they show by meeting there; a writer is
/// alone.
fn readers_and_writers() {
    const READERS: usize = 4;
    let lock = RwLock::new((0_u32, 0_u32));
    let inside = Barrier::new(READERS);
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let guard = lock.read();
                inside.wait();
                drop(guard);
            });
        }
    });
    println!("{READERS} readers met");
    let torn: u32 = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let mut guard = lock.write().unwrap_or_else(PoisonError::into_inner);
                    guard.0 += 1;
                    guard.1 += 1;
                }
            });
        }
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                scope.spawn(|| {
                    (0..300)
                        .filter(|_| lock.read().is_ok_and(|guard| guard.0 != guard.1))
                        .count() as u32
                })
            })
            .collect();
        readers
            .into_iter()
            .filter_map(|reader| reader.join().ok())
            .sum()
    });
    println!(
        "written {:?}, torn {torn}",
        lock.read().map(|guard| *guard).ok()
    );
}

/// A flood of readers that never leaves the lock free does not keep a writer
/// out for ever.
fn writers_get_their_turn() {
    let lock = RwLock::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !lock.read().is_ok_and(|written| *written) {
                    thread::yield_now();
                }
            });
        }
        scope.spawn(|| {
            if let Ok(mut written) = lock.write() {
                *written = true;
            }
        });
    });
    println!("the writer had its turn");
}

/// A thread that waits for a value sleeps until it is told.
fn condition() {
    let value = Mutex::new(0_u32);
    let changed = Condvar::new();
    let wakeups = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            *value.lock().unwrap_or_else(PoisonError::into_inner) = 123;
            changed.notify_one();
        });
        let mut guard = value.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wakeups = 0_u32;
        while *guard < 100 {
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            wakeups += 1;
        }
        wakeups
    });
    println!(
        "value {:?}, few wake-ups: {}",
        value.lock().ok().as_deref(),
        wakeups < 10
    );
    let guard = value.lock().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    let limit = Duration::from_millis(10);
    let waited = changed.wait_timeout_while(guard, limit, |value| *value == 123);
    let timed_out = waited.is_ok_and(|(_, result)| result.timed_out());
    println!(
        "timed out: {timed_out}, not before: {}",
        start.elapsed() >= limit
    );
}

/// One queue, two producers, three consumers.
fn consumers() -> Outcome {
    struct Queue {
        items: VecDeque<u32>,
        open: bool,
    }
    let queue = Mutex::new(Queue {
        items: VecDeque::new(),
        open: true,
    });
    let not_empty = Condvar::new();
    let take = || {
        let guard = queue.lock().ok()?;
        let mut guard = not_empty
            .wait_while(guard, |queue| queue.items.is_empty() && queue.open)
            .ok()?;
        guard.items.pop_front()
    };
    let (sum, count) = thread::scope(|scope| {
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    core::iter::from_fn(take).fold((0, 0), |(sum, count), n| (sum + n, count + 1))
                })
            })
            .collect();
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let (queue, not_empty) = (&queue, &not_empty);
                scope.spawn(move || {
                    for n in 0..200 {
                        if let Ok(mut queue) = queue.lock() {
                            queue.items.push_back(producer * 200 + n);
                        }
                        not_empty.notify_one();
                    }
                })
            })
            .collect();
        for producer in producers {
            let _ = producer.join();
        }
        if let Ok(mut queue) = queue.lock() {
            queue.open = false;
        }
        not_empty.notify_all();
        consumers
            .into_iter()
            .filter_map(|consumer| consumer.join().ok())
            .fold((0, 0), |all: (u32, u32), one: (u32, u32)| {
                (all.0 + one.0, all.1 + one.1)
            })
    });
    println!("consumed {count}, sum {sum}");
    Ok(())
}

/// Rounds in step; one leader each.
fn barriers() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 50;
    let barrier = Barrier::new(THREADS);
    let places = Mutex::new([0_usize; THREADS]);
    let (in_step, leaders) = thread::scope(|scope| {
        let handles: Vec<_> = (0..THREADS)
            .map(|me| {
                let (barrier, places) = (&barrier, &places);
                scope.spawn(move || {
                    let mut in_step = true;
                    let mut led = 0;
                    for round in 1..=ROUNDS {
                        if let Ok(mut places) = places.lock() {
                            places[me] = round;
                        }
                        led += usize::from(barrier.wait().is_leader());
                        in_step &= places
                            .lock()
                            .is_ok_and(|places| places.iter().all(|&place| place == round));
                        barrier.wait();
                    }
                    (in_step, led)
                })
            })
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .fold((true, 0), |all, one| (all.0 && one.0, all.1 + one.1))
    });
    println!("{ROUNDS} rounds in step: {in_step}, {leaders} leaders");
}

/// What runs once runs once, and everyone waits for its end.
fn once() -> Outcome {
    static ONCE: Once = Once::new();
    let runs = Mutex::new(0);
    let seen: u32 = thread::scope(|scope| {
        let handles: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    ONCE.call_once(|| {
                        thread::sleep(Duration::from_millis(5));
                        *runs.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                    });
                    *runs.lock().unwrap_or_else(PoisonError::into_inner)
                })
            })
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .sum()
    });
    println!("ran {}, six saw {seen}", runs.into_inner()?);
    Ok(())
}
