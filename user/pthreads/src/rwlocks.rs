//! Read-write locks: who is let in beside whom, with either side preferred.

use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::thread;

use crate::{
    name,
    pthread::{
        Barrier, PREFER_READER, PREFER_WRITER, PREFER_WRITER_RECURSIVE, RwLock, after, reached,
    },
};

const SHORT: Duration = Duration::from_millis(10);

pub(crate) fn run() {
    println!("-- readers preferred");
    one(&RwLock::new(PREFER_READER));
    println!("-- writers preferred, readers may have it already");
    one(&RwLock::new(PREFER_WRITER_RECURSIVE));
    println!("-- writers preferred");
    let lock = RwLock::new(PREFER_WRITER);
    one(&lock);
    waiting_writer(&lock);
    either_clock(&lock);
    together();
}

fn elsewhere<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join()).expect("none of these panics")
}

fn one(lock: &RwLock) {
    println!("read {}", name(lock.read()));
    println!("read again {}", name(lock.read()));
    println!("try to write {}", name(lock.try_write()));
    let other = elsewhere(|| {
        let answers = [lock.try_write(), lock.try_read()];
        lock.unlock();
        answers
    });
    println!(
        "another writes {}, reads {}",
        name(other[0]),
        name(other[1])
    );
    let until = after(libc::CLOCK_REALTIME, SHORT);
    let answer = elsewhere(|| lock.write_until(until));
    println!(
        "waits to write {}, long enough {}",
        name(answer),
        reached(libc::CLOCK_REALTIME, until)
    );
    println!("unlock {} {}", name(lock.unlock()), name(lock.unlock()));
    println!("write {}", name(lock.write()));
    println!("write again {}", name(lock.write()));
    println!("read, too {}", name(lock.read()));
    let until = after(libc::CLOCK_REALTIME, SHORT);
    let other = elsewhere(|| [lock.try_write(), lock.try_read(), lock.read_until(until)]);
    println!(
        "another writes {}, reads {}, waits {}, long enough {}",
        name(other[0]),
        name(other[1]),
        name(other[2]),
        reached(libc::CLOCK_REALTIME, until)
    );
    println!("unlock {}", name(lock.unlock()));
    counted(lock);
}

/// Time runs out on either clock, and not before.
fn either_clock(lock: &RwLock) {
    for (what, clock) in [
        ("real time", libc::CLOCK_REALTIME),
        ("monotonic", libc::CLOCK_MONOTONIC),
    ] {
        lock.write();
        let until = after(clock, SHORT);
        let answers = elsewhere(|| [lock.read_by(clock, until), lock.write_by(clock, until)]);
        println!(
            "by {what} reads {}, writes {}, not before {}",
            name(answers[0]),
            name(answers[1]),
            reached(clock, until)
        );
        lock.unlock();
        let until = after(clock, SHORT);
        let free = elsewhere(|| {
            let answers = [lock.read_by(clock, until), lock.unlock()];
            [
                answers[0],
                answers[1],
                lock.write_by(clock, until),
                lock.unlock(),
            ]
        });
        println!("a free one {:?}", free.map(name));
    }
}

/// Two words that only the lock keeps equal.
fn counted(lock: &RwLock) {
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    let words = &words;
    let torn: u32 = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                for _ in 0..150 {
                    lock.write();
                    // ORDERING: the lock orders it.
                    let old = words[0].load(Ordering::Relaxed);
                    words[0].store(old + 1, Ordering::Relaxed);
                    if old.is_multiple_of(16) {
                        thread::yield_now();
                    }
                    words[1].store(old + 1, Ordering::Relaxed);
                    lock.unlock();
                }
            });
        }
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut torn = 0;
                    for _ in 0..150 {
                        lock.read();
                        let seen = words.each_ref().map(|word| word.load(Ordering::Relaxed));
                        torn += u32::from(seen[0] != seen[1]);
                        lock.unlock();
                    }
                    torn
                })
            })
            .collect();
        readers
            .into_iter()
            .filter_map(|reader| reader.join().ok())
            .sum()
    });
    println!("written {}, torn {torn}", words[0].load(Ordering::Relaxed));
}

/// With writers preferred, one that waits keeps new readers out.
fn waiting_writer(lock: &RwLock) {
    lock.read();
    let written = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            lock.write();
            // ORDERING: the lock orders it.
            written.store(1, Ordering::Relaxed);
            lock.unlock();
        });
        // It waits when a reader is refused.
        while elsewhere(|| {
            let answer = lock.try_read();
            if answer == 0 {
                lock.unlock();
            }
            answer
        }) == 0
        {
            thread::yield_now();
        }
        println!("a reader is refused");
        println!("not written yet: {}", written.load(Ordering::Relaxed) == 0);
        lock.unlock();
    });
    println!("written: {}", written.load(Ordering::Relaxed) == 1);
}

/// Readers are inside at the same time.
fn together() {
    let lock = RwLock::new(PREFER_READER);
    let inside = Barrier::new(3).expect("three is a valid count");
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                lock.read();
                inside.wait();
                lock.unlock();
            });
        }
    });
    println!("three readers met");
}
