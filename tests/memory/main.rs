//! Memory calls at random: the same sequences on the host's Linux and on Ochre.
//!
//! `user/memory-fuzz` makes a sequence of each seed and prints the hash of what
//! came of it. Where the hashes differ, both tell the whole trace of the seed,
//! and what differs is shown. Seeds that found something once are kept in
//! `seeds.txt`. `cargo xtask fuzz memory` runs more of them.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::{
    env,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{Case, Guest, Tree, archive, describe, diff, guest, rootfs, run};
use ochre_tool::user_build;

/// The seeds that are kept.
const KEPT: &str = include_str!("seeds.txt");

/// How many sequences are tried if nobody says.
const SEQUENCES: u64 = 4_000;

/// How many are tried in one guest.
const AT_ONCE: u64 = 20_000;

/// How many that differ are shown.
const SHOWN: usize = 6;

/// How long a guest may take for one batch.
const TIMEOUT: Duration = Duration::from_secs(1_200);

fn main() -> ExitCode {
    run(vec![
        Case::new("kept seeds", kept),
        Case::new("sequences", sequences),
    ])
}

/// A number from the environment.
fn number(name: &str, otherwise: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(otherwise),
    }
}

fn kept() -> Result<()> {
    let mut differing = Vec::new();
    for line in KEPT.lines().filter(|line| !line.starts_with('#')) {
        let seed: u64 = line.trim().parse().with_context(|| line.to_owned())?;
        differing.extend(compare(seed, 1)?);
    }
    judge(None, &differing)
}

fn sequences() -> Result<()> {
    let first = number("OCHRE_FUZZ_FIRST", 1)?;
    let count = number("OCHRE_FUZZ_SEQUENCES", SEQUENCES)?;
    let mut differing = Vec::new();
    let mut done = 0;
    while done < count && differing.len() < SHOWN {
        let part = (count - done).min(AT_ONCE);
        differing.extend(compare(first + done, part)?);
        done += part;
    }
    judge(Some(first), &differing)
}

/// The seeds of a batch whose hashes differ.
fn compare(first: u64, count: u64) -> Result<Vec<u64>> {
    let words = [first.to_string(), count.to_string()];
    let words = words.each_ref().map(String::as_str);
    let (theirs, ours) = (linux(&words)?, ochre(&words)?);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (theirs, ours) = (lines(&theirs), lines(&ours));
    ensure!(
        theirs.len() as u64 == count && ours.len() == theirs.len(),
        "of {count} sequences from {first} on, Linux came to {} and Ochre to {}; it ended with {:?}",
        theirs.len(),
        ours.len(),
        ours.last()
    );
    Ok((first..)
        .zip(theirs.iter().zip(&ours))
        .filter(|(_, (theirs, ours))| theirs != ours)
        .map(|(seed, _)| seed)
        .collect())
}

/// Shows what differs; after the sequences that came before in its batch, where
/// a seed alone shows nothing.
fn judge(first: Option<u64>, seeds: &[u64]) -> Result<()> {
    let mut text = String::new();
    for seed in seeds.iter().take(SHOWN) {
        let text_of = seed.to_string();
        let words = ["trace", text_of.as_str()];
        let (mut theirs, ours) = (linux(&words)?, ochre(&words)?);
        let mut difference = diff(&theirs, &ours);
        if let (None, Some(first)) = (&difference, first) {
            let batch = (seed - (seed - first) % AT_ONCE).to_string();
            let words = ["after", batch.as_str(), text_of.as_str()];
            let ours;
            (theirs, ours) = (linux(&words)?, ochre(&words)?);
            difference = diff(&theirs, &ours);
        }
        let difference = difference.unwrap_or_else(|| "now it does not differ\n".to_owned());
        text.push_str(&format!("seed {seed}:\n{theirs}\n{difference}\n"));
    }
    if seeds.is_empty() {
        return Ok(());
    }
    bail!(
        "{} sequences differ ({seeds:?}); - is Linux, + is Ochre\n{text}",
        seeds.len()
    );
}

/// What the host prints.
fn linux(words: &[&str]) -> Result<String> {
    let output = Command::new(user_build::build("memory-fuzz")?)
        .args(words)
        .stdin(Stdio::null())
        .env_clear()
        .output()
        .context("running memory-fuzz on the host")?;
    ensure!(
        output.status.success(),
        "memory-fuzz on the host: {}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What Ochre prints.
fn ochre(words: &[&str]) -> Result<String> {
    let outcome = in_ochre(words)?.run()?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
}

fn in_ochre(words: &[&str]) -> Result<Guest> {
    let archive = archive("memory-fuzz", root)?;
    Ok(guest()?
        .archive(archive)
        .program("/bin/memory-fuzz")
        .args(words.iter().copied())
        .timeout(TIMEOUT))
}

/// The root file system: the program.
fn root() -> Result<Tree> {
    let mut tree = rootfs::skeleton()?;
    tree.host_file("/bin/memory-fuzz", &user_build::build("memory-fuzz")?)?;
    Ok(tree)
}
