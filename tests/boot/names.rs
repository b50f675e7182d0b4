//! The kernel says the names of its functions itself, where it was given them:
//! the report on the serial line, which nobody reads through the host's tool.

use anyhow::{Result, ensure};
use ochre_tests::{
    Arch, Case, Guest, Outcome, describe, guest_on, kernel, prefix, shell_tree, test_kernel,
};
use ochre_tool::{guest::SYMBOLS_PATH, symbols};

/// What kills the kernel.
const CRASH: &str = "ls /boot; echo c >/proc/sysrq-trigger";

pub(super) fn cases(arch: Arch) -> Vec<Case> {
    let case = |name: &str, check: fn(Arch) -> Result<()>| {
        Case::new(format!("{}{name}", prefix(arch)), move || check(arch))
    };
    vec![
        case("a report has the names of functions", named),
        case("names of another kernel are refused", refused),
    ]
}

/// A machine that crashes, with the serial line as its console.
fn crashing(arch: Arch, guest: Guest) -> Result<Outcome> {
    let outcome = guest
        .program("/bin/sh")
        .name("sh")
        .args(["-c", CRASH])
        .console(24, 80)
        .run()?;
    ochre_tests::ended_on(arch, &outcome, ochre_tests::QemuExit::Panicked)?;
    Ok(outcome)
}

/// What stands behind the addresses of the report on the serial line.
fn behind_addresses(outcome: &Outcome) -> Result<Vec<String>> {
    let told = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let (_, report) = told.split_once("backtrace:").unwrap_or_default();
    let frames = report.lines().filter_map(|line| {
        let (address, name) = line.strip_prefix("  at 0x")?.split_at_checked(16)?;
        u64::from_str_radix(address, 16).ok()?;
        Some(name.trim().to_owned())
    });
    let frames: Vec<String> = frames.collect();
    ensure!(frames.len() > 4, "no report\n{}", describe(outcome));
    Ok(frames)
}

fn named(arch: Arch) -> Result<()> {
    let guest = guest_on(arch)?.tree(shell_tree(arch)?).symbols();
    let outcome = crashing(arch, guest)?;
    let frames = behind_addresses(&outcome)?;
    let told = describe(&outcome);
    let begins = |frame: &str, name: &str| frame.starts_with(&format!("{name}+0x"));
    for name in ["core::panicking::panic_fmt", "ochre_kernel_main"] {
        ensure!(
            frames.iter().any(|frame| begins(frame, name)),
            "{name} is not in the report\n{told}"
        );
    }
    ensure!(
        frames.iter().all(|frame| frame.contains("+0x")),
        "an address without a name\n{told}"
    );
    // The file is gone: it would only take memory.
    let stdout = String::from_utf8_lossy(&outcome.stdout);
    ensure!(!stdout.contains("ochre.symbols"), "still there\n{told}");
    // The host's tool says where in the sources that is, once.
    ensure!(
        outcome.log.contains("panicking.rs:") && !outcome.log.contains("panic_fmt+0x"),
        "the log has not the host's names\n{told}"
    );
    Ok(())
}

fn refused(arch: Arch) -> Result<()> {
    let mut tree = shell_tree(arch)?;
    let other = symbols::table(&test_kernel(arch)?)?;
    ensure!(other != symbols::table(&kernel(arch)?)?, "one and the same");
    tree.file(SYMBOLS_PATH, 0o400, other)?;
    let guest = guest_on(arch)?.tree(tree);
    let outcome = crashing(arch, guest.words(format!("ochre.symbols={SYMBOLS_PATH}")))?;
    let told = describe(&outcome);
    let reason = format!("no names of the kernel's functions from {SYMBOLS_PATH}: it is another");
    ensure!(outcome.log.contains(&reason), "not refused\n{told}");
    ensure!(
        behind_addresses(&outcome)?.iter().all(String::is_empty),
        "names of another kernel\n{told}"
    );
    Ok(())
}
