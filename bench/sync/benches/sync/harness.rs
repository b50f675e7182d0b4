//! Several threads that start together.

use core::time::Duration;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// How many threads a contended row has.
pub(crate) const THREADS: [usize; 3] = [1, 2, 4];

/// Runs `work(thread, rounds)` in `threads` threads at once, `rounds` divided
/// among them; the time from the common start to the end of the last.
pub(crate) fn together(threads: usize, rounds: u64, work: impl Fn(usize, u64) + Sync) -> Duration {
    let start = Barrier::new(threads + 1);
    let share = rounds.div_ceil(threads as u64);
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|index| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(index, share);
                })
            })
            .collect();
        start.wait();
        let begin = Instant::now();
        for handle in handles {
            handle.join().expect("a measured thread ends");
        }
        begin.elapsed()
    })
}
