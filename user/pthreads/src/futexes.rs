//! Futexes by hand: every operation once, and locks made of them.

use core::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};
use std::{thread, time::Instant};

use crate::{
    locks::{Condition, Lock, ReadWrite, Spinning, ThreeStates, TwoStates, Units},
    name,
    pthread::{after, reached},
    word::{self, Answer},
};

const SHORT: Duration = Duration::from_millis(10);

pub(crate) fn run() {
    first();
    refusals();
    counts();
    bits();
    moved();
    two_words();
    println!("-- mutexes");
    mutex("two states", &TwoStates::default(), false);
    mutex("three states", &ThreeStates::default(), true);
    mutex("three states, spinning", &Spinning::default(), true);
    condition();
    read_write();
    units();
}

fn shown(answer: Answer) -> String {
    match answer {
        Ok(number) => number.to_string(),
        Err(error) => name(error).to_owned(),
    }
}

/// Wakes one at a word after the other until `count` were woken: they may not
/// wait yet.
fn wake_in_all(mut wake: impl FnMut() -> Answer, count: i64) {
    let mut woken = 0;
    while woken < count {
        woken += wake().unwrap_or(0);
        thread::yield_now();
    }
}

/// One sleeps until the other has stored and wakes it.
fn first() {
    let word = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SHORT);
            // ORDERING: the word is all there is.
            word.store(1, Ordering::Relaxed);
            let _ = word::wake(&word, 1);
        });
        let mut looks = 0;
        while word.load(Ordering::Relaxed) == 0 {
            let _ = word::wait(&word, 0, None);
            looks += 1;
        }
        println!("woken, few looks: {}", looks < 10);
    });
}

fn refusals() {
    let word = AtomicU32::new(5);
    println!("another value {}", shown(word::wait(&word, 6, None)));
    let start = Instant::now();
    println!("for a while {}", shown(word::wait(&word, 5, Some(SHORT))));
    println!("long enough {}", start.elapsed() >= SHORT);
    let until = after(libc::CLOCK_MONOTONIC, SHORT);
    println!(
        "until then {}",
        shown(word::wait_bits(&word, 5, Some(until), !0))
    );
    println!("not before {}", reached(libc::CLOCK_MONOTONIC, until));
    println!(
        "then is over {}",
        shown(word::wait_bits(&word, 5, Some(until), !0))
    );
    println!("no bits {}", shown(word::wait_bits(&word, 5, None, 0)));
    println!("nobody {}", shown(word::wake(&word, i32::MAX)));
}

/// Five wait; the kernel says how many it woke.
fn counts() {
    let word = AtomicU32::new(0);
    let awake = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let _ = word::wait(&word, 0, None);
                // ORDERING: read after the scope.
                awake.fetch_add(1, Ordering::Relaxed);
            });
        }
        wake_in_all(|| word::wake(&word, 1), 2);
        wake_in_all(|| word::wake(&word, 2), 3);
    });
    println!("awake {}", awake.into_inner());
}

fn bits() {
    let word = AtomicU32::new(0);
    let awake = AtomicBool::new(false);
    let awake = &awake;
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let answer = word::wait_bits(&word, 0, None, 0b1100);
            awake.store(true, Ordering::Relaxed);
            answer
        });
        let mut wrong = 0;
        for _ in 0..20 {
            wrong += word::wake_bits(&word, 1, 0b0011).unwrap_or(1);
            thread::yield_now();
        }
        println!(
            "other bits {wrong}, awake {}",
            awake.load(Ordering::Relaxed)
        );
        wake_in_all(|| word::wake_bits(&word, 1, 0b0101), 1);
        println!("one bit in common {:?}", waits.join().ok().map(shown));
    });
}

/// Three wait at one word; one is woken, two wait at the other from then on.
fn moved() {
    let (from, to) = (AtomicU32::new(7), AtomicU32::new(0));
    println!("another value {}", shown(word::requeue(&from, 6, 1, &to)));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| word::wait(&from, 7, None));
        }
        let mut all = 0;
        while all < 3 {
            // Those that come late are moved or woken one call later.
            let woken = i32::from(all == 0);
            all += word::requeue(&from, 7, woken, &to).unwrap_or(0);
            thread::yield_now();
        }
        println!("woken or moved {all}, left {}", shown(word::wake(&from, 9)));
        println!("at the other {}", shown(word::wake(&to, 9)));
    });
}

