//! What is done to each allocator.
//!
//! Every object's first word is written when it is allocated, as a program
//! would; sizes and lifetimes come from one seeded generator, the same for all.
//! A pattern is repeated until it has taken a while, and the time of the
//! repetition in the middle counts.

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::ptr::NonNull;
use core::time::Duration;
use std::fs;
use std::time::Instant;

use crate::sample::{MEMORY, Sample};
use crate::together;

/// How long a row may take.
const PATIENCE: Duration = Duration::from_millis(900);
const REPETITIONS: usize = 9;

/// An object.
pub(crate) struct Held {
    pub(crate) start: NonNull<u8>,
    pub(crate) layout: Layout,
}

/// A small generator (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        // CAST: the upper half, scaled.
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// A size between the two, small ones more often: each halving is as likely.
    pub(crate) fn size(&mut self, least: usize, most: usize) -> Layout {
        let doublings = (most / least).max(1).ilog2() as usize;
        let base = least << self.below(doublings);
        let size = base + self.below(base);
        Layout::from_size_align(size, 8).unwrap_or(Layout::new::<u64>())
    }
}

/// Allocates, and writes the first word.
#[inline]
pub(crate) fn allocate<A: GlobalAlloc>(subject: &A, layout: Layout) -> Held {
    // SAFETY: no layout here has a size of zero.
    let start = unsafe { subject.alloc(layout) };
    let start = NonNull::new(start).expect("each has memory enough");
    // SAFETY: 8 bytes at least, aligned to 8, just allocated.
    unsafe { start.cast::<u64>().write(layout.size() as u64) };
    Held { start, layout }
}

/// Frees.
#[inline]
pub(crate) fn free<A: GlobalAlloc>(subject: &A, held: Held) {
    // SAFETY: what is held came from `allocate` of the same subject.
    unsafe { subject.dealloc(held.start.as_ptr(), held.layout) };
}

/// What only an allocator can do that uses again what was freed, one by one: the
/// others need gigabytes for it.
pub(crate) const NEED_REUSE: [&str; 2] = [MEMORY, LARGE_LIFETIMES];

const LARGE_LIFETIMES: &str = "5 random lifetimes, 1 to 64 KiB";

