//! `cargo xtask bench sync`: measures `ochre-sync` beside its peers, then
//! prints, keeps and draws what was found.
//!
//! Everything is measured in several rounds, so that the peers take turns, and a
//! disturbance falls on all of them. A part that is measured alone replaces its
//! rows in what is kept.

use core::time::Duration;
use std::ffi::OsString;
use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tool::paths;

use crate::run;

/// How often everything is measured.
const ROUNDS: u32 = 3;

/// No round begins that would not end within this time, but for the first.
const MINUTES: u64 = 15;

/// What the command line says.
struct Options {
    minutes: u64,
    date: Option<OsString>,
    only: Option<OsString>,
    rounds: u32,
}

fn parse(args: &[OsString]) -> Result<Options> {
    let mut options = Options {
        date: None,
        only: None,
        rounds: ROUNDS,
        minutes: MINUTES,
    };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            let value = words.next().cloned();
            value.with_context(|| format!("{} wants a value", word.display()))
        };
        if word == "--date" {
            options.date = Some(value()?);
        } else if word == "--only" {
            options.only = Some(value()?);
        } else if word == "--rounds" {
            options.rounds = value()?.to_string_lossy().parse()?;
        } else if word == "--minutes" {
            options.minutes = value()?.to_string_lossy().parse()?;
        } else {
            bail!(
                "usage: cargo xtask bench sync [--only PART OF A NAME] [--rounds N] [--minutes N] [--date YYYY-MM-DD]"
            );
        }
    }
    Ok(options)
}

/// Measures; `args` are '--only PART', '--rounds N', '--minutes N' and
/// '--date YYYY-MM-DD'.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    let options = parse(args)?;
    let date = match options.date {
        Some(date) => date,
        None => today()?,
    };
    let package = ["--package", "ochre-bench-sync"];
    let measured = paths::target()?.join("bench-sync");
    if measured.exists() {
        fs::remove_dir_all(&measured).with_context(|| measured.display().to_string())?;
    }
    let bench = |more: &str| {
        let bench = run::cargo(["bench"])?.args(package);
        let bench = bench.args(["--bench", "sync", "--", "--quiet", more]);
        Ok::<_, anyhow::Error>(bench.args(&options.only))
    };
    let list = bench("--list")?.output()?;
    let rows = list.lines().filter(|line| line.ends_with(": benchmark"));
    let mut progress = Progress::new(rows.count(), options.rounds)?;
    let limit = Duration::from_secs(options.minutes.saturating_mul(60));
    for round in 1..=options.rounds {
        let done = round - 1;
        if !has_time(progress.start.elapsed(), done, limit) {
            println!(
                "{done} rounds instead of {}: one more would take too long",
                options.rounds
            );
            break;
        }
        bench("--noplot")?
            .env("CRITERION_HOME", measured.join(format!("round-{round}")))
            .lines(|line| {
                if line.contains(" time: ") {
                    println!("{line} {}", progress.step());
                } else {
                    println!("{line}");
                }
            })?;
    }
    let mut keep = run::cargo(["run", "--quiet"])?
        .args(package)
        .args(["--", "--measured"])
        .args([&measured])
        .args(["--date"])
        .args([date]);
    if options.only.is_some() {
        keep = keep.args(["--merge"]);
    }
    keep.run()
}

/// Whether one more round ends within the limit, if it takes as long as those
/// before.
fn has_time(elapsed: Duration, done: u32, limit: Duration) -> bool {
    done == 0 || elapsed / done * (done + 1) <= limit
}

/// How far a measurement is, as all rows take about as long.
struct Progress {
    done: usize,
    all: usize,
    start: Instant,
}

impl Progress {
    fn new(rows: usize, rounds: u32) -> Result<Progress> {
        ensure!(rows > 0, "no row has a name like that");
        Ok(Progress {
            done: 0,
            all: rows * rounds as usize,
            start: Instant::now(),
        })
    }

    /// One more row is measured.
    fn step(&mut self) -> String {
        self.done += 1;
        self.tell(self.start.elapsed())
    }

    fn tell(&self, elapsed: Duration) -> String {
        let left = self.all.saturating_sub(self.done);
        let left = elapsed.as_secs_f64() * left as f64 / self.done as f64;
        let (minutes, seconds) = (left as u64 / 60, left as u64 % 60);
        format!(
            "[{} of {}, about {minutes}:{seconds:02} left]",
            self.done, self.all
        )
    }
}

/// The date, as results are filed under it.
pub(crate) fn today() -> Result<OsString> {
    let output = run::program("date", ["-u", "+%F"])?.output()?;
    Ok(output.trim().into())
}

#[cfg(test)]
mod tests {
    use super::{MINUTES, Progress, ROUNDS, has_time, parse};
    use core::time::Duration;
    use std::ffi::OsString;
    use std::time::Instant;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_part_and_a_number_of_rounds_are_understood() {
        let options = parse(&words("--only mutex --rounds 5")).expect("understood");
        assert_eq!(options.only, Some("mutex".into()));
        assert_eq!((options.rounds, options.date), (5, None));
        let options = parse(&[]).expect("understood");
        assert_eq!((options.rounds, options.minutes), (ROUNDS, MINUTES));
        let options = parse(&words("--minutes 2")).expect("understood");
        assert_eq!(options.minutes, 2);
    }

    #[test]
    fn no_round_begins_that_would_not_end_in_time() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert!(
            has_time(minutes(40), 0, minutes(15)),
            "one round in any case"
        );
        assert!(has_time(minutes(10), 2, minutes(15)));
        assert!(!has_time(minutes(11), 2, minutes(15)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["--only", "mutex", "--rounds many", "--minutes"] {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }
    #[test]
    fn what_is_left_is_told_from_what_is_done() {
        let progress = Progress {
            done: 10,
            all: 40,
            start: Instant::now(),
        };
        let said = progress.tell(Duration::from_secs(25));
        assert_eq!(said, "[10 of 40, about 1:15 left]");
        assert!(Progress::new(0, 3).is_err(), "nothing to measure");
    }
}
