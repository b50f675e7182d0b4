//! The book tells what is so: what it has its readers type is run, and prints
//! what it says.
//!
//! | what a page shows | how it is tried |
//! | --- | --- |
//! | `/ # COMMAND` | run, all pages' in as few machines as there are kinds of `cargo run` before them |
//! | `$ cargo run -- run target/release/page-walk ..` | run, all in one machine ([`walks`]) |
//! | `$ cargo run -- run ..`, `trace ..`, and what is piped into `cargo run`, with its output | run as it stands |
//! | a report of a dying kernel | a kernel dies in that way ([`reports`]) |
//! | `$ cargo test ..` | the tests that it names are there; they are in the same `cargo test` ([`listed`]) |
//! | `$ cargo run ..` without output, `$ cargo xtask ..` | only understood: a test of `ochre` and one of `xtask` read each of them |
//!
//! Anything else that a page has typed is refused.
#![forbid(unsafe_code)]

mod listed;
mod machine;
mod reports;
mod walks;

use std::process::{Command as Program, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{
    Arch, Case,
    book::{self, Command, Page, Place},
    diff, is_tested,
};
use ochre_tool::{cli, paths};

/// What begins a command that has a test of its own kind.
pub(crate) const WALK: &str = "cargo run -- run target/release/page-walk ";

fn main() -> ExitCode {
    if !is_tested(Arch::X86_64) {
        return ochre_tests::run(Vec::new());
    }
    ochre_tests::run(vec![
        Case::new("commands in the machine", machine::commands),
        Case::new("commands on the host", on_the_host),
        Case::new("walks through page tables", walks::are_true),
        Case::new("reports of dying kernels", reports::are_true),
        Case::new("named tests are there", listed::tests_of_commands),
        Case::new("every promise has its test", listed::promises),
        Case::new("every command of --help is shown", listed::commands_of_help),
    ])
}

/// What a command of the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Starts the machine in which the next commands are typed.
    Shell,
    /// A walk through page tables.
    Walk,
    /// Runs as it stands.
    Literal,
    /// Runs tests.
    Tests,
    /// Understood only.
    Read,
}

pub(crate) fn kind(command: &Command) -> Option<Kind> {
    let text = command.text.as_str();
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(match words.as_slice() {
        ["cargo", "xtask", ..] => Kind::Read,
        ["cargo", "test", ..] => Kind::Tests,
        ["cargo", "build", "--release", "-p", "ochre-page-walk"] => Kind::Read,
        _ if text.starts_with(WALK) => Kind::Walk,
        ["cargo", "run"] => Kind::Shell,
        ["cargo", "run", "--", option, ..] if option.starts_with("--") && *option != "--help" => {
            Kind::Shell
        }
        _ if text.contains("cargo run") && !command.shown.is_empty() => Kind::Literal,
        ["cargo", "run", "--", ..] => Kind::Read,
        _ => return None,
    })
}

/// What a page has typed that no test knows, and what runs as it stands.
fn on_the_host() -> Result<()> {
    let mut wrong = Vec::new();
    for page in book::pages()? {
        for command in page.commands() {
            if command.place != Place::Host {
                continue;
            }
            if let Err(error) = understood(&command.text) {
                wrong.push(told(&page, &command, &error));
            }
            match kind(&command) {
                None => wrong.push(told(&page, &command, "no test knows such a command")),
                Some(Kind::Literal) => {
                    let printed = literally(&command.text)?;
                    if !book::is_as_shown(&command.shown, &printed) {
                        wrong.push(differing(&page, &command, &printed));
                    }
                }
                Some(_) => {}
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Whether `ochre` understands what a command gives it.
fn understood(command: &str) -> core::result::Result<(), String> {
    let last = command.rsplit('|').next().unwrap_or("");
    let last = last.split(';').next().unwrap_or("").trim();
    match last.strip_prefix("cargo run") {
        Some(rest) => {
            let words = rest.split_whitespace();
            cli::check(words.skip_while(|word| *word == "--"))
        }
        None => Ok(()),
    }
}

/// Runs it as it stands; what it prints, errors among it.
fn literally(command: &str) -> Result<String> {
    // What cargo and the tool say of themselves is not in the book.
    let quiet = command.replace("cargo run", "cargo run --quiet");
    let output = Program::new("sh")
        .args(["-c", &format!("{{ {quiet}\n}} 2>&1")])
        .current_dir(paths::workspace()?)
        .stdin(Stdio::null())
        .output()
        .with_context(|| command.to_owned())?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_ours = |line: &&str| !line.starts_with("ochre: building");
    Ok(printed
        .lines()
        .filter(is_ours)
        .map(|line| format!("{line}\n"))
        .collect())
}

/// A finding for a person.
pub(crate) fn told(page: &Page, command: &Command, what: &str) -> String {
    format!(
        "{}:{}: `{}`: {what}",
        page.path.display(),
        command.line,
        command.text
    )
}

/// The same of a command that printed something else.
pub(crate) fn differing(page: &Page, command: &Command, printed: &str) -> String {
    let difference = diff(&command.shown, printed).unwrap_or_default();
    told(
        page,
        command,
        &format!("prints something else (- is the page)\n{difference}"),
    )
}

/// One whose page must have something of the kind.
pub(crate) fn some<T>(found: Vec<T>, what: &str) -> Result<Vec<T>> {
    if found.is_empty() {
        bail!("the book has no {what}: is it looked for in the right way?");
    }
    Ok(found)
}
