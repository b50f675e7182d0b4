//! Reference counts: a clone and its drop.

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion};

use crate::harness::{THREADS, together};

/// Clones and drops one count from several threads.
pub(crate) fn clone_and_drop(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("Arc clone and drop");
    for threads in THREADS {
        group.bench_function(BenchmarkId::new("std Arc", threads), |bencher| {
            bencher.iter_custom(|rounds| {
                let shared = std::sync::Arc::new(7_u64);
                together(threads, rounds, |_, share| {
                    for _ in 0..share {
                        drop(black_box(std::sync::Arc::clone(black_box(&shared))));
                    }
                })
            });
        });
    }
    group.finish();
}
