//! Reading what is seldom written: readers-writer locks and the sequence lock.

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion};

use crate::harness::{THREADS, together};

/// A read of one word under each kind of lock.
pub(crate) fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a read, no writer");
    macro_rules! row {
        ($name:literal, $threads:expr, $lock:expr, |$name_of:ident| $read:expr) => {
            group.bench_function(BenchmarkId::new($name, $threads), |bencher| {
                bencher.iter_custom(|rounds| {
                    let lock = $lock;
                    together($threads, rounds, |_, share| {
                        for _ in 0..share {
                            let $name_of = black_box(&lock);
                            black_box($read);
                        }
                    })
                });
            });
        };
    }
    for threads in THREADS {
        row!(
            "std RwLock",
            threads,
            std::sync::RwLock::new(7_u64),
            |lock| *lock.read().expect("nobody panics")
        );
        row!(
            "parking_lot RwLock",
            threads,
            parking_lot::RwLock::new(7_u64),
            |lock| *lock.read()
        );
        row!(
            "ochre RwLock",
            threads,
            ochre_sync::host::RwLock::new(7_u64),
            |lock| *lock.read().expect("nobody panics")
        );
        row!(
            "ochre SeqWords",
            threads,
            ochre_sync::SeqWords::new([7]),
            |lock| lock.read()
        );
    }
    group.finish();
}
