//! A crowd: thousands of threads that wait at once, are woken one by one, and
//! a process that ends while a crowd waits.

use core::sync::atomic::{AtomicU32, Ordering};
use std::{
    io,
    sync::{Arc, Barrier},
    thread::{self, JoinHandle},
};

use crate::Outcome;

/// How many wait at once.
const CROWD: u32 = 2000;

/// As little as the C library gives a thread.
const STACK: usize = 16 << 10;

pub(crate) fn run() -> Outcome {
    let woken = Arc::new(AtomicU32::new(0));
    let crowd = gather(&woken)?;
    println!("{} wait", crowd.len());
    println!("{} have been woken", woken.load(Ordering::Relaxed));
    // From the middle, the end and the beginning of whatever lists there are.
    for (turn, member) in crowd.iter().enumerate() {
        member.thread().unpark();
        if turn % 3 == 0 {
            thread::yield_now();
        }
    }
    let mut sum = 0_u64;
    for member in crowd {
        sum += u64::from(member.join().map_err(|_| "a member panicked")?);
    }
    println!("{} have been woken", woken.load(Ordering::Relaxed));
    println!("their numbers add up to {sum}");
    // Nobody wakes these: they end with the process.
    let crowd = gather(&woken)?;
    println!("{} wait when the process ends", crowd.len());
    Ok(())
}

/// Threads that have all begun and wait to be unparked.
fn gather(woken: &Arc<AtomicU32>) -> io::Result<Vec<JoinHandle<u32>>> {
    let begun = Arc::new(Barrier::new(CROWD as usize + 1));
    let crowd = (0..CROWD)
        .map(|number| {
            let (begun, woken) = (Arc::clone(&begun), Arc::clone(woken));
            thread::Builder::new().stack_size(STACK).spawn(move || {
                begun.wait();
                thread::park();
                woken.fetch_add(1, Ordering::Relaxed);
                number
            })
        })
        .collect::<io::Result<Vec<_>>>()?;
    begun.wait();
    Ok(crowd)
}
