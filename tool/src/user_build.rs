//! Builds our own guest programs (the crates in `user/`) as ELF files.
//!
//! They are compiled for a machine's Linux target, as any program for Linux is,
//! and usually with the C library linked in, so that one file runs anywhere.
//! They have target folders of their own: other flags would make cargo compile
//! everything anew at each change of hands.
//!
//! Those for AArch64 are linked by Rust's own linker. With musl, which Rust
//! brings all of, that is all; glibc is Debian's ([`ForeignLibrary`]).

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    arch::Arch,
    foreign_library::ForeignLibrary,
    kernel_build::{self, NOT_FOR_GUESTS},
    paths,
    report::Task,
    setup,
};

/// How the programs of one target folder are compiled.
#[derive(Clone, Copy, Debug)]
struct Kind {
    target: &'static str,
    folder: &'static str,
    flags: &'static [&'static str],
}

/// How they are linked: static, and without what nobody reads in a guest.
const STATIC: &[&str] = &["-Ctarget-feature=+crt-static", "-Cstrip=symbols"];

/// How they are linked if they are to use the system's C library.
const SHARED: &[&str] = &["-Cstrip=symbols"];

/// Another program than the C compiler to link them.
pub(crate) const RUSTS_LINKER: &str = "-Clinker=rust-lld";

const GLIBC: Kind = Kind {
    target: "x86_64-unknown-linux-gnu",
    folder: "user",
    flags: STATIC,
};

const DYNAMIC: Kind = Kind {
    folder: "user-dynamic",
    flags: SHARED,
    ..GLIBC
};

const MUSL: Kind = Kind {
    target: "x86_64-unknown-linux-musl",
    folder: "user-musl",
    flags: STATIC,
};

const ARM_MUSL: Kind = Kind {
    target: "aarch64-unknown-linux-musl",
    folder: "user-aarch64",
    flags: STATIC,
};

const ARM_GLIBC: Kind = Kind {
    target: "aarch64-unknown-linux-gnu",
    folder: "user-aarch64-glibc",
    flags: STATIC,
};

const ARM_DYNAMIC: Kind = Kind {
    folder: "user-aarch64-dynamic",
    flags: SHARED,
    ..ARM_GLIBC
};

/// Builds the package `ochre-NAME` and gives the path of its static program
/// `NAME`.
///
/// # Errors
/// If it does not compile; the compiler's messages are in the error.
pub fn build(name: &str) -> Result<PathBuf> {
    build_glibc(Arch::X86_64, name)
}

/// Builds it as a static program for an architecture: with glibc for the
/// host's, else with musl, for which nothing has to be fetched.
///
/// # Errors
/// As [`build_musl`].
pub fn build_for(arch: Arch, name: &str) -> Result<PathBuf> {
    match arch {
        Arch::X86_64 => build_glibc(arch, name),
        Arch::Aarch64 => build_musl(arch, name),
    }
}

/// Builds it with glibc linked in.
///
/// # Errors
/// As [`build`]; and if the compiler's part for the architecture, or its C
/// library, is missing and cannot be brought in.
pub fn build_glibc(arch: Arch, name: &str) -> Result<PathBuf> {
    match arch {
        Arch::X86_64 => build_as(GLIBC, name, &[]),
        Arch::Aarch64 => build_as(ARM_GLIBC, name, &ForeignLibrary::fetch()?.to_link_static()),
    }
}

/// Builds it so that it needs the system's glibc, which [`crate::elf_needs`]
/// finds on the host, and [`ForeignLibrary`] has for AArch64.
///
/// # Errors
/// As [`build_glibc`].
pub fn build_dynamic(arch: Arch, name: &str) -> Result<PathBuf> {
    match arch {
        Arch::X86_64 => build_as(DYNAMIC, name, &[]),
        Arch::Aarch64 => build_as(
            ARM_DYNAMIC,
            name,
            &ForeignLibrary::fetch()?.to_link_shared(),
        ),
    }
}

/// Builds it with musl linked in.
///
/// # Errors
/// As [`build`]; and if the compiler's part for that is missing and cannot be
/// brought in.
pub fn build_musl(arch: Arch, name: &str) -> Result<PathBuf> {
    match arch {
        Arch::X86_64 => build_as(MUSL, name, &[]),
        Arch::Aarch64 => build_as(ARM_MUSL, name, &[RUSTS_LINKER.to_owned()]),
    }
}

fn build_as(kind: Kind, name: &str, more_flags: &[String]) -> Result<PathBuf> {
    setup::ensure_target(kind.target)?;
    let target_dir = paths::cache(kind.folder)?;
    let _held = paths::lock(kind.folder)?;
    let task = Task::new(format!("building {name}"));
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(paths::workspace()?)
        .args(["build", "--release", "--package", &format!("ochre-{name}")])
        .args(["--target", kind.target, "--target-dir"])
        .arg(&target_dir);
    for variable in NOT_FOR_GUESTS {
        command.env_remove(variable);
    }
    let flags = kind.flags.iter().copied();
    let flags: Vec<&str> = flags.chain(more_flags.iter().map(String::as_str)).collect();
    // The form in which a flag may hold a blank, as a path may.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    kernel_build::run(&mut command, &task)
        .with_context(|| format!("the guest program {name} does not build"))?;
    Ok(target_dir.join(kind.target).join("release").join(name))
}
