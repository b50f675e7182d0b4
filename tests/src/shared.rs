//! What is made once per test process: kernels, busybox, archives.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, Result, anyhow};
use ochre_tool::{Guest, cpio, kernel_build, paths, rootfs, setup, tree::Tree};

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

/// The kernel as people run it.
///
/// # Errors
/// If it does not build.
pub fn kernel() -> Result<PathBuf> {
    static KERNEL: Once<PathBuf> = OnceLock::new();
    once(&KERNEL, || kernel_build::build(&[]))
}

/// The kernel with the in-kernel tests and the one-property tests in it.
///
/// # Errors
/// If it does not build.
pub fn test_kernel() -> Result<PathBuf> {
    static KERNEL: Once<PathBuf> = OnceLock::new();
    once(&KERNEL, || {
        kernel_build::build(&["boottest", "ktest", "shortage"])
    })
}

/// The kernel with other allocators, or whatever else these features say.
///
/// # Errors
/// If it does not build.
pub fn kernel_with(features: &[&str]) -> Result<PathBuf> {
    kernel_build::build_quickly(features)
}

/// A static busybox on the host.
///
/// # Errors
/// If it cannot be had.
pub fn busybox() -> Result<PathBuf> {
    static BUSYBOX: Once<PathBuf> = OnceLock::new();
    once(&BUSYBOX, setup::ensure_busybox)
}

/// A guest with the kernel and the environment that all suites start from;
/// root and program are up to the caller.
///
/// # Errors
/// If the kernel does not build.
pub fn guest() -> Result<Guest> {
    Ok(Guest::with_kernel(kernel()?)
        .timeout(TIMEOUT)
        .env("PATH", rootfs::GUEST_PATH)
        .env("HOME", "/root"))
}

/// A guest whose busybox shell runs this script.
///
/// # Errors
/// If something cannot be had.
pub fn shell(script: &str) -> Result<Guest> {
    let root = archive("busybox", || rootfs::shell(&busybox()?))?;
    Ok(guest()?
        .archive(root)
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
