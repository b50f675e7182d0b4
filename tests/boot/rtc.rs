//! The battery-backed clock: read and set, on machines that have one and on one
//! that has none. QEMU's runs with the host's. (It is waited for in the ABI
//! suite's group `rtc`.)

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{
    Arch, Case, Machine, Outcome, check_output, describe, is_tested, prefix, shell, shell_on,
};

pub(super) fn cases() -> Vec<Case> {
    let machines = [Machine::Microvm, Machine::Q35, Machine::Virt];
    let machines = machines
        .into_iter()
        .filter(|machine| is_tested(machine.arch()));
    let mut cases: Vec<_> = machines
        .map(|machine| {
            let arch = prefix(machine.arch());
            Case::new(format!("{arch}{}'s clock", machine.name()), move || {
                the_clock(machine)
            })
        })
        .collect();
    if is_tested(Arch::X86_64) {
        cases.push(Case::new("no clock", no_clock));
    }
    cases
}

/// Seconds since 1970 on the host.
fn host() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// Each line is an answer.
const SCRIPT: &str = "\
ls -l /dev/rtc0 | cut -c 1-10
date +%s
date -u -d \"$(hwclock -u | cut -c 5-24)\" -D '%b %e %H:%M:%S %Y' +%s
date -s @1000000000 >/dev/null
hwclock -w -u
hwclock -u | cut -c 5-16
(hwclock -u) 7</dev/rtc0 2>&1 | grep -c busy
";

fn the_clock(machine: Machine) -> Result<()> {
    let before = host()?;
    let outcome = shell_on(machine.arch(), SCRIPT)?.machine(machine).run()?;
    let after = host()?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    let mut lines = text.lines();
    let mut next = || lines.next().with_context(|| describe(&outcome));
    ensure!(next()? == "crw-------", "{}", describe(&outcome));
    for what in ["wall clock", "battery-backed clock"] {
        let told: u64 = next()?.parse().with_context(|| describe(&outcome))?;
        // The guest's seconds need not begin with the host's.
        ensure!(
            (before.saturating_sub(1)..=after + 1).contains(&told),
            "the {what} says {told}; it is {before} to {after}"
        );
    }
    ensure!(next()? == "Sep  9 01:46", "{}", describe(&outcome));
    ensure!(next()? == "1", "{}", describe(&outcome));
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    Ok(())
}

/// A machine without a clock has no device, and starts in 1970.
fn no_clock() -> Result<()> {
    let outcome = shell("ls /dev/rtc0 2>/dev/null; date +%Y; hwclock 2>/dev/null; echo $?")?
        .machine(Machine::Microvm)
        .machine_properties("rtc=off")
        .run()?;
    check_output(&outcome, 0, "1970\n1\n")?;
    told_of_none(&outcome)
}

/// The log says once that there is no clock, and what time it is then.
pub(super) fn told_of_none(outcome: &Outcome) -> Result<()> {
    let said = "no battery-backed clock: the time begins at 1970";
    ensure!(
        outcome.log.matches(said).count() == 1,
        "it does not say once: {said}\n{}",
        describe(outcome)
    );
    Ok(())
}
