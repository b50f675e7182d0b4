//! Mutual exclusion: a lock and an unlock around one addition.

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};

use crate::harness::{THREADS, together};

/// A lock of any library, around a counter.
trait Counter: Sync {
    /// Who wrote it.
    const NAME: &'static str;
    fn new() -> Self;
    fn add(&self);
}

macro_rules! counters {
    ($($name:literal $type:ty, $new:expr, |$lock:ident| $add:expr;)*) => {
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

        /// One thread, nobody else.
        pub(crate) fn uncontended(criterion: &mut Criterion) {
            let mut group = criterion.benchmark_group("lock and unlock, uncontended");
            $(
                group.bench_function($name, |bencher| {
                    let lock = <$type as Counter>::new();
                    bencher.iter(|| black_box(&lock).add());
                });
            )*
            group.finish();
        }

        /// One lock, several threads.
        pub(crate) fn contended(criterion: &mut Criterion) {
            let mut group = criterion.benchmark_group("lock and unlock, contended");
            group.throughput(Throughput::Elements(1));
            for threads in THREADS {
                $(contend::<$type>(&mut group, threads);)*
            }
            group.finish();
        }
    };
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn contend<C: Counter>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(C::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let lock = C::new();
            together(threads, rounds, |_, share| {
                for _ in 0..share {
                    black_box(&lock).add();
                }
            })
        });
    });
}

counters! {
    "std Mutex" std::sync::Mutex<u64>, std::sync::Mutex::new(0), |lock| *lock.lock().expect("nobody panics") += 1;
    "parking_lot Mutex" parking_lot::Mutex<u64>, parking_lot::Mutex::new(0), |lock| *lock.lock() += 1;
    "ochre Mutex" ochre_sync::host::Mutex<u64>, ochre_sync::host::Mutex::new(0), |lock| *lock.lock().expect("nobody panics") += 1;
    "spin Mutex" spin::Mutex<u64>, spin::Mutex::new(0), |lock| *lock.lock() += 1;
    "spin TicketMutex" spin::mutex::TicketMutex<u64>, spin::mutex::TicketMutex::new(0), |lock| *lock.lock() += 1;
    "ochre SpinLock" ochre_sync::SpinLock<u64>, ochre_sync::SpinLock::new(0), |lock| *lock.lock() += 1;
    "ochre TicketLock" ochre_sync::TicketLock<u64>, ochre_sync::TicketLock::new(0), |lock| *lock.lock() += 1;
    "ochre McsLock" ochre_sync::McsLock<u64>, ochre_sync::McsLock::new(0), |lock| lock.with(|count| *count += 1);
}
