//! The tests that the book names are those that `cargo test` has.
//!
//! `cargo test -- --list` is asked once. A suite is called as its target is
//! (`boot`, `ktest`), a crate's own tests as the crate (`ochre_alloc`).

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::{Command as Program, Stdio},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{
    book::{self, Place},
    once,
};
use ochre_tool::{cli, paths};

use crate::{Kind, kind, some, told};

/// The page that says which test holds which promise.
const PROMISES: &str = "docs/book/promises.md";

/// Suites and their tests.
type Suites = BTreeMap<String, BTreeSet<String>>;

/// All there is.
fn suites() -> Result<Suites> {
    static SUITES: OnceLock<core::result::Result<Suites, String>> = OnceLock::new();
    once(&SUITES, || {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // One pipe for both, so that each list comes after its suite's name.
        let output = Program::new("sh")
            .args(["-c", "\"$0\" test --lib --bins --tests -- --list 2>&1"])
            .arg(cargo)
            .current_dir(paths::workspace()?)
            // The pages tell of the machine that most people have.
            .env_remove("OCHRE_TEST_ARCH")
            .env("CARGO_TERM_COLOR", "never")
            .stdin(Stdio::null())
            .output()
            .context("cargo test -- --list")?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "cargo test -- --list:\n{told}");
        Ok(read(&told))
    })
}

/// What cargo says: `Running tests/boot/main.rs (target/debug/deps/boot-0123)`,
/// then a line `NAME: test` for each.
fn read(told: &str) -> Suites {
    let mut suites = Suites::new();
    let mut suite = String::new();
    for line in told.lines() {
        if let Some(running) = line.trim_start().strip_prefix("Running ") {
            let file = running.rsplit(['/', '(']).next().unwrap_or("");
            let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
            suite = name.to_owned();
        } else if let Some(name) = line.strip_suffix(": test") {
            suites
                .entry(suite.clone())
                .or_default()
                .insert(name.to_owned());
        }
    }
    suites
}

/// The suite and the words of `cargo test -p PACKAGE [--test SUITE] [--lib] [--] WORDS`.
fn asked(command: &str) -> Option<(String, Vec<&str>)> {
    let mut words = command.split_whitespace().skip(2);
    let mut suite = None;
    let mut filters = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "-p" => suite = Some(words.next()?.replace('-', "_")),
            "--test" => suite = Some(words.next()?.to_owned()),
            "--" | "--lib" | "--exact" => {}
            filter => filters.push(filter),
        }
    }
    // The suites of ours take one.
    (filters.len() <= 1).then_some((suite?, filters))
}

/// Each `cargo test` of a page finds something, and what it is shown to run is there.
pub(crate) fn tests_of_commands() -> Result<()> {
    let mut wrong = Vec::new();
    let mut found = Vec::new();
    for page in book::pages()? {
        for command in page.commands() {
            if command.place != Place::Host || kind(&command) != Some(Kind::Tests) {
                continue;
            }
            let Some((suite, filters)) = asked(&command.text) else {
                // All of them.
                ensure!(
                    command.text == "cargo test",
                    "{}",
                    told(&page, &command, "what is asked for?")
                );
                continue;
            };
            found.push(command.line);
            let suites = suites()?;
            let Some(tests) = suites.get(&suite) else {
                wrong.push(told(&page, &command, "no such suite"));
                continue;
            };
            for filter in &filters {
                if !tests.iter().any(|test| test.contains(filter)) {
                    wrong.push(told(&page, &command, &format!("no test `{filter}`")));
                }
            }
            for line in command.shown.lines() {
                let named = line
                    .strip_prefix("test ")
                    .and_then(|line| line.strip_suffix(" ... ok"));
                if let Some(name) = named
                    && !(tests.contains(name) && filters.iter().any(|filter| name.contains(filter)))
                {
                    wrong.push(told(&page, &command, &format!("does not run `{name}`")));
                }
            }
        }
    }
    some(found, "commands for tests")?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Each row of the page of promises names tests that are there: `suite: name`.
pub(crate) fn promises() -> Result<()> {
    let page = book::page(PROMISES)?;
    let suites = suites()?;
    let mut wrong = Vec::new();
    let mut rows = Vec::new();
    for (number, line) in page.text.lines().enumerate() {
        let Some((_, tests)) = line
            .strip_prefix("| ")
            .and_then(|row| row.split_once(" | "))
        else {
            continue;
        };
        if tests.starts_with("---") || tests.starts_with("tests") {
            continue;
        }
        rows.push(number);
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            wrong.push(format!("{PROMISES}:{}: no test", number + 1));
        }
        for name in named {
            let is_there = name
                .split_once(": ")
                .and_then(|(suite, test)| Some(suites.get(suite)?.contains(test)))
                .unwrap_or(false);
            if !is_there {
                wrong.push(format!(
                    "{PROMISES}:{}: there is no test `{name}`",
                    number + 1
                ));
            }
        }
    }
    some(rows, "promises")?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Each command that `ochre --help` lists is on a page of the book, to be typed
/// or in a table of commands.
pub(crate) fn commands_of_help() -> Result<()> {
    let pages = book::pages()?;
    let commands = cli::commands();
    for command in some(commands, "commands in the help")? {
        let shown = [
            format!("cargo run -- {command}"),
            format!("`ochre {command}"),
        ];
        ensure!(
            pages
                .iter()
                .any(|page| shown.iter().any(|shown| page.text.contains(shown))),
            "no page shows `ochre {command}`"
        );
    }
    Ok(())
}
