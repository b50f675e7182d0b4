//! Linux for AArch64: Debian's kernel in the machine that Ochre gets too.
//!
//! One machine runs all the groups that are wanted. Its first program is a
//! script on Debian's busybox, which mounts what Ochre has mounted of itself.
//! The console turns line ends into two characters; one of them is dropped.

use std::sync::OnceLock;

use anyhow::{Result, ensure};
use ochre_tests::{
    Arch, Extent, Guest, Machine, Size, Tree, abi_test_tree, archive, describe, extent, once,
    rootfs, setup,
};
use ochre_tool::debian;

use crate::{Outputs, SHARE, TIMEOUT, split, terminal};

/// What comes before the program's words.
const BEGIN: &str = "-- begin";

/// What follows them.
const END: &str = "-- end";

/// Words that make Linux quiet, and let it end with its first program.
const WORDS: &str = "console=ttyAMA0 quiet loglevel=1 panic=-1";

/// What Linux prints: the groups that came to their end.
pub(crate) fn linux() -> Result<Outputs> {
    static OUTPUTS: OnceLock<core::result::Result<Outputs, String>> = OnceLock::new();
    once(&OUTPUTS, || {
        let archive = archive("abi-test-linux-aarch64", system)?;
        let outcome = Guest::with_foreign_kernel(debian::linux_kernel(Arch::Aarch64)?, WORDS)
            .machine(Machine::Virt)
            .memory(Size::from_mib(1024))
            .processors(2)
            .archive(archive)
            .timeout(TIMEOUT)
            .run()?;
        let text = String::from_utf8_lossy(&outcome.stdout).replace('\r', "");
        let words = text
            .split_once(BEGIN)
            .and_then(|(_, rest)| rest.split_once(END));
        ensure!(
            words.is_some(),
            "Linux did not come to the end\n{}",
            describe(&outcome)
        );
        Ok(words.map_or_else(Outputs::new, |(words, _)| split(words.as_bytes())))
    })
}

/// The root file system: busybox, the program, and the script.
fn system() -> Result<Tree> {
    let mut tree = abi_test_tree(Arch::Aarch64)?;
    tree.host_file("/bin/busybox", &setup::ensure_busybox_of(Arch::Aarch64)?)?;
    let groups: Vec<&str> = match extent(Arch::Aarch64) {
        Extent::All => crate::groups()
            .map(|group| group.name)
            .filter(|name| !terminal::is_about(name))
            .collect(),
        _ => SHARE.to_vec(),
    };
    let path = rootfs::GUEST_PATH;
    let groups = groups.join(" ");
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
         $b env -i PATH={path} /bin/abi-test {groups} </dev/null 2>/dev/null\n\
         echo '{END}'\n\
         $b poweroff -f\n"
    );
    tree.file("/init", 0o755, script)?;
    Ok(tree)
}
