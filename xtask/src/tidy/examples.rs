//! The rule about examples: what `lib/sync` offers is documented with an example
//! of its own, and those of functions run.
//!
//! rustdoc could count them (`--show-coverage`) on a nightly compiler only, and
//! would count one that the compiler is expected to refuse.
//!
//! Looked at is every `pub` item and every `pub` method, also in `maybe_const!`.
//! The lint `unreachable_pub` sees to it that whatever else is `pub` can be
//! reached from outside. Not looked at: methods of traits, whose examples are the
//! traits'; private modules inside a file; and what is built for loom only.

use anyhow::{Context as _, Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::{Findings, House};
use crate::sources::{is_word, item_len};

/// The libraries that promise it.
const LIBRARIES: [&str; 1] = ["lib/sync/src"];

/// Files that are not part of what the library offers, by their names.
const INSIDE: [&str; 4] = ["tests.rs", "loom_tests.rs", "assertions.rs", "model.rs"];

/// What may stand between `pub` and the word that says what the item is.
const QUALIFIERS: [&str; 4] = ["const", "unsafe", "async", "extern"];

/// What has documentation of its own. (A `use` has that of what it names.)
const ITEMS: [&str; 7] = ["fn", "struct", "enum", "union", "trait", "type", "static"];

pub(super) fn check(house: &House, findings: &mut Findings) -> Result<()> {
    for file in &house.files {
        let ours = LIBRARIES.iter().any(|dir| file.path.starts_with(dir));
        let name = file.path.file_name().unwrap_or_default();
        if !ours || INSIDE.iter().any(|inside| name == *inside) {
            continue;
        }
        let path = file.path.display();
        for (line, item) in without_example(&file.text).with_context(|| path.to_string())? {
            findings.add(
                format!("{path}:{line}"),
                format!("{item} has no example of its own (a function: one that runs)"),
            );
        }
    }
    Ok(())
}

/// The items without an example, and on which lines they begin.
fn without_example(text: &str) -> Result<Vec<(usize, String)>> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("not Rust: {error}"))?;
    let mut found = Vec::new();
    search(tokens, &mut found);
    Ok(found)
}

/// One item after the other; each begins with its attributes.
fn search(stream: TokenStream, found: &mut Vec<(usize, String)>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        let mut attributes = Attributes::default();
        while let Some(group) = attribute(&tokens[at..]) {
            attributes.note(group);
            at += 2;
        }
        let item = &tokens[at..];
        // A comment about the file, `#![..]`, is no item and has no end.
        let len = if is_inner_attribute(item) {
            3
        } else {
            item_len(item).max(1)
        };
        if !attributes.elsewhere {
            look(&item[..len.min(item.len())], &attributes, found);
        }
        at += len;
    }
}

/// Looks at an item, and into it if items are in it.
fn look(item: &[TokenTree], attributes: &Attributes, found: &mut Vec<(usize, String)>) {
    let Some(first) = item.first() else {
        return;
    };
    let is_public = is_word(first, "pub") && !matches!(item.get(1), Some(TokenTree::Group(_)));
    let is_place = is_word(first, "impl")
        || is_word(first, "maybe_const")
        || is_public && is_word(&item[1], "mod");
    if is_place {
        if let Some(TokenTree::Group(group)) = item.last()
            && group.delimiter() == Delimiter::Brace
        {
            search(group.stream(), found);
        }
        return;
    }
    let is_macro = is_word(first, "macro_rules") && attributes.exported;
    let kind = if is_macro {
        Some("macro_rules".to_owned())
    } else if is_public {
        kind(&item[1..])
    } else {
        None
    };
    let Some(kind) = kind else {
        return;
    };
    let is_function = kind == "fn";
    let enough = if is_function {
        attributes.runs
    } else {
        attributes.runs || attributes.refused
    };
    if !enough {
        let name = item
            .iter()
            .skip_while(|token| !is_word(token, &kind))
            .find_map(|token| match token {
                TokenTree::Ident(name) if *name != kind => Some(name.to_string()),
                _ => None,
            });
        let name = name.unwrap_or_default();
        found.push((first.span().start().line, format!("{kind} {name}")));
    }
}

/// What the item after its `pub` is; `None` if it has no documentation of its own.
fn kind(item: &[TokenTree]) -> Option<String> {
    for (place, token) in item.iter().enumerate() {
        let word = token.to_string();
        if ITEMS.contains(&word.as_str()) {
            return Some(word);
        }
        if !QUALIFIERS.contains(&word.as_str()) && !word.starts_with('"') {
            // A name: of a constant, if that is what is before it.
            return (place == 1 && is_word(&item[0], "const")).then(|| "const".to_owned());
        }
    }
    None
}

