//! The ABI: one program on Linux and on Ochre, outputs compared.
//!
//! For x86_64 Linux is the host's; for AArch64 it is Debian's, in a machine of
//! its own ([`Foreign`]), and by default only [`SHARE`] of the groups is run.
//! [`WITH_THE_HOSTS`] are compared with the host's there, too.
//! [`WITH_OWN_TABLES`] are run once more where programs have tables of their own,
//! and [`OF_NEWER`] where the processor has what they are about.
//!
//! `user/abi-test` prints a line for each case; each of its groups is a test
//! here. All groups run in one guest; one whose output is not there in the end
//! (since the guest died, or hung, in it or before it) runs once more in a
//! guest of its own. Those about the terminal have one, and a guest for all of
//! them ([`terminal`]). What Linux prints is never written down: it is asked each
//! time, so a case that depends on the host shows at once.
#![forbid(unsafe_code)]

mod terminal;

use core::time::Duration;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{
    Arch, Case, Extent, Foreign, Guest, abi_test_tree, archive, describe, diff, extent, guest_on,
    is_tested, name_on, once, prefix, rootfs, run,
};
use ochre_tool::user_build;

/// The table of groups, as the program itself has it.
const GROUPS: &str = include_str!("../../user/abi-test/src/groups.rs");

/// How long all groups together may take in a guest.
const TIMEOUT: Duration = Duration::from_secs(400);

// ANCHOR: share
/// The groups that every change must pass on AArch64: those about what the
/// machines differ in, and those that look into every call.
const SHARE: [&str; 26] = [
    "process",
    "wait",
    "clone",
    "exec",
    "auxv",
    "signals",
    "signal-restart",
    "sigaltstack",
    "faults",
    "attacks",
    "mmap",
    "placement",
    "process-vm",
    "read-write",
    "stat",
    "futex",
    "threads",
    "epoll",
    "rtc",
    "vdso",
    "wild",
    "seccomp",
    "memory-limits",
    "futex-gone",
    "signal-storms",
    "killed-waits",
];
// ANCHOR_END: share

/// The groups that are tried with tables of their own for programs, too: those
/// about ways in and out, and about what the tables map.
const WITH_OWN_TABLES: [&str; 20] = [
    "process",
    "clone",
    "exec",
    "signals",
    "signal-restart",
    "sigaltstack",
    "faults",
    "attacks",
    "attack-races",
    "brk",
    "mmap",
    "mprotect",
    "mremap",
    "process-vm",
    "cow",
    "forked-tables",
    "futex",
    "threads",
    "vdso",
    "wild",
];

/// The groups about what only newer processors of AArch64 have: they are tried
/// on such a one, and Linux's is one for all groups.
const OF_NEWER: [&str; 4] = [
    "handler-state",
    "landing-pads",
    "signing",
    "tagged-addresses",
];

/// Such a processor.
const NEWER: &str = "max,pauth-impdef=on";

/// Groups that are compared with the host's Linux on AArch64, too, and why: Debian's
/// knows less, and what they ask is answered alike on all machines.
const WITH_THE_HOSTS: [(&str, &str); 9] = [
    (
        "placement",
        "Linux leaves less to chance there than Ochre, which has as many bits on all machines",
    ),
    ("memfd-seals", "MFD_EXEC is of Linux 6.3"),
    ("futex2", "futex_wait and its like are of Linux 6.7"),
    ("futex-gone", "as futex2"),
    ("futex-races", "as futex2"),
    ("signal-storms", "as futex2"),
    ("killed-waits", "as futex2"),
    (
        "memory-told",
        "before Linux 6.2 each thread keeps up to 64 pages of the counts to itself",
    ),
    ("pidfd", "those of threads are of Linux 6.9"),
];

/// Groups that are not compared on AArch64, and why: neither Linux there is asked
/// by a program like ours.
const NOT_COMPARED: [(&str, &str); 2] = [
    (
        "rseq",
        "longer areas are of Linux 6.3, and the host's program has an area of its C library's",
    ),
    ("placement-low", "the flag is x86_64's"),
];

/// The group about the battery-backed clock, which it sets: it is never run on
/// the host, but compared with what Linux says in a machine of its own.
const CLOCK: &str = "rtc";

/// What a group printed, by the group's name.
type Outputs = BTreeMap<String, String>;

/// One kind of machine to compare on.
#[derive(Clone, Copy, Debug)]
struct Place {
    arch: Arch,
    processors: u32,
    /// Whether programs have tables of their own (`pti=on`).
    apart: bool,
    /// Whether the processor is [`NEWER`].
    newer: bool,
}

