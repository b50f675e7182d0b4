//! The chapter on paging shows what is so: its walks are run, in one machine,
//! and print what it says they print, numbers of frames and addresses apart.

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{
    Tree, archive,
    book::{self, Page},
    describe, diff, guest, rootfs,
};
use ochre_tool::user_build;

use crate::WALK;

const CHAPTER: &str = "docs/paging.md";

/// Runs all commands of the chapter and compares.
pub(crate) fn are_true() -> Result<()> {
    let page = book::page(CHAPTER)?;
    let (words, shown) = read(&page);
    ensure!(words.len() >= 5, "the chapter has commands: {words:?}");
    let archive = archive("page-walk", root)?;
    let outcome = guest()?
        .archive(archive)
        .program("/bin/page-walk")
        .args(words)
        .run()?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    let printed = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let (shown, ours) = (general(&shown), general(&printed));
    match diff(&shown, &ours) {
        None => Ok(()),
        Some(text) => bail!("- is docs/paging.md, + is Ochre\n{text}\nin full:\n{printed}"),
    }
}

/// The words of all walks, and what they print, one after the other.
fn read(page: &Page) -> (Vec<String>, String) {
    let mut words = Vec::new();
    let mut shown = String::new();
    for command in page.commands() {
        if let Some(rest) = command.text.strip_prefix(WALK) {
            words.extend(rest.split_whitespace().map(str::to_owned));
            shown.push_str(&command.shown);
        }
    }
    (words, shown)
}

/// A text without what is different on every machine.
fn general(text: &str) -> String {
    text.lines().map(|line| general_line(line) + "\n").collect()
}

fn general_line(line: &str) -> String {
    if let Some(first) = line.split_whitespace().next()
        && (first == "Node" || first.starts_with("kmalloc-"))
    {
        return first.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let is_frame = words.last().is_some_and(|last| last == "frame") || word.ends_with(':');
        let bare = word.trim_end_matches([':', ',']);
        let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        if word == "[" {
            // An index that is padded.
        } else if is_frame && is_number || word.ends_with(']') && word != "[vdso]" {
            words.push("#".to_owned());
        } else {
            words.push(without_numbers(word));
        }
    }
    words.join(" ")
}

/// A word without its hexadecimal numbers of three digits and more.
fn without_numbers(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        let len = rest.bytes().take_while(|byte| is_digit(byte)).count();
        let (number, after) = rest.split_at(len);
        let is_number = len >= 3 && number.bytes().any(|byte| byte.is_ascii_digit());
        text.push_str(if is_number { "#" } else { number });
        let next = after.chars().next();
        text.extend(next);
        rest = &after[next.map_or(0, char::len_utf8)..];
    }
    text
}

fn root() -> Result<Tree> {
    let mut tree = rootfs::skeleton()?;
    let program = user_build::build("page-walk").context("building page-walk")?;
    tree.host_file("/bin/page-walk", &program)?;
    Ok(tree)
}
