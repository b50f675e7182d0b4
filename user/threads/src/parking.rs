//! Parking: a thread that sleeps until another one that knows it says its name.

use core::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};
use std::{collections::VecDeque, sync::Mutex, thread, time::Instant};

use crate::Outcome;

pub(crate) fn run() -> Outcome {
    queue();
    tokens();
    ping_pong();
    progress();
    Ok(())
}

/// One consumer parks while the queue is empty; whoever fills it unparks.
fn queue() {
    let items = Mutex::new(VecDeque::new());
    let sum = thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let mut sum = 0_u32;
            loop {
                let item = items.lock().ok().and_then(|mut items| items.pop_front());
                match item {
                    Some(0) => return sum,
                    Some(item) => sum += item,
                    None => thread::park(),
                }
            }
        });
        for item in (1..=100).chain([0]) {
            if let Ok(mut items) = items.lock() {
                items.push_back(item);
            }
            consumer.thread().unpark();
            if item % 10 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        consumer.join()
    });
    println!("consumed {:?}", sum.ok());
}

/// An unpark before the park is kept, but only one.
fn tokens() {
    let me = thread::current();
    me.unpark();
    thread::park();
    println!("a token was there");
    me.unpark();
    me.unpark();
    thread::park();
    let limit = Duration::from_millis(10);
    let start = Instant::now();
    // A park may come back early; it is over when its time is.
    while start.elapsed() < limit {
        thread::park_timeout(limit - start.elapsed());
    }
    println!("two make one");
}

/// Two threads take turns.
fn ping_pong() {
    const TURNS: u32 = 500;
    let turn = AtomicU32::new(0);
    let play = |mine: u32, other: &thread::Thread| {
        for n in 0..TURNS {
            // ORDERING: pairs with the store below, though the turn itself is
            // all that is shared.
            while turn.load(Ordering::Acquire) != 2 * n + mine {
                thread::park();
            }
            turn.store(2 * n + mine + 1, Ordering::Release);
            other.unpark();
        }
    };
    let main = thread::current();
    thread::scope(|scope| {
        let other = scope.spawn(|| play(1, &main));
        play(0, other.thread());
    });
    println!("{} turns", turn.into_inner());
}

/// The worker unparks the one that shows how far it is, which shows the end at
/// once and not a second later.
fn progress() {
    let done = AtomicU32::new(0);
    let finished = AtomicBool::new(false);
    let main = thread::current();
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=100 {
                thread::sleep(Duration::from_micros(200));
                // ORDERING: a count that says nothing about other memory.
                done.store(n, Ordering::Relaxed);
                main.unpark();
            }
            finished.store(true, Ordering::Relaxed);
        });
        let mut last = 0;
        let mut monotonic = true;
        loop {
            let now = done.load(Ordering::Relaxed);
            monotonic &= now >= last;
            last = now;
            if now == 100 {
                break;
            }
            thread::park_timeout(Duration::from_secs(100));
        }
        println!("done {last}, never back: {monotonic}");
    });
    println!("soon: {}", start.elapsed() < Duration::from_secs(100));
}
