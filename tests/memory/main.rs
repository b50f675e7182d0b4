//! Memory calls at random: the same sequences on Linux and on Ochre.
//!
//! `user/memory-fuzz` makes a sequence of each seed and prints the hash of what
//! came of it; seeds from [`LATER`] on know some steps more. Where the hashes
//! differ, both tell the whole trace of the seed, and what differs is shown.
//! Seeds that found something once are kept in `seeds.txt`. `cargo xtask fuzz
//! memory` runs more of them.
//!
//! For x86_64 Linux is the host's; for AArch64 it is Debian's, in a machine of
//! its own, and by default only a share of the sequences is run.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::{
    env,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{
    Arch, Case, Extent, Foreign, Guest, Tree, architectures, archive, describe, diff, extent,
    guest_on, name_on, prefix, rootfs, run,
};
use ochre_tool::user_build;

/// The seeds that are kept.
const KEPT: &str = include_str!("seeds.txt");

/// How many sequences are tried if nobody says, and of a machine of which only
/// a share is tested.
const SEQUENCES: u64 = 4_000;
const SHARE: u64 = 500;

/// The first seed of those that know more steps, of which half are.
const LATER: u64 = 1_000_000;

/// Machines that are tried, and what their cases are called.
const PROCESSORS: [(u32, &str); 2] = [(1, ""), (2, " on 2")];

/// From so many on, each machine tries its part of them; fewer, all.
const MANY: u64 = 1_000;

/// How many are tried in one guest.
const AT_ONCE: u64 = 20_000;

/// How many that differ are shown.
const SHOWN: usize = 6;

/// How long a guest may take for one batch.
const TIMEOUT: Duration = Duration::from_secs(1_200);

fn main() -> ExitCode {
    let mut cases = Vec::new();
    for arch in architectures() {
        let title = |name: &str| format!("{}{name}", prefix(arch));
        for (processors, of) in PROCESSORS {
            let kept_title = title(&format!("kept seeds{of}"));
            cases.push(Case::new(kept_title, move || kept(arch, processors)));
            let title = title(&format!("sequences{of}"));
            cases.push(Case::new(title, move || sequences(arch, processors)));
        }
    }
    run(cases)
}

/// A number from the environment.
fn number(name: &str, otherwise: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(otherwise),
    }
}

fn kept(arch: Arch, processors: u32) -> Result<()> {
    let seeds = KEPT.lines().filter(|line| !line.starts_with('#'));
    let seeds: Vec<u64> = seeds
        .map(|line| line.trim().parse().with_context(|| line.to_owned()))
        .collect::<Result<_>>()?;
    let words: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let words: Vec<&str> = ["each"]
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .collect();
    let differing = compare(arch, processors, &words, &seeds)?;
    judge(arch, processors, None, &differing)
}

/// Half of what is asked for from the first seed on, half of those that know more,
/// unless the first is one; none of these beside Debian's Linux by itself, which
/// joins areas of the heap otherwise.
fn sequences(arch: Arch, processors: u32) -> Result<()> {
    let of_itself = match extent(arch) {
        Extent::All => SEQUENCES,
        Extent::Share | Extent::Nothing => SHARE,
    };
    let first = number("OCHRE_FUZZ_FIRST", 1)?;
    let count = number("OCHRE_FUZZ_SEQUENCES", of_itself)?;
    let (first, count) = part(first, count, processors);
    if first >= LATER || arch == Arch::Aarch64 {
        return all_of(arch, processors, first, count);
    }
    all_of(arch, processors, first, count.div_ceil(2))?;
    all_of(arch, processors, first + LATER, count / 2)
}

/// Those of so many seeds that a machine tries: the first, and how many.
fn part(first: u64, count: u64, processors: u32) -> (u64, u64) {
    if count < MANY {
        return (first, count);
    }
    let each = count.div_ceil(PROCESSORS.len() as u64);
    let of = PROCESSORS.iter().position(|(of, _)| *of == processors);
    (first + each * of.unwrap_or(0) as u64, each)
}