/// Changes one word and wakes at both.
fn two_words() {
    let (one, two) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| while word::wait(&one, 0, None) == Err(libc::EINTR) {});
        wake_in_all(|| word::wake_and_add(&one, &two, 3), 1);
    });
    let value = two.into_inner();
    println!("added in threes {}", value > 0 && value.is_multiple_of(3));
}

/// Waits at two words; the answer is which one it was.
pub(crate) fn either() {
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    for which in [1, 0] {
        let answer = thread::scope(|scope| {
            let waits = scope.spawn(|| word::wait_either([(&words[0], 0), (&words[1], 0)]));
            while !waits.is_finished() && word::wake(&words[which], 1) == Ok(0) {
                thread::yield_now();
            }
            waits.join().ok()
        });
        println!("either: {:?}", answer.map(shown));
    }
    println!(
        "not as expected {}",
        shown(word::wait_either([(&words[0], 0), (&words[1], 1)]))
    );
}

fn mutex(what: &str, lock: &dyn Lock, frugal: bool) {
    for _ in 0..1000 {
        lock.lock();
        lock.unlock();
    }
    println!(
        "{what}: alone, calls {}",
        if frugal {
            lock.calls()
        } else {
            lock.calls() / 1000
        }
    );
    let count = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..250 {
                    lock.lock();
                    // ORDERING: the lock orders it.
                    let old = count.load(Ordering::Relaxed);
                    if n % 25 == 0 {
                        thread::yield_now();
                    }
                    count.store(old + 1, Ordering::Relaxed);
                    lock.unlock();
                }
            });
        }
    });
    println!("counted {}", count.into_inner());
}

fn condition() {
    println!("-- condition variable");
    let (lock, changed) = (ThreeStates::default(), Condition::default());
    changed.notify_one();
    changed.notify_all(&lock);
    println!("nobody waits, calls {}", changed.calls());
    let value = AtomicU32::new(0);
    let gone = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                lock.lock();
                // ORDERING: the lock orders both.
                while value.load(Ordering::Relaxed) < 100 {
                    changed.wait(&lock);
                }
                gone.fetch_add(1, Ordering::Relaxed);
                lock.unlock();
            });
        }
        thread::sleep(SHORT);
        lock.lock();
        value.store(50, Ordering::Relaxed);
        changed.notify_one();
        lock.unlock();
        thread::yield_now();
        lock.lock();
        value.store(123, Ordering::Relaxed);
        changed.notify_all(&lock);
        lock.unlock();
    });
    println!(
        "gone on {}, few calls {}",
        gone.into_inner(),
        changed.calls() < 20
    );
}

fn read_write() {
    println!("-- read-write lock");
    let lock = ReadWrite::default();
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    let torn = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..100 {
                    lock.write();
                    // ORDERING: the lock orders it.
                    let old = words[0].load(Ordering::Relaxed);
                    words[0].store(old + 1, Ordering::Relaxed);
                    if n % 10 == 0 {
                        thread::yield_now();
                    }
                    words[1].store(old + 1, Ordering::Relaxed);
                    lock.end_write();
                }
            });
            scope.spawn(|| {
                for _ in 0..100 {
                    lock.read();
                    let seen = words.each_ref().map(|word| word.load(Ordering::Relaxed));
                    torn.fetch_add(u32::from(seen[0] != seen[1]), Ordering::Relaxed);
                    lock.end_read();
                }
            });
        }
    });
    println!(
        "written {}, torn {}",
        words[0].load(Ordering::Relaxed),
        torn.into_inner()
    );
}

fn units() {
    println!("-- semaphore");
    let (items, places) = (Units::default(), Units::default());
    for _ in 0..2 {
        places.add();
    }
    let sum = AtomicU32::new(0);
    let current = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=100 {
                places.take();
                current.fetch_add(n, Ordering::Relaxed);
                items.add();
            }
        });
        for _ in 1..=100 {
            items.take();
            sum.fetch_add(current.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            places.add();
        }
    });
    sum.fetch_add(current.into_inner(), Ordering::Relaxed);
    println!("through {}", sum.into_inner());
}
