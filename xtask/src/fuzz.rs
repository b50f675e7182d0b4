//! `cargo xtask fuzz`: more of what the suites try a share of.

use anyhow::Result;

use crate::run;

/// Sequences of memory calls on Linux and on Ochre.
pub(crate) fn memory(arch: &str, first: u64, sequences: u64) -> Result<()> {
    run::cargo(["test", "--package", "ochre-tests", "--test", "memory"])?
        .args(["--", "sequences"])
        .env("OCHRE_TEST_ARCH", arch)
        .env("OCHRE_FUZZ_FIRST", first.to_string())
        .env("OCHRE_FUZZ_SEQUENCES", sequences.to_string())
        .run()
}

/// Random programs for each design of `ochre-alloc`, beside its model, on the
/// stable toolchain. A property that fails prints the smallest program it found.
pub(crate) fn alloc(cases: u64) -> Result<()> {
    run::cargo(["test", "--release", "--lib", "--package", "ochre-alloc"])?
        .args(["agrees_with"])
        .env("PROPTEST_CASES", cases.to_string())
        // What the designs check by themselves is to be seen, too.
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .run()
}

/// Hostile bytes and sizes for the terminal.
pub(crate) fn terminal(cases: u64) -> Result<()> {
    run::cargo(["test", "--release", "--lib", "--package", "ochre-terminal"])?
        .args(["--", "survives", "pieces"])
        .env("PROPTEST_CASES", cases.to_string())
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .run()
}

/// Device trees made of wrong bytes, wrong words and wrong lengths.
pub(crate) fn device_tree(cases: u64) -> Result<()> {
    run::cargo(["test", "--release", "--lib"])?
        .args(["--package", "ochre-device-tree"])
        // What the kernel makes of them.
        .args(["--package", "ochre-hal", "survived"])
        .env("PROPTEST_CASES", cases.to_string())
        // An overflow is a failure there, too.
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .run()
}
