//! What a kernel writes when programs on two processors ask it for what they ask
//! most: each processor lines of its own, none that the other writes too.
//!
//! A plugin in QEMU (`tests/store-watch`) sees every store of either processor,
//! counters and locks alike, while a program (`user/hot-paths`) does the same on
//! both. A line that both write is a line that goes to and fro between them on a
//! real machine: what makes such calls slower the more processors make them. Where
//! that has a reason, [`ALLOWED`] says so.
//!
//! Both must write it [often](often): what a processor does now and then, like
//! looking for work elsewhere when it has none, takes nothing from a call.
//!
//! Of what is allocated (objects, tables, what is noted of frames), only what both
//! write the same word of counts: whose object lies beside whose is chance, and
//! differs from boot to boot. What the kernel's image has has its place for good,
//! and there neighbours count: a processor's place in an array is to be a line of
//! its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Arch, Case, describe, guest_on, once, prefix, rootfs};
use ochre_tool::{paths, setup, symbols::Names, user_build};

/// The families of `user/hot-paths` in its order, but for the last.
const FAMILIES: [&str; 12] = [
    "computing",
    "getppid",
    "clock_gettime",
    "reading zeroes",
    "reading a file",
    "writing a file",
    "futex",
    "pipe",
    "faults",
    "mapping",
    "sched_yield",
    "signals",
];

/// The last one: both change the place of one open file, and that is seen.
const SHARED: &str = "one file's place";

/// Whose stores may be to lines of both: the family, what the way to the store has
/// in it, and why.
const ALLOWED: [(&str, &str, &str); 4] = [
    (
        "signals",
        "thread (kernel/src/process/table.rs",
        "a signal goes to a number, and the table of numbers has one lock",
    ),
    (
        "signals",
        "process::credentials::Credentials",
        "who sends is compared with who is sent to, and processes of one parent share \
         what says who they are",
    ),
    (
        "signals",
        "charge_signal",
        "what is queued is counted for all processes of a user: `RLIMIT_SIGPENDING`",
    ),
    (
        "signals",
        "process::credentials::SignalCharge",
        "and given back to the same count",
    ),
];

/// How much of memory a processor takes for itself to write to it.
const LINE: u64 = 64;

/// Where both machines have the kernel's image.
const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// The lines, or words, that each of two processors wrote in a window.
type Window = [BTreeMap<u64, Stores>; 2];

/// Where a line was written from, and how often.
#[derive(Clone, Default)]
struct Stores {
    from: BTreeSet<u64>,
    count: u64,
}

/// How many stores are many, of a family whose rounds are 2,000: one in twenty
/// rounds; and in a fifth of a second in which a program asks for nothing, what
/// comes 50 times a second.
fn often(family: &str) -> u64 {
    if family == "computing" { 10 } else { 100 }
}

pub(crate) fn cases(arch: Arch) -> impl Iterator<Item = Case> {
    let prefix = prefix(arch);
    let own = FAMILIES.iter().enumerate().map(move |(window, name)| {
        Case::new(format!("{prefix}no shared writes: {name}"), move || {
            let shared = shared(arch, window)?;
            ensure!(
                shared.is_empty(),
                "both processors write:\n{}",
                shared.join("\n")
            );
            Ok(())
        })
    });
    let seen = Case::new(format!("{prefix}shared writes are seen"), move || {
        let shared = shared(arch, FAMILIES.len())?;
        ensure!(!shared.is_empty(), "nothing that both processors write");
        Ok(())
    });
    own.chain([seen])
}

/// Builds the plugin for the QEMU that is there.
fn plugin(arch: Arch) -> Result<PathBuf> {
    let version = Command::new(setup::ensure_qemu(arch)?)
        .arg("--version")
        .output()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let major = version
        .split_once("version ")
        .and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok())
        .with_context(|| format!("which version of QEMU is this? {version}"))?;
    let folder = paths::cache("store-watch")?;
    let _held = paths::lock("store-watch")?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(paths::workspace()?)
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "ochre-store-watch",
        ])
        .arg("--target-dir")
        .arg(&folder);
    if major >= 9 {
        command.args(["--features", "version-2"]);
    }
    let output = command.output().context("cargo")?;
    ensure!(
        output.status.success(),
        "the plugin does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(folder.join("release/libochre_store_watch.so"))
}

