//! rayon and crossbeam: pools that steal work, queues without locks, select over channels.

use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::{collections::BTreeSet, sync::Mutex, thread};

use crossbeam::{
    channel::{self, RecvTimeoutError, Select},
    deque::{Injector, Steal, Stealer, Worker},
    queue::{ArrayQueue, SegQueue},
    sync::{Parker, ShardedLock, WaitGroup},
};
use rayon::prelude::{
    IntoParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
    ParallelSliceMut as _,
};

use crate::{Outcome, quietly};

pub(crate) fn run() -> Outcome {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(4)
        .thread_name(|n| format!("pool-{n}"))
        .build()?;
    println!("pool of {}", pool.current_num_threads());
    pool.install(parallel);
    divided(&pool);
    scopes(&pool);
    broadcast(&pool);
    drop(pool);
    selected()?;
    queues();
    stealing();
    small_tools()
}

fn parallel() {
    let numbers: Vec<u64> = (0..50_000).collect();
    let sum: u64 = numbers.par_iter().map(|n| n * n % 7).sum();
    let even = numbers.par_iter().filter(|n| *n % 2 == 0).count();
    println!("sum {sum}, even {even}");
    let mut scattered: Vec<u64> = numbers.iter().map(|n| n * 48_271 % 65_537).collect();
    scattered.par_sort_unstable();
    println!("sorted {}", scattered.is_sorted());
    let longest = (1..3000_u64)
        .into_par_iter()
        .map(|start| {
            let mut n = start;
            let mut steps = 0;
            while n != 1 {
                n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
                steps += 1;
            }
            (steps, start)
        })
        .max();
    println!("longest way to one {longest:?}");
    let found = numbers.par_iter().find_first(|n| *n * *n > 1_000_000);
    println!("first {found:?}");
}

/// Both halves at once, down to small pieces.
fn divided(pool: &rayon::ThreadPool) {
    fn fibonacci(n: u32) -> u64 {
        if n < 12 {
            return (1..n).fold((0, 1), |(a, b), _| (b, a + b)).1;
        }
        let (one, two) = rayon::join(|| fibonacci(n - 1), || fibonacci(n - 2));
        one + two
    }
    println!("fibonacci {}", pool.install(|| fibonacci(24)));
    let ended = quietly(|| {
        let both = || pool.install(|| rayon::join(|| panic!("one"), || "other"));
        std::panic::catch_unwind(core::panic::AssertUnwindSafe(both))
    });
    println!("a panic comes out: {}", ended.is_err());
}

/// Tasks that start tasks.
fn scopes(pool: &rayon::ThreadPool) {
    let count = AtomicUsize::new(0);
    fn tree<'scope>(scope: &rayon::Scope<'scope>, count: &'scope AtomicUsize, depth: u32) {
        // ORDERING: read after the scope's end.
        count.fetch_add(1, Ordering::Relaxed);
        if depth > 0 {
            scope.spawn(move |scope| tree(scope, count, depth - 1));
            scope.spawn(move |scope| tree(scope, count, depth - 1));
        }
    }
    pool.scope(|scope| tree(scope, &count, 8));
    println!("tasks {}", count.into_inner());
}

fn broadcast(pool: &rayon::ThreadPool) {
    let names = Mutex::new(BTreeSet::new());
    pool.broadcast(|_| {
        if let (Ok(mut names), Some(name)) = (names.lock(), thread::current().name()) {
            names.insert(name.to_owned());
        }
    });
    println!("names {:?}", names.lock().ok().as_deref());
}

