//! Rules about documents: what they name is there, and what is there is named.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};

use super::{Findings, House, crates};

const DEPENDENCIES: &str = "docs/dependencies.md";

/// Documents whose paths are checked, as far as they are there.
const WITH_PATHS: [&str; 3] = ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"];

pub(super) fn check(house: &House, findings: &mut Findings) -> Result<()> {
    dependencies(house, findings)?;
    for document in WITH_PATHS {
        if let Ok(text) = fs::read_to_string(house.root.join(document)) {
            paths(&house.root, document, &text, findings);
        }
    }
    Ok(())
}

/// Every crate from outside has a line that says why it is there.
fn dependencies(house: &House, findings: &mut Findings) -> Result<()> {
    let text = fs::read_to_string(house.root.join(DEPENDENCIES))
        .with_context(|| format!("reading {DEPENDENCIES}"))?;
    let argued = crates::names_in_table(&text);
    let used: BTreeSet<String> = house
        .metadata
        .ours()
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| !dependency.is_ours)
        .map(|dependency| dependency.name.clone())
        .collect();
    for name in used.difference(&argued) {
        findings.add(DEPENDENCIES, format!("does not say why {name} is there"));
    }
    for name in argued.difference(&used) {
        findings.add(
            DEPENDENCIES,
            format!("argues for {name}, which nothing here uses"),
        );
    }
    Ok(())
}

/// Every path in backquotes that starts at the root of the workspace exists;
/// of `PATH#WORD`, the file has the word.
pub(super) fn paths(root: &Path, document: &str, text: &str, findings: &mut Findings) {
    for (number, line) in text.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let (path, word) = quoted
                .split_once('#')
                .map_or((quoted, None), |(path, word)| (path, Some(word)));
            if !names_a_path_of_ours(root, path) {
                continue;
            }
            let is_there = match word {
                None => root.join(path).exists(),
                Some(word) => {
                    fs::read_to_string(root.join(path)).is_ok_and(|text| text.contains(word))
                }
            };
            if !is_there {
                findings.add(
                    format!("{document}:{}", number + 1),
                    format!("names {quoted}, which is not there"),
                );
            }
        }
    }
}

/// A name without a folder may be anything, and a part in capitals stands for
/// many names.
fn names_a_path_of_ours(root: &Path, text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let Some((first, rest)) = text.split_once('/') else {
        return false;
    };
    let stands_for_many = rest.split(['/', '.']).any(|part| {
        part.len() > 1 && part != "README" && part.chars().all(|c| c.is_ascii_uppercase())
    });
    text.chars().all(plain)
        && !stands_for_many
        && !first.is_empty()
        && first != "target"
        && root.join(first).is_dir()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Findings, paths};

    #[test]
    fn paths_in_documents_must_exist() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("hal/src")).unwrap();
        fs::write(root.path().join("hal/src/boot.rs"), "").unwrap();
        let check = |text: &str, expected: usize| {
            let mut findings = Findings::default();
            paths(root.path(), "README.md", text, &mut findings);
            assert_eq!(findings.0.len(), expected, "{text}");
        };
        check("see `hal/src/boot.rs` and `hal/src/`", 0);
        check("see `hal/src/gone.rs`", 1);
        check(
            "see `/dev/null`, `cargo run`, `a/b`, `hal/{a,b}`, `target/ochre`",
            0,
        );
        check("see `README.md` and `boot.rs`", 0);
        fs::write(root.path().join("hal/src/boot.rs"), "fn start() {}").unwrap();
        check("see `hal/src/boot.rs#fn start`", 0);
        check("see `hal/src/boot.rs#stop` and `hal/src/gone.rs#start`", 2);
        check("see `hal/src/FAMILY.rs`", 0);
        check("see hal/src/gone.rs", 0);
    }
}
