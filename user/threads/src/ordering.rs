//! Memory ordering: what one thread sees of what another wrote.
//!
//! Each program here prints what must hold on every machine; that weaker
//! outcomes are possible is nothing a program can show on demand.

use core::{
    hint,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
};
use std::{
    sync::{Barrier, Mutex, OnceLock},
    thread,
};

use crate::Outcome;

pub(crate) fn run() -> Outcome {
    spawn_and_join()?;
    message_passing();
    one_order_of_changes();
    two_writers();
    release_sequence();
    only_one_enters();
    never_both();
    fences();
    made_once();
    Ok(())
}

/// Waits for something another thread does; gives the processor away, for
/// there may be one only.
fn until(condition: impl Fn() -> bool) {
    while !condition() {
        hint::spin_loop();
        thread::yield_now();
    }
}

/// What was written before a thread began is seen by it, what is written after
/// its join is not.
fn spawn_and_join() -> Outcome {
    static X: AtomicU32 = AtomicU32::new(0);
    let mut fine = true;
    for _ in 0..50 {
        // ORDERING: starting and joining are the order.
        X.store(1, Ordering::Relaxed);
        let thread = thread::spawn(|| X.load(Ordering::Relaxed));
        X.store(2, Ordering::Relaxed);
        let seen = thread.join().map_err(|_| "panicked")?;
        X.store(3, Ordering::Relaxed);
        fine &= matches!(seen, 1 | 2);
    }
    println!("spawn and join: {fine}");
    Ok(())
}

/// Data, then a flag: who sees the flag sees the data.
fn message_passing() {
    let data = AtomicU64::new(0);
    let ready = AtomicU32::new(0);
    let taken = AtomicU32::new(0);
    let wrong = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut wrong = 0;
            for round in 1..=300_u32 {
                // ORDERING: pairs with the Release store of `ready`.
                until(|| ready.load(Ordering::Acquire) == round);
                wrong += u32::from(data.load(Ordering::Relaxed) != u64::from(round) * 123);
                // ORDERING: pairs with the Acquire load of `taken`.
                taken.store(round, Ordering::Release);
            }
            wrong
        });
        for round in 1..=300_u32 {
            data.store(u64::from(round) * 123, Ordering::Relaxed);
            ready.store(round, Ordering::Release);
            until(|| taken.load(Ordering::Acquire) == round);
        }
        reader.join()
    });
    println!("messages that came wrong: {:?}", wrong.ok());
}

/// The changes of one variable have one order, even Relaxed.
fn one_order_of_changes() {
    let x = AtomicU32::new(0);
    let rising = thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=2000 {
                x.store(n, Ordering::Relaxed);
                if n % 100 == 0 {
                    thread::yield_now();
                }
            }
        });
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0;
                    let mut rising = true;
                    while last < 2000 {
                        let now = x.load(Ordering::Relaxed);
                        rising &= now >= last;
                        if now == last {
                            thread::yield_now();
                        }
                        last = now;
                    }
                    rising
                })
            })
            .collect();
        readers
            .into_iter()
            .all(|reader| reader.join().unwrap_or(false))
    });
    println!("one order: {rising}");
}

/// Two writers add 5 and 10: all readers agree which came first.
fn two_writers() {
    let mut agreed = true;
    for _ in 0..30 {
        let x = AtomicU32::new(0);
        let begin = Barrier::new(5);
        let seen: Vec<Vec<u32>> = thread::scope(|scope| {
            for step in [5, 10] {
                let (x, begin) = (&x, &begin);
                scope.spawn(move || {
                    begin.wait();
                    x.fetch_add(step, Ordering::Relaxed);
                });
            }
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        begin.wait();
                        let mut seen = vec![0];
                        while seen.last() != Some(&15) {
                            let now = x.load(Ordering::Relaxed);
                            if seen.last() == Some(&now) {
                                thread::yield_now();
                            } else {
                                seen.push(now);
                            }
                        }
                        seen
                    })
                })
                .collect();
            readers
                .into_iter()
                .filter_map(|reader| reader.join().ok())
                .collect()
        });
        let five_first = seen.iter().any(|values| values.contains(&5));
        let ten_first = seen.iter().any(|values| values.contains(&10));
        agreed &= !(five_first && ten_first);
        agreed &= seen.iter().all(|values| values.is_sorted());
    }
    println!("readers agree: {agreed}");
}

