//! Several threads that start together, each on a processor of its own as far
//! as there are enough.
//!
//! Threads are pinned, in turn, to the processors that this program may use:
//! where the scheduler happens to put two of them decides otherwise whether a
//! row is contended at all.

use core::time::Duration;
use std::sync::{Barrier, LazyLock};
use std::thread;
use std::time::Instant;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How many threads a contended row has.
pub(crate) const THREADS: [usize; 4] = [1, 2, 3, 4];

pub(crate) type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// A group whose samples are all of one length.
pub(crate) fn group<'a>(criterion: &'a mut Criterion, name: &str) -> Group<'a> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

/// The processors there were before anybody was pinned.
static PROCESSORS: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let allowed = sched_getaffinity(None).expect("a thread may ask where it may run");
    (0..CpuSet::MAX_CPU)
        .filter(|processor| allowed.is_set(*processor))
        .collect()
});

/// How many processors there are.
pub(crate) fn processors() -> usize {
    PROCESSORS.len()
}

/// Keeps this thread, the `index`th of its row, on one processor.
pub(crate) fn pin(index: usize) {
    let mut only = CpuSet::new();
    only.set(PROCESSORS[index % processors()]);
    sched_setaffinity(None, &only).expect("a thread may stay where it may run");
}

/// Runs `work(thread, rounds)` in `threads` threads at once, `rounds` divided
/// among them; the time from the common start to the end of the last.
pub(crate) fn together(threads: usize, rounds: u64, work: impl Fn(usize, u64) + Sync) -> Duration {
    let share = rounds.div_ceil(threads as u64);
    each(0..threads, |index| work(index, share))
}

/// Runs `work` with each of these in a thread of its own, all at once; the time from the start of
/// the first to the end of the last, as these saw it: who only waits for them may
/// be woken late.
pub(crate) fn each<W: Send>(
    of: impl IntoIterator<Item = W, IntoIter: ExactSizeIterator>,
    work: impl Fn(W) + Sync,
) -> Duration {
    let of = of.into_iter();
    let start = Barrier::new(of.len());
    // Asked before the first is pinned.
    LazyLock::force(&PROCESSORS);
    thread::scope(|scope| {
        let handles: Vec<_> = of
            .enumerate()
            .map(|(index, item)| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    pin(index);
                    start.wait();
                    let begin = Instant::now();
                    work(item);
                    (begin, Instant::now())
                })
            })
            .collect();
        let times = handles
            .into_iter()
            .map(|handle| handle.join().expect("a measured thread ends"));
        let (begin, end) = times
            .reduce(|(begin, end), (first, last)| (begin.min(first), end.max(last)))
            .expect("there is a thread");
        end - begin
    })
}
