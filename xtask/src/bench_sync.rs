//! `cargo xtask bench sync`: measures `ochre-sync` beside its peers, then
//! prints, keeps and draws what was found.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::run;

/// Measures; `args` are '--date YYYY-MM-DD' and a part of the names to measure.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    let (mut date, mut filters) = (None, Vec::new());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if word == "--date" {
            date = words.next().cloned();
            if date.is_none() {
                bail!("--date wants a date, like 2026-01-31");
            }
        } else if word.to_string_lossy().starts_with('-') {
            bail!("usage: cargo xtask bench sync [--date YYYY-MM-DD] [PART OF A NAME]");
        } else {
            filters.push(word.clone());
        }
    }
    let date = match date {
        Some(date) => date,
        None => today()?,
    };
    let package = ["--package", "ochre-bench-sync"];
    run::cargo(["bench"])?
        .args(package)
        .args(["--bench", "sync", "--"])
        .args(filters)
        .run()?;
    run::cargo(["run", "--quiet"])?
        .args(package)
        .args(["--", "--date"])
        .args([date])
        .run()
}

fn today() -> Result<OsString> {
    let output = run::program("date", ["-u", "+%F"])?.output()?;
    Ok(output.trim().into())
}
