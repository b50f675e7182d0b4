//! `cargo xtask allocations`: where the kernel allocates in a way that cannot fail politely.
//!
//! `Box::new`, `vec!`, `format!`, `push` and their like end the kernel when
//! there is no memory. Behind a `make_room`, or for a few bytes behind a
//! check of the headroom, they do not; anywhere else a program may drive them.
//! No lint of the compiler's knows which is which, so this one counts: in each
//! function of the kernel, tests apart, the calls that may allocate and cannot
//! say no, unless the function has room made (`make_room`) or asks for it
//! (`has_headroom`, `check_headroom`) itself. The counts are kept in [`LIST`],
//! file by file; `cargo xtask tidy` refuses a file that has more than the list
//! says, so the list only ever gets shorter without somebody noticing.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use ochre_tool::paths;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::sources;

/// The list that is kept.
pub(crate) const LIST: &str = "docs/allocations.md";

/// `Type::function` that allocate.
const FUNCTIONS: [(&str, &str); 9] = [
    ("Box", "new"),
    ("Box", "pin"),
    ("Arc", "new"),
    ("Rc", "new"),
    ("String", "from"),
    ("Vec", "from"),
    ("Vec", "with_capacity"),
    ("String", "with_capacity"),
    ("VecDeque", "with_capacity"),
];

/// Macros that allocate.
const MACROS: [&str; 2] = ["vec", "format"];

/// Methods that allocate, or may.
const METHODS: [&str; 14] = [
    "append",
    "collect",
    "extend",
    "extend_from_slice",
    "push",
    "push_back",
    "push_front",
    "push_str",
    "reserve",
    "resize",
    "split_off",
    "to_owned",
    "to_string",
    "to_vec",
];

/// Those of them that answer something.
const MAKING: [&str; 5] = ["collect", "split_off", "to_owned", "to_string", "to_vec"];

/// What makes room, or asks for it.
const ROOM: [&str; 6] = [
    "check_headroom",
    "has_headroom",
    "make_room",
    "make_room_exact",
    "try_collect",
    "try_with_capacity",
];

/// Lines with a call that cannot fail politely, in one file's text.
pub(crate) fn find(text: &str) -> Result<Vec<usize>> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("not Rust: {error}"))?;
    let mut lines = Vec::new();
    items(tokens, &mut lines);
    lines.sort_unstable();
    Ok(lines)
}

/// Looks at a file's, a module's or an implementation's items.
fn items(stream: TokenStream, lines: &mut Vec<usize>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let rest = tokens.get(at..).unwrap_or_default();
        if sources::is_test_attribute(rest) {
            at += 2;
            at += sources::item_len(tokens.get(at..).unwrap_or_default());
            continue;
        }
        if is_word(token, "fn") {
            let len = sources::item_len(rest);
            let item: TokenStream = rest.iter().take(len).cloned().collect();
            function(item, lines);
            at += len;
            continue;
        }
        if let TokenTree::Group(group) = token
            && group.delimiter() == Delimiter::Brace
        {
            items(group.stream(), lines);
        }
        at += 1;
    }
}

/// Looks at one function, closures and all.
fn function(item: TokenStream, lines: &mut Vec<usize>) {
    let mut flat = Vec::new();
    flatten(item, &mut flat);
    if flat.iter().any(|token| ROOM.contains(&token.word.as_str())) {
        return;
    }
    for (at, token) in flat.iter().enumerate() {
        let word = |offset: isize| {
            let index = at.checked_add_signed(offset);
            index
                .and_then(|index| flat.get(index))
                .map_or("", |token| &token.word)
        };
        let is_method = word(-1) == "."
            && METHODS.contains(&token.word.as_str())
            && matches!(word(1), "(" | ":")
            && !token.is_asked;
        let is_macro = word(1) == "!" && MACROS.contains(&token.word.as_str());
        let is_function =
            word(1) == ":" && word(2) == ":" && FUNCTIONS.contains(&(token.word.as_str(), word(3)));
        if is_method || is_macro || is_function {
            lines.push(token.line);
        }
    }
}

struct Token {
    word: String,
    line: usize,
    /// A method whose answer is looked at: the standard library's `push` and
    /// its like have none, so this is another.
    is_asked: bool,
}

fn flatten(stream: TokenStream, flat: &mut Vec<Token>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let (word, line) = match token {
            TokenTree::Group(group) => {
                let open = match group.delimiter() {
                    Delimiter::Parenthesis => "(",
                    _ => "{",
                };
                let line = group.span_open().start().line;
                flat.push(Token {
                    word: open.to_owned(),
                    line,
                    is_asked: false,
                });
                flatten(group.stream(), flat);
                continue;
            }
            TokenTree::Ident(word) => (word.to_string(), word.span().start().line),
            TokenTree::Punct(mark) => (mark.as_char().to_string(), mark.span().start().line),
            TokenTree::Literal(literal) => (String::new(), literal.span().start().line),
        };
        let is_asked = !MAKING.contains(&word.as_str())
            && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)))
            && matches!(tokens.get(at + 2), Some(TokenTree::Punct(mark)) if matches!(mark.as_char(), '?' | '.'));
        flat.push(Token {
            word,
            line,
            is_asked,
        });
    }
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// Whether the kernel that people run has this file's code in a program's reach.
fn counts(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !sources::is_test_file(path)
        && !matches!(name.as_ref(), "ktests.rs" | "ktest.rs" | "boottest.rs")
        && !path.parent().is_some_and(|folder| folder.ends_with("boottest"))
        // What runs once, before the first program.
        && !matches!(name.as_ref(), "boot.rs" | "config.rs" | "main.rs")
        && !path.parent().is_some_and(|folder| folder.ends_with("boot"))
}

