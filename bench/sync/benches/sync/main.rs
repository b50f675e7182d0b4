//! `ochre-sync` beside std, parking_lot, spin, mcslock, crossbeam-channel and flume.
//!
//! One run measures everything, each row for a moment; `cargo xtask bench sync`
//! runs it several times, so that the peers take turns, and draws what criterion
//! kept. Groups are named by what is done, functions by who does it (the library
//! is the first word), values by how many threads do it.
#![forbid(unsafe_code)]

mod cache;
mod channels;
mod counts;
mod harness;
mod locks;
mod readers;
mod waiting;

use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(250))
        .nresamples(1_000)
        .without_plots()
}

criterion_group! {
    name = everything;
    config = settings();
    targets =
        locks::mutex::locked,
        locks::spinning::locked,
        locks::fair::locked,
        locks::queue::locked,
        locks::hints,
        readers::reads,
        readers::writes,
        waiting::permits,
        waiting::batons,
        channels::messages,
        counts::clone_and_drop,
        cache::sharing,
        cache::orderings
}
criterion_main!(everything);
