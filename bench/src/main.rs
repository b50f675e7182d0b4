//! Benchmarks: Ochre beside Debian's kernel, in one run, in the same emulator, from the same archive.
//!
//! `cargo xtask bench` runs this in release mode. It boots each kernel several
//! times with the program `user/bench-guest` as process 1, once more with time
//! counted in instructions, once with a shell to see what memory is left at
//! its prompt, and prints a table with a mark for each target. What was
//! measured is kept under `bench/results` as data.
//!
//! [`machines`] boots, [`sample`] reads and condenses, [`rows`] knows what is
//! measured and what it should be, [`report`] writes.
#![forbid(unsafe_code)]

mod machines;
mod report;
mod rows;
mod sample;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::Parser;
use ochre_tool::{Machine, paths};

use crate::{
    machines::{Bench, System},
    report::Report,
    sample::Samples,
};

/// Measures Ochre beside Debian's kernel and prints a table.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", version)]
struct Options {
    /// How often each kernel boots for each measurement
    #[arg(long, default_value_t = 5, value_name = "N")]
    boots: u32,
    /// The kind of machine
    #[arg(long, value_enum, default_value_t = Machine::Microvm)]
    machine: Machine,
    /// Skip time in the wall clock's nanoseconds
    #[arg(long)]
    no_wall: bool,
    /// Skip time in instructions
    #[arg(long)]
    no_counted: bool,
    /// Measure one system only
    #[arg(long, value_enum)]
    only: Option<System>,
    /// The date that the results are filed under; otherwise today's
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    /// Keep the results in this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Fail if a target is missed
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let systems: Vec<System> = match options.only {
        Some(system) => vec![system],
        None => vec![System::Linux, System::Ochre],
    };
    let bench = Bench::new(options.machine, &systems)?;
    let mut samples = Samples::default();
    // Systems take turns, so that a busy minute of the host harms both.
    for boot in 1..=options.boots {
        for &system in &systems {
            ochre_tool::report::say(format!("{system}: boot {boot} of {}", options.boots));
            samples.add(system, bench.boot(system)?);
            if !options.no_wall {
                samples.add(system, bench.rows(system)?);
            }
        }
    }
    for &system in &systems {
        samples.add(system, bench.memory(system)?);
        samples.add(system, bench.image(system)?);
        if !options.no_counted {
            // Twice: equal figures show that they repeat exactly.
            for _ in 0..2 {
                ochre_tool::report::say(format!("{system}: counting instructions"));
                samples.add(system, bench.counted(system)?);
            }
        }
    }
    let report = Report::new(&samples, options.date.clone())?;
    print!("{}", report.markdown());
    let path = match &options.output {
        Some(path) => path.clone(),
        None => paths::workspace()?
            .join("bench/results")
            .join(report.file_name()),
    };
    report.save(&path)?;
    ochre_tool::report::say(format!("kept in {}", path.display()));
    if options.strict && report.missed() > 0 {
        bail!("{} targets are missed", report.missed());
    }
    Ok(())
}
