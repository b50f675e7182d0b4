//! Benchmarks: Ochre beside Debian's kernel, in one run, in the same emulator, from the same archive.
//!
//! `cargo xtask bench` runs this in release mode. It boots each kernel several
//! times with the program `user/bench-guest` as process 1, once more with time
//! counted in instructions, once with a shell to see what memory is left at
//! its prompt, and prints a table with a mark for each target. What was
//! measured is kept under `bench/results` as data.
//!
//! [`measure`] says in which order, [`machines`] boots what [`roots`] packs, [`sample`] reads and condenses, [`rows`] knows what is
//! measured and what it should be, [`report`] writes.
#![forbid(unsafe_code)]

mod machines;
mod measure;
mod report;
mod roots;
mod rows;
mod sample;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail, ensure};
use clap::Parser;
use ochre_tool::{Arch, Machine, paths, report::say};

use crate::{
    machines::{Bench, Platform, System},
    measure::Measuring,
    report::{Heading, Report},
    rows::Group,
};

/// Measures Ochre beside Debian's kernel and prints a table.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", version)]
struct Options {
    /// Measure this only
    #[arg(value_enum)]
    group: Option<Group>,
    /// How often each kernel boots for each measurement
    #[arg(long, default_value_t = 5, value_name = "N")]
    boots: u32,
    /// The kind of machine
    #[arg(long, value_enum, default_value_t = Machine::Microvm)]
    machine: Machine,
    /// Architecture: x86_64, or aarch64 (which is the machine `virt`)
    #[arg(long, value_enum, conflicts_with = "machine")]
    arch: Option<Arch>,
    /// Another processor than cortex-a57 (AArch64), like max,pauth-impdef=on
    #[arg(long, value_name = "MODEL", requires = "arch")]
    cpu: Option<String>,
    /// Skip time in the wall clock's nanoseconds
    #[arg(long)]
    no_wall: bool,
    /// Skip time in instructions
    #[arg(long)]
    no_counted: bool,
    /// Measure one system only
    #[arg(long, value_enum)]
    only: Option<System>,
    /// Measure this row only, by its name in the data without the clock in
    /// front (`stat`); may be given several times
    #[arg(long, value_name = "NAME")]
    row: Vec<String>,
    /// Measure threads with so many processors only
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = rows::PROCESSORS)]
    processors: Vec<u32>,
    /// Leave blocked threads out
    #[arg(long)]
    no_blocked: bool,
    /// Take what is not measured from the file that the results are kept in:
    /// for measuring in pieces. The file has to be of the same commit
    #[arg(long)]
    add: bool,
    /// The date that the results are filed under; otherwise today's
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    /// Keep the results in this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put the tables of what is measured into docs/measured.md, or
    /// docs/measured-aarch64.md, in place of those there
    #[arg(long)]
    write: bool,
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
    let wanted = |group| options.group.is_none_or(|only| only == group);
    let machine = options.arch.map_or(options.machine, Machine::usual);
    let platform = Platform::new(machine, options.cpu.clone());
    let bench = Bench::new(platform, &systems, wanted, &options.row)?;
    let heading = Heading::new(options.date.clone(), platform)?;
    let path = match &options.output {
        Some(path) => path.clone(),
        None => paths::workspace()?
            .join("bench/results")
            .join(heading.file_name()),
    };
    // What is kept is looked at first, so that nothing is measured in vain.
    let kept = match options.add && path.exists() {
        true => Some(heading.read(&path)?),
        false => None,
    };
    let mut measuring = Measuring::new(&bench, &systems, options);
    if wanted(Group::Calls) {
        measuring.calls()?;
    }
    if wanted(Group::Threads) {
        measuring.threads()?;
    }
    if wanted(Group::Memory) {
        measuring.memory()?;
    }
    let is_pc = machine.arch() == Arch::X86_64;
    ensure!(
        is_pc || options.group != Some(Group::Console),
        "terminals are those of a PC: --arch x86_64"
    );
    if is_pc && wanted(Group::Console) {
        measuring.console()?;
    }
    let mut samples = measuring.into_samples();
    if let Some(row) = options.row.iter().find(|row| !samples.has_row(row)) {
        bail!(
            "no row {row} was measured: the names are those in bench/results/*.csv, behind the `:`"
        );
    }
    if let Some(kept) = kept {
        samples.add_kept(&kept)?;
    }
    let report = Report::new(&samples, heading);
    print!("{}", report.markdown());
    if options.write {
        report.write(&paths::workspace()?.join("docs"))?;
    }
    report.save(&path)?;
    say(format!("kept in {}", path.display()));
    if options.strict && report.missed() > 0 {
        bail!("{} targets are missed", report.missed());
    }
    Ok(())
}
