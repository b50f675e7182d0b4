//! The rule about locks: the kernel, what is under it and its libraries use those
//! of `lib/sync`, and no others.
//!
//! Two ways lead to another lock. A crate brings one: none whose name speaks of
//! locks is linked into the kernel's image. Or `core` or `std` has it, or the
//! atomics that it could be made of: what is built there names neither's `sync`.
//! (`alloc::sync` has reference counts and no lock.)

use anyhow::{Context as _, Result};
use ochre_tool::setup::KERNEL_TARGET;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{Findings, House, SourceFile};
use crate::{run, sources};

/// The library of locks.
const LIBRARY: &str = "lib/sync";

/// What the rule is about.
const BUILT: [&str; 3] = ["kernel", "hal", "lib"];

/// Parts of the names of crates that bring locks, or cells that are made once.
const LOCK_CRATES: [&str; 12] = [
    "lock",
    "parking",
    "mutex",
    "spin",
    "semaphore",
    "critical-section",
    "once_cell",
    "lazy_static",
    "lazycell",
    "crossbeam",
    "atomic",
    "arc-swap",
];

pub(super) fn check(house: &House, findings: &mut Findings) -> Result<()> {
    for file in &house.files {
        sources(file, findings)?;
    }
    let tree = run::cargo(["tree", "--package", "ochre-kernel"])?
        .args(["--target", KERNEL_TARGET, "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}"])
        .output()?;
    dependencies(&tree, findings);
    Ok(())
}

/// Crates that bring locks, in what `cargo tree` says the image is linked with.
fn dependencies(tree: &str, findings: &mut Findings) {
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        if LOCK_CRATES.iter().any(|part| name.contains(part)) {
            findings.add(
                "kernel/Cargo.toml",
                format!("the kernel is linked with {name}; locks come from {LIBRARY}"),
            );
        }
    }
}

fn sources(file: &SourceFile, findings: &mut Findings) -> Result<()> {
    let built = BUILT.iter().any(|dir| file.path.starts_with(dir));
    let tests = sources::is_test_file(&file.path);
    // Macros are the compiler's, examples the host's.
    let elsewhere = ["hal/macros", LIBRARY]
        .iter()
        .any(|dir| file.path.starts_with(dir));
    if !built || tests || elsewhere {
        return Ok(());
    }
    for (line, what) in foreign(&file.text).with_context(|| file.path.display().to_string())? {
        let advice = match what {
            Foreign::Atomics => {
                "takes atomics from elsewhere; ochre_sync::primitive has those that models see"
            }
            Foreign::Locks => "takes a lock from elsewhere; ochre_sync has them",
        };
        findings.add(format!("{}:{line}", file.path.display()), advice);
    }
    Ok(())
}

/// What of `core::sync` or `std::sync` is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    Atomics,
    Locks,
}

/// The lines on which something of `core::sync` or `std::sync` is named; tests
/// are left out.
fn foreign(text: &str) -> Result<Vec<(usize, Foreign)>> {
    let mut found = Vec::new();
    search(sources::without_tests(text)?, &mut found);
    Ok(found)
}

fn search(stream: TokenStream, found: &mut Vec<(usize, Foreign)>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            search(group.stream(), found);
        }
        let is_root = ["core", "std"]
            .iter()
            .any(|root| sources::is_word(token, root));
        if !is_root || !is_path(&tokens[at + 1..]) {
            continue;
        }
        match &tokens[at + 3..] {
            [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for start in 0..inner.len() {
                    let first = start == 0
                        || matches!(&inner[start - 1], TokenTree::Punct(p) if p.as_char() == ',');
                    if first {
                        found.extend(of_sync(&inner[start..]));
                    }
                }
            }
            rest => found.extend(of_sync(rest)),
        }
    }
}

/// Whether the tokens start with `::`.
fn is_path(tokens: &[TokenTree]) -> bool {
    let is_colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    is_colon(tokens.first()) && is_colon(tokens.get(1))
}

/// What the tokens name, if they go on with `sync`.
fn of_sync(tokens: &[TokenTree]) -> Option<(usize, Foreign)> {
    let first = tokens.first()?;
    if !sources::is_word(first, "sync") {
        return None;
    }
    let atomics = is_path(&tokens[1..])
        && tokens
            .get(3)
            .is_some_and(|token| sources::is_word(token, "atomic"));
    let what = if atomics {
        Foreign::Atomics
    } else {
        Foreign::Locks
    };
    Some((first.span().start().line, what))
}

#[cfg(test)]
mod tests {
    use super::{Findings, Foreign, SourceFile, dependencies, foreign, sources};

    #[test]
    fn what_is_named_is_found() {
        let check = |text: &str, expected: &[(usize, Foreign)]| {
            assert_eq!(foreign(text).unwrap(), expected, "{text}");
        };
        check("use std::sync::Mutex;", &[(1, Foreign::Locks)]);
        check("\nuse std::{io, sync::Once};", &[(2, Foreign::Locks)]);
        check(
            "use core::sync::atomic::AtomicU8;",
            &[(1, Foreign::Atomics)],
        );
        check(
            "use core::{mem, sync::atomic::{AtomicU8, Ordering}};",
            &[(1, Foreign::Atomics)],
        );
        check("use core::sync;", &[(1, Foreign::Locks)]);
        check(
            "fn f() { let m = ::std::sync::Mutex::new(0); }",
            &[(1, Foreign::Locks)],
        );
        check("use alloc::sync::Arc; use ochre_sync::SpinLock;", &[]);
        check("// std::sync::Mutex\nfn f() { \"std::sync\"; }", &[]);
        check("use core::{async_iter, pin::sync};", &[]);
        check(
            "#[cfg(test)]\nmod tests { use std::sync::Mutex; }\nfn f() {}",
            &[],
        );
    }

    #[test]
    fn only_what_is_built_for_the_kernel_is_looked_at() {
        let check = |path: &str, expected: usize| {
            let file = SourceFile {
                path: path.into(),
                text: "use core::sync::atomic::AtomicU8;".to_owned(),
            };
            let mut findings = Findings::default();
            sources(&file, &mut findings).unwrap();
            assert_eq!(findings.0.len(), expected, "{path}");
        };
        check("kernel/src/time.rs", 1);
        check("hal/src/cpu.rs", 1);
        check("lib/executor/src/task.rs", 1);
        check("lib/sync/src/primitive/native.rs", 0);
        check("lib/vdso/src/page.rs", 1);
        check("kernel/src/vfs/tests.rs", 0);
        check("tool/src/main.rs", 0);
    }

    #[test]
    fn crates_with_locks_are_found() {
        let check = |tree: &str, expected: usize| {
            let mut findings = Findings::default();
            dependencies(tree, &mut findings);
            assert_eq!(findings.0.len(), expected, "{tree}");
        };
        check("ochre-kernel v0.1.0 (/kernel)\nlog v0.4.35\n", 0);
        check("log v0.4.35\nspin v0.10.0\nlock_api v0.4.14\n", 2);
        check("parking_lot_core v0.9.0", 1);
    }
}
