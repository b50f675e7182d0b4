//! Rust source files as tokens, so that comments and texts are never taken for code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What is counted in a crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Lines with code on them; tests are left out.
    pub(crate) lines: usize,
    /// `unsafe { .. }`
    pub(crate) blocks: usize,
    /// `unsafe fn`
    pub(crate) functions: usize,
    /// `unsafe impl`
    pub(crate) impls: usize,
    /// `unsafe trait`
    pub(crate) traits: usize,
    /// `unsafe extern`
    pub(crate) externs: usize,
    /// `#[unsafe(..)]`
    pub(crate) attributes: usize,
}

impl Counts {
    /// All unsafe sites.
    pub(crate) fn sites(&self) -> usize {
        self.blocks + self.functions + self.impls + self.traits + self.externs + self.attributes
    }

    /// Adds the counts of another part.
    pub(crate) fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.blocks += other.blocks;
        self.functions += other.functions;
        self.impls += other.impls;
        self.traits += other.traits;
        self.externs += other.externs;
        self.attributes += other.attributes;
    }
}

/// Counts in one file's text.
pub(crate) fn count(text: &str) -> Result<Counts> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("not Rust: {error}"))?;
    let mut counter = Counter::default();
    counter.stream(tokens);
    counter.counts.lines = counter.lines.len();
    Ok(counter.counts)
}

/// A file's tokens without what is built for tests only.
pub(crate) fn without_tests(text: &str) -> Result<TokenStream> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("not Rust: {error}"))?;
    Ok(product(tokens))
}

fn product(stream: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if is_test_attribute(&tokens[at..]) {
            at += 2;
            at += item_len(&tokens[at..]);
            continue;
        }
        kept.push(match token {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), product(group.stream()));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other.clone(),
        });
        at += 1;
    }
    kept.into_iter().collect()
}

#[derive(Default)]
struct Counter {
    counts: Counts,
    lines: BTreeSet<usize>,
}

impl Counter {
    fn stream(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if is_test_attribute(&tokens[at..]) {
                at += 2;
                at += item_len(&tokens[at..]);
                continue;
            }
            if let Some(len) = documentation_len(&tokens[at..]) {
                at += len;
                continue;
            }
            self.token(token);
            if is_word(token, "unsafe") {
                self.site(&tokens[at + 1..]);
            }
            at += 1;
        }
    }

    fn token(&mut self, token: &TokenTree) {
        match token {
            TokenTree::Group(group) => self.group(group),
            TokenTree::Literal(literal) => {
                let span = literal.span();
                self.lines.extend(span.start().line..=span.end().line);
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {
                self.lines.insert(token.span().start().line);
            }
        }
    }

    fn group(&mut self, group: &Group) {
        self.lines.insert(group.span_open().start().line);
        self.lines.insert(group.span_close().end().line);
        self.stream(group.stream());
    }

    /// Sorts an `unsafe` by what follows it.
    fn site(&mut self, rest: &[TokenTree]) {
        let counts = &mut self.counts;
        match rest.first() {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                counts.blocks += 1;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                counts.attributes += 1;
            }
            Some(token) if is_word(token, "impl") => counts.impls += 1,
            Some(token) if is_word(token, "trait") || is_word(token, "auto") => counts.traits += 1,
            Some(token) if is_word(token, "extern") => {
                // `unsafe extern "C" fn` is a function, or the type of one.
                let is_function = rest.iter().take(3).any(|token| is_word(token, "fn"));
                if is_function {
                    counts.functions += 1;
                } else {
                    counts.externs += 1;
                }
            }
            Some(token) if is_word(token, "fn") || is_word(token, "const") => {
                counts.functions += 1;
            }
            // In a macro's pattern, say; it is no site by itself.
            _ => {}
        }
    }
}

/// Whether a token is this word.
pub(crate) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// How many tokens `/// text` or `//! text` has become, if they start with
/// one: the tokenizer turns these comments into attributes, `#[doc = "text"]`.
fn documentation_len(tokens: &[TokenTree]) -> Option<usize> {
    let is_punct =
        |at: usize, c| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == c);
    let group_at = if is_punct(1, '!') { 2 } else { 1 };
    let TokenTree::Group(group) = tokens.get(group_at)? else {
        return None;
    };
    let first = group.stream().into_iter().next()?;
    (is_punct(0, '#') && is_word(&first, "doc")).then_some(group_at + 1)
}

/// Whether the tokens start with `#[cfg(test)]`, or with a `cfg` of `all(test,
/// ..)`.
pub(crate) fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(group), ..] = tokens else {
        return false;
    };
    let mut inner = group.stream().into_iter();
    hash.as_char() == '#'
        && inner.next().is_some_and(|word| is_word(&word, "cfg"))
        && matches!(inner.next(), Some(TokenTree::Group(condition)) if {
            let condition = condition.stream().to_string();
            condition == "test" || condition.starts_with("all (test") || condition.starts_with("all(test")
        })
}

/// How many tokens an item has: to its semicolon or its braces.
pub(crate) fn item_len(tokens: &[TokenTree]) -> usize {
    let end = tokens.iter().position(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    });
    end.map_or(tokens.len(), |end| end + 1)
}

/// All `.rs` files below a folder, in order; build output and hidden folders
/// are left out.
pub(crate) fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let listing = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    for entry in listing {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file holds nothing but tests, by its place.
pub(crate) fn is_test_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name == "tests.rs"
        || path
            .components()
            .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches" | "gen")))
}

#[cfg(test)]
mod tests {
    use super::{Counts, count};

    fn check(text: &str, expected: Counts) {
        assert_eq!(count(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn comments_and_texts_are_no_sites() {
        check(
            "//! unsafe { }\n/// unsafe fn\n// unsafe\n/* unsafe {} */\nfn f() {\n    \"unsafe {}\";\n\n    r#\"unsafe { \"#;\n}\n",
            Counts {
                lines: 4,
                ..Counts::default()
            },
        );
    }

    #[test]
    fn each_kind_is_told_apart() {
        let one = Counts {
            lines: 1,
            ..Counts::default()
        };
        check("fn f() { unsafe { g() } }", Counts { blocks: 1, ..one });
        check(
            "unsafe fn f() {}",
            Counts {
                functions: 1,
                ..one
            },
        );
        check(
            "pub const unsafe fn f() {}",
            Counts {
                functions: 1,
                ..one
            },
        );
        check(
            "unsafe extern \"C\" fn f() {}",
            Counts {
                functions: 1,
                ..one
            },
        );
        check("unsafe impl Send for X {}", Counts { impls: 1, ..one });
        check("pub unsafe trait T {}", Counts { traits: 1, ..one });
        check(
            "unsafe extern \"C\" { fn f(); }",
            Counts { externs: 1, ..one },
        );
        check(
            "#[unsafe(no_mangle)] fn f() {}",
            Counts {
                attributes: 1,
                ..one
            },
        );
        check(
            "macro_rules! m { () => { unsafe { x() } } }",
            Counts { blocks: 1, ..one },
        );
    }

    #[test]
    fn tests_are_left_out() {
        check(
            "fn f() {}\n#[cfg(test)]\nmod tests {\n fn g() { unsafe {} }\n}\n#[cfg(test)]\nmod more;\nfn h() {}\n",
            Counts {
                lines: 2,
                ..Counts::default()
            },
        );
    }
}
