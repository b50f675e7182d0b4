//! Data that is no atomic, handed from thread to thread by atomics alone.

use core::{
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering, compiler_fence, fence},
};
use std::{collections::BTreeSet, thread};

pub(crate) fn run() {
    published();
    tried();
    made_by_the_first();
    behind_a_fence();
    behind_a_barrier_of_one_side();
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

const PRIVATE_EXPEDITED: i32 = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

/// The system call; says whether it did as it was told.
fn membarrier(command: i32) -> bool {
    // SAFETY: it takes numbers only.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Each side sets its own flag and looks at the other's, and not both may find the
/// other's unset. One side pays for both: its barrier is one of all threads, the
/// other tells only the compiler.
fn behind_a_barrier_of_one_side() {
    /// Alone on its cache lines: a store must wait for it, a load need not.
    #[repr(align(128))]
    struct Flag(AtomicBool);

    const ROUNDS: u32 = 3000;
    let registered = membarrier(REGISTER_PRIVATE_EXPEDITED);
    let flags = [const { Flag(AtomicBool::new(false)) }; 2];
    let there = AtomicU32::new(0);
    // Waits for the other as often as this is called.
    let meet = |times: &mut u32| {
        *times += 1;
        // ORDERING: AcqRel and Acquire; what was before the meeting is over.
        there.fetch_add(1, Ordering::AcqRel);
        let mut looks = 0_u32;
        while there.load(Ordering::Acquire) < 2 * *times {
            looks += 1;
            if looks.is_multiple_of(1000) {
                thread::yield_now();
            }
        }
    };
    // ORDERING: Relaxed, for the flags: what is between is the point.
    let play = |mine: usize, barrier: fn()| -> Vec<bool> {
        let (mine, other) = (&flags[mine].0, &flags[1 - mine].0);
        let mut meetings = 0;
        let rounds = (0..ROUNDS).map(|_| {
            mine.store(false, Ordering::Relaxed);
            meet(&mut meetings);
            let was_set = other.load(Ordering::Relaxed);
            meet(&mut meetings);
            mine.store(true, Ordering::Relaxed);
            barrier();
            let is_set = other.load(Ordering::Relaxed);
            meet(&mut meetings);
            was_set || is_set
        });
        rounds.collect()
    };
    let (light, heavy) = thread::scope(|scope| {
        let light = scope.spawn(|| play(0, || compiler_fence(Ordering::SeqCst)));
        let heavy = play(1, || {
            membarrier(PRIVATE_EXPEDITED);
        });
        (light.join().unwrap_or_default(), heavy)
    });
    let neither = light
        .iter()
        .zip(&heavy)
        .filter(|(light, heavy)| !**light && !**heavy);
    println!(
        "a barrier of one side: registered {registered}, rounds {}, neither saw {}",
        light.len(),
        neither.count()
    );
}