/// The rows of one allocator that are wanted.
pub(crate) fn rows<A: GlobalAlloc + Sync>(
    who: &str,
    subject: &A,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Sample> {
    // First, while the process has nothing yet.
    let mut samples = if is_wanted(MEMORY) {
        memory(who, subject)
    } else {
        Vec::new()
    };
    let mut row = |group: &str, measure: &mut dyn FnMut() -> f64| {
        if is_wanted(group) {
            samples.push(Sample {
                group: group.to_owned(),
                who: who.to_owned(),
                values: vec![measure()],
            });
        }
    };
    row("1 pair, 64 bytes", &mut || middle(|| pair(subject)));
    row("2 fill and empty, 8 to 256 bytes", &mut || {
        middle(|| fill(subject, 10_000, 8, 256))
    });
    row("3 fill and empty, 1 to 64 KiB", &mut || {
        middle(|| fill(subject, 400, 1024, 65_536))
    });
    row("4 random lifetimes, 8 to 1024 bytes", &mut || {
        middle(|| lifetimes(subject, 10_000, 8, 1024))
    });
    row(LARGE_LIFETIMES, &mut || {
        middle(|| lifetimes(subject, 400, 1024, 65_536))
    });
    row("6 growing from 16 bytes to 64 KiB", &mut || {
        middle(|| growing(subject))
    });
    row("7 random lifetimes in two threads", &mut || {
        middle(|| together::lifetimes(subject, 20_000))
    });
    row("8 from one thread to the other", &mut || {
        middle(|| together::hand_over(subject, 40_000))
    });
    let mut times = Vec::new();
    let mut slowest = |share: f64| {
        if times.is_empty() {
            times = latencies(subject);
            times.sort_unstable();
        }
        let index = (times.len() as f64 * share) as usize;
        times.get(index).copied().unwrap_or(0) as f64
    };
    row(
        "9 an allocation or a free: the slowest of 1,000",
        &mut || slowest(0.999),
    );
    row(
        "9 an allocation or a free: the slowest of 100,000",
        &mut || slowest(0.999_99),
    );
    samples
}

/// The middle of a few repetitions, the first of which does not count.
fn middle(mut measure: impl FnMut() -> f64) -> f64 {
    measure();
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < REPETITIONS && (times.is_empty() || begin.elapsed() < PATIENCE) {
        times.push(measure());
    }
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn each(begin: Instant, count: usize) -> f64 {
    begin.elapsed().as_secs_f64() * 1e9 / count as f64
}

/// Allocate, free, again.
fn pair<A: GlobalAlloc>(subject: &A) -> f64 {
    const ROUNDS: usize = 200_000;
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        free(
            subject,
            black_box(allocate(subject, Layout::new::<[u64; 8]>())),
        );
    }
    each(begin, ROUNDS)
}

/// Allocate many, free them in the same order; for one allocation and its free.
fn fill<A: GlobalAlloc>(subject: &A, count: usize, least: usize, most: usize) -> f64 {
    let mut random = Random::new(1);
    let layouts: Vec<Layout> = (0..count).map(|_| random.size(least, most)).collect();
    let mut held: Vec<Held> = Vec::with_capacity(count);
    let rounds = 100_000_usize.div_ceil(count * 4);
    let begin = Instant::now();
    for _ in 0..rounds {
        held.extend(layouts.iter().map(|&layout| allocate(subject, layout)));
        held.drain(..).for_each(|held| free(subject, held));
        if begin.elapsed() > PATIENCE {
            return each(begin, count);
        }
    }
    each(begin, count * rounds)
}

/// Many objects, one after the other replaced at random; for one replacement.
fn lifetimes<A: GlobalAlloc>(subject: &A, slots: usize, least: usize, most: usize) -> f64 {
    let mut random = Random::new(2);
    let mut slots: Vec<Held> = (0..slots)
        .map(|_| allocate(subject, random.size(least, most)))
        .collect();
    let mut rounds = 0_usize;
    let begin = Instant::now();
    while rounds < 60_000 && (!rounds.is_multiple_of(1000) || begin.elapsed() < PATIENCE / 8) {
        let which = random.below(slots.len());
        if let Some(slot) = slots.get_mut(which) {
            let new = allocate(subject, random.size(least, most));
            free(subject, core::mem::replace(slot, new));
        }
        rounds += 1;
    }
    let time = each(begin, rounds);
    slots.into_iter().for_each(|held| free(subject, held));
    time
}

/// What a vector does: double, eight of them in turn; for one step.
fn growing<A: GlobalAlloc>(subject: &A) -> f64 {
    const ROUNDS: usize = 60;
    let begin = Instant::now();
    let mut steps = 0;
    for _ in 0..ROUNDS {
        let mut held: Vec<Held> = (0..8)
            .map(|_| allocate(subject, Layout::new::<[u64; 2]>()))
            .collect();
        for _ in 4..16 {
            for held in &mut held {
                let size = held.layout.size() * 2;
                // SAFETY: it came from `allocate` with this layout; the size is not zero.
                let start = unsafe { subject.realloc(held.start.as_ptr(), held.layout, size) };
                held.start = NonNull::new(start).expect("each has memory enough");
                held.layout = Layout::from_size_align(size, 8).unwrap_or(held.layout);
                steps += 1;
            }
        }
        held.into_iter().for_each(|held| free(subject, held));
    }
    each(begin, steps)
}

/// How long each call takes, in nanoseconds, at random lifetimes; with what
/// it costs to look at the clock.
fn latencies<A: GlobalAlloc>(subject: &A) -> Vec<u64> {
    const MOST: usize = 400_000;
    let mut random = Random::new(3);
    let mut slots: Vec<Option<Held>> = (0..4000).map(|_| None).collect();
    let mut times = Vec::with_capacity(MOST);
    let begin = Instant::now();
    while times.len() < MOST && begin.elapsed() < PATIENCE * 2 {
        let layout = random.size(8, 4096);
        let which = random.below(slots.len());
        let Some(slot) = slots.get_mut(which) else {
            continue;
        };
        let before = Instant::now();
        match slot.take() {
            Some(held) => free(subject, held),
            None => *slot = Some(allocate(subject, layout)),
        }
        // CAST: a few nanoseconds.
        times.push(before.elapsed().as_nanos() as u64);
    }
    slots
        .into_iter()
        .flatten()
        .for_each(|held| free(subject, held));
    times
}

/// The memory that the process has while the sizes that it asks for change:
/// the same number of bytes in ever other objects.
fn memory<A: GlobalAlloc>(who: &str, subject: &A) -> Vec<Sample> {
    const LIVE: usize = 16 << 20;
    const ROUNDS: usize = 40;
    let mut random = Random::new(4);
    let mut held: Vec<Held> = Vec::with_capacity(1 << 20);
    let mut live = 0;
    let mut values = Vec::new();
    let mut asked = Vec::new();
    let before = resident();
    let begin = Instant::now();
    for round in 0..ROUNDS {
        // Small, middling, large, mixed; then again.
        let (least, most) = [(16, 128), (128, 1024), (1024, 16_384), (16, 16_384)][round / 5 % 4];
        for _ in 0..20_000 {
            let layout = random.size(least, most);
            while live + layout.size() > LIVE {
                let which = random.below(held.len());
                let old = held.swap_remove(which);
                live -= old.layout.size();
                free(subject, old);
            }
            live += layout.size();
            held.push(allocate(subject, layout));
        }
        values.push((resident() - before) / f64::from(1 << 20));
        asked.push(live as f64 / f64::from(1 << 20));
        if begin.elapsed() > PATIENCE * 8 {
            break;
        }
    }
    held.into_iter().for_each(|held| free(subject, held));
    let sample = |who: &str, values| Sample {
        group: MEMORY.to_owned(),
        who: who.to_owned(),
        values,
    };
    let mut samples = vec![sample(who, values)];
    if who == crate::subjects::SYSTEM {
        samples.push(sample("asked for", asked));
    }
    samples
}

/// Bytes of memory that this process has.
fn resident() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(f64::NAN);
    pages * 4096.0
}
