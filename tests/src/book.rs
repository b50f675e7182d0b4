//! What the book (`docs/`) tells its readers to type.
//!
//! A block marked `console` is a terminal: a line that begins with a prompt is
//! a command, and what follows it is what it prints.
//!
//! | prompt | where |
//! | --- | --- |
//! | `$ ` | on the host, in the folder of the checkout |
//! | `/ # ` | in the shell of the machine that the last `$ cargo run` of the page started |
//!
//! In what a command prints, a line `...` stands for any lines, and `...` within
//! a line for anything there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use ochre_tool::paths;

/// A file of the book.
#[derive(Clone, Debug)]
pub struct Page {
    /// From the root of the checkout.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// Where a command is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the folder of the checkout.
    Host,
    /// In the guest's shell.
    Guest,
}

/// A command and what it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Where it is typed.
    pub place: Place,
    /// Its line in the page, from 1.
    pub line: usize,
    /// What is typed, without the prompt.
    pub text: String,
    /// What the page shows of its output; may be nothing.
    pub shown: String,
}

const PROMPTS: [(&str, Place); 2] = [("$ ", Place::Host), ("/ # ", Place::Guest)];

/// Every page of the book, in the order of their paths.
///
/// # Errors
/// If one cannot be read.
pub fn pages() -> Result<Vec<Page>> {
    let root = paths::workspace()?;
    let mut pages = Vec::new();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path)?;
                let path = path.strip_prefix(&root)?.to_owned();
                pages.push(Page { path, text });
            }
        }
    }
    pages.sort_by(|one, two| one.path.cmp(&two.path));
    Ok(pages)
}

/// One page.
///
/// # Errors
/// If it cannot be read.
pub fn page(path: impl AsRef<Path>) -> Result<Page> {
    let path = path.as_ref().to_owned();
    let text = fs::read_to_string(paths::workspace()?.join(&path))
        .with_context(|| path.display().to_string())?;
    Ok(Page { path, text })
}

impl Page {
    /// What this page tells its reader to type.
    pub fn commands(&self) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        let mut is_console = false;
        // Whether what follows belongs to a command.
        let mut is_output = false;
        for (number, line) in self.text.lines().enumerate() {
            if line.starts_with("```") {
                is_console = line == "```console";
                is_output = false;
                continue;
            }
            if !is_console {
                continue;
            }
            let typed = PROMPTS
                .into_iter()
                .find_map(|(prompt, place)| Some((line.strip_prefix(prompt)?, place)));
            if let Some((text, place)) = typed {
                is_output = true;
                commands.push(Command {
                    place,
                    line: number + 1,
                    text: text.to_owned(),
                    shown: String::new(),
                });
            } else if let (true, Some(last)) = (is_output, commands.last_mut()) {
                last.shown.push_str(line);
                last.shown.push('\n');
            }
        }
        commands
    }
}

/// Whether a command printed what a page shows of it.
pub fn is_as_shown(shown: &str, printed: &str) -> bool {
    let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    matches(
        &shown,
        &printed,
        |line| *line == "...",
        |one, two| {
            let parts: Vec<&str> = one.split("...").collect();
            is_made_of(&parts, two)
        },
    )
}

/// Whether the pattern is the sequence; what is `any` in it stands for any
/// number of elements.
fn matches<T>(
    pattern: &[T],
    sequence: &[T],
    any: impl Fn(&T) -> bool + Copy,
    same: impl Fn(&T, &T) -> bool + Copy,
) -> bool {
    match (pattern.split_first(), sequence.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((first, rest)), _) if any(first) => {
            (0..=sequence.len()).any(|skipped| matches(rest, &sequence[skipped..], any, same))
        }
        (Some((first, rest)), Some((next, others))) => {
            same(first, next) && matches(rest, others, any, same)
        }
        (Some(_), None) => false,
    }
}

/// Whether the line is these parts with anything between each two.
fn is_made_of(parts: &[&str], line: &str) -> bool {
    match parts {
        [] => true,
        [only] => line == *only,
        [first, .., last] => {
            let Some(rest) = line.strip_prefix(first) else {
                return false;
            };
            let Some(mut rest) = rest.strip_suffix(last) else {
                return false;
            };
            for part in &parts[1..parts.len() - 1] {
                let Some(at) = rest.find(part) else {
                    return false;
                };
                rest = &rest[at + part.len()..];
            }
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Page, Place, is_as_shown};

    #[test]
    fn what_is_typed_is_found() {
        let page = Page {
            path: "a.md".into(),
            text: "$ no\n```console\n$ cargo run\n/ # echo a\na\n```\n```sh\n$ no\n```\n"
                .to_owned(),
        };
        let expected = |place, line, text: &str, shown: &str| Command {
            place,
            line,
            text: text.to_owned(),
            shown: shown.to_owned(),
        };
        assert_eq!(
            page.commands(),
            [
                expected(Place::Host, 3, "cargo run", ""),
                expected(Place::Guest, 4, "echo a", "a\n"),
            ]
        );
    }

    #[test]
    fn what_may_differ_is_left_out() {
        let check = |shown, printed, expected| {
            assert_eq!(is_as_shown(shown, printed), expected, "{shown} / {printed}");
        };
        check("a\n", "a\n", true);
        check("a\n", "b\n", false);
        check("a\n", "a\nb\n", false);
        check("...\nb\n", "a\na\nb\n", true);
        check("a\n...\n", "a\n", true);
        check("a\n...\nc\n", "a\nb\n", false);
        check("MemTotal: ... kB\n", "MemTotal:   500 kB\n", true);
        check("MemTotal: ... kB\n", "MemTotal:   500 MB\n", false);
        check("a ... b ... c\n", "a 1 b 2 c\n", true);
        check("a ... b ... c\n", "a 1 2 c\n", false);
    }
}
