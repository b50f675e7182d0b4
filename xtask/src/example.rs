//! `cargo xtask example NAME`: one of the programs in `examples/`, in a machine.

use std::io;

use anyhow::Result;
use ochre_tool::{Arch, Guest, Machine, kernel_build};

/// Builds it and runs it; what it says on its console is said here.
pub(crate) fn run(name: &str, arch: Arch) -> Result<()> {
    Guest::with_kernel(kernel_build::build_example(arch, name)?)
        .machine(Machine::usual(arch))
        .console(24, 80)
        .stdout_to(Box::new(io::stdout()))
        .run()?;
    Ok(())
}
