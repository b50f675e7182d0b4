//! What is typed in the guest's shell: one machine for each kind of `cargo run`
//! that the pages begin with, and in it the commands of all pages.
//!
//! Pages do not know of each other: each begins in the root folder. Within a
//! page one shell runs everything, as it would where a person types it.

use core::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{
    Arch,
    book::{self, Command, Page, Place},
    describe, shell_on, shell_tree,
};

use crate::{Kind, differing, kind, some};

/// How long the commands of all pages may take.
const TIMEOUT: Duration = Duration::from_secs(180);

/// What comes before what a command prints; its number follows.
const MARK: &str = "-- book command ";

/// Where a page's commands are in the guest.
const FILE: &str = "/run/book";

/// What comes behind them in the script.
const END: &str = "-- end of page";

/// A machine, as `cargo run` is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Machine {
    arch: Arch,
    processors: u32,
    /// Whether its kernel has the names of its functions.
    symbols: bool,
}

impl Machine {
    fn of(command: &str) -> Result<Machine> {
        let mut machine = Machine {
            arch: Arch::X86_64,
            processors: 1,
            symbols: false,
        };
        let mut words = command.split_whitespace().skip(2);
        while let Some(word) = words.next() {
            match word {
                "--" => {}
                "--symbols" => machine.symbols = true,
                "--smp" => machine.processors = words.next().context("--smp N")?.parse()?,
                "--arch" if words.next() == Some("aarch64") => machine.arch = Arch::Aarch64,
                other => bail!("`{command}`: no machine here is made of {other}"),
            }
        }
        Ok(machine)
    }
}

/// Commands of one page, in one machine.
struct Session {
    machine: Machine,
    page: Page,
    commands: Vec<Command>,
}

/// Runs all of them and compares.
pub(crate) fn commands() -> Result<()> {
    let mut sessions = some(sessions()?, "commands in the machine")?;
    let mut wrong = Vec::new();
    while let Some(first) = sessions.first() {
        let machine = first.machine.clone();
        let (now, later) = sessions
            .into_iter()
            .partition(|session| session.machine == machine);
        sessions = later;
        wrong.extend(run(&machine, &now)?);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What is typed where, on all pages.
fn sessions() -> Result<Vec<Session>> {
    let mut sessions: Vec<Session> = Vec::new();
    for page in book::pages()? {
        let mut begins = false;
        let mut machine = None;
        for command in page.commands() {
            match command.place {
                Place::Host if kind(&command) == Some(Kind::Shell) => {
                    machine = Some(Machine::of(&command.text)?);
                    begins = true;
                }
                Place::Host => {}
                Place::Guest => {
                    let machine = machine
                        .clone()
                        .with_context(|| format!("{}: typed in no machine", page.path.display()))?;
                    if begins {
                        sessions.push(Session {
                            machine,
                            page: page.clone(),
                            commands: Vec::new(),
                        });
                        begins = false;
                    }
                    let last = sessions.last_mut().context("one was begun")?;
                    last.commands.push(command);
                }
            }
        }
    }
    Ok(sessions)
}

/// Runs the sessions of one machine.
fn run(machine: &Machine, sessions: &[Session]) -> Result<Vec<String>> {
    let mut script = String::new();
    let mut number = 0;
    for session in sessions {
        let _ = writeln!(script, "cd /; cat > {FILE} <<'{END}'");
        for command in &session.commands {
            let _ = writeln!(script, "echo '{MARK}{number}'\n{}", command.text);
            number += 1;
        }
        let _ = writeln!(script, "{END}\nsh {FILE} </dev/null 2>&1");
    }
    // The kernel's command line would be too short for it.
    let mut guest = shell_on(machine.arch, "exec sh /dev/stdin")?;
    if machine.symbols {
        guest = guest.tree(shell_tree(machine.arch)?).symbols();
    }
    let outcome = guest
        .processors(machine.processors)
        .stdin(script)
        .patience(TIMEOUT)
        .run()?;
    let printed = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let mut wrong = Vec::new();
    let mut number = 0;
    for session in sessions {
        for command in &session.commands {
            let begin = format!("{MARK}{number}\n");
            let rest = printed.split_once(&begin).map(|(_, rest)| rest);
            let rest = rest.with_context(|| {
                let at = session.page.path.display();
                format!(
                    "{at}: not come to `{}`\n{}",
                    command.text,
                    describe(&outcome)
                )
            })?;
            number += 1;
            let end = rest.find(MARK).unwrap_or(rest.len());
            if !book::is_as_shown(&command.shown, &rest[..end]) {
                wrong.push(differing(&session.page, command, &rest[..end]));
            }
        }
    }
    Ok(wrong)
}
