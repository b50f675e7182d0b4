//! Data that is no atomic, handed from thread to thread by atomics alone.

use core::{
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering, fence},
};
use std::{collections::BTreeSet, thread};

pub(crate) fn run() {
    published();
    tried();
    made_by_the_first();
    behind_a_fence();
}

/// Plain data; who may touch it is told by the atomics beside it.
struct Plain<T>(UnsafeCell<T>);

// SAFETY: the functions below touch it only where an atomic says that they are
// alone with it.
unsafe impl<T: Send> Sync for Plain<T> {}

/// Written, then a flag: whoever sees the flag may read.
fn published() {
    let data = Plain(UnsafeCell::new(String::new()));
    let ready = AtomicBool::new(false);
    let text = thread::scope(|scope| {
        let (data, ready) = (&data, &ready);
        scope.spawn(move || {
            // SAFETY: the reader waits for the flag.
            unsafe { *data.0.get() = "all of it".to_owned() };
            // ORDERING: pairs with the Acquire load.
            ready.store(true, Ordering::Release);
        });
        while !ready.load(Ordering::Acquire) {
            thread::yield_now();
        }
        // SAFETY: the writer has set the flag and does not write again.
        unsafe { (*data.0.get()).clone() }
    });
    println!("published {text:?}");
}

/// A hundred try; who gets the flag adds to plain data, and none of it is lost.
fn tried() {
    let data = Plain(UnsafeCell::new(Vec::new()));
    let locked = AtomicBool::new(false);
    let entered = AtomicU32::new(0);
    thread::scope(|scope| {
        for n in 0..100_u32 {
            let (data, locked, entered) = (&data, &locked, &entered);
            scope.spawn(move || {
                // ORDERING: Acquire pairs with the Release that unlocks.
                let got =
                    locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
                if got.is_ok() {
                    // SAFETY: the flag was ours to set.
                    unsafe { (*data.0.get()).push(n) };
                    entered.fetch_add(1, Ordering::Relaxed);
                    locked.store(false, Ordering::Release);
                }
            });
        }
    });
    let kept = data.0.into_inner();
    let distinct: BTreeSet<u32> = kept.iter().copied().collect();
    println!(
        "some entered {}, all kept {}, each once {}",
        !kept.is_empty(),
        kept.len() == entered.into_inner() as usize,
        distinct.len() == kept.len()
    );
}

static MADE: AtomicU32 = AtomicU32::new(0);
static DROPPED: AtomicU32 = AtomicU32::new(0);

struct Big([u64; 64]);

impl Big {
    fn new() -> Self {
        MADE.fetch_add(1, Ordering::Relaxed);
        Self([7; 64])
    }
}

impl Drop for Big {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Several may make it; one is kept, and everyone uses that one.
fn big() -> &'static Big {
    static PLACE: AtomicPtr<Big> = AtomicPtr::new(ptr::null_mut());
    // ORDERING: Acquire pairs with the Release of the winner, here and where
    // the exchange fails.
    let mut place = PLACE.load(Ordering::Acquire);
    if place.is_null() {
        let mine = Box::into_raw(Box::new(Big::new()));
        place = match PLACE.compare_exchange(
            ptr::null_mut(),
            mine,
            Ordering::Release,
            Ordering::Acquire,
        ) {
            Ok(_) => mine,
            Err(winner) => {
                // SAFETY: made above and shown to nobody.
                drop(unsafe { Box::from_raw(mine) });
                winner
            }
        };
    }
    // SAFETY: what is in the place stays for ever and is never written.
    unsafe { &*place }
}

fn made_by_the_first() {
    let answers: BTreeSet<(usize, u64)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (ptr::from_ref(big()).addr(), big().0.iter().sum())))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let (made, dropped) = (
        MADE.load(Ordering::Relaxed),
        DROPPED.load(Ordering::Relaxed),
    );
    println!(
        "places {}, sums {:?}, all but one dropped {}",
        answers.len(),
        answers.iter().map(|answer| answer.1).collect::<Vec<_>>(),
        made == dropped + 1
    );
}

/// Ten places, looked at without order; the fence is paid only where there is
/// something.
fn behind_a_fence() {
    let data = [const { Plain(UnsafeCell::new(0_u64)) }; 10];
    let ready = [const { AtomicBool::new(false) }; 10];
    let sum: u64 = thread::scope(|scope| {
        for n in 0..10 {
            let (data, ready) = (&data[n], &ready[n]);
            scope.spawn(move || {
                // SAFETY: nobody else writes it, nobody reads it before the
                // flag.
                unsafe { *data.0.get() = n as u64 + 1 };
                // ORDERING: pairs with the fence below.
                ready.store(true, Ordering::Release);
            });
        }
        let mut sum = 0;
        let mut left: Vec<usize> = (0..10).collect();
        while !left.is_empty() {
            let (now, later): (Vec<usize>, Vec<usize>) = left
                .into_iter()
                .partition(|&n| ready[n].load(Ordering::Relaxed));
            if !now.is_empty() {
                fence(Ordering::Acquire);
                for n in now {
                    // SAFETY: its writer is done, as the flag says.
                    sum += unsafe { *data[n].0.get() };
                }
            }
            left = later;
            thread::yield_now();
        }
        sum
    });
    println!("behind fences {sum}");
}
