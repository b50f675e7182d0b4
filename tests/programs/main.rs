//! Real programs: scripts whose output and status must be those of the host's Linux.
//!
//! Each file in a folder beside this one is a test. The folder's name is the
//! root it runs in: `busybox` (Debian's static busybox and nothing else),
//! `debian` (the tools of a small Debian), `python`, `rust` (our own programs
//! `user/hello-std` and `user/time-way`), `threads` (our own programs
//! `user/threads` and `user/pthreads`), `stress` (Debian's load generators). A
//! script is executed by its `#!` line, as process 1, in `/tmp`, with no input,
//! first on the host in exactly the files that the guest gets, then in Ochre,
//! with one processor or, where that matters, with as many as its root says. A
//! second line `# status: N` is a check on the script itself: the host must end
//! with that status. Beside a script that asks for rights which a host may not
//! give (or would load it for nothing, or hang on its clock) lies what it has to
//! print, as `NAME.out`; it is not run on the host. A `.lib` is what scripts share.
//!
//! On AArch64 the same scripts run with the same versions of the programs, and
//! must print what the host's print, or what lies beside the script as
//! `NAME.aarch64.out` where the machines differ.
#![forbid(unsafe_code)]

mod host;
mod roots;

use core::time::Duration;
use std::{
    fs,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{
    Arch, Case, Extent, Size, describe, diff, extent, guest_on, is_tested, once, prefix, run,
};

use crate::{host::Done, roots::Root};

/// How long a script may take in a guest.
const TIMEOUT: Duration = Duration::from_secs(240);

/// The memory of a guest; the root is in it.
const MEMORY: Size = Size::from_mib(768);

/// The environment of every script. `HOME` and the like would differ.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"),
    ("HOME", "/tmp"),
    ("LC_ALL", "C"),
    ("TZ", "UTC"),
];

fn main() -> ExitCode {
    match cases() {
        Ok(cases) => run(cases),
        Err(error) => {
            eprintln!("programs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for root in Root::ALL {
        let folder = root.scripts();
        for entry in
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?
        {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if [".out", ".lib"].iter().any(|end| name.ends_with(end)) {
                continue;
            }
            // The host's answer is the same for every machine, unless one is written.
            let linux = Arc::new(OnceLock::new());
            for (arch, processors) in places(root, &name) {
                let (name, linux) = (name.clone(), Arc::clone(&linux));
                let mut title = format!("{}{}/{name}", prefix(arch), root.name());
                if processors > 1 {
                    title.push_str(&format!(" on {processors} processors"));
                }
                cases.push(Case::new(title, move || {
                    let linux = match host::written(root, &name, arch)? {
                        Some(written) => written,
                        None => once(&linux, || host::run(root, &name))?,
                    };
                    compare(root, arch, &name, &linux, processors)
                }));
            }
        }
    }
    Ok(cases)
}

/// The machines that a script runs on.
fn places(root: Root, script: &str) -> Vec<(Arch, u32)> {
    let mut places = Vec::new();
    if is_tested(Arch::X86_64) {
        places.extend(root.processors().iter().map(|count| (Arch::X86_64, *count)));
    }
    match extent(Arch::Aarch64) {
        Extent::All => {
            places.extend(
                root.processors()
                    .iter()
                    .map(|count| (Arch::Aarch64, *count)),
            );
        }
        Extent::Share if root.share().contains(&script) => places.push((Arch::Aarch64, 1)),
        _ => {}
    }
    places
}

fn compare(root: Root, arch: Arch, script: &str, linux: &Done, processors: u32) -> Result<()> {
    let expected = root.expected_status(script)?;
    ensure!(
        linux.status == Some(expected),
        "the script itself is wrong: on Linux it ended with {:?} instead of {expected}\n{}{}",
        linux.status,
        linux.stdout,
        linux.stderr
    );
    let mut guest = guest_on(arch)?
        .audited()
        .archive(root.archive(arch)?)
        .memory(MEMORY)
        .processors(processors)
        .program(format!("/tests/{script}"))
        .directory("/tmp")
        .patience(TIMEOUT);
    for (name, value) in ENVIRONMENT {
        guest = guest.env(name, value);
    }
    let ochre = guest.run()?;
    let ours = String::from_utf8_lossy(&ochre.stdout);
    let mut wrong = Vec::new();
    // The machine's name is the one thing that must differ.
    let theirs = match arch {
        Arch::X86_64 => linux.stdout.clone(),
        Arch::Aarch64 => linux.stdout.replace("x86_64", "aarch64"),
    };
    if let Some(text) = diff(&theirs, &ours) {
        wrong.push(format!("standard output (- is Linux, + is Ochre)\n{text}"));
    }
    if let Some(text) = diff(&linux.stderr, &String::from_utf8_lossy(&ochre.stderr)) {
        wrong.push(format!("standard error (- is Linux, + is Ochre)\n{text}"));
    }
    if ochre.status != linux.status {
        wrong.push(format!(
            "status {:?} instead of {:?}",
            ochre.status, linux.status
        ));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}\n{}", wrong.join("\n"), describe(&ochre));
}
