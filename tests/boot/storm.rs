//! Two processors log from their interrupts without end: each line is on the
//! log, whole, or counted among those left out, however late the log is read.

use core::time::Duration;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Result, ensure};
use ochre_tests::{Arch, Case, Guest, Machine, QemuExit, describe, ended_on, prefix, test_kernel};

use crate::TIMEOUT;

/// What `kernel/src/boottest/storm.rs` logs on two processors.
const LINES: u64 = 2 * 200 * 50;

/// How often a late reader is late, and by how much: what is on the way to it
/// then is less than a kilobyte.
const DELAYS: usize = 8;
const DELAY: Duration = Duration::from_millis(500);

pub(super) fn cases(arch: Arch) -> impl Iterator<Item = Case> {
    [
        ("a storm of log lines", 0),
        ("a storm of log lines, read late", DELAYS),
    ]
    .into_iter()
    .map(move |(name, delays)| {
        Case::new(format!("{}{name}", prefix(arch)), move || {
            storm(arch, delays)
        })
    })
}

/// The log, read as a busy host reads it.
struct Late {
    log: Arc<Mutex<Vec<u8>>>,
    delays: usize,
}

impl Write for Late {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(left) = self.delays.checked_sub(1) {
            self.delays = left;
            thread::sleep(DELAY);
        }
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn storm(arch: Arch, delays: usize) -> Result<()> {
    let log = Arc::default();
    let late = Late {
        log: Arc::clone(&log),
        delays,
    };
    let outcome = Guest::with_kernel(test_kernel(arch)?)
        .machine(Machine::usual(arch))
        .processors(2)
        .words("ochre.boottest=log-storm")
        .log_to(Box::new(late))
        .patience(TIMEOUT)
        .run()?;
    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let log = String::from_utf8_lossy(&log);
    let said = log
        .lines()
        .filter_map(|line| Some(line.split_once(" WARN  ")?.1));
    let (mut there, mut left_out, mut others) = (0, 0, Vec::new());
    for text in said {
        let count = text.strip_prefix("log: ").and_then(|told| {
            let count = told.strip_suffix(" lines left out")?;
            count.parse::<u64>().ok()
        });
        match count {
            Some(count) => left_out += count,
            None if is_line(text) => there += 1,
            None => others.push(text),
        }
    }
    ensure!(
        left_out > 0 && there + left_out == LINES && others == ["the storm is over"],
        "{there} lines, {left_out} left out, and {others:#?}\n{}",
        describe(&outcome)
    );
    ended_on(arch, &outcome, QemuExit::Ordered)
}

/// Whether this is what a processor says.
fn is_line(text: &str) -> bool {
    let numbers = text
        .strip_prefix("storm on processor ")
        .and_then(|numbers| numbers.split_once(": "));
    let number = |text: &str| text.parse::<u32>().ok();
    numbers.is_some_and(|(processor, line)| {
        number(processor).is_some_and(|processor| processor < 2)
            && number(line).is_some_and(|line| line < 50)
    })
}
