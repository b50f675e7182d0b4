//! The command line of `ochre`.

mod options;
mod run;
mod silence;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use self::options::{FileToPack, MachineOptions, Variable};
use crate::{arch::Arch, doctor, report, status, trace};

/// Runs Linux programs on the Ochre kernel, in a machine of their own.
///
/// Without a command: a shell in this terminal, or one that reads its commands
/// from a pipe.
#[derive(Debug, Parser)]
#[command(
    name = "ochre",
    version,
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES,
)]
struct Cli {
    #[command(flatten)]
    machine: MachineOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  ochre                               a shell; 'exit' or Ctrl-A x ends it
  echo 'uname -a; exit 7' | ochre     a shell that reads a pipe; ochre exits with 7
  ochre run ls -l /                   a program of this host, its libraries packed in
  ochre run --memory 64M --smp 2 -- python3 -c 'print(1)'
  ochre run --root ./rootfs /bin/sh   a program of a folder that is the guest's root
  ochre --display                     a shell on a screen in a window, or =vnc for a viewer
  ochre trace ls /                    the system calls that a program makes
  ochre profile ls -R /               where its time goes, as a flame graph

Exit status: that of the guest's program (128+n if signal n killed it);
124 if its time was up, 125 if the machine gave no status, 127 if the program
was not found. Keys, with a terminal: Ctrl-A x leaves at once, Ctrl-A a sends
Ctrl-A. What is missing (QEMU, the Rust target, busybox) is brought in on
Debian-like hosts; elsewhere you are told the command: see 'ochre doctor'.";

#[derive(Debug, Subcommand)]
enum Command {
    /// A shell in the guest, on busybox
    Shell(MachineOptions),
    /// Runs a program of this host, or of a folder, in a guest
    #[command(
        after_help = RUN_EXAMPLES,
        override_usage = "ochre run [OPTIONS] PROGRAM [ARGS]...",
    )]
    Run(RunOptions),
    /// Runs a program as `run` does and prints its system calls
    #[command(
        after_help = TRACE_EXAMPLES,
        override_usage = "ochre trace [OPTIONS] PROGRAM [ARGS]...",
    )]
    Trace(TraceOptions),
    /// Runs a program as `run` does and draws where its time went
    #[command(
        after_help = PROFILE_EXAMPLES,
        override_usage = "ochre profile [OPTIONS] PROGRAM [ARGS]...",
    )]
    Profile(ProfileOptions),
    /// Runs a program as `run` does, in a machine that gdb has in its hands
    #[command(
        after_help = DEBUG_EXAMPLES,
        override_usage = "ochre debug [OPTIONS] PROGRAM [ARGS]...",
    )]
    Debug(DebugOptions),
    /// Boots to a shell's prompt and draws where the time went
    BootChart(BootChartOptions),
    /// Says what is there and what is missing
    Doctor(DoctorOptions),
}

const RUN_EXAMPLES: &str = "\
PROGRAM is searched in PATH and put into the guest under the same path, with
its interpreter and the shared libraries that its ELF header names; busybox
serves all other commands. What it opens by itself is added with --file:

  ochre run --file /usr/lib/python3.11 python3 -c 'import json; print(json)'
  ochre run --file ./script.sh:/tmp/script.sh sh /tmp/script.sh
  seq 10 | ochre run --timeout 10 sort -rn | head -3

With --root DIR, DIR is the whole root file system and PROGRAM is inside it.";

const TRACE_EXAMPLES: &str = "\
Each call is a line on standard error, when it returns: name, arguments,
result, and the time it took by the guest's clock. With more than one thread
the line begins with the thread's number. A call that never returned has '= ?'.

  ochre trace ls /
  ochre trace --only openat,execve sh -c 'cat /etc/hosts | wc -l'
  ochre trace --count find / -name hosts
  ochre trace --output calls.txt python3 -c 'print(1)'";

#[derive(Debug, Args)]
struct DoctorOptions {
    /// Architecture of the guests: x86_64 or aarch64
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
}

