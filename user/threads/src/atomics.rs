//! Atomics on their own: flags, counts, statistics, numbers given out, values made once.

use core::{
    sync::atomic::{
        AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    },
    time::Duration,
};
use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt as _,
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError},
    thread,
};

use crate::{Outcome, child, quietly};

// ORDERING, for all of this file: Relaxed. Each atomic stands for itself, and
// what is printed is read after the threads were joined.
use Ordering::Relaxed;

pub(crate) fn run() -> Outcome {
    stop_flag()?;
    progress();
    lazily();
    returns_the_old();
    statistics();
    numbers_that_wrap();
    numbers_that_panic_late();
    numbers_taken_back();
    numbers_that_end();
    aborting()?;
    by_compare_exchange();
    one_key();
    a_b_a();
    Ok(())
}

/// A flag set by what a person types.
fn stop_flag() -> Outcome {
    let done = child::start("stop-flag", "help\nstatus\nstop\nnever read\n")?;
    print!("{}", done.stdout);
    println!("status {:?}", done.status.code());
    Ok(())
}

/// Four threads do 25 items each; what the one who looks sees never falls.
fn progress() {
    let done = AtomicUsize::new(0);
    let done = &done;
    let rising = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for _ in 0..25 {
                    thread::sleep(Duration::from_micros(100));
                    done.fetch_add(1, Relaxed);
                }
            });
        }
        let mut last = 0;
        let mut rising = true;
        while last < 100 {
            let now = done.load(Relaxed);
            rising &= now >= last;
            last = now;
            thread::yield_now();
        }
        rising
    });
    println!("{} of 100, never falling: {rising}", done.load(Relaxed));
}

/// A value that several may compute at once is the same for all of them; one
/// behind a lock is computed once.
fn lazily() {
    static BY_RACE: AtomicU64 = AtomicU64::new(0);
    static COMPUTED: AtomicU32 = AtomicU32::new(0);
    static LOCKED: OnceLock<u64> = OnceLock::new();
    static LAZY: LazyLock<u64> = LazyLock::new(compute);
    fn compute() -> u64 {
        COMPUTED.fetch_add(1, Relaxed);
        thread::sleep(Duration::from_millis(2));
        (1..=20).product()
    }
    fn by_race() -> u64 {
        match BY_RACE.load(Relaxed) {
            0 => {
                let value = (1..=20).product();
                BY_RACE.store(value, Relaxed);
                value
            }
            value => value,
        }
    }
    let values: BTreeSet<u64> = thread::scope(|scope| {
        let handles: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| [by_race(), *LOCKED.get_or_init(compute), *LAZY]))
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .flatten()
            .collect()
    });
    println!("values {values:?}, computed {}", COMPUTED.load(Relaxed));
}

/// Every operation answers with what was there before, and wraps.
fn returns_the_old() {
    let a = AtomicU8::new(100);
    println!(
        "add {} sub {}",
        a.fetch_add(23, Relaxed),
        a.fetch_sub(3, Relaxed)
    );
    println!(
        "or {} and {}",
        a.fetch_or(7, Relaxed),
        a.fetch_and(0x7c, Relaxed)
    );
    println!(
        "xor {} nand {}",
        a.fetch_xor(1, Relaxed),
        a.fetch_nand(5, Relaxed)
    );
    println!(
        "max {} min {}",
        a.fetch_max(9, Relaxed),
        a.fetch_min(200, Relaxed)
    );
    println!("swap {} left {}", a.swap(255, Relaxed), a.load(Relaxed));
    println!("wrap {} to {}", a.fetch_add(1, Relaxed), a.load(Relaxed));
    let wide = AtomicI64::new(i64::MAX);
    wide.fetch_add(1, Relaxed);
    let narrow = AtomicU16::new(0);
    narrow.fetch_sub(1, Relaxed);
    println!(
        "wide {} narrow {}",
        wide.load(Relaxed),
        narrow.load(Relaxed)
    );
    let flag = AtomicBool::new(false);
    println!(
        "flag {:?}",
        flag.fetch_update(Relaxed, Relaxed, |old| Some(!old))
    );
}

/// Three atomics are no snapshot, but right in the end; three numbers under a
/// lock are one.
fn statistics() {
    #[derive(Default)]
    struct Snapshot {
        count: u64,
        total: u64,
        longest: u64,
    }
    let (count, total, longest) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let exact = Mutex::new(Snapshot::default());
    let consistent = thread::scope(|scope| {
        for worker in 0..4_u64 {
            let (count, total, longest) = (&count, &total, &longest);
            let exact = &exact;
            scope.spawn(move || {
                for item in 0..250_u64 {
                    let time = worker * 1000 + item;
                    count.fetch_add(1, Relaxed);
                    total.fetch_add(time, Relaxed);
                    longest.fetch_max(time, Relaxed);
                    let mut exact = exact.lock().unwrap_or_else(PoisonError::into_inner);
                    exact.count += 1;
                    exact.total += time;
                    exact.longest = exact.longest.max(time);
                }
            });
        }
        (0..100).all(|_| {
            thread::yield_now();
            let seen = exact.lock().unwrap_or_else(PoisonError::into_inner);
            seen.total <= seen.count * seen.longest
        })
    });
    println!(
        "statistics: {} items, total {}, longest {}",
        count.into_inner(),
        total.into_inner(),
        longest.into_inner()
    );
    let exact = exact.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "under a lock: {} {} {}, consistent: {consistent}",
        exact.count, exact.total, exact.longest
    );
}

