//! Processors that sign addresses, and the kernel's tests of that on them.

use core::time::Duration;

use anyhow::{Result, ensure};
use ochre_tests::{Arch, Case, Guest, Machine, QemuExit, describe, ended_on, prefix, test_kernel};

/// How long a boot may take.
const TIMEOUT: Duration = Duration::from_secs(60);

const ARM: Arch = Arch::Aarch64;

/// The test, inside the kernel.
const TEST: &str = "ochre_hal::arch::aarch64::ktests::signed_addresses_are_each_programs_own";

pub(super) fn case() -> Case {
    Case::new(format!("{}signed addresses", prefix(ARM)), signed)
}

/// From EL1, and from EL2, which may forbid it.
fn signed() -> Result<()> {
    for properties in ["gic-version=2", "gic-version=2,virtualization=on"] {
        let outcome = Guest::with_kernel(test_kernel(ARM)?)
            .machine(Machine::usual(ARM))
            .machine_properties(properties)
            .processor_model("max,pauth-impdef=on")
            .words(format!("ochre.ktest={TEST}"))
            .patience(TIMEOUT)
            .run()?;
        ended_on(ARM, &outcome, QemuExit::Ordered)?;
        let line = format!("ktest {TEST}: ok");
        ensure!(outcome.log.contains(&line), "{}", describe(&outcome));
    }
    Ok(())
}
