//! Mutual exclusion: a lock and an unlock around one addition.

use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion};

use crate::harness::{Group, THREADS, group, processors, together};

/// A lock of any library, around a counter.
trait Counter: Sync {
    /// Who wrote it.
    const NAME: &'static str;
    fn new() -> Self;
    fn add(&self);
}

fn alone<C: Counter>(group: &mut Group<'_>) {
    group.bench_function(C::NAME, |bencher| {
        let lock = C::new();
        bencher.iter(|| black_box(&lock).add());
    });
}

fn contend<C: Counter>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(C::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let lock = C::new();
            if threads > processors() {
                return for_a_while(threads, rounds, || black_box(&lock).add());
            }
            together(threads, rounds, |_, share| {
                for _ in 0..share {
                    black_box(&lock).add();
                }
            })
        });
    });
}

/// How long a sample takes at the most where threads share processors.
const PATIENCE: Duration = Duration::from_millis(20);

/// How many rounds go by between two looks at the clock.
const BETWEEN_LOOKS: u64 = 16;

/// As [`together`] with `work` in each round; but when the time is over, what is
/// left counts as if it took as long as what was done. A lock that is handed to a
/// thread without a processor takes a time slice, and criterion, which has tried a
/// few rounds without such, would ask for a million.
fn for_a_while(threads: usize, rounds: u64, work: impl Fn() + Sync) -> Duration {
    let done = AtomicU64::new(0);
    let spent = together(threads, rounds, |_, share| {
        let begin = Instant::now();
        let mut own = 0;
        while own < share && begin.elapsed() < PATIENCE {
            let few = BETWEEN_LOOKS.min(share - own);
            (0..few).for_each(|_| work());
            own += few;
        }
        // ORDERING: Relaxed; the threads are joined before it is read.
        done.fetch_add(own, Ordering::Relaxed);
    });
    let asked = rounds.div_ceil(threads as u64) * threads as u64;
    spent.mul_f64(asked as f64 / done.into_inner() as f64)
}

/// How many threads one lock is contended by.
fn several() -> impl Iterator<Item = usize> {
    THREADS.into_iter().skip(1)
}

macro_rules! counters {
    ($module:ident, $what:literal, $threads:expr;
     $($name:literal $type:ty, $new:expr, |$lock:ident| $add:expr;)*) => {
        $(
            impl Counter for $type {
                const NAME: &'static str = $name;
                fn new() -> Self {
                    $new
                }
                #[inline]
                fn add(&self) {
                    let $lock = self;
                    $add;
                }
            }
        )*

        pub(crate) mod $module {
            /// One thread, nobody else; then one lock, several threads.
            pub(crate) fn locked(criterion: &mut super::Criterion) {
                let mut group = super::group(criterion, concat!($what, ", nobody else"));
                $(super::alone::<$type>(&mut group);)*
                group.finish();
                let mut group = super::group(criterion, concat!($what, ", contended"));
                for threads in $threads {
                    $(super::contend::<$type>(&mut group, threads);)*
                }
                group.finish();
            }
        }
    };
}

counters! {
    mutex, "mutex", super::several();
    "std Mutex" std::sync::Mutex<u64>, std::sync::Mutex::new(0), |lock| *lock.lock().expect("nobody panics") += 1;
    "parking_lot Mutex" parking_lot::Mutex<u64>, parking_lot::Mutex::new(0), |lock| *lock.lock() += 1;
    "ochre Mutex" ochre_sync::host::Mutex<u64>, ochre_sync::host::Mutex::new(0), |lock| *lock.lock().expect("nobody panics") += 1;
}

// With more threads than processors, who spins for a thread that does not run
// waits for the scheduler, and the row measures that: most of all where the lock
// goes to the next in turn, who may be the one that does not run. The rows are
// there all the same, for a machine that has the processors.
counters! {
    spinning, "spin lock", super::several();
    "spin Mutex" spin::Mutex<u64>, spin::Mutex::new(0), |lock| *lock.lock() += 1;
    "ochre SpinLock" ochre_sync::SpinLock<u64>, ochre_sync::SpinLock::new(0), |lock| *lock.lock() += 1;
}

counters! {
    fair, "fair spin lock", super::several();
    "spin TicketMutex" spin::mutex::TicketMutex<u64>, spin::mutex::TicketMutex::new(0), |lock| *lock.lock() += 1;
    "ochre TicketLock" ochre_sync::TicketLock<u64>, ochre_sync::TicketLock::new(0), |lock| *lock.lock() += 1;
}

// A ticket lock is cheaper as long as few wait, and every hand-over disturbs all
// of them; whoever takes a queue lock has many processors. So they have a group
// of their own.
counters! {
    queue, "queue spin lock", super::several();
    "mcslock raw Mutex" mcslock::raw::spins::Mutex<u64>, mcslock::raw::spins::Mutex::new(0), |lock| lock.lock_then(|count| *count += 1);
    "ochre McsLock" ochre_sync::McsLock<u64>, ochre_sync::McsLock::new(0), |lock| lock.with(|count| *count += 1);
}

/// A lock that waits between its looks for as long as so many hints take.
#[derive(Default)]
struct Hinted<const HINTS: u32> {
    locked: AtomicBool,
    count: AtomicU64,
}

impl<const HINTS: u32> Hinted<HINTS> {
    fn add(&self) {
        // Acquire and Release: the count belongs to who has the lock.
        while self.locked.swap(true, Ordering::Acquire) {
            while self.locked.load(Ordering::Relaxed) {
                for _ in 0..HINTS {
                    spin_loop();
                }
            }
        }
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        self.locked.store(false, Ordering::Release);
    }
}

/// What one lock costs by how many hints are between two looks: the fewer, the
/// sooner it is seen to be free; the more, the longer its holder has the cache
/// line to itself.
pub(crate) fn hints(criterion: &mut Criterion) {
    let mut group = group(criterion, "spin lock, hints between two looks");
    macro_rules! rows {
        ($threads:expr; $($hints:literal)*) => {
            $(
                let name = concat!("ochre, hints: ", $hints);
                group.bench_function(BenchmarkId::new(name, $threads), |bencher| {
                    bencher.iter_custom(|rounds| {
                        let lock = Hinted::<$hints>::default();
                        together($threads, rounds, |_, share| {
                            for _ in 0..share {
                                black_box(&lock).add();
                            }
                        })
                    });
                });
            )*
        };
    }
    for threads in 2..=processors().min(4) {
        rows!(threads; 0 1 2 4 8 16 32 64);
    }
    group.finish();
}