#[derive(Debug, Args)]
struct TraceOptions {
    /// Write the calls to this file instead of standard error
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show calls of these names only, separated by commas
    #[arg(short = 'e', long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Count calls, errors and time instead of showing each call
    #[arg(short, long)]
    count: bool,
    #[command(flatten)]
    run: RunOptions,
}

impl TraceOptions {
    fn what(&self) -> trace::Options {
        trace::Options {
            only: self.only.clone(),
            count: self.count,
        }
    }
}

const PROFILE_EXAMPLES: &str = "\
Many times a second the kernel notes where each processor's program is: what
was called, by frame pointers, and which system call it waits for the kernel
in. Names come from the files that were packed; a program shows its callers if
it was compiled with frame pointers, and its own names if it was not stripped.
With --kernel the emulator stops the machine for each sample, which shows the
kernel's own functions, and programs as one.

  ochre profile sh -c 'i=0; while [ $i -lt 99999 ]; do i=$((i+1)); done'
  ochre profile --output find.svg --rate 2000 find / -name hosts
  ochre profile --kernel find / -name hosts";

#[derive(Debug, Args)]
struct ProfileOptions {
    /// Draw the flame graph into this file
    #[arg(short, long, value_name = "FILE", default_value = "profile.svg")]
    output: PathBuf,
    /// Samples a second, on each processor
    #[arg(long, value_name = "HZ", default_value_t = 499,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Show the kernel's own functions, and programs as one
    #[arg(long)]
    kernel: bool,
    #[command(flatten)]
    run: RunOptions,
}

const DEBUG_EXAMPLES: &str = "\
In a terminal, gdb starts here, with the kernel's symbols, at the kernel's
first safe function; the program has no input then, and its output comes
between gdb's. Leaving gdb ends the machine. Without a terminal, or with
--socket, the machine waits before its first instruction until a gdb connects,
and you are told the command for it; the program keeps its input and output.

  ochre debug ls /
  ochre debug --socket /tmp/gdb sh        # and in another terminal, what it says";

#[derive(Debug, Args)]
struct DebugOptions {
    /// Wait for a debugger at this socket instead of starting one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Args)]
struct BootChartOptions {
    /// Draw the chart into this file
    #[arg(short, long, value_name = "FILE", default_value = "boot.svg")]
    output: PathBuf,
    #[command(flatten)]
    machine: MachineOptions,
}

#[derive(Debug, Args)]
struct RunOptions {
    #[command(flatten)]
    machine: MachineOptions,
    /// Use this folder as the guest's root file system
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Set an environment variable, or pass this host's value of it
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<Variable>,
    /// Pack a file or folder of this host, at the same path or at GUEST
    #[arg(long, value_name = "HOST[:GUEST]")]
    file: Vec<FileToPack>,
    /// The directory to start in
    #[arg(long, value_name = "DIR", default_value = "/")]
    directory: PathBuf,
    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        value_name = "PROGRAM [ARGS]"
    )]
    command: Vec<OsString>,
}

/// The whole command: reads the arguments, does what they say, gives the exit
/// code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => run::shell(&cli.machine),
        Some(Command::Shell(machine)) => run::shell(&machine),
        Some(Command::Run(options)) => run::program(&options),
        Some(Command::Trace(options)) => run::traced(&options),
        Some(Command::Profile(options)) => run::profiled(&options),
        Some(Command::Debug(options)) => run::debugged(&options),
        Some(Command::BootChart(options)) => run::boot_charted(&options),
        Some(Command::Doctor(options)) => Ok(doctor::print(options.arch)),
    };
    done.unwrap_or_else(|error| {
        report::say(format!("{error:#}"));
        if error.is::<run::NotFound>() {
            ExitCode::from(run::NOT_FOUND)
        } else {
            ExitCode::from(status::NO_STATUS)
        }
    })
}

/// The names of all commands, as `--help` lists them.
pub fn commands() -> Vec<String> {
    let cli = Cli::command();
    let names = cli.get_subcommands().map(|command| command.get_name());
    names.map(str::to_owned).collect()
}

