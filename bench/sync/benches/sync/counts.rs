//! Reference counts: a clone and its drop.

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion};

use crate::harness::{THREADS, group, together};

/// Clones and drops one count from several threads.
pub(crate) fn clone_and_drop(criterion: &mut Criterion) {
    let mut group = group(criterion, "Arc clone and drop");
    macro_rules! row {
        ($name:literal, $threads:expr, $arc:ty) => {
            group.bench_function(BenchmarkId::new($name, $threads), |bencher| {
                bencher.iter_custom(|rounds| {
                    let shared = <$arc>::new(7_u64);
                    together($threads, rounds, |_, share| {
                        for _ in 0..share {
                            drop(black_box(<$arc>::clone(black_box(&shared))));
                        }
                    })
                });
            });
        };
    }
    for threads in THREADS {
        row!("std Arc", threads, std::sync::Arc<u64>);
        row!("ochre Arc", threads, ochre_sync::Arc<u64>);
    }
    group.finish();
}
