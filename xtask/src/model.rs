//! The checkers of the lib crates: Miri for undefined behaviour, loom and shuttle
//! for interleavings.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tool::paths;

use crate::{
    metadata::Metadata,
    run, sources, tidy,
    weaken::{self, Share},
};

/// The crates that know nothing of the machine.
fn lib_crates(only: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let lib = paths::workspace()?.join("lib");
    let crates: Vec<_> = Metadata::of_kernel_image()?
        .ours()
        .filter(|package| package.dir.starts_with(&lib))
        .map(|package| (package.name.clone(), package.dir.clone()))
        .collect();
    for name in only {
        if !crates.iter().any(|(known, _)| known == name) {
            bail!("{name} is not one of the crates in lib/");
        }
    }
    Ok(crates
        .into_iter()
        .filter(|(name, _)| only.is_empty() || only.contains(name))
        .collect())
}

/// Runs the tests of lib crates under Miri: of those named, or of those that
/// may hold unsafe code. Each seed is another schedule, and other failures of
/// the compare-exchanges that may fail for no reason.
pub(crate) fn miri(only: &[String], seeds: u32) -> Result<()> {
    if !run::cargo_of("nightly", ["miri", "--version"])?.succeeds() {
        bail!(
            "Miri is not there. To install it:\n  \
             rustup toolchain install nightly --component miri,rust-src"
        );
    }
    let mut command = under_miri("test")?
        .env(
            "MIRIFLAGS",
            format!("{MIRI_FLAGS} -Zmiri-many-seeds=0..{seeds}"),
        )
        .env("PROPTEST_CASES", "4");
    let trusted = tidy::trusted_crates()?;
    let mut wrong = Vec::new();
    for (name, dir) in lib_crates(only)? {
        if only.is_empty() && !trusted.contains(&name) {
            continue;
        }
        command = command.args(["--package", &name]);
        if dir.join("examples/misuse.rs").exists() {
            wrong.push(name);
        }
    }
    command.run()?;
    wrong.iter().try_for_each(|name| misuses(name))
}

/// What Miri is asked for in all its runs.
const MIRI_FLAGS: &str = "-Zmiri-strict-provenance";

fn under_miri(verb: &str) -> Result<run::Run> {
    let command = run::cargo_of("nightly", ["miri", verb])?
        .env("MIRIFLAGS", MIRI_FLAGS)
        .env("CARGO_TARGET_DIR", paths::target()?.join("miri"));
    Ok(command)
}

/// The negative control: of each program in a crate's `examples/misuse.rs`, which
/// lists them, Miri must say that its behaviour is undefined.
fn misuses(name: &str) -> Result<()> {
    let example = || {
        let args = ["--quiet", "--package", name, "--example", "misuse", "--"];
        Ok::<_, anyhow::Error>(under_miri("run")?.args(args))
    };
    let list = example()?.output()?;
    ensure!(!list.is_empty(), "{name} lists no misuse");
    for misuse in list.lines() {
        let said = example()?.args([misuse]).complaint()?;
        ensure!(
            said.contains("Undefined Behavior"),
            "Miri does not notice '{misuse}' of {name}; it says:\n{said}"
        );
        println!("{name}: {misuse} is noticed");
    }
    Ok(())
}

/// Those lib crates that have loom tests.
fn modelled(only: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for (name, dir) in lib_crates(only)? {
        let mut has_tests = false;
        for file in sources::rust_files(&dir)? {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            has_tests |= text.contains("loom::model") || text.contains("model::Builder");
        }
        if has_tests {
            found.push((name, dir));
        }
    }
    if found.is_empty() {
        bail!("none of these crates has a loom test");
    }
    Ok(found)
}

/// Lints the loom tests, which the ordinary lints never see.
pub(crate) fn check() -> Result<()> {
    let mut command = run::cargo(["clippy", "--release", "--lib", "--tests"])?
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", paths::target()?.join("loom"));
    for (name, _) in modelled(&[])? {
        command = command.args(["--package", &name]);
    }
    command.args(["--", "--deny", "warnings"]).run()
}

/// Runs the loom tests of those lib crates that have some.
pub(crate) fn loom(only: &[String]) -> Result<()> {
    for (name, _) in modelled(only)? {
        run::cargo(["test", "--release", "--lib", "--package", &name, "loom"])?
            .env("RUSTFLAGS", "--cfg loom")
            .env("LOOM_MAX_PREEMPTIONS", "2")
            .env("CARGO_TARGET_DIR", paths::target()?.join("loom"))
            .run()?;
    }
    Ok(())
}

/// Runs the shuttle tests of those lib crates that have some.
pub(crate) fn shuttle(only: &[String], schedules: u32) -> Result<()> {
    let crates: Vec<_> = lib_crates(only)?
        .into_iter()
        .filter(|(_, dir)| dir.join("tests/shuttle.rs").exists())
        .collect();
    ensure!(
        !crates.is_empty(),
        "none of these crates has a shuttle test"
    );
    for (name, _) in crates {
        run::cargo(["test", "--release", "--test", "shuttle", "--package", &name])?
            .env("RUSTFLAGS", "--cfg shuttle")
            .env("OCHRE_SCHEDULES", schedules.to_string())
            .env("CARGO_TARGET_DIR", paths::target()?.join("shuttle"))
            .run()?;
    }
    Ok(())
}

/// Weakens the orderings of those lib crates that have loom tests.
pub(crate) fn weaken(only: &[String], places: Option<&str>, share: Share) -> Result<()> {
    let mut failed = Vec::new();
    for (name, dir) in modelled(only)? {
        if let Err(error) = weaken::weaken(&name, &dir, places, share) {
            failed.push(format!("{name}: {error:#}"));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}
