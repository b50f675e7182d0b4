//! Condition variables: both clocks, one woken, all woken, nothing lost.

use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::thread;

use crate::{
    name,
    pthread::{Cond, Kind, Mutex, after, reached},
};

const SHORT: Duration = Duration::from_millis(10);

const CLOCKS: [(&str, libc::clockid_t); 2] = [
    ("real time", libc::CLOCK_REALTIME),
    ("monotonic", libc::CLOCK_MONOTONIC),
];

pub(crate) fn run() {
    let mutex = Mutex::new(Kind::plain(libc::PTHREAD_MUTEX_ERRORCHECK)).expect("of a usual kind");
    for (what, clock) in CLOCKS {
        println!("-- {what}");
        times(&Cond::new(clock), &mutex, clock);
        wakes(&Cond::new(clock), &mutex);
        queue(clock);
    }
}

/// Time runs out, and not before.
fn times(cond: &Cond, mutex: &Mutex, clock: libc::clockid_t) {
    mutex.lock();
    let until = after(clock, SHORT);
    println!("nobody signals {}", name(cond.wait_until(mutex, until)));
    println!("not before {}", reached(clock, until));
    println!("still mine {}", name(mutex.lock()));
    let past = after(clock, Duration::ZERO);
    println!("a time that is over {}", name(cond.wait_until(mutex, past)));
    for (what, clock) in CLOCKS {
        let until = after(clock, SHORT);
        let answer = cond.wait_by(mutex, clock, until);
        println!(
            "by {what} {}, not before {}",
            name(answer),
            reached(clock, until)
        );
    }
    println!(
        "nobody to signal {} {}",
        name(cond.signal()),
        name(cond.broadcast())
    );
    println!("unlock {}", name(mutex.unlock()));
}

/// A signal wakes one of four, a broadcast the rest.
fn wakes(cond: &Cond, mutex: &Mutex) {
    const WAITERS: u32 = 4;
    // What they wait for, how many wait, and how many have gone on. The mutex
    // guards all of them.
    let tickets = AtomicU32::new(0);
    let waiting = AtomicU32::new(0);
    let gone = AtomicU32::new(0);
    let done = Cond::new(libc::CLOCK_REALTIME);
    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| {
                mutex.lock();
                // ORDERING: the mutex orders all of them.
                waiting.fetch_add(1, Ordering::Relaxed);
                done.signal();
                while tickets.load(Ordering::Relaxed) == 0 {
                    cond.wait(mutex);
                }
                tickets.fetch_sub(1, Ordering::Relaxed);
                gone.fetch_add(1, Ordering::Relaxed);
                done.signal();
                mutex.unlock();
            });
        }
        mutex.lock();
        while waiting.load(Ordering::Relaxed) < WAITERS {
            done.wait(mutex);
        }
        tickets.store(1, Ordering::Relaxed);
        cond.signal();
        while gone.load(Ordering::Relaxed) < 1 {
            done.wait(mutex);
        }
        println!("{} went on", gone.load(Ordering::Relaxed));
        tickets.store(WAITERS - 1, Ordering::Relaxed);
        cond.broadcast();
        while gone.load(Ordering::Relaxed) < WAITERS {
            done.wait(mutex);
        }
        println!("{} went on", gone.load(Ordering::Relaxed));
        mutex.unlock();
    });
}

/// A place for one thing: two put, two take, nobody misses a signal.
fn queue(clock: libc::clockid_t) {
    let mutex = Mutex::new(Kind::plain(libc::PTHREAD_MUTEX_NORMAL)).expect("of a usual kind");
    let (empty, full) = (Cond::new(clock), Cond::new(clock));
    let place = AtomicU32::new(0);
    let sum = AtomicU32::new(0);
    thread::scope(|scope| {
        for part in 0..2 {
            let (mutex, empty, full, place) = (&mutex, &empty, &full, &place);
            scope.spawn(move || {
                for n in 1..=100 {
                    mutex.lock();
                    // ORDERING: the mutex orders it.
                    while place.load(Ordering::Relaxed) != 0 {
                        empty.wait(mutex);
                    }
                    place.store(part * 100 + n, Ordering::Relaxed);
                    full.signal();
                    mutex.unlock();
                }
            });
            let sum = &sum;
            scope.spawn(move || {
                for _ in 0..100 {
                    mutex.lock();
                    while place.load(Ordering::Relaxed) == 0 {
                        full.wait(mutex);
                    }
                    sum.fetch_add(place.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                    empty.signal();
                    mutex.unlock();
                }
            });
        }
    });
    println!("taken {}", sum.into_inner());
}