/// Changes by others do not break the way from a Release store to an Acquire
/// load, as long as they change and do not overwrite.
fn release_sequence() {
    let mut fine = true;
    for round in 0..20_u32 {
        let data = AtomicU32::new(0);
        let flag = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                data.store(round + 1, Ordering::Relaxed);
                // ORDERING: pairs with the Acquire load, by way of the adds.
                flag.store(7, Ordering::Release);
            });
            scope.spawn(|| {
                until(|| flag.load(Ordering::Relaxed) >= 7);
                flag.fetch_add(1, Ordering::Relaxed);
            });
            until(|| flag.load(Ordering::Acquire) == 8);
            fine &= data.load(Ordering::Relaxed) == round + 1;
        });
    }
    println!("through another's change: {fine}");
}

/// A hundred threads try a flag; who finds it set goes on without.
fn only_one_enters() {
    let locked = AtomicBool::new(false);
    let inside = AtomicU32::new(0);
    let entries = AtomicU32::new(0);
    let alone = thread::scope(|scope| {
        let handles: Vec<_> = (0..100)
            .map(|_| {
                scope.spawn(|| {
                    // ORDERING: Acquire pairs with the Release that unlocks.
                    if locked.swap(true, Ordering::Acquire) {
                        return true;
                    }
                    let alone = inside.fetch_add(1, Ordering::Relaxed) == 0;
                    entries.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::Relaxed);
                    locked.store(false, Ordering::Release);
                    alone
                })
            })
            .collect();
        handles
            .into_iter()
            .all(|handle| handle.join().unwrap_or(false))
    });
    let some = entries.into_inner() >= 1;
    println!("alone inside: {alone}, at least one was: {some}");
}

/// Two flags, each set before the other is looked at: with SeqCst not both see
/// the other unset, be it in the operations or in a fence between them.
fn never_both() {
    let mut both = 0;
    let mut both_fenced = 0;
    for _ in 0..100 {
        let [a, b, c, d] = [const { AtomicBool::new(false) }; 4];
        let begin = Barrier::new(2);
        let visit = |mine: &AtomicBool, other: &AtomicBool| {
            mine.store(true, Ordering::SeqCst);
            !other.load(Ordering::SeqCst)
        };
        let fenced = |mine: &AtomicBool, other: &AtomicBool| {
            mine.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            !other.load(Ordering::Relaxed)
        };
        let (one, two) = thread::scope(|scope| {
            let one = scope.spawn(|| {
                begin.wait();
                [visit(&a, &b), fenced(&c, &d)]
            });
            begin.wait();
            let two = [visit(&b, &a), fenced(&d, &c)];
            (one.join().unwrap_or([true; 2]), two)
        });
        both += u32::from(one[0] && two[0]);
        both_fenced += u32::from(one[1] && two[1]);
    }
    println!("both: {both}, with fences {both_fenced}");
}

/// A Release fence before three stores, an Acquire fence after the load of any
/// of them.
fn fences() {
    let data: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
    let ready: [AtomicBool; 4] = [const { AtomicBool::new(false) }; 4];
    let sum: u32 = thread::scope(|scope| {
        scope.spawn(|| {
            for (n, cell) in data.iter().enumerate() {
                cell.store(n as u32 * 10 + 1, Ordering::Relaxed);
            }
            // ORDERING: pairs with the Acquire fence below.
            fence(Ordering::Release);
            for flag in &ready {
                flag.store(true, Ordering::Relaxed);
            }
        });
        until(|| ready[3].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        data.iter().map(|cell| cell.load(Ordering::Relaxed)).sum()
    });
    println!("behind fences: {sum}");
}

/// Something made on first use: one address for everyone.
fn made_once() {
    static DATA: OnceLock<Mutex<Vec<u32>>> = OnceLock::new();
    let addresses: Vec<usize> = thread::scope(|scope| {
        let handles: Vec<_> = (0..3)
            .map(|n| {
                scope.spawn(move || {
                    let data = DATA.get_or_init(|| Mutex::new(Vec::new()));
                    if let Ok(mut data) = data.lock() {
                        data.push(n);
                    }
                    core::ptr::from_ref(data).addr()
                })
            })
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .collect()
    });
    let same = addresses.windows(2).all(|pair| pair[0] == pair[1]);
    let length = DATA
        .get()
        .and_then(|data| data.lock().ok())
        .map(|d| d.len());
    println!("one address: {same}, {length:?} entries");
}