/// What was written in each window of one run.
fn windows(arch: Arch) -> Result<BTreeMap<usize, Window>> {
    let dir = ochre_tool::qemu::run_dir()?;
    let out = dir.path().join("stores");
    let mut tree = rootfs::skeleton()?;
    let program = user_build::build_for(arch, "hot-paths")?;
    tree.host_file("/bin/hot-paths", &program)?;
    let outcome = guest_on(arch)?
        .processors(2)
        .tree(tree)
        .plugin(&plugin(arch)?, &[format!("out={}", out.display())])
        // The kernel's functions are where its image says.
        .words("nokaslr")
        .program("/bin/hot-paths")
        .args(FAMILIES.iter().chain(&[SHARED]))
        .run()?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    let text = fs::read_to_string(&out).context("what the plugin wrote")?;
    let mut windows: BTreeMap<usize, Window> = BTreeMap::new();
    let mut closed = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let hex = |word: &str| u64::from_str_radix(word, 16);
        let [window, processor, rest @ ..] = &words[..] else {
            continue;
        };
        let (window, processor) = (window.parse()?, processor.parse::<usize>()?);
        match rest {
            ["closed"] => {
                closed.insert((window, processor));
            }
            [word, address, instruction, count] => {
                let of_window = windows.entry(window).or_default();
                let places = of_window.get_mut(processor).context("a third processor")?;
                let word = hex(word)?;
                let place = if hex(address)? < IMAGE {
                    word
                } else {
                    word / LINE * LINE
                };
                let stores = places.entry(place).or_default();
                stores.from.insert(hex(instruction)?);
                stores.count += count.parse::<u64>()?;
            }
            _ => {}
        }
    }
    for window in 0..=FAMILIES.len() {
        for processor in 0..2 {
            ensure!(
                closed.contains(&(window, processor)),
                "processor {processor} did not close window {window}"
            );
        }
    }
    Ok(windows)
}

/// The lines and words that both often wrote in a window, and nobody has allowed: from which
/// functions on either.
fn shared(arch: Arch, window: usize) -> Result<Vec<String>> {
    static WINDOWS: [OnceLock<core::result::Result<BTreeMap<usize, Window>, String>>; 2] =
        [OnceLock::new(), OnceLock::new()];
    let windows = once(&WINDOWS[arch as usize], || windows(arch))?;
    let Some([first, second]) = windows.get(&window) else {
        return Ok(Vec::new());
    };
    let family = FAMILIES.get(window).copied().unwrap_or(SHARED);
    let mut names = Names::new(guest_on(arch)?.kernel());
    let mut ways = |from: &BTreeSet<u64>| -> BTreeSet<String> {
        from.iter().map(|at| way(&names.at(*at))).collect()
    };
    let is_allowed = |way: &String| {
        ALLOWED
            .iter()
            .any(|(of, has, _)| *of == family && way.contains(has))
    };
    let mut told = Vec::new();
    for (line, one) in first {
        let Some(other) = second.get(line) else {
            continue;
        };
        if one.count.min(other.count) < often(family) {
            continue;
        }
        let (one, other) = (ways(&one.from), ways(&other.from));
        if !one.iter().chain(&other).all(is_allowed) {
            told.push(format!(
                "{line:#x}: by one {one:#?}, by the other {other:#?}"
            ));
        }
    }
    Ok(told)
}

/// How a store was come to, from the innermost function that is ours: what the
/// standard library does inside of it goes without saying, but for what type.
fn way(frames: &[String]) -> String {
    let ours = frames
        .iter()
        .position(|frame| !frame.contains("(/rustc/") || frame.contains("ochre_"));
    frames[ours.unwrap_or(0)..].join(" in ")
}
