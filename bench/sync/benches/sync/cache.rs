//! What the processor charges: shared lines, false sharing, orderings.
//!
//! The experiments of "Rust Atomics and Locks", chapter 7: the same load costs
//! a little or a lot by what another core does to its cache line.

use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::thread;

use criterion::Criterion;

use crate::harness::{group, pin};

/// An atomic alone on its cache line, or among neighbours.
#[repr(align(128))]
struct Padded(AtomicU64);

/// An atomic alone on a line of 64 bytes, which a processor may fetch with the
/// next one.
#[repr(align(64))]
struct Line(AtomicU64);

/// Runs `measured` while another thread does `background` over and over.
fn beside(background: impl Fn() + Sync, measured: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..64 {
                    background();
                }
            }
        });
        pin(0);
        measured();
        stop.store(true, Ordering::Relaxed);
    });
}

/// A relaxed load beside one other thread.
pub(crate) fn sharing(criterion: &mut Criterion) {
    let mut group = group(criterion, "relaxed load, beside another core");
    let word = AtomicU64::new(0);
    let mut row = |name: &str, background: &(dyn Fn() + Sync), target: &AtomicU64| {
        beside(background, || {
            group.bench_function(name, |bencher| {
                bencher.iter(|| black_box(target).load(Ordering::Relaxed));
            });
        });
    };
    row("that does nothing here", &core::hint::spin_loop, &word);
    row(
        "that loads it",
        &|| {
            black_box(black_box(&word).load(Ordering::Relaxed));
        },
        &word,
    );
    row(
        "that stores to it",
        &|| black_box(&word).store(1, Ordering::Relaxed),
        &word,
    );
    row(
        "whose compare-exchange of it fails",
        &|| {
            let failed =
                black_box(&word).compare_exchange(10, 20, Ordering::Relaxed, Ordering::Relaxed);
            let _ = black_box(failed);
        },
        &word,
    );
    let near = [const { AtomicU64::new(0) }; 3];
    let store_to_both = |first: &AtomicU64, last: &AtomicU64| {
        black_box(first).store(0, Ordering::Relaxed);
        black_box(last).store(0, Ordering::Relaxed);
    };
    let [first, middle, last] = &near;
    row(
        "that stores to its neighbours",
        &|| store_to_both(first, last),
        middle,
    );
    let far = [const { Padded(AtomicU64::new(0)) }; 3];
    let [first, middle, last] = &far;
    row(
        "that stores to neighbours 128 bytes away",
        &|| store_to_both(&first.0, &last.0),
        &middle.0,
    );
    let lines = [const { Line(AtomicU64::new(0)) }; 3];
    let [first, middle, last] = &lines;
    row(
        "that stores to neighbours 64 bytes away",
        &|| store_to_both(&first.0, &last.0),
        &middle.0,
    );
    group.finish();
}

/// What each ordering costs a core that is alone.
pub(crate) fn orderings(criterion: &mut Criterion) {
    let mut group = group(criterion, "one operation, by ordering");
    let word = AtomicU64::new(0);
    let word = || black_box(&word);
    macro_rules! rows {
        ($($name:literal => $operation:expr;)*) => {
            $(group.bench_function($name, |bencher| bencher.iter(|| $operation));)*
        };
    }
    rows! {
        "load Relaxed" => word().load(Ordering::Relaxed);
        "load Acquire" => word().load(Ordering::Acquire);
        "load SeqCst" => word().load(Ordering::SeqCst);
        "store Relaxed" => word().store(1, Ordering::Relaxed);
        "store Release" => word().store(1, Ordering::Release);
        "store SeqCst" => word().store(1, Ordering::SeqCst);
        "fetch_add Relaxed" => word().fetch_add(1, Ordering::Relaxed);
        "fetch_add AcqRel" => word().fetch_add(1, Ordering::AcqRel);
        "fence Release" => fence(Ordering::Release);
        "fence SeqCst" => fence(Ordering::SeqCst);
    }
    group.finish();
}
