//! The rows of stress-ng's stressors of memory: whole runs, from its start to its end.
//!
//! Each has two workers, which do so many operations (stress-ng's "bogo
//! operations") and check what they find (`--verify`). The same seed makes them
//! draw the same random numbers on any kernel. A run counts only if stress-ng
//! says that it succeeded, that no check failed, and that each operation was
//! done.

use core::ffi::CStr;
use std::{ffi::CString, fs};

use crate::{are_online, clock, row, say, sys};

/// What all runs are told.
const ALL: &str = "/usr/bin/stress-ng --verify --seed 1 --metrics-brief --temp-path /tmp";

/// Where a run says how it went.
const LOG: &CStr = c"/stress.log";

/// A row.
struct Stressor {
    /// Its name in the data.
    row: &'static str,
    /// stress-ng's name of it.
    name: &'static str,
    /// How many operations its workers do, together.
    operations: u32,
    /// More words.
    words: &'static str,
}

/// All of them.
const STRESSORS: [Stressor; 8] = [
    stressor("stress_vm", "vm", 20_000, "--vm-bytes 2M"),
    stressor("stress_mmap", "mmap", 20, "--mmap-bytes 1M"),
    stressor("stress_brk", "brk", 10_000, ""),
    stressor("stress_stack", "stack", 600, ""),
    stressor("stress_mremap", "mremap", 100, "--mremap-bytes 1M"),
    stressor("stress_madvise", "madvise", 10, ""),
    stressor("stress_fault", "fault", 2_000, ""),
    stressor("stress_page_in", "mmap", 20, "--mmap-bytes 1M --page-in"),
];

const fn stressor(
    row: &'static str,
    name: &'static str,
    operations: u32,
    words: &'static str,
) -> Stressor {
    Stressor {
        row,
        name,
        operations,
        words,
    }
}

/// Measures and prints all of them, with this many processors.
pub(crate) fn run(processors: usize) {
    sys::mount(c"devtmpfs", c"/dev");
    sys::mount(c"proc", c"/proc");
    if !are_online(processors) {
        return;
    }
    for stressor in &STRESSORS {
        row(stressor.row, || stressor.run());
    }
}

impl Stressor {
    /// What a run takes, in ticks.
    fn run(&self) -> f64 {
        let (name, operations) = (self.name, self.operations);
        let line = format!("{ALL} --{name} 2 --{name}-ops {operations} {}", self.words);
        let words: Vec<CString> = line
            .split_whitespace()
            .map(|word| CString::new(word).expect("no null in a word"))
            .collect();
        let words: Vec<_> = words.iter().map(CString::as_c_str).collect();
        // Recursing deeper, it sleeps for a second each time.
        let is_awake = name == "stack";
        let mut status = 0;
        let took = clock::once(|| status = sys::run_logged(&words, LOG, is_awake));
        let log = fs::read_to_string("/stress.log").unwrap_or_default();
        if let Err(why) = succeeded(status, &log, name, operations) {
            say(&log);
            panic!("{line}: {why}");
        }
        took
    }
}

/// Whether a run did all that it was told.
fn succeeded(status: i32, log: &str, name: &str, operations: u32) -> Result<(), String> {
    if status != 0 {
        return Err(format!("wait status {status}"));
    }
    if log.contains("fail:") || !log.contains("successful run completed") {
        return Err("a check failed".to_owned());
    }
    // stress-ng: metrc: [PID] NAME OPERATIONS SECONDS ...
    let done = log.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != name);
        words.next()?;
        words.next()?.parse::<u32>().ok()
    });
    match done {
        Some(done) if done >= operations => Ok(()),
        done => Err(format!("{done:?} operations of {operations}")),
    }
}
