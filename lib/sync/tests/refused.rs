//! What the compiler refuses, and why: the examples that must not compile fail
//! with the errors that they name.
//!
//! An example marked `compile_fail,E0382` is there to show one mistake. rustdoc
//! compares the code on a nightly compiler only; elsewhere any error will do, and
//! a slip in the example hides that the mistake is no longer refused. So all of
//! them are programs of one package here, which this compiler checks, and what it
//! says about each is compared with what the example names.
#![cfg(not(any(loom, shuttle, miri)))]
#![forbid(unsafe_code)]

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An example that must be refused.
struct Example {
    /// `FILE:LINE`
    place: String,
    /// The errors' codes, in order; none if the error that is expected has none.
    codes: BTreeSet<String>,
    /// All lines of it, those that the page does not show, too.
    text: String,
}

/// What each kind of mistake is called. At least one example shows each.
const MISTAKES: [(&str, &str); 11] = [
    (
        "E0106",
        "a guard that says nothing of how long its lock is there",
    ),
    ("E0277", "a value on another thread that may not be there"),
    ("E0373", "a borrow that a thread may outlive"),
    ("E0382", "something used again that was given away"),
    ("E0451", "what only this library can make"),
    ("E0499", "two that may change the same at once"),
    ("E0502", "something read while another may change it"),
    ("E0505", "a guard given up while what it guards is in use"),
    ("E0594", "a change through what only reads"),
    ("E0596", "a change through what many own"),
    (
        "E0597",
        "a guard or a node that outlives what it belongs to",
    ),
];

/// All Rust files below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("it is a folder") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The examples of a file that must be refused.
fn examples(name: &str, text: &str) -> Vec<Example> {
    let mut found = Vec::new();
    // The one that this line is in; `None` in one of those that must compile.
    let mut block: Option<Option<Example>> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let comment = ["///", "//!"]
            .iter()
            .find_map(|mark| line.strip_prefix(mark));
        let Some(line) = comment else {
            continue;
        };
        let line = line.strip_prefix(' ').unwrap_or(line);
        if let Some(tags) = line.trim_start().strip_prefix("```") {
            block = match block {
                Some(finished) => {
                    found.extend(finished);
                    None
                }
                None => {
                    let mut tags = tags.split(',').map(str::trim);
                    let is_refused = tags.clone().any(|tag| tag == "compile_fail");
                    Some(is_refused.then(|| {
                        Example {
                            place: format!("{name}:{}", index + 1),
                            codes: tags
                                .by_ref()
                                .filter(|tag| tag.starts_with('E'))
                                .map(str::to_owned)
                                .collect(),
                            text: String::new(),
                        }
                    }))
                }
            };
        } else if let Some(Some(example)) = &mut block {
            let hidden = line
                .strip_prefix("# ")
                .or(line.strip_prefix('#').filter(|rest| rest.is_empty()));
            example.text += hidden.unwrap_or(line);
            example.text += "\n";
        }
    }
    found
}

/// What the compiler says about each: the codes of its errors, without those
/// that have none; and all it says, for who has to look.
fn refused(examples: &[Example]) -> (Vec<Option<BTreeSet<String>>>, String) {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused");
    let programs = package.join("src/bin");
    // Programs of an earlier version must not stay.
    let _ = fs::remove_dir_all(&package);
    fs::create_dir_all(&programs).expect("the build folder can be written");
    let library = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[workspace]\n\
         [package]\n\
         name = \"refused\"\n\
         edition = \"2024\"\n\
         [dependencies]\n\
         ochre-sync = {{ path = {library:?}, features = [\"std\"] }}\n"
    );
    let write = |path: &Path, text: &str| fs::write(path, text).expect("the folder can be written");
    write(&package.join("Cargo.toml"), &manifest);
    // The versions that are here already.
    let lock = Path::new(library).join("../../Cargo.lock");
    fs::copy(lock, package.join("Cargo.lock")).expect("the workspace is locked");
    for (number, example) in examples.iter().enumerate() {
        let text = &example.text;
        let text = if text.contains("fn main()") {
            text.clone()
        } else {
            format!("fn main() {{\n{text}}}\n")
        };
        write(&programs.join(format!("example_{number}.rs")), &text);
    }
    let output = Command::new(env!("CARGO"))
        .current_dir(&package)
        .args(["check", "--bins", "--keep-going", "--offline"])
        .args(["--message-format", "short", "--color", "never"])
        .env("CARGO_TARGET_DIR", package.with_file_name("refused-target"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("there is a cargo");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // `src/bin/example_7.rs:4:9: error[E0382]: borrow of moved value`
    let mut errors: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for line in said.lines() {
        let Some((number, rest)) = line
            .strip_prefix("src/bin/example_")
            .and_then(|line| line.split_once(".rs:"))
        else {
            continue;
        };
        let Some((_, error)) = rest.split_once(": error") else {
            continue;
        };
        let codes = errors
            .entry(number.parse().expect("they are numbered"))
            .or_default();
        if let Some((code, _)) = error
            .strip_prefix('[')
            .and_then(|code| code.split_once(']'))
        {
            codes.insert(code.to_owned());
        }
    }
    let found = (0..examples.len()).map(|number| errors.remove(&number));
    (found.collect(), said)
}

fn told(codes: &BTreeSet<String>) -> String {
    if codes.is_empty() {
        return "an error without a code".to_owned();
    }
    codes
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn each_example_is_refused_for_the_reason_that_it_names() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&source, &mut paths);
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("it is text");
        let name = path.strip_prefix(&source).unwrap_or(&path);
        all.extend(examples(&name.display().to_string(), &text));
    }
    let shown: BTreeSet<&str> = all
        .iter()
        .flat_map(|example| example.codes.iter().map(String::as_str))
        .collect();
    for (code, mistake) in MISTAKES {
        assert!(shown.contains(code), "no example of {code}: {mistake}");
    }

    // One that is right, to see that the others fail for what they say.
    all.push(Example {
        place: "a right one".to_owned(),
        codes: BTreeSet::new(),
        text: "*ochre_sync::host::Mutex::new(1).lock().unwrap() += 1;\n".to_owned(),
    });
    let (mut found, said) = refused(&all);
    assert_eq!(
        found.pop(),
        Some(None),
        "a right program is refused:\n{said}"
    );
    let mut wrong = String::new();
    for (example, found) in all.iter().zip(&found) {
        let (place, expected) = (&example.place, told(&example.codes));
        match found {
            None => writeln!(wrong, "{place}: compiles; expected was {expected}"),
            Some(found) if *found != example.codes => {
                writeln!(wrong, "{place}: {}; expected was {expected}", told(found))
            }
            Some(_) => Ok(()),
        }
        .expect("a string grows");
    }
    assert!(wrong.is_empty(), "{wrong}\n{said}");
}