/// So many seeds.
fn all_of(arch: Arch, processors: u32, first: u64, count: u64) -> Result<()> {
    let mut differing = Vec::new();
    let mut done = 0;
    while done < count && differing.len() < SHOWN {
        let part = (count - done).min(AT_ONCE);
        let seeds: Vec<u64> = (first + done..first + done + part).collect();
        let words = [(first + done).to_string(), part.to_string()];
        let words = words.each_ref().map(String::as_str);
        differing.extend(compare(arch, processors, &words, &seeds)?);
        done += part;
    }
    judge(arch, processors, Some(first), &differing)
}

/// Those of `seeds`, which `words` ask for, whose hashes differ.
fn compare(arch: Arch, processors: u32, words: &[&str], seeds: &[u64]) -> Result<Vec<u64>> {
    let (theirs, ours) = (linux(arch, words)?, ochre(arch, processors, words)?);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (theirs, ours) = (lines(&theirs), lines(&ours));
    ensure!(
        theirs.len() == seeds.len() && ours.len() == seeds.len(),
        "of {} sequences from {:?} on, Linux came to {} and Ochre to {}; they ended with {:?}, {:?}",
        seeds.len(),
        seeds.first(),
        theirs.len(),
        ours.len(),
        theirs.last(),
        ours.last()
    );
    Ok(seeds
        .iter()
        .zip(theirs.iter().zip(&ours))
        .filter(|(_, (theirs, ours))| theirs != ours)
        .map(|(seed, _)| *seed)
        .collect())
}

/// Shows what differs; after the sequences that came before in its batch, where
/// a seed alone shows nothing.
fn judge(arch: Arch, processors: u32, first: Option<u64>, seeds: &[u64]) -> Result<()> {
    let mut text = String::new();
    for seed in seeds.iter().take(SHOWN) {
        let text_of = seed.to_string();
        let words = ["trace", text_of.as_str()];
        let (mut theirs, ours) = (linux(arch, &words)?, ochre(arch, processors, &words)?);
        let mut difference = diff(&theirs, &ours);
        if let (None, Some(first)) = (&difference, first) {
            let batch = (seed - (seed - first) % AT_ONCE).to_string();
            let words = ["after", batch.as_str(), text_of.as_str()];
            let ours;
            (theirs, ours) = (linux(arch, &words)?, ochre(arch, processors, &words)?);
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

/// What Linux prints.
fn linux(arch: Arch, words: &[&str]) -> Result<String> {
    match arch {
        Arch::X86_64 => on_the_host(words),
        Arch::Aarch64 => Foreign {
            name: "memory-fuzz-linux-aarch64",
            command: "/bin/memory-fuzz older \"$@\"",
            arguments: words,
            processors: 1,
            model: None,
            timeout: TIMEOUT,
        }
        .output(|| root(arch)),
    }
}

/// What the host's prints.
fn on_the_host(words: &[&str]) -> Result<String> {
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
fn ochre(arch: Arch, processors: u32, words: &[&str]) -> Result<String> {
    let outcome = in_ochre(arch, words)?.processors(processors).run()?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
}

fn in_ochre(arch: Arch, words: &[&str]) -> Result<Guest> {
    let archive = archive(&name_on(arch, "memory-fuzz"), || root(arch))?;
    let older: &[&str] = match arch {
        Arch::X86_64 => &[],
        Arch::Aarch64 => &["older"],
    };
    Ok(guest_on(arch)?
        .audited()
        .archive(archive)
        .program("/bin/memory-fuzz")
        .args(older.iter().chain(words).copied())
        .patience(TIMEOUT))
}

/// The root file system: the program.
fn root(arch: Arch) -> Result<Tree> {
    let mut tree = rootfs::skeleton()?;
    let program = user_build::build_for(arch, "memory-fuzz")?;
    tree.host_file("/bin/memory-fuzz", &program)?;
    Ok(tree)
}
