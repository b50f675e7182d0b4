//! The programs in `examples/`, which have `hal` and nothing else, on every
//! machine; the clock that one of them reads is compared with the host's.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Arch, Case, Guest, Machine, Outcome, Running, architectures, describe, prefix};
use ochre_tool::kernel_build;

/// How long one may take, and how long until it says something.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What the host's clock and the guest's may differ by: a second's fraction
/// each, and the way of the words.
const SLACK: u64 = 3;

fn main() -> ExitCode {
    let cases = architectures().flat_map(|arch| {
        let name = |name: &str| format!("{}{name}", prefix(arch));
        [
            Case::new(name("hello"), move || hello(arch)),
            Case::new(name("rtc"), move || rtc(arch)),
        ]
    });
    ochre_tests::run(cases.collect())
}

fn start(arch: Arch, name: &str) -> Result<Running> {
    Guest::with_kernel(kernel_build::build_example(arch, name)?)
        .machine(Machine::usual(arch))
        .console(24, 80)
        .patience(TIMEOUT)
        .start()
}

/// The end was the program's own, not a panic's.
fn ended(outcome: &Outcome) -> Result<()> {
    let panicked = outcome.log.contains("panicked");
    ensure!(!panicked, "{}", describe(outcome));
    Ok(())
}

fn hello(arch: Arch) -> Result<()> {
    let mut running = start(arch, "hello")?;
    for words in [
        "Hello from the bare machine.",
        "on the heap: [1, 4, 9, 16, 25]",
        " MiB of memory",
        "tick 3",
        "the end",
    ] {
        running.expect(words, TIMEOUT)?;
    }
    ended(&running.wait()?)
}

/// Seconds since 1970 on the host.
fn host() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn rtc(arch: Arch) -> Result<()> {
    let mut running = start(arch, "rtc")?;
    let mut last = 0;
    for (what, wait) in [("INFO", 0), ("matched", 3), ("interrupted", 3)] {
        running.expect(what, TIMEOUT)?;
        let line = running.expect(" UTC", TIMEOUT)?;
        let now = host()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let (seconds, words) = line
            .trim_start_matches(|c: char| !c.is_ascii_digit())
            .split_once(": ")
            .with_context(|| format!("no seconds in {line:?}"))?;
        let seconds: u64 = seconds.parse().with_context(|| line.clone())?;
        ensure!(
            seconds.abs_diff(now) <= SLACK,
            "after {what} it is {seconds} there and {now} here"
        );
        ensure!(
            last == 0 || seconds >= last + wait,
            "{what} after {} s instead of {wait}",
            seconds - last
        );
        let year = seconds / 31_556_952 + 1970;
        ensure!(
            words.contains(&format!(" {year}, ")) && words.contains("day, "),
            "not in words: {words}"
        );
        last = seconds;
    }
    ended(&running.wait()?)
}
