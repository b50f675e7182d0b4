//! One property, one kernel, one QEMU.
//!
//! Each case boots a kernel that does one thing (`ochre.boottest=NAME`) and
//! looks at how the machine ends and at what is on the log. What the kernel
//! does for each name is in `kernel/src/boottest.rs`.
#![forbid(unsafe_code)]

mod debugger;
mod init;
mod machines;
mod trace;

use core::time::Duration;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use ochre_tests::{Case, Guest, QemuExit, describe, ended_with, test_kernel};

/// How long one property may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a kernel must do.
enum Expected {
    /// Say that the property holds, and end in order.
    Holds,
    /// Die with a report that has all of these on it.
    Dies(&'static [&'static str]),
}

use Expected::{Dies, Holds};

/// What is tried on one processor, or does not depend on how many there are.
const PROPERTIES: [(&str, Expected); 16] = [
    ("breakpoint", Holds),
    (
        "page-fault",
        Dies(&[
            "kernel fault: page fault",
            "a read",
            "the page is not mapped",
            "page tables from",
        ]),
    ),
    (
        "null",
        Dies(&["kernel fault: page fault", "a null pointer"]),
    ),
    (
        "invalid",
        Dies(&["kernel fault: invalid", "rip ", "backtrace:"]),
    ),
    ("divide", Dies(&["kernel fault: divi", "backtrace:"])),
    (
        "stack-overflow",
        Dies(&[
            "kernel fault: double fault",
            "kernel stack overflow",
            "recurse",
        ]),
    ),
    (
        "write-text",
        Dies(&["a write of the kernel's code", "the page is read-only"]),
    ),
    (
        "write-constants",
        Dies(&["a write of the kernel's constants", "the page is read-only"]),
    ),
    (
        "execute-data",
        Dies(&[
            "execution of the kernel's data",
            "the page is not executable",
        ]),
    ),
    (
        "execute-direct-map",
        Dies(&["execution of the direct map", "the page is not executable"]),
    ),
    ("user-access", Dies(&["a read of user memory", "SMAP"])),
    ("user-execute", Dies(&["execution of user memory", "SMEP"])),
    (
        "panic",
        Dies(&[
            "kernel panicked at",
            "on purpose",
            "backtrace:",
            "kernel/src/boottest.rs",
        ]),
    ),
    ("out-of-heap", Holds),
    ("timer", Holds),
    ("idle", Holds),
];

/// What takes more than one processor, and how many it is tried on.
const WITH_OTHERS: [(&str, &[u32], Expected); 5] = [
    ("processors", &[1, 2, 4, 8], Holds),
    ("wake-from-idle", &[2, 4], Holds),
    (
        "panic-elsewhere",
        &[2, 4],
        Dies(&[
            "kernel panicked at",
            "on purpose, on processor 1",
            "on processor 1; the others were",
            "(processor 0)",
        ]),
    ),
    (
        "overflow-elsewhere",
        &[2],
        Dies(&["kernel stack overflow", "recurse", "on processor 1"]),
    ),
    (
        "stuck",
        &[2],
        Dies(&["processor 1 is stuck", "stuck_for_ever", "on purpose"]),
    ),
];

fn main() -> ExitCode {
    let properties = PROPERTIES
        .into_iter()
        .map(|(name, expected)| Case::new(name, move || check(name, 1, &expected)));
    let with_others = WITH_OTHERS.iter().flat_map(|(name, counts, expected)| {
        counts.iter().map(move |count| {
            Case::new(format!("{name} on {count}"), move || {
                check(name, *count, expected)
            })
        })
    });
    ochre_tests::run(
        properties
            .chain(with_others)
            .chain(machines::cases())
            .chain(init::cases())
            .chain(trace::cases())
            .chain(debugger::cases())
            .collect(),
    )
}

fn check(name: &str, processors: u32, expected: &Expected) -> Result<()> {
    let outcome = Guest::with_kernel(test_kernel()?)
        .processors(processors)
        .words(format!("ochre.boottest={name}"))
        .timeout(TIMEOUT)
        .run()?;
    match expected {
        Holds => {
            ended_with(&outcome, QemuExit::Ordered)?;
            let told = format!("boottest {name}: ok ({processors} processors)");
            ensure!(
                outcome.status == Some(0) && outcome.log.contains(&told),
                "the property was not said to hold\n{}",
                describe(&outcome)
            );
        }
        Dies(texts) => {
            ended_with(&outcome, QemuExit::Panicked)?;
            ensure!(
                !outcome.log.contains(": ok"),
                "it went on after what must be caught\n{}",
                describe(&outcome)
            );
            for text in *texts {
                ensure!(
                    outcome.log.contains(text),
                    "the report does not say: {text}\n{}",
                    describe(&outcome)
                );
            }
        }
    }
    Ok(())
}