/// Numbers from a counter that goes round are given out twice.
fn numbers_that_wrap() {
    static NEXT: AtomicU8 = AtomicU8::new(250);
    let numbers: Vec<u8> = (0..10).map(|_| NEXT.fetch_add(1, Relaxed)).collect();
    println!("wrapping numbers {numbers:?}");
}

/// Looking only after the step lets the counter go on, and in the end round.
fn numbers_that_panic_late() {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    fn take() -> u8 {
        let number = NEXT.fetch_add(1, Relaxed);
        assert!(number < 100, "no number is left");
        number
    }
    let (given, refused) = quietly(|| {
        let given: Vec<u8> = (0..100).map(|_| take()).collect();
        let refused = (0..156)
            .filter(|_| std::panic::catch_unwind(take).is_err())
            .count();
        (given, refused)
    });
    println!(
        "{} given, {refused} refused, and then again number {}",
        given.len(),
        take()
    );
}

/// Taking the step back bounds how far the counter gets past its limit.
fn numbers_taken_back() {
    const LIMIT: u32 = 50;
    let running = AtomicU32::new(0);
    let highest = AtomicU32::new(0);
    let start = || {
        let before = running.fetch_add(1, Relaxed);
        highest.fetch_max(before + 1, Relaxed);
        if before >= LIMIT {
            running.fetch_sub(1, Relaxed);
            return false;
        }
        true
    };
    let started: usize = thread::scope(|scope| {
        let handles: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..100).filter(|_| start()).count()))
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .sum()
    });
    println!(
        "started {started}, now {}, at most one more each: {}",
        running.load(Relaxed),
        highest.load(Relaxed) <= LIMIT + 4
    );
}

/// Looking before the step, in one with it: every number once, and then no
/// more, for ever.
fn numbers_that_end() {
    const LIMIT: u32 = 1000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    fn take() -> Option<u32> {
        NEXT.fetch_update(Relaxed, Relaxed, |next| {
            next.checked_add(1).filter(|next| *next <= LIMIT)
        })
        .ok()
    }
    let all: Vec<u32> = thread::scope(|scope| {
        let handles: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| core::iter::from_fn(take).collect::<Vec<u32>>()))
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .flatten()
            .collect()
    });
    let distinct: BTreeSet<u32> = all.iter().copied().collect();
    println!(
        "{} numbers, {} of them different, then {:?}, counter {}",
        all.len(),
        distinct.len(),
        take(),
        NEXT.load(Relaxed)
    );
}

/// The child of [`aborting`]: takes numbers until there are too many.
pub(crate) fn too_many_ids() {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        if NEXT.fetch_add(1, Relaxed) >= 1000 {
            std::process::abort();
        }
    }
}

fn aborting() -> Outcome {
    let done = child::start("too-many", "")?;
    println!("aborted by signal {:?}", done.status.signal());
    Ok(())
}

/// Loops of load and compare-exchange add up as well.
fn by_compare_exchange() {
    let strong = AtomicU32::new(0);
    let weak = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let mut seen = strong.load(Relaxed);
                    while let Err(now) = strong.compare_exchange(seen, seen + 1, Relaxed, Relaxed) {
                        seen = now;
                    }
                    let mut seen = weak.load(Relaxed);
                    while let Err(now) =
                        weak.compare_exchange_weak(seen, seen + 3, Relaxed, Relaxed)
                    {
                        seen = now;
                    }
                }
            });
        }
    });
    println!(
        "strong {}, weak {}, other value {:?}",
        strong.load(Relaxed),
        weak.load(Relaxed),
        strong.compare_exchange(1, 2, Relaxed, Relaxed)
    );
}

/// A key that is different each time it is made, made by several, one kept.
fn one_key() {
    static KEY: AtomicU64 = AtomicU64::new(0);
    static MADE: AtomicU64 = AtomicU64::new(0);
    fn key() -> u64 {
        match KEY.load(Relaxed) {
            0 => {
                let fresh = MADE.fetch_add(1, Relaxed) + 1;
                match KEY.compare_exchange(0, fresh, Relaxed, Relaxed) {
                    Ok(_) => fresh,
                    Err(winner) => winner,
                }
            }
            key => key,
        }
    }
    let keys: BTreeSet<u64> = thread::scope(|scope| {
        let handles: Vec<_> = (0..16).map(|_| scope.spawn(key)).collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .collect()
    });
    println!("16 threads saw {} key", keys.len());
}

/// A compare-exchange cannot see that a value went and came back. A stack of
/// indices loses an entry that way, and keeps it if a count goes along.
fn a_b_a() {
    // Cell n says which cell is below it; 9 is none.
    let below: Arc<[AtomicU32; 3]> = Arc::new([9, 0, 1].map(AtomicU32::new));
    let top = AtomicU64::new(2);
    // One thread begins to take cell 2 ...
    let seen = top.load(Relaxed);
    let next = below[2].load(Relaxed);
    // ... and another takes 2, takes 1, and puts 2 back.
    let other = Arc::clone(&below);
    let changed = thread::scope(|scope| {
        let top = &top;
        let other = scope.spawn(move || {
            top.store(1, Relaxed);
            top.store(0, Relaxed);
            other[2].store(0, Relaxed);
            top.store(2, Relaxed);
        });
        other.join().is_ok()
    });
    let fooled = top.compare_exchange(seen, u64::from(next), Relaxed, Relaxed);
    println!("changed {changed}, fooled: {fooled:?}, cell 1 is free and on the stack");
    // The same with a count in the upper half.
    let counted = AtomicU64::new(2);
    let seen = counted.load(Relaxed);
    counted.store((3 << 32) | 2, Relaxed);
    let refused = counted.compare_exchange(seen, u64::from(next), Relaxed, Relaxed);
    println!("with a count: {}", refused.is_err());
}