/// The brackets of the attribute that the tokens begin with.
fn attribute(tokens: &[TokenTree]) -> Option<&Group> {
    match tokens {
        [TokenTree::Punct(hash), TokenTree::Group(group), ..]
            if hash.as_char() == '#' && group.delimiter() == Delimiter::Bracket =>
        {
            Some(group)
        }
        _ => None,
    }
}

fn is_inner_attribute(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(hash), TokenTree::Punct(not), TokenTree::Group(_), ..]
        if hash.as_char() == '#' && not.as_char() == '!')
}

/// What is said above an item.
#[derive(Default)]
struct Attributes {
    /// A block of the documentation runs.
    runs: bool,
    /// A block must be refused by the compiler.
    refused: bool,
    /// It is built for tests or for loom only.
    elsewhere: bool,
    /// `#[macro_export]`
    exported: bool,
    /// Inside a block: lines of documentation are attributes of their own.
    in_block: bool,
}

impl Attributes {
    fn note(&mut self, group: &Group) {
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        match inner.as_slice() {
            [name, TokenTree::Punct(_), TokenTree::Literal(line)] if is_word(name, "doc") => {
                let line = line.to_string();
                let line = line.trim_matches('"').trim();
                if let Some(tags) = line.strip_prefix("```") {
                    self.fence(tags);
                }
            }
            [name, TokenTree::Group(condition)] if is_word(name, "cfg") => {
                let condition = condition.stream().to_string().replace(' ', "");
                self.elsewhere |= condition == "loom"
                    || condition == "test"
                    || condition.starts_with("all(test,");
            }
            [name] => self.exported |= is_word(name, "macro_export"),
            _ => {}
        }
    }

    /// The first line of a block, or the last.
    fn fence(&mut self, tags: &str) {
        if !self.in_block {
            let has = |names: &[&str]| tags.split(',').any(|tag| names.contains(&tag.trim()));
            if has(&["compile_fail"]) {
                self.refused = true;
            } else if !has(&["text", "ignore", "no_run", "console", "sh"]) {
                self.runs = true;
            }
        }
        self.in_block = !self.in_block;
    }
}

#[cfg(test)]
mod tests {
    use super::without_example;

    fn check(text: &str, expected: &[(usize, &str)]) {
        let found = without_example(text).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(line, item)| (*line, item.as_str()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_item_without_one_is_found() {
        check(
            "//! A file.\n/// Adds.\npub fn add() {}\n",
            &[(3, "fn add")],
        );
        check(
            "/// One.\n///\n/// ```\n/// assert!(true);\n/// ```\n#[must_use]\npub const fn one() -> u32 { 1 }\n",
            &[],
        );
        check("/// A value.\npub struct Value;", &[(2, "struct Value")]);
        check(
            "/// A number.\npub const NUMBER: u32 = 1;",
            &[(2, "const NUMBER")],
        );
        check(
            "/// Bad.\npub const unsafe fn bad() {}\n/// Worse.\npub unsafe extern \"C\" fn worse() {}",
            &[(2, "fn bad"), (4, "fn worse")],
        );
    }

    #[test]
    fn items_inside_items_are_found() {
        check(
            "impl<T> Value<T> {\n/// Takes.\npub fn take(self) {}\nfn own() {}\n}",
            &[(3, "fn take")],
        );
        check(
            "impl Value {\nmaybe_const! {\n/// New.\npub fn new() -> Value { Value }\n}\n}",
            &[(4, "fn new")],
        );
        check(
            "pub mod open {\npub fn f() {}\n}\nmod closed {\npub fn g() {}\n}",
            &[(2, "fn f")],
        );
        check(
            "/// A macro.\n#[macro_export]\nmacro_rules! m { () => {} }",
            &[(3, "macro_rules m")],
        );
    }

    #[test]
    fn what_nobody_outside_sees_needs_none() {
        check(
            "pub(crate) fn f() {}\nfn g() {}\npub use other::Thing;",
            &[],
        );
        check(
            "#[cfg(loom)]\npub fn new() {}\n#[cfg(test)]\npub fn for_tests() {}",
            &[],
        );
        check(
            "impl Clone for Value { fn clone(&self) -> Value { Value } }",
            &[],
        );
    }

    #[test]
    fn a_function_must_run_in_its_example() {
        let refused = "/// ```compile_fail,E0382\n/// x\n/// ```\n";
        check(&format!("{refused}pub fn f() {{}}"), &[(4, "fn f")]);
        check(&format!("{refused}pub struct Guard;"), &[]);
        check(
            "/// ```text\n/// a picture\n/// ```\npub fn f() {}",
            &[(4, "fn f")],
        );
        check("/// ```should_panic\n/// f();\n/// ```\npub fn f() {}", &[]);
        check(
            "/// ```\n/// f();\n/// ```\n///\n/// ```text\n/// ```\npub fn f() {}\n/// Other.\npub fn g() {}",
            &[(9, "fn g")],
        );
    }
}