impl Place {
    /// The groups of which it has a share only.
    fn share(self) -> Option<&'static [&'static str]> {
        match extent(self.arch) {
            _ if self.apart => Some(&WITH_OWN_TABLES),
            _ if self.newer => Some(&OF_NEWER),
            Extent::All => None,
            _ => Some(&SHARE),
        }
    }
}

/// How many processors the guests have.
fn places() -> Vec<Place> {
    let counts = |arch| match (arch, extent(arch)) {
        (_, Extent::Nothing) => &[][..],
        (_, Extent::Share) => &[2],
        (Arch::X86_64, Extent::All) => &[1, 2, 4],
        (Arch::Aarch64, Extent::All) => &[1, 4],
    };
    let place = |arch, processors, apart| Place {
        arch,
        processors,
        apart,
        newer: false,
    };
    let apart = is_tested(Arch::X86_64).then(|| place(Arch::X86_64, 4, true));
    let newer = is_tested(Arch::Aarch64).then(|| Place {
        newer: true,
        ..place(Arch::Aarch64, 2, false)
    });
    Arch::ALL
        .into_iter()
        .flat_map(|arch| {
            counts(arch)
                .iter()
                .map(move |&processors| place(arch, processors, false))
        })
        .chain(apart)
        .chain(newer)
        .collect()
}

/// The groups that are tried on a machine.
fn groups_on(place: Place) -> impl Iterator<Item = Group> {
    let is_compared = move |group: &Group| match place.share() {
        None if place.arch == Arch::Aarch64 => {
            let not = NOT_COMPARED.iter().any(|(name, _)| *name == group.name);
            !not && !OF_NEWER.contains(&group.name)
        }
        None => true,
        Some(share) => share.contains(&group.name),
    };
    groups().filter(is_compared)
}

/// Whether a group is compared with the host's Linux on AArch64, too.
fn is_of_hosts(group: &str) -> bool {
    WITH_THE_HOSTS.iter().any(|(name, _)| *name == group)
}

fn main() -> ExitCode {
    let mut cases = vec![Case::new("groups", the_table_is_read_right)];
    for place in places() {
        // Once for all groups of a machine.
        let outputs = Arc::new(OnceLock::new());
        cases.extend(groups_on(place).map(|group| {
            let outputs = Arc::clone(&outputs);
            let prefix = prefix(place.arch);
            let name = match place.processors {
                1 => format!("{prefix}{}", group.name),
                several if place.newer => {
                    format!("{prefix}{} on {several} newer processors", group.name)
                }
                several if place.apart => {
                    format!("{prefix}{} on {several} processors with pti=on", group.name)
                }
                several => format!("{prefix}{} on {several} processors", group.name),
            };
            Case::new(name, move || {
                let ours = once(&outputs, || ochre(place));
                compare(&group, place, ours)
            })
        }));
    }
    run(cases)
}

#[derive(Clone, Copy)]
struct Group {
    name: &'static str,
    as_root: bool,
}

/// The groups, read from lines like `"wait" => wait::run,` and
/// `"mounts"(root) => mounts::run,`.
fn groups() -> impl Iterator<Item = Group> {
    GROUPS.lines().filter_map(|line| {
        let (name, rest) = line.trim().strip_prefix('"')?.split_once('"')?;
        let rest = rest.trim_end_matches(',');
        rest.contains(" => ").then_some(Group {
            name,
            as_root: rest.starts_with("(root)"),
        })
    })
}

fn the_table_is_read_right() -> Result<()> {
    let output = Command::new(user_build::build("abi-test")?)
        .arg("list")
        .output()?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let read: Vec<&str> = groups().map(|group| group.name).collect();
    ensure!(
        SHARE
            .iter()
            .chain(&WITH_OWN_TABLES)
            .chain(&OF_NEWER)
            .chain(
                WITH_THE_HOSTS
                    .iter()
                    .chain(&NOT_COMPARED)
                    .map(|(name, _)| name)
            )
            .all(|name| read.contains(name)),
        "a group of the share is not there"
    );
    ensure!(
        listed.lines().eq(read.iter().copied()),
        "the program lists {listed:?}, here are {read:?}"
    );
    Ok(())
}

