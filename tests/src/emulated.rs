//! Linux for AArch64: Debian's kernel in the machine that Ochre gets too.
//!
//! Its first program is a script on Debian's busybox, which mounts what Ochre
//! has mounted of itself and runs one command. The console turns line ends into
//! two characters; one of them is dropped.

use core::time::Duration;

use anyhow::{Result, ensure};
use ochre_tool::{Arch, Guest, Machine, debian, rootfs, setup, size::Size, tree::Tree};

use crate::{compare::describe, shared::archive};

/// What comes before the command's words.
const BEGIN: &str = "-- begin";

/// What follows them.
const END: &str = "-- end";

/// Words that make Linux quiet, and let it end with its first program.
const WORDS: &str = "console=ttyAMA0 quiet loglevel=1 panic=-1";

/// A command that Linux runs.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a> {
    /// What its archive is called, beside all others of a test process.
    pub name: &'a str,
    /// For the shell; `"$@"` are the arguments.
    pub command: &'a str,
    /// At most 30, without blanks.
    pub arguments: &'a [&'a str],
    /// How many processors the machine has.
    pub processors: u32,
    /// The model of its processors, as QEMU's `-cpu` has it.
    pub model: Option<&'static str>,
    /// How long it may take.
    pub timeout: Duration,
}

impl Foreign<'_> {
    /// What the command prints, in a system with `tree` and busybox.
    ///
    /// # Errors
    /// If something cannot be had, or the command does not come to its end.
    pub fn output(&self, tree: impl FnOnce() -> Result<Tree>) -> Result<String> {
        let archive = archive(self.name, || self.system(tree()?))?;
        let words = format!("{WORDS} -- {}", self.arguments.join(" "));
        let mut guest = Guest::with_foreign_kernel(debian::linux_kernel(Arch::Aarch64)?, &words)
            .machine(Machine::Virt)
            .memory(Size::from_mib(1024))
            .processors(self.processors)
            .archive(archive)
            .patience(self.timeout);
        if let Some(model) = self.model {
            guest = guest.processor_model(model);
        }
        let outcome = guest.run()?;
        let text = String::from_utf8_lossy(&outcome.stdout).replace('\r', "");
        let printed = text
            .split_once(BEGIN)
            .and_then(|(_, rest)| rest.split_once(END))
            .and_then(|(printed, _)| printed.strip_prefix('\n'));
        ensure!(
            printed.is_some(),
            "Linux did not come to the end\n{}",
            describe(&outcome)
        );
        Ok(printed.unwrap_or_default().to_owned())
    }

    /// The root file system: what is given, busybox, and the script.
    fn system(&self, mut tree: Tree) -> Result<Tree> {
        tree.host_file("/bin/busybox", &setup::ensure_busybox_of(Arch::Aarch64)?)?;
        let (path, command) = (rootfs::GUEST_PATH, self.command);
        let script = format!(
            "#!/bin/busybox sh\n\
             export PATH={path}\n\
             b=/bin/busybox\n\
             $b mount -t proc proc /proc\n\
             $b mount -t sysfs sys /sys\n\
             $b mount -t devtmpfs dev /dev\n\
             $b ln -s /proc/self/fd /dev/fd\n\
             $b ln -s /proc/self/fd/0 /dev/stdin\n\
             $b ln -s /proc/self/fd/1 /dev/stdout\n\
             $b ln -s /proc/self/fd/2 /dev/stderr\n\
             $b mkdir -p /dev/shm /dev/pts\n\
             $b mount -t devpts devpts /dev/pts\n\
             $b mount -t tmpfs shm /dev/shm\n\
             echo '{BEGIN}'\n\
             $b env -i PATH={path} {command} </dev/null 2>/dev/null\n\
             echo '{END}'\n\
             $b poweroff -f\n"
        );
        tree.file("/init", 0o755, script)?;
        Ok(tree)
    }
}
