//! Judging an outcome, with everything a person needs to see when it is not the expected one.

use anyhow::{Result, bail};
use ochre_tool::{Arch, Outcome, guest::End, status::QemuExit};

/// How many lines of the log are shown.
const LOG_LINES: usize = 40;

/// Checks the status and the whole standard output.
///
/// # Errors
/// If one of them differs.
pub fn check_output(outcome: &Outcome, status: u8, stdout: &str) -> Result<()> {
    if outcome.status == Some(status) && outcome.stdout == stdout.as_bytes() {
        return Ok(());
    }
    bail!(
        "expected status {status} and output {stdout:?}\n{}",
        describe(outcome)
    );
}

/// Checks how the machine ended.
///
/// # Errors
/// If it ended otherwise.
pub fn ended_with(outcome: &Outcome, exit: QemuExit) -> Result<()> {
    if outcome.end == End::Qemu(exit) {
        return Ok(());
    }
    bail!("expected that {exit}\n{}", describe(outcome));
}

/// The same on a machine of an architecture. One that ends by its firmware
/// (AArch64) tells no more than that; a status then says that it was in order.
///
/// # Errors
/// If it ended otherwise.
pub fn ended_on(arch: Arch, outcome: &Outcome, exit: QemuExit) -> Result<()> {
    let told = match exit {
        QemuExit::Ordered => outcome.status.is_some(),
        QemuExit::Panicked => outcome.status.is_none() && outcome.log.contains("kernel "),
        _ => false,
    };
    match arch {
        Arch::Aarch64 if told => ended_with(outcome, QemuExit::PoweredOff),
        _ => ended_with(outcome, exit),
    }
}

/// An outcome for a person.
pub fn describe(outcome: &Outcome) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let mut description = match outcome.status {
        Some(status) => format!("status {status}"),
        None => "no status".to_owned(),
    };
    description.push_str(&format!(", end: {}\n", outcome.end));
    for (name, content) in [
        ("stdout", text(&outcome.stdout)),
        ("stderr", text(&outcome.stderr)),
        ("QEMU", outcome.qemu_errors.trim_end().to_owned()),
        ("log", outcome.log_tail(LOG_LINES)),
    ] {
        if !content.is_empty() {
            description.push_str(&format!("--- {name}\n{content}\n"));
        }
    }
    description
}