fn compare(group: &Group, place: Place, ours: Result<Outputs>) -> Result<()> {
    if terminal::is_about(group.name) {
        let text = |outputs: Outputs| outputs.get(group.name).cloned().unwrap_or_default();
        let (theirs, ours) = (text(terminal::linux()?), text(terminal::ochre(place.arch)?));
        ensure!(
            theirs.contains("TIOCNOTTY: 0") && !theirs.contains("TIMEOUT"),
            "Linux did not come to the end:\n{theirs}"
        );
        return judge(&theirs, &ours);
    }
    let linux = match place.arch {
        Arch::X86_64 if group.name != CLOCK => linux()?,
        // There is no Linux to ask.
        Arch::X86_64 if !is_tested(Arch::Aarch64) => return Ok(()),
        Arch::Aarch64 if is_of_hosts(group.name) => linux()?,
        Arch::X86_64 | Arch::Aarch64 => emulated_linux()?,
    };
    if group.as_root && linux.contains_key("not root") {
        // Without root's rights Linux would refuse what the group is about.
        return Ok(());
    }
    let theirs = linux.get(group.name).context("Linux printed nothing")?;
    if let Some(ours) = ours?.get(group.name) {
        return judge(theirs, ours);
    }
    let outcome = in_ochre(place, &[group.name])?.run()?;
    let outputs = split(&outcome.stdout);
    let ours = outputs.get(group.name).map_or("", String::as_str);
    judge(theirs, ours).with_context(|| describe(&outcome))?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    Ok(())
}

fn judge(theirs: &str, ours: &str) -> Result<()> {
    match diff(theirs, ours) {
        None => Ok(()),
        Some(text) => bail!("- is Linux, + is Ochre\n{text}"),
    }
}

/// What the host prints.
fn linux() -> Result<Outputs> {
    static OUTPUTS: OnceLock<core::result::Result<Outputs, String>> = OnceLock::new();
    once(&OUTPUTS, || {
        let output = Command::new(user_build::build("abi-test")?)
            .args(
                groups()
                    .map(|group| group.name)
                    .filter(|name| *name != CLOCK),
            )
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .env_clear()
            .env("PATH", rootfs::GUEST_PATH)
            .output()
            .context("running abi-test on the host")?;
        let mut outputs = split(&output.stdout);
        if !rustix::process::geteuid().is_root() {
            outputs.insert("not root".to_owned(), String::new());
        }
        Ok(outputs)
    })
}

/// What Debian's Linux for AArch64 prints: the groups that came to their end.
fn emulated_linux() -> Result<Outputs> {
    static OUTPUTS: OnceLock<core::result::Result<Outputs, String>> = OnceLock::new();
    once(&OUTPUTS, || {
        let groups: Vec<&str> = match extent(Arch::Aarch64) {
            Extent::All => groups()
                .map(|group| group.name)
                .filter(|name| !terminal::is_about(name))
                .collect(),
            _ => [&SHARE[..], &OF_NEWER].concat(),
        };
        let groups: Vec<&str> = groups
            .into_iter()
            .filter(|name| !is_of_hosts(name))
            .collect();
        let command = format!("/bin/abi-test {}", groups.join(" "));
        let linux = Foreign {
            name: "abi-test-linux-aarch64",
            command: &command,
            arguments: &[],
            processors: 2,
            model: Some(NEWER),
            timeout: TIMEOUT,
        };
        let text = linux.output(|| abi_test_tree(Arch::Aarch64))?;
        Ok(split(text.as_bytes()))
    })
}

/// What Ochre prints: the groups that came to their end.
fn ochre(place: Place) -> Result<Outputs> {
    let names = place.share().unwrap_or_default();
    let outcome = in_ochre(place, names)?.run()?;
    let mut outputs = split(&outcome.stdout);
    if outcome.status != Some(0) {
        eprintln!("all groups in one guest: {}", describe(&outcome));
        // The last one that began has no end.
        let last = groups()
            .map(|group| group.name)
            .filter(|name| outputs.contains_key(*name))
            .last();
        last.and_then(|last| outputs.remove(last));
    }
    Ok(outputs)
}

fn in_ochre(place: Place, groups: &[&str]) -> Result<Guest> {
    let mut guest = guest_on(place.arch)?.audited();
    if place.newer {
        guest = guest.processor_model(NEWER);
    }
    Ok(guest
        .archive(program_archive(place.arch)?)
        .processors(place.processors)
        .words(if place.apart { "pti=on" } else { "" })
        .program("/bin/abi-test")
        .args(groups.iter().copied())
        .patience(TIMEOUT))
}

/// The root file system: the program.
fn program_archive(arch: Arch) -> Result<PathBuf> {
    archive(&name_on(arch, "abi-test"), || abi_test_tree(arch))
}

/// Splits at lines like `== wait`.
fn split(output: &[u8]) -> Outputs {
    let mut outputs = Outputs::new();
    let mut current: Option<String> = None;
    for line in String::from_utf8_lossy(output).lines() {
        match line.strip_prefix("== ") {
            Some(name) => {
                outputs.insert(name.to_owned(), String::new());
                current = Some(name.to_owned());
            }
            None => {
                if let Some(text) = current.as_ref().and_then(|name| outputs.get_mut(name)) {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    outputs
}
