//! The locks of `ochre-sync` as a program has them: those that sleep do so in the
//! kernel's futexes, and on Ochre those are the kernel's wait queues.
//!
//! Each part is made so that threads have to sleep and to be woken, one by one, a
//! crowd at once, moved from one word to another, and by a clock.

use core::time::Duration;
use std::thread;

use ochre_sync::channel::{host as channel, select};
use ochre_sync::host::{
    Barrier, BinarySemaphore, Condvar, Mutex, OnceLock, Parker, QueueMutex, RwLock, Semaphore,
};
use ochre_sync::lock::TryLockError;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use crate::Outcome;

pub(crate) fn run() -> Outcome {
    println!("a baton went round {} times", baton());
    println!("a crowd of {} was called", crowd());
    println!("in turn: {}", in_turn());
    println!("readers saw {} torn", readers());
    println!("more inside than permits: {}", permits() > 2);
    println!("rounds together: {}", rounds());
    println!("made once: {}", once());
    println!("parked and unparked {} times", parkers());
    println!("messages add up to {}", messages());
    println!("clocks: {}", clocks());
    Ok(())
}

/// Four threads, each waits at one condition variable for its turn.
fn baton() -> u32 {
    const ROUNDS: u32 = 100;
    const THREADS: u32 = 4;
    let (turn, changed) = (Mutex::new(0), [const { Condvar::new() }; THREADS as usize]);
    thread::scope(|scope| {
        for (own, condition) in (0..THREADS).zip(&changed) {
            let (turn, changed) = (&turn, &changed);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let guard = turn.lock().expect("nobody panics");
                    let mut guard = condition
                        .wait_while(guard, |turn| *turn % THREADS != own)
                        .expect("nobody panics");
                    *guard += 1;
                    if let Some(next) = changed.get((*guard % THREADS) as usize) {
                        next.notify_one();
                    }
                }
            });
        }
    });
    turn.into_inner().expect("nobody panics") / THREADS
}

/// All wait for one change: one call wakes two of them, the others are moved to
/// the mutex.
fn crowd() -> u32 {
    const CROWD: u32 = 12;
    let (state, changed) = (Mutex::new((0, false)), Condvar::new());
    let arrived = Condvar::new();
    thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                let mut guard = state.lock().expect("nobody panics");
                guard.0 += 1;
                arrived.notify_one();
                let guard = changed.wait_while(guard, |state| !state.1);
                guard.expect("nobody panics").0 += 100;
            });
        }
        let guard = state.lock().expect("nobody panics");
        let mut guard = arrived
            .wait_while(guard, |state| state.0 < CROWD)
            .expect("nobody panics");
        guard.1 = true;
        changed.notify_all();
    });
    state.into_inner().expect("nobody panics").0 / 100
}

fn in_turn() -> u32 {
    let count = QueueMutex::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| *count.lock() += 1));
        }
    });
    count.into_inner()
}

fn readers() -> u32 {
    let (pair, torn) = (RwLock::new((0, 0)), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let pair = pair.read().expect("nobody panics");
                    // ORDERING: Relaxed; the threads are joined before it is read.
                    torn.fetch_add(u32::from(pair.0 != pair.1), Ordering::Relaxed);
                    thread::yield_now();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..200 {
                let mut pair = pair.write().expect("nobody panics");
                pair.0 += 1;
                thread::yield_now();
                pair.1 += 1;
            }
        });
    });
    assert_eq!(pair.into_inner().expect("nobody panics"), (200, 200));
    torn.into_inner()
}

/// Two permits for six threads; the most that were inside.
fn permits() -> u32 {
    let (slots, inside, most) = (Semaphore::new(2), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let _permit = slots.access();
                    // ORDERING: Relaxed; only each number's own value matters.
                    let now = inside.fetch_add(1, Ordering::Relaxed) + 1;
                    most.fetch_max(now, Ordering::Relaxed);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::Relaxed);
                }
            });
        }
    });
    most.into_inner()
}

