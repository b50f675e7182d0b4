//! Rules about single files: their head, their length, and what must not be in them.

use std::path::Path;

use super::{Findings, House, SourceFile};
use crate::sources;

/// No file is longer, tests apart.
const MAX_LINES: usize = 800;

/// What must not be in a source file, and what to do instead. The words are
/// cut in two so that this file does not name them itself.
const UNWANTED: [(&str, &str, &str); 8] = [
    ("FIX", "ME", "do it now, or file an issue"),
    ("TO", "DO", "do it now, or file an issue"),
    ("XX", "X:", "do it now, or file an issue"),
    ("todo", "!(", "do it now, or file an issue"),
    ("unimplemented", "!(", "do it now, or file an issue"),
    ("#[ign", "ore", "a test that does not run is no test"),
    ("#[should_", "panic", "a test says itself what must happen"),
    ("#[al", "low(", "use #[expect(.., reason = \"..\")]"),
];

pub(super) fn check(house: &House, findings: &mut Findings) {
    for file in &house.files {
        head(file, findings);
        length(file, findings);
        name(&file.path, findings);
        unwanted(file, findings);
        machine_choice(file, findings);
    }
}

fn head(file: &SourceFile, findings: &mut Findings) {
    if !file.text.starts_with("//!") {
        findings.add(&file.path, "starts without a //! line that says what it is");
    }
}

fn length(file: &SourceFile, findings: &mut Findings) {
    if sources::is_test_file(&file.path) {
        return;
    }
    let lines = file
        .text
        .lines()
        .position(|line| line == "#[cfg(test)]")
        .unwrap_or_else(|| file.text.lines().count());
    if lines > MAX_LINES {
        findings.add(
            &file.path,
            format!("has {lines} lines without its tests; {MAX_LINES} are the limit"),
        );
    }
}

fn name(path: &Path, findings: &mut Findings) {
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        findings.add(path, "is called mod.rs; call it after its module");
    }
}

fn unwanted(file: &SourceFile, findings: &mut Findings) {
    for (number, line) in file.text.lines().enumerate() {
        for (first, second, advice) in UNWANTED {
            let found = line.match_indices(first).any(|(at, _)| {
                // A word inside a longer one is another word.
                let alone = !line[..at].ends_with(|before: char| before.is_alphanumeric());
                alone && line[at + first.len()..].starts_with(second)
            });
            if found {
                findings.add(
                    format!("{}:{}", file.path.display(), number + 1),
                    format!("has {first}{second}: {advice}"),
                );
            }
        }
    }
}

/// One place per crate knows which machine this is: `arch.rs` and what is
/// below `arch/`.
fn machine_choice(file: &SourceFile, findings: &mut Findings) {
    let in_arch = file
        .path
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("arch.rs" | "arch")));
    let word = concat!("target_", "arch");
    if !in_arch && file.text.contains(word) {
        findings.add(&file.path, format!("asks for {word}; only arch.rs may"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, SourceFile, head, length, machine_choice, name, unwanted};

    fn check(path: &str, text: &str, expected: usize) {
        let file = SourceFile {
            path: path.into(),
            text: text.to_owned(),
        };
        let mut findings = Findings::default();
        head(&file, &mut findings);
        length(&file, &mut findings);
        name(&file.path, &mut findings);
        unwanted(&file, &mut findings);
        machine_choice(&file, &mut findings);
        assert_eq!(findings.0.len(), expected, "{path}: {:?}", findings.0);
    }

    #[test]
    fn rules() {
        check("a.rs", "//! A.\n", 0);
        check("a.rs", "fn f() {}\n", 1);
        check("a/mod.rs", "//! A.\n", 1);
        check("a.rs", concat!("//! A.\n// TO", "DO: x\n"), 1);
        check("a.rs", concat!("//! A.\n// MASTO", "DON\n"), 0);
        check("a.rs", concat!("//! A.\n#[ign", "ore]\n"), 1);
        check(
            "a.rs",
            concat!("//! A.\n#[cfg(target_", "arch = \"x\")]\n"),
            1,
        );
        check(
            "hal/arch.rs",
            concat!("//! A.\n#[cfg(target_", "arch = \"x\")]\n"),
            0,
        );
        check("a.rs", &format!("//! A.\n{}", "x\n".repeat(800)), 1);
        check("a/tests.rs", &format!("//! A.\n{}", "x\n".repeat(800)), 0);
        let tests = format!("//! A.\n#[cfg(test)]\n{}", "x\n".repeat(800));
        check("a.rs", &tests, 0);
    }
}
