//! Finds what a run needs on the host, and fetches or installs what is missing where that is possible.
//!
//! Each `ensure_*` function looks first and says nothing when all is there.
//! Where something is missing and cannot be brought in (not root, or not a
//! Debian-like host), the error names the command to type.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    arch::Arch,
    debian::{self, Packages},
    elf_needs,
    host::{self, Package},
    paths,
    report::Task,
};

/// The target that the kernel is built for.
pub const KERNEL_TARGET: &str = "x86_64-unknown-none";

/// The emulator's command; the environment variable `OCHRE_QEMU` names another.
pub const QEMU: &str = "qemu-system-x86_64";

/// The emulator.
pub const QEMU_PACKAGE: Package = Package {
    what: "QEMU, the machine that Ochre runs in",
    apt: "qemu-system-x86",
    dnf: "qemu-system-x86-core",
    pacman: "qemu-system-x86",
    brew: "brew install qemu",
};

/// A busybox that needs no libraries.
pub const BUSYBOX_PACKAGE: Package = Package {
    what: "a statically linked busybox, the guest's shell",
    apt: "busybox-static",
    dnf: "busybox",
    pacman: "busybox",
    brew: "put a static x86-64 Linux busybox somewhere in PATH (brew has none)",
};

/// Where QEMU is, if it is there.
pub fn find_qemu(arch: Arch) -> Option<PathBuf> {
    host::find_command(env::var_os(arch.qemu_variable()).unwrap_or_else(|| arch.qemu().into()))
}

/// Where QEMU is; installs it if need be.
///
/// # Errors
/// If it is not there and cannot be installed.
pub fn ensure_qemu(arch: Arch) -> Result<PathBuf> {
    if let Some(path) = find_qemu(arch) {
        return Ok(path);
    }
    let variable = arch.qemu_variable();
    if let Some(other) = env::var_os(variable) {
        bail!("{variable} names {}, which is not there", other.display());
    }
    let package = arch.qemu_package();
    if !host::can_install() {
        bail!(missing(&package));
    }
    debian::install(&[package.apt])?;
    find_qemu(arch).with_context(|| format!("{} is not there after its installation", arch.qemu()))
}

/// Whether the compiler can build for the kernel's target.
pub fn has_kernel_target(arch: Arch) -> bool {
    has_target(arch.kernel_target())
}

fn has_target(target: &str) -> bool {
    // Asked of rustc and not of rustup: distributions ship targets without it.
    let Ok(output) = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", target])
        .stderr(Stdio::null())
        .output()
    else {
        return false;
    };
    let dir = String::from_utf8_lossy(&output.stdout);
    let dir = Path::new(dir.trim());
    output.status.success()
        && fs::read_dir(dir).is_ok_and(|mut files| {
            files.any(|file| {
                file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
            })
        })
}

/// Makes sure that the compiler can build for the kernel's target.
///
/// # Errors
/// If it cannot, and rustup is not there or fails.
pub fn ensure_kernel_target(arch: Arch) -> Result<()> {
    ensure_target(arch.kernel_target())
}

/// Makes sure that the compiler can build for a target.
///
/// # Errors
/// If it cannot, and rustup is not there or fails.
pub fn ensure_target(target: &str) -> Result<()> {
    if has_target(target) {
        return Ok(());
    }
    let command = format!("rustup target add {target}");
    if host::find_command("rustup").is_none() {
        bail!(
            "the Rust target {target} is missing.\n\
             With Rust from rustup.rs:  {command}\n\
             With a distribution's Rust, install its package for that target."
        );
    }
    let task = Task::new(format!("adding the Rust target {target}"));
    task.begin();
    let output = Command::new("rustup")
        .args(["target", "add", target])
        .stdin(Stdio::null())
        .output()
        .context("running rustup")?;
    ensure!(
        output.status.success(),
        "{command} failed:\n{}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

/// A static busybox that is on the host already or was fetched before.
pub fn find_busybox() -> Option<PathBuf> {
    let fetched = paths::target()
        .ok()?
        .join("ochre/roots/busybox-static/bin/busybox");
    [host::find_command("busybox"), Some(fetched)]
        .into_iter()
        .flatten()
        .find(|path| elf_needs::is_static(path))
}

/// A static busybox; fetched if need be, not installed.
///
/// # Errors
/// If there is none and it cannot be fetched.
pub fn ensure_busybox() -> Result<PathBuf> {
    if let Some(path) = find_busybox() {
        return Ok(path);
    }
    if !host::is_debian_like() {
        bail!(missing(&BUSYBOX_PACKAGE));
    }
    let dir = Packages::new([BUSYBOX_PACKAGE.apt])
        .fetch()
        .with_context(|| missing(&BUSYBOX_PACKAGE))?;
    let path = ["bin/busybox", "usr/bin/busybox"]
        .into_iter()
        .map(|path| dir.join(path))
        .find(|path| elf_needs::is_static(path));
    path.context("the package busybox-static holds no static busybox")
}

/// A static busybox of an architecture that is there already.
pub fn find_busybox_of(arch: Arch) -> Option<PathBuf> {
    match arch {
        Arch::X86_64 => find_busybox(),
        Arch::Aarch64 => {
            let root = "ochre/roots/busybox-static+arm64";
            let fetched = paths::target().ok()?.join(root).join("bin/busybox");
            Some(fetched).filter(|path| path.is_file())
        }
    }
}

/// A static busybox of an architecture; fetched if need be, not installed.
///
/// # Errors
/// If there is none and it cannot be fetched.
pub fn ensure_busybox_of(arch: Arch) -> Result<PathBuf> {
    match arch {
        Arch::X86_64 => ensure_busybox(),
        Arch::Aarch64 => Packages::new([BUSYBOX_PACKAGE.apt])
            .of(arch)
            .fetch()
            .map(|dir| dir.join("bin/busybox"))
            .context("busybox for arm64 is fetched from Debian"),
    }
}

fn missing(package: &Package) -> String {
    format!(
        "{} is missing. To install it:\n{}",
        package.what,
        package.commands()
    )
}
