//! `cargo xtask syscalls`: the documentation of system calls, made from the table in `lib/abi`.
//!
//! The rows are read as tokens from inside the macro `syscall_table!`, so the
//! source of the table is the only place where a call is described.

use std::fs;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use ochre_tool::paths;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

const TABLE: &str = "lib/abi/src/table.rs";
const DOCUMENT: &str = "docs/syscalls.md";

/// Writes the document.
pub(crate) fn write() -> Result<()> {
    let path = paths::workspace()?.join(DOCUMENT);
    fs::write(&path, document()?).with_context(|| format!("writing {}", path.display()))
}

/// Says whether the document is up to date.
pub(crate) fn check() -> Result<()> {
    let path = paths::workspace()?.join(DOCUMENT);
    let there = fs::read_to_string(&path).unwrap_or_default();
    ensure!(
        there == document()?,
        "{DOCUMENT} is out of date; run: cargo xtask syscalls"
    );
    Ok(())
}

fn document() -> Result<String> {
    let text = fs::read_to_string(paths::workspace()?.join(TABLE))
        .with_context(|| format!("reading {TABLE}"))?;
    let mut rows = rows(&text).with_context(|| format!("reading the table in {TABLE}"))?;
    rows.sort_by_key(|row| (row.x86_64, row.aarch64));
    let complete = rows.iter().filter(|row| row.coverage == "complete").count();
    let mut page = format!(
        "<!-- Made by `cargo xtask syscalls` from `{TABLE}`; change it there. -->\n\n\
         # System calls\n\n\
         {} calls have a handler; {complete} of them are complete, the others say what they lack. \
         Any other call returns ENOSYS and is counted in `/proc/ochre/unknown_syscalls`.\n\n\
         | x86_64 | aarch64 | call | coverage |\n| ---: | ---: | --- | --- |\n",
        rows.len()
    );
    for row in &rows {
        let number = |number: Option<u32>| number.map_or("-".to_owned(), |n| n.to_string());
        page.push_str(&format!(
            "| {} | {} | `{}({})` | {} |\n",
            number(row.x86_64),
            number(row.aarch64),
            row.name,
            row.arguments,
            row.coverage
        ));
    }
    Ok(page)
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    x86_64: Option<u32>,
    aarch64: Option<u32>,
    arguments: String,
    coverage: String,
}

/// The rows inside `$callback! { .. }` inside `macro_rules! syscall_table`.
fn rows(text: &str) -> Result<Vec<Row>> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("{error}"))?;
    let mut tokens = tokens.into_iter();
    let definition = loop {
        match tokens.next().context("there is no macro syscall_table")? {
            TokenTree::Ident(name) if name == "syscall_table" => match tokens.next() {
                Some(TokenTree::Group(group)) => break group.stream(),
                _ => bail!("the macro syscall_table has no body"),
            },
            _ => {}
        }
    };
    let body = last_brace(definition).context("the macro has no arm")?;
    let table = last_brace(body).context("the macro's arm has no table")?;
    let mut rows = Vec::new();
    let mut row = Vec::new();
    for token in table {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                let shown: TokenStream = row.iter().cloned().collect();
                let read = Row::read(&row).with_context(|| format!("the row: {shown}"))?;
                rows.push(read);
                row.clear();
            }
            other => row.push(other),
        }
    }
    ensure!(row.is_empty(), "the last row has no semicolon");
    Ok(rows)
}

fn last_brace(stream: TokenStream) -> Option<TokenStream> {
    let groups = stream.into_iter().filter_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    });
    groups.last()
}

impl Row {
    /// `name = 39, 172: family(argument: Type, ..) "coverage"`
    fn read(tokens: &[TokenTree]) -> Result<Self> {
        let [
            TokenTree::Ident(name),
            TokenTree::Punct(_),
            x86_64,
            TokenTree::Punct(_),
            aarch64,
            TokenTree::Punct(_),
            TokenTree::Ident(_),
            TokenTree::Group(arguments),
            TokenTree::Literal(coverage),
        ] = tokens
        else {
            bail!("it is not of the form that the table's documentation gives");
        };
        let arguments = arguments
            .stream()
            .into_iter()
            .map(|token| token.to_string())
            .collect::<String>()
            .replace(':', ": ")
            .replace(',', ", ")
            .replace(": : ", "::");
        Ok(Self {
            name: name.to_string().trim_start_matches("r#").to_owned(),
            x86_64: number(x86_64)?,
            aarch64: number(aarch64)?,
            arguments: arguments.trim_end_matches([',', ' ']).to_owned(),
            coverage: coverage.to_string().trim_matches('"').to_owned(),
        })
    }
}

fn number(token: &TokenTree) -> Result<Option<u32>> {
    let text = token.to_string();
    match text.as_str() {
        "-" => Ok(None),
        digits => Ok(Some(digits.parse().context("a call's number")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, rows};

    #[test]
    fn rows_are_read_from_inside_the_macro() {
        let text = r#"
            macro_rules! other { () => { { x } } }
            /// Text.
            #[macro_export]
            macro_rules! syscall_table {
                ($callback:path) => {
                    $callback! {
                        // A comment; with a semicolon.
                        getpid = 39, 172: process() "complete";
                        open = 2, -: file(path: Ptr<u8>, flags: i32) "lacks O_TMPFILE";
                    }
                };
            }
        "#;
        let row = |name: &str, x86_64, aarch64, arguments: &str, coverage: &str| Row {
            name: name.to_owned(),
            x86_64,
            aarch64,
            arguments: arguments.to_owned(),
            coverage: coverage.to_owned(),
        };
        assert_eq!(
            rows(text).unwrap(),
            [
                row("getpid", Some(39), Some(172), "", "complete"),
                row(
                    "open",
                    Some(2),
                    None,
                    "path: Ptr<u8>, flags: i32",
                    "lacks O_TMPFILE"
                ),
            ]
        );
        assert!(rows("macro_rules! syscall_table { () => { x! { getpid; } } }").is_err());
        assert!(rows("fn f() {}").is_err());
    }
}
