//! What is made once per test process: kernels, busybox, archives.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, Result, anyhow};
use ochre_tool::{
    Arch, Guest, Machine, cpio, kernel_build, paths, rootfs, setup, tree::Tree, user_build,
};

use crate::extent::{Extent, extent, name_on};

/// How long a guest may run unless its test says otherwise: generous, for a
/// machine that compiles at the same time.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The outcome of something done once; the error is shared as a text.
type Once<T> = OnceLock<core::result::Result<T, String>>;

/// Makes something the first time, and gives it, or the error it ended with,
/// each time.
///
/// # Errors
/// If it cannot be made.
pub fn once<T: Clone>(cell: &Once<T>, make: impl FnOnce() -> Result<T>) -> Result<T> {
    cell.get_or_init(|| make().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))
}

/// The kernel as people run it; of a machine of which only a share is tested,
/// one that builds quickly.
///
/// # Errors
/// If it does not build.
pub fn kernel(arch: Arch) -> Result<PathBuf> {
    static KERNELS: [Once<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    once(&KERNELS[arch as usize], || build(arch, &[]))
}

fn build(arch: Arch, features: &[&str]) -> Result<PathBuf> {
    match extent(arch) {
        Extent::All => kernel_build::build_for(arch, features),
        Extent::Share | Extent::Nothing => kernel_build::build_quickly_for(arch, features),
    }
}

/// The kernel with the in-kernel tests and the one-property tests in it.
///
/// # Errors
/// If it does not build.
pub fn test_kernel(arch: Arch) -> Result<PathBuf> {
    static KERNELS: [Once<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    once(&KERNELS[arch as usize], || {
        build(arch, &["boottest", "ktest", "shortage"])
    })
}

/// The kernel with other allocators, or whatever else these features say.
///
/// # Errors
/// If it does not build.
pub fn kernel_with(arch: Arch, features: &[&str]) -> Result<PathBuf> {
    kernel_build::build_quickly_for(arch, features)
}

/// A static busybox of the host's architecture.
///
/// # Errors
/// If it cannot be had.
pub fn busybox() -> Result<PathBuf> {
    static BUSYBOX: Once<PathBuf> = OnceLock::new();
    once(&BUSYBOX, setup::ensure_busybox)
}

/// A root with busybox and nothing else.
///
/// # Errors
/// If busybox cannot be had.
pub fn busybox_root(arch: Arch) -> Result<PathBuf> {
    archive(&name_on(arch, "busybox"), || shell_tree(arch))
}

/// The same before it is packed.
///
/// # Errors
/// If busybox cannot be had.
pub fn shell_tree(arch: Arch) -> Result<Tree> {
    match arch {
        Arch::X86_64 => rootfs::shell(&busybox()?),
        Arch::Aarch64 => rootfs::foreign_shell(&setup::ensure_busybox_of(arch)?, &busybox()?),
    }
}

/// A root with `abi-test` and nothing else, before it is packed.
///
/// # Errors
/// If it does not build.
pub fn abi_test_tree(arch: Arch) -> Result<Tree> {
    let mut tree = rootfs::skeleton()?;
    tree.host_file("/bin/abi-test", &user_build::build_for(arch, "abi-test")?)?;
    Ok(tree)
}

/// A guest with the kernel and the environment that all suites start from;
/// root and program are up to the caller.
///
/// # Errors
/// If the kernel does not build.
pub fn guest() -> Result<Guest> {
    guest_on(Arch::X86_64)
}

/// The same of an architecture.
///
/// # Errors
/// As [`guest`].
pub fn guest_on(arch: Arch) -> Result<Guest> {
    Ok(Guest::with_kernel(kernel(arch)?)
        .machine(Machine::usual(arch))
        .patience(TIMEOUT)
        .env("PATH", rootfs::GUEST_PATH)
        .env("HOME", "/root"))
}

/// A guest whose busybox shell runs this script, and gives back all that it took.
///
/// # Errors
/// If something cannot be had.
pub fn shell(script: &str) -> Result<Guest> {
    shell_on(Arch::X86_64, script)
}

/// The same of an architecture.
///
/// # Errors
/// As [`shell`].
pub fn shell_on(arch: Arch, script: &str) -> Result<Guest> {
    Ok(guest_on(arch)?
        .audited()
        .archive(busybox_root(arch)?)
        .program("/bin/sh")
        .name("sh")
        .args(["-c", script]))
}

/// An archive that is made once per test process and then used by every guest
/// that names it.
///
/// # Errors
/// If it cannot be made.
pub fn archive(name: &str, make: impl FnOnce() -> Result<Tree>) -> Result<PathBuf> {
    static ARCHIVES: Mutex<BTreeMap<String, Arc<Once<PathBuf>>>> = Mutex::new(BTreeMap::new());
    let cell = Arc::clone(
        ARCHIVES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.to_owned())
            .or_default(),
    );
    once(&cell, || {
        // Two processes may make the same archive at the same time: each
        // writes its own file, and the last one to finish gives it its name.
        let dir = paths::cache("archive")?;
        let fresh = dir.join(format!("{name}.{}", std::process::id()));
        let path = dir.join(format!("{name}.cpio"));
        cpio::write_file(&make()?, &fresh)?;
        std::fs::rename(&fresh, &path).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    })
}