fn rounds() -> u32 {
    let (barrier, leaders) = (Barrier::new(3), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let leads = barrier.wait().is_leader();
                    // ORDERING: Relaxed; the threads are joined before it is read.
                    leaders.fetch_add(u32::from(leads), Ordering::Relaxed);
                }
            });
        }
    });
    leaders.into_inner()
}

fn once() -> u32 {
    let (cell, made) = (OnceLock::new(), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(*cell.wait(), 7));
        }
        for _ in 0..3 {
            scope.spawn(|| {
                cell.get_or_init(|| {
                    // Long enough for the others to come and sleep.
                    thread::sleep(Duration::from_millis(5));
                    // ORDERING: Relaxed; the threads are joined before it is read.
                    made.fetch_add(1, Ordering::Relaxed);
                    7
                });
            });
        }
    });
    made.into_inner()
}

/// Two threads, each with a place to sleep at.
fn parkers() -> u32 {
    const TURNS: u32 = 200;
    let (turn, places) = (AtomicU32::new(0), [Parker::new(), Parker::new()]);
    thread::scope(|scope| {
        for own in 0..2 {
            let (turn, [one, two]) = (&turn, &places);
            let (here, there) = if own == 0 { (one, two) } else { (two, one) };
            scope.spawn(move || {
                for round in 0..TURNS {
                    // ORDERING: Relaxed; the token brings what was before it.
                    while turn.load(Ordering::Relaxed) != 2 * round + own {
                        here.park();
                    }
                    turn.store(2 * round + own + 1, Ordering::Relaxed);
                    there.unpark();
                }
            });
        }
    });
    turn.into_inner() / 2
}

/// From hand to hand, with room, and whichever comes first.
fn messages() -> u32 {
    let (hand, hands) = channel::rendezvous();
    let (room, rooms) = channel::bounded(2);
    thread::scope(|scope| {
        scope.spawn(move || (0..100).all(|_| hand.send(1).is_ok()));
        let other = room.clone();
        scope.spawn(move || (0..100).all(|_| room.send(10).is_ok()));
        scope.spawn(move || (0..100).all(|_| other.send(100).is_ok()));
        let (mut sum, mut open) = (0, [true, true]);
        while open != [false, false] {
            let (mut one, mut two) = (hands.receiving(), rooms.receiving());
            let received = match open {
                [true, true] => {
                    let which = select::wait(&mut [&mut one, &mut two]);
                    (which, if which == 0 { one.take() } else { two.take() })
                }
                [true, false] => (0, Some(hands.recv())),
                _ => (1, Some(rooms.recv())),
            };
            match received {
                (_, Some(Ok(message))) => sum += message,
                (which, _) => {
                    if let Some(open) = open.get_mut(which) {
                        *open = false;
                    }
                }
            }
        }
        sum
    })
}

/// What nobody ends ends by itself, and what somebody ends does not.
fn clocks() -> &'static str {
    let soon = Duration::from_millis(5);
    let (mutex, never) = (Mutex::new(()), Condvar::new());
    let Ok(guard) = mutex.lock() else {
        return "the mutex is poisoned";
    };
    let busy = thread::scope(|scope| {
        let other =
            scope.spawn(|| matches!(mutex.try_lock_for(soon), Err(TryLockError::WouldBlock)));
        other.join().unwrap_or(false)
    });
    let (guard, waited) = never.wait_timeout(guard, soon).expect("nobody panics");
    drop(guard);
    let signal = BinarySemaphore::new(false);
    let lowered = signal.try_acquire_for(soon);
    let raised = thread::scope(|scope| {
        scope.spawn(|| signal.raise());
        signal.try_acquire_for(Duration::from_secs(600))
    });
    if busy && waited.timed_out() && !lowered && raised {
        "right"
    } else {
        "wrong"
    }
}