/// Every file of the kernel that has such calls, with their lines.
pub(crate) fn in_kernel(root: &Path) -> Result<BTreeMap<PathBuf, Vec<usize>>> {
    let mut found = BTreeMap::new();
    for path in sources::rust_files(&root.join("kernel/src"))? {
        if !counts(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let lines = find(&text).with_context(|| path.display().to_string())?;
        if !lines.is_empty() {
            found.insert(path.strip_prefix(root)?.to_owned(), lines);
        }
    }
    Ok(found)
}

/// The counts of the list.
pub(crate) fn listed(root: &Path) -> Result<BTreeMap<PathBuf, usize>> {
    let text = fs::read_to_string(root.join(LIST)).with_context(|| format!("reading {LIST}"))?;
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` | "))
        .filter_map(|(file, rest)| {
            let count = rest.split(' ').next()?.parse().ok()?;
            Some((PathBuf::from(file), count))
        })
        .collect())
}

/// Prints every place, with its line.
pub(crate) fn print() -> Result<()> {
    for (path, lines) in in_kernel(&paths::workspace()?)? {
        for line in lines {
            println!("{}:{line}", path.display());
        }
    }
    Ok(())
}

/// Writes the list as it is now.
pub(crate) fn write() -> Result<()> {
    let root = paths::workspace()?;
    let found = in_kernel(&root)?;
    let sum: usize = found.values().map(Vec::len).sum();
    let mut text = String::from(HEAD);
    writeln!(text, "{sum} calls in {} files:\n", found.len())?;
    text.push_str("| file | calls |\n| --- | --- |\n");
    for (path, lines) in &found {
        writeln!(text, "| `{}` | {} |", path.display(), lines.len())?;
    }
    fs::write(root.join(LIST), text).with_context(|| format!("writing {LIST}"))
}

const HEAD: &str = "\
# Allocations that cannot fail politely

`Box::new`, `vec!`, `push` and their like end the kernel if there is no memory. Everything whose size a program chooses goes through `make_room` (`try_reserve`, which can be made to fail in a test) and answers ENOMEM. What is left is below: small objects of a fixed size, and texts whose length the kernel chooses. They live from the reserve that is kept from programs' pages; the calls that make many of them (fork, mmap, holes in mappings, new files, mounts, pipes, timers and setting them, descriptors of events, what epoll watches) ask for headroom first (`memory::has_headroom`, `check_headroom`), the others do not yet.

`cargo xtask allocations` names each line; `cargo xtask allocations --measured` makes each system call in a guest and tells which of them come to such a place, the standard library's maps included; `cargo xtask allocations --write` writes this list; `cargo xtask tidy` refuses a file that has more of them than it says here. A function that makes room (`make_room`) or asks for it (`has_headroom`, `check_headroom`) itself is not counted, nor is what runs before the first program. Maps (`BTreeMap::insert`) have no way to fail and are not counted either: they grow by small nodes, behind the same headroom (`docs/notes/0007-maps-grow-behind-headroom.md`).

";

#[cfg(test)]
mod tests {
    use super::find;

    fn check(text: &str, expected: &[usize]) {
        assert_eq!(find(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn each_kind_is_found() {
        check("fn f() { Box::new(1); }", &[1]);
        check("fn f() {\n vec![1]\n}", &[2]);
        check("fn f() { v.push(1); s.to_string(); }", &[1, 1]);
        check("impl X { fn f() { g(|| format!(\"x\")) } }", &[1]);
        check("mod m { fn f() { alloc::vec![0; n] } }", &[1]);
    }

    #[test]
    fn what_has_room_made_is_none() {
        check("fn f() { v.make_room(1)?; v.push(1); }", &[]);
        check(
            "fn f() { if !memory::has_headroom(4) { return; } Box::new(1); }",
            &[],
        );
        check("fn f() { v.make_room(1)?; } fn g() { v.push(1); }", &[1]);
    }

    #[test]
    fn tests_comments_and_texts_are_none() {
        check("#[cfg(test)]\nmod tests { fn f() { vec![1]; } }", &[]);
        check("// vec![1]\nfn f() { \"Box::new(1)\"; }", &[]);
        check("fn push() { pushed(vector); Box::try_new(1); }", &[]);
        check("fn f() { text.push(b)?; options.append; }", &[]);
        check("fn f() { text.to_vec().len(); v.push(1); }", &[1, 1]);
    }
}
