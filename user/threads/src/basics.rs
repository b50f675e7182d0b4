//! Threads as such: starting, joining, panicking, naming, borrowing, sharing.

use core::{
    any::Any,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Weak, mpsc},
    thread,
};

use crate::{Outcome, child, quietly};

pub(crate) fn run() -> Outcome {
    plain()?;
    panics()?;
    names_and_stacks()?;
    scoped();
    shared_for_ever()?;
    arc()?;
    processes()?;
    many()
}

fn mean(numbers: &[u64]) -> u64 {
    numbers.iter().sum::<u64>() / numbers.len() as u64
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

/// Values go in and come out.
fn plain() -> Outcome {
    let numbers: Vec<u64> = (0..=1000).collect();
    let handle = thread::spawn(move || mean(&numbers));
    println!("mean {}", handle.join().map_err(|_| "panicked")?);
    let handles: Vec<_> = (0..8).map(|n| thread::spawn(move || n * n)).collect();
    let ids: BTreeSet<String> = handles
        .iter()
        .map(|handle| format!("{:?}", handle.thread().id()))
        .collect();
    println!("{} threads, {} ids", handles.len(), ids.len());
    let squares: Vec<u32> = handles
        .into_iter()
        .filter_map(|handle| handle.join().ok())
        .collect();
    println!("squares {squares:?}");
    // Two count at the same pace, and the joined one always to its end.
    let counter = thread::spawn(|| {
        (0..10).fold(0, |sum, n| {
            thread::sleep(Duration::from_millis(1));
            sum + n
        })
    });
    let ours: u32 = (0..5).sum();
    println!(
        "counted {ours} here, {} there",
        counter.join().map_err(|_| "panicked")?
    );
    Ok(())
}

/// A panic ends one thread and is its joiner's to see.
fn panics() -> Outcome {
    quietly(|| {
        let empty = thread::spawn(|| mean(&[])).join();
        println!(
            "mean of nothing: {}",
            text_of(&*empty.err().ok_or("fine?")?)
        );
        let with_value = thread::spawn(|| std::panic::panic_any(42_u32)).join();
        let value = with_value.err().and_then(|any| any.downcast::<u32>().ok());
        println!("a payload that is no text: {value:?}");
        let others = thread::spawn(|| "goes on").join();
        println!("another thread {}", others.map_err(|_| "panicked")?);
        Ok(())
    })
}

fn names_and_stacks() -> Outcome {
    fn deep(levels: u32) -> u32 {
        let here = core::hint::black_box([levels; 64]);
        match levels {
            0 => here[63],
            _ => deep(levels - 1) + here[0] % 2,
        }
    }
    let handle = thread::Builder::new()
        .name("a-name".to_owned())
        .stack_size(1 << 20)
        .spawn(|| {
            let seen = fs::read_to_string("/proc/thread-self/comm");
            let mine = thread::current().name().map(str::to_owned);
            (
                mine,
                seen.map(|text| text.trim_end().to_owned()),
                deep(1000),
            )
        })?;
    let (mine, seen, depth) = handle.join().map_err(|_| "panicked")?;
    println!("name {mine:?}, the system's {:?}, depth {depth}", seen.ok());
    // No address space has room for such a stack.
    let refused = thread::Builder::new().stack_size(1 << 47).spawn(|| ());
    println!("refused: {:?}", refused.map(drop).map_err(|e| e.kind()));
    print!("{}", child::start("named-panic", "")?.stdout);
    Ok(())
}

/// Threads that borrow from the one that waits for them.
fn scoped() {
    let words = String::from("borrowed by two");
    let mut numbers = vec![1, 2, 3];
    let length = AtomicU32::new(0);
    let sum = thread::scope(|scope| {
        // ORDERING: the scope's end is the join that orders it.
        scope.spawn(|| length.store(words.len() as u32, Ordering::Relaxed));
        scope.spawn(|| numbers.push(words.split(' ').count()));
        // Joined by the scope, though nobody else can any more.
        drop(scope.spawn(|| length.fetch_add(100, Ordering::Relaxed)));
        let handle = scope.spawn(|| (1..=10).sum::<u32>());
        handle.join()
    });
    println!("sum {:?}, numbers {numbers:?}", sum.ok());
    println!("length seen: {}", length.into_inner() >= 15);
    let ended = quietly(|| {
        std::panic::catch_unwind(|| {
            thread::scope(|scope| {
                scope.spawn(|| panic!("inside"));
            });
        })
    });
    println!(
        "a panic nobody joined: {:?}",
        ended.err().map(|payload| text_of(&*payload))
    );
}

/// Data that every thread may borrow: statics, and what was leaked.
fn shared_for_ever() -> Outcome {
    static PRIMES: [u32; 4] = [2, 3, 5, 7];
    let leaked: &'static [u32; 3] = Box::leak(Box::new([11, 13, 17]));
    let one = thread::spawn(move || PRIMES.iter().chain(leaked).sum::<u32>());
    let two = thread::spawn(move || leaked.iter().chain(&PRIMES).product::<u32>());
    println!(
        "statics: sum {}, product {}",
        one.join().map_err(|_| "panicked")?,
        two.join().map_err(|_| "panicked")?
    );
    Ok(())
}

/// The last holder drops, whoever that is.
fn arc() -> Outcome {
    struct Told(Vec<i32>, mpsc::Sender<&'static str>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.1.send("dropped");
        }
    }
    let (tell, told) = mpsc::channel();
    let shared = Arc::new(Told(vec![10, 20, 30], tell));
    let weak: Weak<Told> = Arc::downgrade(&shared);
    let handles: Vec<_> = (0..5_u64)
        .map(|n| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(5 - n));
                shared.0.iter().sum::<i32>()
            })
        })
        .collect();
    drop(shared);
    let sums: Result<Vec<i32>, _> = handles.into_iter().map(thread::JoinHandle::join).collect();
    println!("sums {:?}", sums.map_err(|_| "panicked")?);
    println!("told {:?}", told.iter().collect::<Vec<_>>());
    println!("gone: {}", weak.upgrade().is_none());
    Ok(())
}

fn processes() -> Outcome {
    let done = child::start("unjoined", "")?;
    println!(
        "unjoined: {:?}, status {:?}",
        done.stdout,
        done.status.code()
    );
    let done = child::start("lines", "")?;
    let lines: BTreeSet<&str> = done.stdout.lines().collect();
    let whole = lines
        .iter()
        .filter(|line| line.starts_with("writer ") && line.ends_with("fifty fifty fifty fifty "))
        .count();
    println!(
        "lines: {whole} whole ones of {}",
        done.stdout.lines().count()
    );
    Ok(())
}

/// Stacks and numbers of threads that ended are used again.
fn many() -> Outcome {
    let mut sum = 0_u64;
    for n in 0..300_u64 {
        sum += thread::spawn(move || n).join().map_err(|_| "panicked")?;
    }
    println!("300 threads one after the other: {sum}");
    let handles: Vec<_> = (0..100_u64)
        .map(|n| thread::Builder::new().stack_size(64 << 10).spawn(move || n))
        .collect::<Result<_, _>>()?;
    let sum: u64 = handles
        .into_iter()
        .filter_map(|handle| handle.join().ok())
        .sum();
    println!("100 threads at once: {sum}");
    Ok(())
}
