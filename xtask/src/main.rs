//! Developers' commands: everything CI runs is one of them, and each runs on a laptop.
#![forbid(unsafe_code)]

mod allocations;
mod bench_alloc;
mod bench_sync;
mod check;
mod count_unsafe;
mod docs;
mod example;
mod fuzz;
mod measured;
mod metadata;
mod model;
mod run;
mod sources;
mod stressors;
mod syscalls;
mod tidy;
mod weaken;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use ochre_tool::Arch;

use weaken::Share;

/// Developers' commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Formatting, lints for the host and the kernel's target, tidy, documentation
    Check,
    /// All tests: the same as 'cargo test'
    Test {
        /// Only on machines of this architecture, and there all: x86_64,
        /// aarch64, or all for both
        #[arg(long, value_parser = ["x86_64", "aarch64", "all"])]
        arch: Option<String>,
        /// Passed on to 'cargo test'
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Runs one of the programs in examples/ on the bare machine
    Example {
        /// Its name: hello, rtc
        name: String,
        /// The machine's architecture
        #[arg(long, value_enum, default_value_t)]
        arch: Arch,
    },
    /// The tests of the lib crates with unsafe code under Miri (needs a nightly toolchain)
    Miri {
        /// Only these crates, like ochre-sync
        crates: Vec<String>,
        /// How many schedules of each program to try
        #[arg(long, default_value_t = 1, value_name = "N")]
        seeds: u32,
    },
    /// The loom tests of the lib crates
    Loom {
        /// Only these crates, like ochre-sync
        crates: Vec<String>,
        /// The negative control: weaken each ordering in turn; some model must fail
        #[arg(long)]
        weaken: bool,
        /// With '--weaken', only places whose name contains this, like channel/
        #[arg(long, value_name = "TEXT", requires = "weaken")]
        only: Option<String>,
        /// With '--weaken', only each Nth of the places
        #[arg(long, value_name = "N", default_value_t = 1, requires = "weaken")]
        every: usize,
        /// With '--every', which share: of 12, 0 to 11; larger numbers begin anew
        #[arg(long, value_name = "N", default_value_t = 0, requires = "weaken")]
        share: usize,
    },
    /// Compositions of the lib crates' locks under many random schedules
    Shuttle {
        /// Only these crates, like ochre-sync
        crates: Vec<String>,
        /// How many schedules for each test
        #[arg(long, default_value_t = 1_000)]
        schedules: u32,
    },
    /// Random input: 'memory', sequences of memory calls on Linux and on Ochre;
    /// 'alloc', random programs for the allocators; 'device-tree', trees for
    /// their reader; 'terminal', hostile bytes
    Fuzz {
        /// What
        #[arg(value_parser = ["alloc", "device-tree", "memory", "terminal"])]
        what: String,
        /// The machine of 'memory': x86_64, beside the host's Linux, or
        /// aarch64, beside Debian's in the same QEMU
        #[arg(long, value_parser = ["x86_64", "aarch64"], default_value = "x86_64")]
        arch: String,
        /// The first seed of 'memory'
        #[arg(long, default_value_t = 1)]
        first: u64,
        /// How many sequences; of the others a tenth as many for each property
        #[arg(long, default_value_t = 100_000)]
        sequences: u64,
    },
    /// Benchmarks, beside Linux in the same emulator; 'sync' and 'alloc': our libraries beside their peers
    Bench {
        /// Passed on to the benchmarks; '--help' tells more
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Each stressor of Debian's stress-ng, for a few operations: what it says
    Stressors {
        /// Only these, like mmap
        names: Vec<String>,
        /// Number of processors
        #[arg(long, default_value_t = 2, value_name = "N")]
        smp: u32,
        /// All of them on one processor and on two; writes docs/stressors.md
        #[arg(long, conflicts_with_all = ["names", "smp"])]
        write: bool,
    },
    /// Lines and unsafe sites per crate of the kernel's image, dependencies included
    CountUnsafe,
    /// The rules of the house that no lint knows
    Tidy,
    /// Where the kernel allocates in a way that cannot fail politely
    Allocations {
        /// Write docs/allocations.md, which the rules of the house keep to
        #[arg(long)]
        write: bool,
        /// Where it does in calls of a program, measured in a guest
        #[arg(long, conflicts_with = "write")]
        measured: bool,
    },
    /// Writes docs/syscalls.md from the table of system calls
    Syscalls {
        /// Only say whether it is up to date
        #[arg(long)]
        check: bool,
    },
    /// The book and the documentation of every crate, as web pages
    Docs,
    /// What is there and what is missing on this host
    Doctor {
        /// Architecture of the guests: x86_64 or aarch64
        #[arg(long, value_enum, default_value_t)]
        arch: Arch,
    },
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Check => check::check()?,
        Command::Test { arch, args } => {
            let mut command = run::cargo(["test"])?.args(args);
            if let Some(arch) = arch {
                command = command.env("OCHRE_TEST_ARCH", arch);
            }
            command.run()?;
        }
        Command::Example { name, arch } => example::run(&name, arch)?,
        Command::Miri { crates, seeds } => model::miri(&crates, seeds)?,
        Command::Loom {
            crates,
            weaken: false,
            ..
        } => model::loom(&crates)?,
        Command::Loom {
            crates,
            only,
            every,
            share,
            ..
        } => model::weaken(
            &crates,
            only.as_deref(),
            Share {
                every,
                which: share,
            },
        )?,
        Command::Bench { args } if args.first().is_some_and(|first| first == "sync") => {
            bench_sync::run(args.get(1..).unwrap_or_default())?;
        }
        Command::Fuzz {
            what, sequences, ..
        } if what == "alloc" => fuzz::alloc(sequences / 10)?,
        Command::Fuzz {
            what, sequences, ..
        } if what == "terminal" => fuzz::terminal(sequences / 10)?,
        Command::Fuzz {
            what, sequences, ..
        } if what == "device-tree" => fuzz::device_tree(sequences)?,
        Command::Fuzz {
            arch,
            first,
            sequences,
            ..
        } => fuzz::memory(&arch, first, sequences)?,
        Command::Bench { args } if args.first().is_some_and(|first| first == "alloc") => {
            bench_alloc::run(args.get(1..).unwrap_or_default())?;
        }
        Command::Shuttle { crates, schedules } => model::shuttle(&crates, schedules)?,
        Command::Bench { args } => {
            run::cargo([
                "run",
                "--quiet",
                "--release",
                "--package",
                "ochre-bench",
                "--",
            ])?
            .args(args)
            .run()?;
        }
        Command::Stressors { write: true, .. } => stressors::write()?,
        Command::Stressors { names, smp, .. } => stressors::print(smp, &names)?,
        Command::CountUnsafe => count_unsafe::print()?,
        Command::Tidy => tidy::check()?,
        Command::Allocations { write: true, .. } => allocations::write()?,
        Command::Allocations { measured: true, .. } => measured::print()?,
        Command::Allocations { .. } => allocations::print()?,
        Command::Syscalls { check: true } => syscalls::check()?,
        Command::Syscalls { check: false } => syscalls::write()?,
        Command::Docs => docs::build()?,
        Command::Doctor { arch } => return Ok(ochre_tool::doctor::print(arch)),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use ochre_tests::book;
    use ochre_tool::cli;

    use super::Cli;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_book_has_commands_that_are_there() {
        for page in book::pages().unwrap() {
            for command in page.commands() {
                let Some(words) = command.text.strip_prefix("cargo xtask ") else {
                    continue;
                };
                let read = cli::check_words::<Cli>("cargo xtask", words.split_whitespace());
                if let Err(error) = read {
                    panic!("{}:{}: {error}", page.path.display(), command.line);
                }
            }
        }
    }
}
