//! The dynamic linker's own answers, compared with ours.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ScriptLine, find};
use crate::host;

/// The files that `ldd` names, or nothing if it cannot be asked here.
fn ldd(program: &Path) -> Option<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let files = text
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(|path| Path::new(path).canonicalize().unwrap())
        .collect();
    output.status.success().then_some(files)
}

fn check_against_ldd(name: &str) {
    let Some(program) = host::find_command(name) else {
        return;
    };
    let Some(theirs) = ldd(&program) else {
        return;
    };
    let mut ours: BTreeSet<_> = find(&program)
        .unwrap()
        .files
        .values()
        .map(|path| path.canonicalize().unwrap())
        .collect();
    ours.remove(&program.canonicalize().unwrap());
    assert_eq!(ours, theirs, "{name}");
}

#[test]
fn same_files_as_ldd() {
    for name in ["bash", "ls", "rustc", "qemu-system-x86_64", "apt-get"] {
        check_against_ldd(name);
    }
}

#[test]
fn files_keep_the_paths_by_which_they_are_looked_for() {
    let needs = find(Path::new("/bin/bash")).unwrap();
    assert!(needs.files.contains_key(Path::new("/bin/bash")));
    assert!(
        needs
            .files
            .contains_key(Path::new("/lib64/ld-linux-x86-64.so.2"))
    );
}

#[test]
fn scripts_need_their_interpreter() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    let check = |text: &str, expected: &[&str]| {
        fs::write(&script, text).unwrap();
        let needs = find(&script).unwrap();
        for path in expected {
            assert!(needs.files.contains_key(Path::new(path)), "{text}: {path}");
        }
    };
    let bash = host::find_command("bash").unwrap();
    check("#!/bin/sh\n", &["/bin/sh", "/lib64/ld-linux-x86-64.so.2"]);
    check("#! /bin/sh -e \nx", &["/bin/sh"]);
    check(
        "#!/usr/bin/env -S A=b bash -e\n",
        &["/usr/bin/env", bash.to_str().unwrap()],
    );
}

#[test]
fn what_is_no_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    for text in ["", "text\n", "\x7fELF", "#!\n", "#!/no/such/interpreter\n"] {
        fs::write(&file, text).unwrap();
        assert!(find(&file).is_err(), "{text:?}");
    }
    // A script that names itself ends too.
    fs::write(&file, format!("#!{}\n", file.display())).unwrap();
    assert!(find(&file).is_err());
}

#[test]
fn damaged_elf_files_are_errors_never_panics() {
    let bytes = fs::read("/bin/true").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    for len in [1, 16, 52, 64, 200, 1000] {
        fs::write(&file, &bytes[..len.min(bytes.len())]).unwrap();
        let _ = find(&file);
    }
    for at in 0..512 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        fs::write(&file, &damaged).unwrap();
        let _ = find(&file);
    }
}

#[test]
fn script_lines() {
    let check = |line: &[u8], expected: Option<(&str, Option<&str>)>| {
        let parsed = ScriptLine::parse(line);
        let expected = expected.map(|(interpreter, argument)| ScriptLine {
            interpreter: interpreter.into(),
            argument: argument.map(|text| text.as_bytes().to_vec()),
        });
        assert_eq!(parsed, expected);
    };
    check(b"#!/bin/sh\nx", Some(("/bin/sh", None)));
    check(b"#!\t/bin/sh", Some(("/bin/sh", None)));
    check(b"#!/bin/sh -e -x\n", Some(("/bin/sh", Some("-e -x"))));
    check(b"#!/bin/sh -e\r\n", Some(("/bin/sh", Some("-e"))));
    check(b"#!  \n", None);
    check(b"# /bin/sh\n", None);
}
