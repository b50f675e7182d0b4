//! The ABI: one program on the host's Linux and on Ochre, outputs compared.
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
    process::{Command, ExitCode, Stdio},
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{Case, Guest, Tree, archive, describe, diff, guest, once, rootfs, run};
use ochre_tool::user_build;

/// The table of groups, as the program itself has it.
const GROUPS: &str = include_str!("../../user/abi-test/src/groups.rs");

/// How long all groups together may take in a guest.
const TIMEOUT: Duration = Duration::from_secs(400);

/// How many processors the guests have.
const PROCESSORS: [u32; 3] = [1, 2, 4];

/// What a group printed, by the group's name.
type Outputs = BTreeMap<String, String>;

fn main() -> ExitCode {
    let mut cases = vec![Case::new("groups", the_table_is_read_right)];
    for processors in PROCESSORS {
        // Once for all groups of a machine.
        let outputs = Arc::new(OnceLock::new());
        cases.extend(groups().map(|group| {
            let outputs = Arc::clone(&outputs);
            let name = match processors {
                1 => group.name.to_owned(),
                several => format!("{} on {several} processors", group.name),
            };
            Case::new(name, move || {
                let ours = once(&outputs, || ochre(processors));
                compare(&group, processors, ours)
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
        listed.lines().eq(read.iter().copied()),
        "the program lists {listed:?}, here are {read:?}"
    );
    Ok(())
}

fn compare(group: &Group, processors: u32, ours: Result<Outputs>) -> Result<()> {
    if terminal::is_about(group.name) {
        let text = |outputs: Outputs| outputs.get(group.name).cloned().unwrap_or_default();
        let (theirs, ours) = (text(terminal::linux()?), text(terminal::ochre()?));
        ensure!(
            theirs.contains("TIOCNOTTY: 0") && !theirs.contains("TIMEOUT"),
            "Linux did not come to the end:\n{theirs}"
        );
        return judge(&theirs, &ours);
    }
    let linux = linux()?;
    if group.as_root && linux.contains_key("not root") {
        // Without root's rights Linux would refuse what the group is about.
        return Ok(());
    }
    let theirs = linux.get(group.name).context("Linux printed nothing")?;
    if let Some(ours) = ours?.get(group.name) {
        return judge(theirs, ours);
    }
    let outcome = in_ochre(processors, &[group.name])?.run()?;
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

/// What Ochre prints: the groups that came to their end.
fn ochre(processors: u32) -> Result<Outputs> {
    let outcome = in_ochre(processors, &[])?.run()?;
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

fn in_ochre(processors: u32, groups: &[&str]) -> Result<Guest> {
    let archive = archive("abi-test", root)?;
    Ok(guest()?
        .archive(archive)
        .processors(processors)
        .program("/bin/abi-test")
        .args(groups.iter().copied())
        .timeout(TIMEOUT))
}

/// The root file system: the program.
fn root() -> Result<Tree> {
    let mut tree = rootfs::skeleton()?;
    tree.host_file("/bin/abi-test", &user_build::build("abi-test")?)?;
    Ok(tree)
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
