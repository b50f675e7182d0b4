//! Links for the bare machine as `hal` has it (does nothing of it on a host).
#![forbid(unsafe_code)]

use std::env;

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") == "none" {
        let (here, arch) = (
            variable("CARGO_MANIFEST_DIR"),
            variable("CARGO_CFG_TARGET_ARCH"),
        );
        let script = format!("{here}/../hal/src/arch/{arch}/kernel.ld");
        println!("cargo::rerun-if-changed={script}");
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
