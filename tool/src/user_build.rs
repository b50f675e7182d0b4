//! Builds our own guest programs (the crates in `user/`) as ELF files.
//!
//! They are compiled for the host's Linux target, as any program for Linux is,
//! and usually with the C library linked in, so that one file runs anywhere.
//! They have target folders of their own: other flags would make cargo compile
//! everything anew at each change of hands.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    arch::Arch,
    kernel_build::{self, NOT_FOR_GUESTS},
    paths,
    report::Task,
    setup,
};

/// What they are compiled for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The same with another C library, which Rust brings along.
const MUSL_TARGET: &str = "x86_64-unknown-linux-musl";

/// Programs for AArch64: with musl, because Rust brings all of it along, and
/// its own linker.
const ARM_TARGET: &str = "aarch64-unknown-linux-musl";
const ARM_LINKER: &str = "rust-lld";

/// How they are linked: static, and without what nobody reads in a guest.
const FLAGS: &str = "-C target-feature=+crt-static -C strip=symbols";

/// How they are linked if they are to use the system's C library.
const DYNAMIC_FLAGS: &str = "-C strip=symbols";

/// Builds the package `ochre-NAME` and gives the path of its static program
/// `NAME`.
///
/// # Errors
/// If it does not compile; the compiler's messages are in the error.
pub fn build(name: &str) -> Result<PathBuf> {
    build_with(name, TARGET, "user", FLAGS)
}

/// Builds it so that it needs the host's libraries, which
/// [`crate::elf_needs`] can find.
///
/// # Errors
/// As [`build`].
pub fn build_dynamic(name: &str) -> Result<PathBuf> {
    build_with(name, TARGET, "user-dynamic", DYNAMIC_FLAGS)
}

/// Builds it with musl linked in.
///
/// # Errors
/// As [`build`]; and if the compiler's part for that is missing and cannot be
/// brought in.
pub fn build_musl(name: &str) -> Result<PathBuf> {
    setup::ensure_target(MUSL_TARGET)?;
    build_with(name, MUSL_TARGET, "user-musl", FLAGS)
}

/// Builds it as a static program for an architecture: with glibc for the
/// host's, else with musl.
///
/// # Errors
/// As [`build_musl`].
pub fn build_for(arch: Arch, name: &str) -> Result<PathBuf> {
    match arch {
        Arch::X86_64 => build(name),
        Arch::Aarch64 => {
            setup::ensure_target(ARM_TARGET)?;
            build_with(name, ARM_TARGET, "user-aarch64", FLAGS)
        }
    }
}

fn build_with(name: &str, target: &str, folder: &str, flags: &str) -> Result<PathBuf> {
    let target_dir = paths::cache(folder)?;
    let _held = paths::lock(folder)?;
    let task = Task::new(format!("building {name}"));
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(paths::workspace()?)
        .args(["build", "--release", "--package", &format!("ochre-{name}")])
        .args(["--target", target, "--target-dir"])
        .arg(&target_dir);
    for variable in NOT_FOR_GUESTS {
        command.env_remove(variable);
    }
    let variable = target.to_uppercase().replace('-', "_");
    command.env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), flags);
    if target == ARM_TARGET {
        command.env(format!("CARGO_TARGET_{variable}_LINKER"), ARM_LINKER);
    }
    kernel_build::run(&mut command, &task)
        .with_context(|| format!("the guest program {name} does not build"))?;
    Ok(target_dir.join(target).join("release").join(name))
}
