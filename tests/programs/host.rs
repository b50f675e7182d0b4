//! Scripts on the host: in the same files as in the guest, with a `/proc`, a `/dev` and a `/tmp` of their own.
//!
//! `unshare` (part of every Debian) makes the namespaces; without root's
//! rights a user namespace makes root of us inside, where the system lets it.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use ochre_tests::Arch;

use crate::{ENVIRONMENT, roots::Root};

/// What a script did.
#[derive(Clone)]
pub(crate) struct Done {
    /// Its status; none if a signal killed it.
    pub(crate) status: Option<u8>,
    /// What it wrote.
    pub(crate) stdout: String,
    /// What it complained.
    pub(crate) stderr: String,
}

/// Mounts what a root needs, goes in, and runs the script, which is not
/// process 1 of its namespace: that one is protected from signals.
const ENTER: &str = r#"set -e
mount --rbind /dev "$0/dev"
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/tmp"
umask 022
chroot "$0" /bin/sh -c 'cd /tmp; exec "$0"' "$1" || exit $?
"#;

/// What a script has to do on a machine, if that lies beside it: in a file for
/// that machine, or in one for all.
pub(crate) fn written(root: Root, script: &str, arch: Arch) -> Result<Option<Done>> {
    let path = root.scripts().join(script);
    let own = match arch {
        Arch::X86_64 => None,
        Arch::Aarch64 => Some(path.with_extension("aarch64.out")),
    };
    let mut written = own.into_iter().chain([path.with_extension("out")]);
    let Some(path) = written.find(|path| path.is_file()) else {
        return Ok(None);
    };
    Ok(Some(Done {
        status: Some(root.expected_status(script)?),
        stdout: fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?,
        stderr: String::new(),
    }))
}

/// Runs a script of a root.
pub(crate) fn run(root: Root, script: &str) -> Result<Done> {
    // However the tests were started: the background of a shell has some ignored,
    // and no script could trap those.
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,QUIT", "unshare"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let output = command
        .args(["--mount", "--pid", "--uts", "--fork", "--kill-child"])
        .args(["/bin/sh", "-c", ENTER])
        .arg(root.folder(Arch::X86_64)?)
        .arg(format!("/tests/{script}"))
        .env_clear()
        .envs(ENVIRONMENT)
        .stdin(Stdio::null())
        .output()
        .context("running unshare")?;
    Ok(Done {
        status: output
            .status
            .code()
            .and_then(|code| u8::try_from(code).ok()),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
