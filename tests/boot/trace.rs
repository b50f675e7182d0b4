//! What `ochre trace` shows of a shell's script: calls that end at once, that
//! wait, that are never over, and programs that end in each way.

use std::io::Write as _;

use anyhow::{Result, ensure};
use ochre_tests::{Case, shell};
use ochre_tool::{
    arch::Arch,
    bridge::Capture,
    trace::{Options, Splitter},
};

/// A file that is not there; a program that waits and is killed; a status.
const SCRIPT: &str = "/bin/cat /no/such; /bin/sleep 1000 & \
    until [ -e /proc/$!/exe ] && grep -q sleep /proc/$!/cmdline; do :; done; \
    until grep -q 'State:.S' /proc/$!/status; do :; done; \
    kill -9 $!; wait $!; exit 7";

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("system calls are told", told)]
}

fn told() -> Result<()> {
    let outcome = shell(SCRIPT)?.words("ochre.trace").run()?;
    ensure!(outcome.status == Some(7), "status {:?}", outcome.status);
    let calls = shown(&outcome.log, Options::default())?;
    for expected in [
        "execve(\"/bin/cat\", [\"/bin/cat\", \"/no/such\"], 0x",
        "openat(AT_FDCWD, \"/no/such\", O_RDONLY, 0) = -1 ENOENT (No such file or directory) <",
        "write(2, \"cat: can't open '/no/such': No s\"..., ",
        "+++ exited with 1 +++",
        "--- SIGCHLD ---",
        "+++ killed by SIGKILL +++",
        "exit_group(7) = ? <",
        "+++ exited with 7 +++",
    ] {
        ensure!(calls.contains(expected), "no `{expected}` in\n{calls}");
    }
    // It slept until it was killed, and that is told too.
    let slept = calls.lines().any(|line| {
        let at = line.find("nanosleep(").map(|at| &line[at..]);
        at.is_some_and(|call| call.contains("{tv_sec=1000, tv_nsec=0}") && call.contains(") = ? "))
    });
    ensure!(slept, "no sleep that was cut short in\n{calls}");
    let counted = shown(
        &outcome.log,
        Options {
            only: vec!["execve".to_owned()],
            count: true,
        },
    )?;
    let words: Vec<&str> = counted
        .lines()
        .nth(1)
        .unwrap_or("")
        .split_whitespace()
        .collect();
    ensure!(
        words.last() == Some(&"execve") && words.len() == 5,
        "not counted:\n{counted}"
    );
    Ok(())
}

/// What a trace shows of a log.
fn shown(log: &str, options: Options) -> Result<String> {
    let shown = Capture::default();
    let rest = Capture::default();
    let mut splitter = Splitter::new(
        Arch::X86_64,
        options,
        Box::new(rest.clone()),
        Box::new(shown.clone()),
    );
    splitter.write_all(log.as_bytes())?;
    drop(splitter);
    let rest = String::from_utf8(rest.take())?;
    ensure!(
        rest.contains("INFO") && !rest.contains("trace call"),
        "the rest of the log:\n{rest}"
    );
    Ok(String::from_utf8(shown.take())?)
}
