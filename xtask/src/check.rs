//! `cargo xtask check`: all that can be said about the code without running it.

use anyhow::Result;
use ochre_tool::Arch;
use ochre_tool::setup::{self, KERNEL_TARGET};

use crate::{docs, model, run::cargo, syscalls, tidy};

/// Runs all checks; the first that fails ends it.
pub(crate) fn check() -> Result<()> {
    for arch in Arch::ALL {
        setup::ensure_kernel_target(arch)?;
    }
    cargo(["fmt", "--all", "--check"])?.run()?;
    eprintln!("$ cargo xtask tidy");
    tidy::check()?;
    eprintln!("$ cargo xtask syscalls --check");
    syscalls::check()?;
    let deny = ["--", "--deny", "warnings"];
    cargo(["clippy", "--workspace", "--all-targets"])?
        .args(deny)
        .run()?;
    let kernels = [
        (Arch::X86_64, ""),
        (Arch::X86_64, "ktest"),
        (Arch::Aarch64, ""),
    ];
    for (arch, features) in kernels {
        cargo([
            "clippy",
            "--package",
            "ochre-kernel",
            "--package",
            "ochre-hal",
        ])?
        .args(["--target", arch.kernel_target()])
        .args(["--features", &prefixed(features)])
        .args(deny)
        .run()?;
    }
    // What others may build: the library without a heap, and with all there is.
    for features in ["", "alloc", "std,lock_api"] {
        let target = if features.contains("std") {
            &[][..]
        } else {
            &["--target", KERNEL_TARGET][..]
        };
        cargo(["clippy", "--package", "ochre-sync", "--lib"])?
            .args(["--features", features])
            .args(target)
            .args(deny)
            .run()?;
    }
    model::check()?;
    docs::rustdoc()
}

/// With several packages named, a feature needs its package's name in front.
fn prefixed(feature: &str) -> String {
    match feature {
        "" => String::new(),
        feature => format!("ochre-kernel/{feature}"),
    }
}
