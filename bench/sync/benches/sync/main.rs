//! `ochre-sync` beside std, parking_lot, spin, crossbeam-channel and flume.
//!
//! One run measures everything, each row a few times; `cargo xtask bench sync`
//! runs it and draws what criterion kept. Groups are named by what is done,
//! functions by who does it, values by how many threads do it.
#![forbid(unsafe_code)]

mod cache;
mod channels;
mod counts;
mod harness;
mod locks;
mod readers;

use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(12)
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(600))
        .without_plots()
}

criterion_group! {
    name = everything;
    config = settings();
    targets = locks::uncontended, locks::contended, readers::reads, channels::messages, counts::clone_and_drop, cache::sharing, cache::orderings
}
criterion_main!(everything);
