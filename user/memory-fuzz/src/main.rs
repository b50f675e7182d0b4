//! Random sequences of memory calls, each from a seed: what they answer, what
//! the mappings are in the end, and what is in them.
//!
//! `memory-fuzz FIRST COUNT` runs the sequences of so many seeds and prints
//! the hash of each one's trace, a line each; `memory-fuzz each SEED...` does so
//! with seeds that are alone in their processes. `memory-fuzz trace SEED [SKIP...]`
//! prints the trace of one, the steps with these numbers left out: a step is
//! made from the seed and its own number, so the others stay what they are.
//! `memory-fuzz after FIRST SEED` runs the sequences before it first. With
//! `older` before all that, nothing is asked that Linux 6.1 answers otherwise
//! than what is there now.
//!
//! Traces are the same on every run and on every kernel that does what Linux
//! does: addresses are told by their distance from places that the program
//! knows, and nothing is asked whose answer Linux leaves open.

#![expect(
    unsafe_code,
    reason = "system calls and loads that fault are what is tested; all of it is in sys.rs, arch.rs and heap.rs"
)]

mod arch;
mod arena;
mod heap;
mod later;
mod random;
mod steps;
mod sys;

use core::fmt::Write as _;
use core::ops::Range;
use std::process::ExitCode;

use arena::Arena;
use random::Random;

/// Sequences that one process runs.
const AT_ONCE: u64 = 256;

/// The most steps of a sequence.
const STEPS: u64 = 18;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Some(()) => ExitCode::SUCCESS,
        None => {
            eprintln!(
                "usage: memory-fuzz [older] FIRST COUNT | each SEED... | after FIRST SEED | trace SEED [SKIP...]"
            );
            ExitCode::from(2)
        }
    }
}

fn run(words: &[&str]) -> Option<()> {
    let (is_older, words) = match words {
        ["older", rest @ ..] => (true, rest),
        _ => (false, words),
    };
    let prepare = || Arena::prepare(is_older);
    match words {
        ["trace", seed, skipped @ ..] => {
            let seed = seed.parse().ok()?;
            let skipped: Option<Vec<u64>> = skipped.iter().map(|one| one.parse().ok()).collect();
            let skipped = skipped?;
            let mut arena = prepare();
            sys::print(&sequence(&mut arena, seed, &skipped, true));
        }
        ["each", seeds @ ..] => {
            let mut arena = prepare();
            for seed in seeds {
                let seed = seed.parse().ok()?;
                if !hashes(&mut arena, seed..seed + 1) {
                    return None;
                }
            }
        }
        ["after", first, seed] => {
            let (first, seed): (u64, u64) = (first.parse().ok()?, seed.parse().ok()?);
            let mut arena = prepare();
            arena.in_child(|arena| {
                for before in first.max(seed - seed % AT_ONCE)..seed {
                    sequence(arena, before, &[], false);
                }
                sys::print(&sequence(arena, seed, &[], true));
            });
        }
        [first, count] => {
            let (first, count): (u64, u64) = (first.parse().ok()?, count.parse().ok()?);
            let mut arena = prepare();
            let end = first.saturating_add(count);
            let mut next = first;
            while next < end {
                // In groups that begin where they always do.
                let stop = (next - next % AT_ONCE).saturating_add(AT_ONCE).min(end);
                if !hashes(&mut arena, next..stop) {
                    return None;
                }
                next = stop;
            }
        }
        _ => return None,
    }
    Some(())
}

/// Prints the hashes of these seeds' traces from a child that runs them all;
/// whether it came to its end.
fn hashes(arena: &mut Arena, seeds: Range<u64>) -> bool {
    arena.in_child(|arena| {
        let mut lines = String::new();
        for seed in seeds {
            let hash = hash(&sequence(arena, seed, &[], false));
            let _ = writeln!(lines, "{hash:016x}");
        }
        sys::print(&lines);
    })
}

/// One sequence of so many begins with a huge page around the window.
const WITH_HUGE: u64 = 8;

/// Runs the sequence of a seed; the trace. `each` shows the mappings after
/// each step instead of at the end only.
fn sequence(arena: &mut Arena, seed: u64, skipped: &[u64], each: bool) -> String {
    let mut trace = String::new();
    let mut random = Random::new(seed);
    let steps = 4 + random.below(STEPS - 3);
    arena.begin(&mut random);
    if seed.is_multiple_of(WITH_HUGE) {
        steps::huge(arena, &mut trace);
    }
    for number in 0..steps {
        if skipped.contains(&number) {
            continue;
        }
        let mut random = Random::new(seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let _ = write!(trace, "{number}: ");
        if seed < later::FIRST {
            steps::one(arena, &mut random, number, &mut trace);
        } else {
            later::one(arena, &mut random, number, 0, &mut trace);
        }
        trace.push('\n');
        if each {
            let before = trace.len();
            arena.show_areas(&mut trace);
            let areas = trace.split_off(before);
            for line in areas.lines() {
                let _ = writeln!(trace, "      {line}");
            }
        }
    }
    arena.show_areas(&mut trace);
    arena.show_content(&mut trace);
    arena.end();
    trace
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