/// Whether a command line would be understood: for documents that show some.
///
/// # Errors
/// What is wrong with it.
pub fn check<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    check_words::<Cli>("ochre", words)
}

/// As [`check`] for the command `name` whose words `C` reads.
///
/// # Errors
/// What is wrong with it.
pub fn check_words<'a, C: Parser>(
    name: &'a str,
    words: impl IntoIterator<Item = &'a str>,
) -> Result<(), String> {
    match C::try_parse_from(core::iter::once(name).chain(words)) {
        Ok(_) => Ok(()),
        Err(error) if !error.use_stderr() => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Arch, Cli, Command};
    use crate::machine::Machine;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_tells_every_command() {
        let help = Cli::command().render_long_help().to_string();
        let names = [
            "shell",
            "run",
            "trace",
            "profile",
            "debug",
            "boot-chart",
            "doctor",
        ];
        for name in names {
            assert!(help.contains(&format!("\n  {name} ")), "{name} in\n{help}");
        }
        let command = Cli::command();
        let all = command.get_subcommands().map(clap::Command::get_name);
        assert!(all.eq(names));
    }

    #[test]
    fn the_doctor_is_asked_about_an_architecture() {
        for (words, expected) in [
            (&["ochre", "doctor"][..], Arch::X86_64),
            (&["ochre", "doctor", "--arch", "aarch64"], Arch::Aarch64),
        ] {
            let cli = Cli::parse_from(words);
            let Some(Command::Doctor(options)) = cli.command else {
                panic!("not doctor");
            };
            assert_eq!(options.arch, expected);
        }
    }

    #[test]
    fn what_follows_the_program_is_the_programs() {
        let cli = Cli::parse_from(["ochre", "run", "--smp", "2", "ls", "-v", "--smp", "--", "x"]);
        let Some(Command::Run(run)) = cli.command else {
            panic!("not run");
        };
        assert_eq!(run.command, ["ls", "-v", "--smp", "--", "x"]);
        assert_eq!(run.machine.smp, 2);
        assert!(!run.machine.verbose);
        assert!(Cli::try_parse_from(["ochre", "run", "--bogus", "ls"]).is_err());
        assert!(Cli::try_parse_from(["ochre", "run"]).is_err());
    }

    #[test]
    fn a_trace_has_the_options_of_a_run() {
        let cli = Cli::parse_from([
            "ochre",
            "trace",
            "-c",
            "-e",
            "read,write",
            "--smp",
            "2",
            "ls",
            "-c",
        ]);
        let Some(Command::Trace(trace)) = cli.command else {
            panic!("not trace");
        };
        assert!(trace.count);
        assert_eq!(trace.only, ["read", "write"]);
        assert_eq!(trace.run.machine.smp, 2);
        assert_eq!(trace.run.command, ["ls", "-c"]);
    }

    #[test]
    fn no_command_is_the_shell() {
        let cli = Cli::parse_from(["ochre", "--memory", "64M", "--machine", "q35"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.machine.memory.bytes(), 64 << 20);
    }

    #[test]
    fn a_display_is_of_a_machine_that_has_one() {
        let machine = |words: &[&str]| {
            let words = ["ochre"].into_iter().chain(words.iter().copied());
            Cli::parse_from(words).machine.machine()
        };
        assert_eq!(machine(&[]), Machine::Microvm);
        assert_eq!(machine(&["--display"]), Machine::Q35);
        assert_eq!(machine(&["--display=vnc", "--machine", "pc"]), Machine::Pc);
        assert_eq!(machine(&["--arch", "aarch64", "--display"]), Machine::Virt);
        // What follows is a command, not a kind of display.
        let cli = Cli::parse_from(["ochre", "run", "--display", "vi", "file"]);
        let Some(Command::Run(run)) = cli.command else {
            panic!("not run");
        };
        assert_eq!(run.command, ["vi", "file"]);
        assert!(Cli::try_parse_from(["ochre", "--keyboard", "de"]).is_err());
        assert!(Cli::try_parse_from(["ochre", "--display", "--keyboard", "xx"]).is_err());
    }
}
