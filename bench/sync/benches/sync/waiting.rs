//! Waiting for another thread: semaphores and condition variables.
//!
//! A baton goes round: each thread waits for it, and gives it to the next. So
//! every step is a wake-up, and nothing is measured but that.

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion};

use crate::harness::{Group, THREADS, each, group, together};

/// Something that counts permits.
trait Permits: Sync {
    const NAME: &'static str;
    fn new(permits: u32) -> Self;
    fn acquire(&self);
    fn release(&self);
}

impl Permits for ochre_sync::host::Semaphore {
    const NAME: &'static str = "ochre Semaphore";
    fn new(permits: u32) -> Self {
        ochre_sync::host::Semaphore::new(permits)
    }
    fn acquire(&self) {
        ochre_sync::host::Semaphore::acquire(self);
    }
    fn release(&self) {
        ochre_sync::host::Semaphore::release(self, 1);
    }
}

/// A mutex with a condition variable, of one library.
trait Monitor: Sync {
    const NAME: &'static str;
    /// The same, as a semaphore made by hand.
    const SEMAPHORE: &'static str;
    fn new(value: usize) -> Self;
    /// Waits until `ready` says so, having changed the value.
    fn wait(&self, ready: impl Fn(&mut usize) -> bool);
    /// Changes the value, and wakes one or all.
    fn change(&self, all: bool, change: impl FnOnce(&mut usize));
}

macro_rules! monitors {
    ($($type:ident $name:literal $semaphore:literal $mutex:ty, $condvar:ty,
       |$lock:ident| $locked:expr, |$var:ident, $guard:ident| $wait:expr;)*) => {
        $(
            struct $type {
                value: $mutex,
                changed: $condvar,
            }
            impl Monitor for $type {
                const NAME: &'static str = $name;
                const SEMAPHORE: &'static str = $semaphore;
                fn new(value: usize) -> Self {
                    $type { value: <$mutex>::new(value), changed: <$condvar>::new() }
                }
                fn wait(&self, ready: impl Fn(&mut usize) -> bool) {
                    let ($lock, $var) = (&self.value, &self.changed);
                    let mut $guard = $locked;
                    while !ready(&mut $guard) {
                        $wait;
                    }
                }
                fn change(&self, all: bool, change: impl FnOnce(&mut usize)) {
                    let $lock = &self.value;
                    change(&mut $locked);
                    if all {
                        self.changed.notify_all();
                    } else {
                        self.changed.notify_one();
                    }
                }
            }
        )*

        /// Permits taken and given back: as many as threads, and fewer.
        pub(crate) fn permits(criterion: &mut Criterion) {
            let mut group = group(criterion, "semaphore, a permit taken and given back");
            for threads in THREADS {
                take_and_give::<ochre_sync::host::Semaphore>(&mut group, threads);
                $(take_and_give::<ByHand<$type>>(&mut group, threads);)*
            }
            group.finish();
        }

        /// The baton, by semaphores and by condition variables.
        pub(crate) fn batons(criterion: &mut Criterion) {
            let mut by_permit = group(criterion, "semaphore, a baton passed on");
            for threads in THREADS.into_iter().skip(1) {
                pass_permits::<ochre_sync::host::Semaphore>(&mut by_permit, threads);
                $(pass_permits::<ByHand<$type>>(&mut by_permit, threads);)*
            }
            by_permit.finish();
            let mut by_turn = group(criterion, "condition variable, a baton passed on");
            for threads in THREADS.into_iter().skip(1) {
                $(pass_turns::<$type>(&mut by_turn, threads);)*
            }
            by_turn.finish();
            let mut to_all = group(criterion, "condition variable, a crowd called");
            for threads in THREADS.into_iter().skip(1) {
                $(call_crowds::<$type>(&mut to_all, threads);)*
            }
            to_all.finish();
        }
    };
}

monitors! {
    Std "std Condvar" "std Mutex and Condvar"
        std::sync::Mutex<usize>, std::sync::Condvar,
        |lock| lock.lock().expect("nobody panics"),
        |changed, guard| guard = changed.wait(guard).expect("nobody panics");
    ParkingLot "parking_lot Condvar" "parking_lot Mutex and Condvar"
        parking_lot::Mutex<usize>, parking_lot::Condvar,
        |lock| lock.lock(),
        |changed, guard| changed.wait(&mut guard);
    Ochre "ochre Condvar" "ochre Mutex and Condvar"
        ochre_sync::host::Mutex<usize>, ochre_sync::host::Condvar,
        |lock| lock.lock().expect("nobody panics"),
        |changed, guard| guard = changed.wait(guard).expect("nobody panics");
}

/// A semaphore of a mutex and a condition variable.
struct ByHand<M>(M);

impl<M: Monitor> Permits for ByHand<M> {
    const NAME: &'static str = M::SEMAPHORE;
    fn new(permits: u32) -> Self {
        ByHand(M::new(permits as usize))
    }
    fn acquire(&self) {
        self.0.wait(|permits| {
            let some = *permits > 0;
            *permits -= usize::from(some);
            some
        });
    }
    fn release(&self) {
        self.0.change(false, |permits| *permits += 1);
    }
}

/// Half as many permits as threads, at least one.
fn take_and_give<P: Permits>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(P::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let permits = P::new((threads as u32).div_ceil(2));
            together(threads, rounds, |_, share| {
                for _ in 0..share {
                    black_box(&permits).acquire();
                    black_box(&permits).release();
                }
            })
        });
    });
}

fn pass_permits<P: Permits>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(P::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let batons: Vec<P> = (0..threads)
                .map(|index| P::new((index == 0).into()))
                .collect();
            together(threads, rounds, |index, share| {
                let (mine, next) = (&batons[index], &batons[(index + 1) % threads]);
                for _ in 0..share {
                    mine.acquire();
                    next.release();
                }
            })
        });
    });
}

/// Each thread has a monitor of its own, whose value says that it has the baton.
fn pass_turns<M: Monitor>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(M::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let turns: Vec<M> = (0..threads)
                .map(|index| M::new((index == 0).into()))
                .collect();
            together(threads, rounds, |index, share| {
                let (mine, next) = (&turns[index], &turns[(index + 1) % threads]);
                for _ in 0..share {
                    mine.wait(|turn| core::mem::take(turn) == 1);
                    next.change(false, |turn| *turn = 1);
                }
            })
        });
    });
}

/// One monitor for all; its value counts the turns, and each turn calls everybody.
fn call_crowds<M: Monitor>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(M::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let turn = M::new(0);
            let laps = rounds.div_ceil(threads as u64) as usize;
            each(0..threads, |index| {
                for lap in 0..laps {
                    let mine = lap * threads + index;
                    turn.wait(|turn| *turn == mine);
                    turn.change(true, |turn| *turn += 1);
                }
            })
        });
    });
}
