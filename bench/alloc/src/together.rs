//! What two threads do at once with one allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::hint;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::patterns::{Held, Random, allocate, free};

/// Threads of the rows that have several.
pub(crate) const THREADS: usize = 2;

/// Random lifetimes in each thread, apart; nanoseconds for one replacement.
pub(crate) fn lifetimes<A: GlobalAlloc + Sync>(subject: &A, rounds: usize) -> f64 {
    at_once(rounds, |thread| {
        let mut random = Random::new(thread as u64 + 7);
        let mut slots: Vec<Option<Held>> = (0..2000).map(|_| None).collect();
        for _ in 0..rounds {
            let which = random.below(slots.len());
            if let Some(slot) = slots.get_mut(which) {
                let old = slot.replace(allocate(subject, random.size(8, 1024)));
                old.into_iter().for_each(|held| free(subject, held));
            }
        }
        slots
            .into_iter()
            .flatten()
            .for_each(|held| free(subject, held));
    })
}

/// One thread allocates, the other frees; nanoseconds for one object.
pub(crate) fn hand_over<A: GlobalAlloc + Sync>(subject: &A, rounds: usize) -> f64 {
    const RING: usize = 1024;
    let layout = Layout::new::<[u64; 8]>();
    let ring: Vec<AtomicPtr<u8>> = (0..RING).map(|_| AtomicPtr::default()).collect();
    let ring = ring.as_slice();
    at_once(rounds, |thread| {
        for round in 0..rounds {
            let Some(place) = ring.get(round % RING) else {
                return;
            };
            if thread == 0 {
                let held = allocate(subject, layout);
                // ORDERING: Acquire: the consumer is done with the place; Release
                // below gives it the object.
                wait_until(|| place.load(Ordering::Acquire).is_null());
                place.store(held.start.as_ptr(), Ordering::Release);
            } else {
                // ORDERING: as above, the other way round.
                wait_until(|| !place.load(Ordering::Acquire).is_null());
                let start = place.swap(core::ptr::null_mut(), Ordering::AcqRel);
                if let Some(start) = core::ptr::NonNull::new(start) {
                    free(subject, Held { start, layout });
                }
            }
        }
    })
}

fn wait_until(is_so: impl Fn() -> bool) {
    let mut spins = 0_u32;
    while !is_so() {
        spins += 1;
        if spins.is_multiple_of(256) {
            thread::yield_now();
        } else {
            hint::spin_loop();
        }
    }
}

/// Runs `work` in both threads; nanoseconds for one of `rounds`, from when the
/// first begins until the last ends.
fn at_once(rounds: usize, work: impl Fn(usize) + Sync) -> f64 {
    let start = Barrier::new(THREADS);
    let times: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|index| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    let begin = Instant::now();
                    work(index);
                    (begin, Instant::now())
                })
            })
            .collect();
        let ends = threads.into_iter().map(|thread| thread.join());
        ends.map(|times| times.expect("a measured thread ends"))
            .collect()
    });
    let begin = times.iter().map(|times| times.0).min();
    let end = times.iter().map(|times| times.1).max();
    let time = begin
        .zip(end)
        .map_or(0.0, |(begin, end)| (end - begin).as_secs_f64());
    time * 1e9 / rounds as f64
}