/// Several consumers of one channel, and one that waits for either of two.
fn selected() -> Outcome {
    let (numbers, number) = channel::bounded::<u64>(2);
    let (words, word) = channel::unbounded::<&str>();
    let (stop, stopped) = channel::bounded::<()>(0);
    let (sum, text) = thread::scope(|scope| {
        for part in 0..3 {
            let numbers = numbers.clone();
            scope.spawn(move || (0..100).try_for_each(|n| numbers.send(part * 100 + n)));
        }
        scope.spawn(move || ["one", "two", "three"].map(|text| words.send(text)));
        drop(numbers);
        scope.spawn(move || {
            let _kept_until_the_end = stop;
        });
        let mut sum = 0;
        let mut text = Vec::new();
        let mut open = [true; 3];
        while open.contains(&true) {
            let mut select = Select::new();
            let numbers = open[0].then(|| select.recv(&number));
            let words = open[1].then(|| select.recv(&word));
            let _end = open[2].then(|| select.recv(&stopped));
            let operation = select.select();
            let index = operation.index();
            if Some(index) == numbers {
                match operation.recv(&number) {
                    Ok(n) => sum += n,
                    Err(_) => open[0] = false,
                }
            } else if Some(index) == words {
                match operation.recv(&word) {
                    Ok(word) => text.push(word),
                    Err(_) => open[1] = false,
                }
            } else {
                open[2] = operation.recv(&stopped).is_ok();
            }
        }
        (sum, text)
    });
    println!("selected sum {sum}, words {text:?}");
    let (_send, receive) = channel::bounded::<u32>(1);
    let timed = receive.recv_timeout(Duration::from_millis(5));
    println!("in time: {}", timed == Err(RecvTimeoutError::Timeout));
    let tick = channel::tick(Duration::from_millis(2));
    println!("ticks: {}", tick.iter().take(3).count());
    channel::after(Duration::from_millis(2)).recv()?;
    println!("after");
    Ok(())
}

/// Queues without locks lose nothing and give nothing twice.
fn queues() {
    let bounded = ArrayQueue::new(16);
    let unbounded = SegQueue::new();
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for part in 0..2_u32 {
            let (bounded, unbounded) = (&bounded, &unbounded);
            scope.spawn(move || {
                for n in 0..500 {
                    let mut item = part * 500 + n;
                    while let Err(back) = bounded.push(item) {
                        item = back;
                        thread::yield_now();
                    }
                }
            });
            let taken = &taken;
            scope.spawn(move || {
                // ORDERING: only a count of what is left to take.
                while taken.load(Ordering::Relaxed) < 1000 {
                    match bounded.pop() {
                        Some(item) => {
                            taken.fetch_add(1, Ordering::Relaxed);
                            unbounded.push(item);
                        }
                        None => thread::yield_now(),
                    }
                }
            });
        }
    });
    let all: BTreeSet<u32> = core::iter::from_fn(|| unbounded.pop()).collect();
    println!("through two queues: {}", all.len());
}

/// Three workers take from one heap and from each other.
fn stealing() {
    let heap = Injector::new();
    for n in 0..300_u64 {
        heap.push(n);
    }
    let workers: [Worker<u64>; 3] = core::array::from_fn(|_| Worker::new_fifo());
    let stealers: Vec<Stealer<u64>> = workers.iter().map(Worker::stealer).collect();
    let find = |own: &Worker<u64>| {
        own.pop().or_else(|| {
            loop {
                let found = heap
                    .steal_batch_and_pop(own)
                    .or_else(|| stealers.iter().map(Stealer::steal).collect());
                match found {
                    Steal::Success(item) => return Some(item),
                    Steal::Empty => return None,
                    Steal::Retry => thread::yield_now(),
                }
            }
        })
    };
    let sum: u64 = thread::scope(|scope| {
        let find = &find;
        let handles: Vec<_> = workers
            .into_iter()
            .map(|own| scope.spawn(move || core::iter::from_fn(|| find(&own)).sum::<u64>()))
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .sum()
    });
    println!("stolen and done: {sum}");
}

fn small_tools() -> Outcome {
    let group = WaitGroup::new();
    let done = AtomicUsize::new(0);
    let lock = ShardedLock::new(0_u32);
    let parker = Parker::new();
    crossbeam::scope(|scope| {
        for _ in 0..5 {
            let group = group.clone();
            scope.spawn(|_| {
                if let Ok(mut value) = lock.write() {
                    *value += 1;
                }
                // ORDERING: the wait group orders it.
                done.fetch_add(1, Ordering::Relaxed);
                drop(group);
            });
        }
        group.wait();
        println!("group of {}", done.load(Ordering::Relaxed));
        let unparker = parker.unparker().clone();
        scope.spawn(move |_| unparker.unpark());
        parker.park();
    })
    .map_err(|_| "a thread panicked")?;
    println!("sharded {:?}", lock.read().map(|value| *value).ok());
    Ok(())
}
