//! `cargo xtask fuzz`: more of what the suites try a share of.

use anyhow::Result;

use crate::run;

/// Sequences of memory calls on the host's Linux and on Ochre.
pub(crate) fn memory(first: u64, sequences: u64) -> Result<()> {
    run::cargo(["test", "--package", "ochre-tests", "--test", "memory"])?
        .args(["--", "sequences"])
        .env("OCHRE_FUZZ_FIRST", first.to_string())
        .env("OCHRE_FUZZ_SEQUENCES", sequences.to_string())
        .run()
}
