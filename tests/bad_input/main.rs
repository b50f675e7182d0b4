//! Bad input: whatever is wrong with what the kernel is given, it says so and ends, or goes on.
//!
//! Four parts: archives ([`archives`]), the command line and process 1
//! ([`boot`]), programs that behave badly in a guest ([`abuse`]), and machines
//! of unusual size. In every case a panic, a crash and a hang are failures.
#![forbid(unsafe_code)]

mod abuse;
mod archives;
mod boot;
mod shortage;

use core::time::Duration;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use ochre_tests::{Case, End, Outcome, QemuExit, architectures, describe, run};

/// How long a kernel may take to see that something is wrong.
const TIMEOUT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    for arch in architectures() {
        cases.extend(archives::cases(arch));
        cases.extend(boot::cases(arch));
        cases.extend(abuse::cases(arch));
        cases.extend(abuse::choices(arch));
        cases.extend(shortage::cases(arch));
    }
    run(cases)
}

/// The kernel must refuse to start: with a reason on its log that has `reason`
/// in it, no status, and no panic.
fn refused(outcome: &Outcome, reason: &str) -> Result<()> {
    ensure!(
        outcome.status.is_none(),
        "it started all the same\n{}",
        describe(outcome)
    );
    alive(outcome)?;
    let told = outcome.log.lines().any(|line| {
        line.split_once("cannot start: ")
            .is_some_and(|(_, why)| why.contains(reason))
    });
    ensure!(
        told,
        "no reason with {reason:?} on the log\n{}",
        describe(outcome)
    );
    Ok(())
}

/// The machine must have come to an end of its own, and not by a panic.
fn alive(outcome: &Outcome) -> Result<()> {
    let panicked = outcome.log.contains("panic") || outcome.log.contains("kernel fault");
    match outcome.end {
        End::Qemu(QemuExit::Ordered | QemuExit::PoweredOff | QemuExit::Panicked) if !panicked => {
            Ok(())
        }
        _ => bail!("the kernel did not end as it should\n{}", describe(outcome)),
    }
}
