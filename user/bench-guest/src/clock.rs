//! The clock, and how a row comes from it: in loops, several times, the median.

use core::hint::black_box;

use crate::sys::counter;

/// How often each row is measured; the median counts.
pub(crate) const SAMPLES: usize = 7;

/// The median time of one of `times` runs of `body`, after one run of
/// them all for the caches.
pub(crate) fn each(times: u32, mut body: impl FnMut()) -> f64 {
    sampled(times, |times| {
        for _ in 0..times {
            body();
        }
        times
    })
}

/// As [`each`], for a `body` that does its own loop and says how often it did.
pub(crate) fn sampled(times: u32, mut body: impl FnMut(u32) -> u32) -> f64 {
    body(times.div_ceil(4));
    let mut samples = [0.0; SAMPLES];
    for sample in &mut samples {
        let start = counter();
        let times = body(times);
        let end = counter();
        let mut left = times;
        while black_box(left) > 0 {
            left -= 1;
        }
        let empty = counter() - end;
        *sample = (end - start).saturating_sub(empty) as f64 / f64::from(times);
    }
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}

/// What one run of `body` takes: for what takes long.
pub(crate) fn once(body: impl FnOnce()) -> f64 {
    let start = counter();
    body();
    (counter() - start) as f64
}
