//! `cargo xtask bench sync`: measures `ochre-sync` beside its peers, then
//! prints, keeps and draws what was found.
//!
//! Everything is measured in several rounds, so that the peers take turns, and a
//! disturbance falls on all of them. A part that is measured alone replaces its
//! rows in what is kept.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context as _, Result, bail};
use ochre_tool::paths;

use crate::run;

/// How often everything is measured.
const ROUNDS: u32 = 3;

/// What the command line says.
struct Options {
    date: Option<OsString>,
    only: Option<OsString>,
    rounds: u32,
}

fn parse(args: &[OsString]) -> Result<Options> {
    let mut options = Options {
        date: None,
        only: None,
        rounds: ROUNDS,
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
        } else {
            bail!(
                "usage: cargo xtask bench sync [--only PART OF A NAME] [--rounds N] [--date YYYY-MM-DD]"
            );
        }
    }
    Ok(options)
}

/// Measures; `args` are '--only PART', '--rounds N' and '--date YYYY-MM-DD'.
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
    for round in 1..=options.rounds {
        run::cargo(["bench"])?
            .env("CRITERION_HOME", measured.join(format!("round-{round}")))
            .args(package)
            .args(["--bench", "sync", "--", "--quiet"])
            .args(&options.only)
            .run()?;
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

/// The date, as results are filed under it.
pub(crate) fn today() -> Result<OsString> {
    let output = run::program("date", ["-u", "+%F"])?.output()?;
    Ok(output.trim().into())
}

#[cfg(test)]
mod tests {
    use super::{ROUNDS, parse};
    use std::ffi::OsString;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_part_and_a_number_of_rounds_are_understood() {
        let options = parse(&words("--only mutex --rounds 5")).expect("understood");
        assert_eq!(options.only, Some("mutex".into()));
        assert_eq!((options.rounds, options.date), (5, None));
        assert_eq!(parse(&[]).expect("understood").rounds, ROUNDS);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["--only", "mutex", "--rounds many"] {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }
}
