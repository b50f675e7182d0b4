//! `cargo xtask bench alloc`: measures `ochre-alloc` beside its peers.

use std::ffi::OsString;

use anyhow::Result;

use crate::{bench_sync, run};

/// Measures; `args` may have '--date YYYY-MM-DD', '--rows PART' and a part of a name.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    let command = run::cargo([
        "run",
        "--quiet",
        "--profile",
        "bench",
        "--package",
        "ochre-bench-alloc",
    ])?;
    let command = command.args(["--"]).args(args);
    if args.iter().any(|word| word == "--date") {
        return command.run();
    }
    command.args(["--date"]).args([bench_sync::today()?]).run()
}
