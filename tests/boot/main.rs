//! One property, one kernel, one QEMU.
//!
//! Each case boots a kernel that does one thing (`ochre.boottest=NAME`) and
//! looks at how the machine ends and at what is on the log. What the kernel
//! does for each name is in `kernel/src/boottest.rs`.
#![forbid(unsafe_code)]

mod apart;
mod boards;
mod chart;
mod debugger;
mod image;
mod init;
mod keyboard;
mod machines;
mod names;
mod places;
mod profile;
mod rtc;
mod screen;
mod shown;
mod signing;
mod storm;
mod terminal;
mod trace;
mod trees;
mod unreadable;
mod writes;

use core::time::Duration;
use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use anyhow::{Result, ensure};
use ochre_tests::{
    Arch, Case, End, Guest, Machine, QemuExit, architectures, describe, ended_on, is_tested,
    prefix, test_kernel,
};

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
const PROPERTIES: [&str; 19] = [
    "breakpoint",
    "page-fault",
    "null",
    "invalid",
    "divide",
    "heap-overrun",
    "stack-overflow",
    "write-text",
    "write-constants",
    "execute-data",
    "execute-direct-map",
    "user-access",
    "user-execute",
    "memory-error",
    "panic",
    "out-of-heap",
    "timer",
    "idle",
    "tasks",
];

/// What takes more than one processor, and how many it is tried on; more than
/// [`AWAKE`] where they sleep while others come (AArch64).
const WITH_OTHERS: [(&str, &[u32]); 5] = [
    ("processors", &[1, 2, 4, 8, 16, 64]),
    ("wake-from-idle", &[2, 4]),
    ("panic-elsewhere", &[2, 4]),
    ("overflow-elsewhere", &[2]),
    ("stuck", &[2, 4, 8]),
];

/// What is tried where the machine tells of what is pending.
const ON_AARCH64: [&str; 2] = ["memory-error-idle", "memory-error-user"];

/// So many look at each other on a host with few before it takes too long.
const AWAKE: u32 = 16;

/// How long a kernel that hangs is waited for. It sleeps, so it takes nothing
/// from others.
const HANG: Duration = Duration::from_secs(10);

/// What must come of a property.
fn expected(arch: Arch, name: &str) -> Expected {
    let arm = arch == Arch::Aarch64;
    Dies(match name {
        "page-fault" if arm => &[
            "kernel fault: data fault",
            "a read",
            "the page is not mapped",
            "page tables from",
        ],
        "page-fault" => &[
            "kernel fault: page fault",
            "a read",
            "the page is not mapped",
            "page tables from",
        ],
        "null" if arm => &["kernel fault: data fault", "a null pointer"],
        "null" => &["kernel fault: page fault", "a null pointer"],
        "invalid" if arm => &["kernel fault: invalid", "pc ", "backtrace:"],
        "invalid" => &["kernel fault: invalid", "rip ", "backtrace:"],
        // A quotient like any other there.
        "divide" if arm => return Holds,
        "divide" => &["kernel fault: divi", "backtrace:"],
        "heap-overrun" => &["heap overrun: somebody wrote behind the 24 bytes at"],
        "stack-overflow" if arm => &["kernel stack overflow", "recurse"],
        "stack-overflow" => &[
            "kernel fault: double fault",
            "kernel stack overflow",
            "recurse",
        ],
        "write-text" => &["a write of the kernel's code", "the page is read-only"],
        "write-constants" => &["a write of the kernel's constants", "the page is read-only"],
        "execute-data" => &[
            "execution of the kernel's data",
            "the page is not executable",
        ],
        "execute-direct-map" => &["execution of the direct map", "the page is not executable"],
        "user-access" if arm => &["a read of user memory", "PAN"],
        "user-access" => &["a read of user memory", "SMAP"],
        "user-execute" if arm => &["execution of user memory", "PXN"],
        "user-execute" => &["execution of user memory", "SMEP"],
        "memory-error" if arm => &[
            "kernel fault: error of the memory system (SError)",
            "the processor does not tell what kind",
            "it was noticed in the kernel",
            "backtrace:",
            "take_error",
            "kernel/src/boottest.rs",
        ],
        "memory-error" => &["kernel fault: machine check", "backtrace:"],
        "memory-error-idle" => &[
            "kernel fault: error of the memory system (SError)",
            "it was noticed in the kernel",
            "take_error",
            "kernel/src/boottest.rs",
        ],
        "memory-error-user" => &[
            "kernel fault: error of the memory system (SError)",
            "data is lost, and what was computed with it",
            "it was noticed while a program ran",
            "(user mode)",
            "run_with_error",
        ],
        "panic" => &[
            "kernel panicked at",
            "on purpose",
            "backtrace:",
            "kernel/src/boottest.rs",
        ],
        "panic-elsewhere" if arm => &[
            "kernel panicked at",
            "on purpose, on processor 1",
            "on processor 1 of",
            "processor 0 does not stop",
        ],
        "panic-elsewhere" => &[
            "kernel panicked at",
            "on purpose, on processor 1",
            "on processor 1; the others were",
            "(processor 0)",
        ],
        "overflow-elsewhere" => &["kernel stack overflow", "recurse", "on processor 1"],
        // Where it is only an interrupt that cannot be masked can tell.
        "stuck" if arm => &[" is stuck: in the kernel for ", "on purpose"],
        "stuck" => &[
            " is stuck: in the kernel for ",
            "stuck_for_ever",
            "on purpose",
        ],
        _ => return Holds,
    })
}

fn main() -> ExitCode {
    let x86_64 = is_tested(Arch::X86_64);
    let on_x86_64 = apart::cases().chain(trace::cases());
    ochre_tests::run(
        architectures()
            .flat_map(properties)
            .chain(machines::cases())
            .chain(machines::early_input())
            .chain(
                trees::cases()
                    .chain(unreadable::cases())
                    .chain(boards::cases())
                    .chain([image::case(), signing::case()])
                    .filter(|_| is_tested(Arch::Aarch64)),
            )
            .chain([
                Case::new("a kernel that hangs is told", hang),
                Case::new("a machine that says nothing is told", silence),
            ])
            .chain(architectures().flat_map(storm::cases))
            .chain(rtc::cases())
            .chain(architectures().flat_map(init::cases))
            .chain(architectures().flat_map(names::cases))
            .chain(architectures().flat_map(places::cases))
            .chain(debugger::cases())
            .chain(profile::cases())
            .chain(terminal::cases())
            .chain(screen::cases())
            .chain(architectures().flat_map(writes::cases))
            .chain(chart::cases())
            .chain(keyboard::cases())
            .chain(on_x86_64.filter(|_| x86_64))
            .collect(),
    )
}

fn properties(arch: Arch) -> impl Iterator<Item = Case> {
    let more = ON_AARCH64.iter().filter(move |_| arch == Arch::Aarch64);
    let alone = PROPERTIES.iter().chain(more).map(move |name| {
        Case::new(format!("{}{name}", prefix(arch)), move || {
            check(arch, name, 1, "")
        })
    });
    let with_others = WITH_OTHERS.into_iter().flat_map(move |(name, counts)| {
        let counts = counts
            .iter()
            .filter(move |count| arch == Arch::Aarch64 || **count <= AWAKE);
        counts.map(move |count| {
            Case::new(format!("{}{name} on {count}", prefix(arch)), move || {
                check(arch, name, *count, "")
            })
        })
    });
    alone.chain(with_others)
}

/// What is tried on one architecture.
fn one_arch() -> Arch {
    if is_tested(Arch::X86_64) {
        Arch::X86_64
    } else {
        Arch::Aarch64
    }
}

/// What is done when a machine says nothing: tells that it was done.
fn is_told() -> (Arc<OnceLock<()>>, impl FnOnce() + Send + 'static) {
    let told = Arc::new(OnceLock::new());
    let to_tell = Arc::clone(&told);
    (told, move || to_tell.set(()).expect("it is told once"))
}

/// One that never begins.
fn silence() -> Result<()> {
    let arch = one_arch();
    let dir = tempfile::tempdir()?;
    let (told, tell) = is_told();
    let outcome = Guest::with_kernel(test_kernel(arch)?)
        .machine(Machine::usual(arch))
        .debugger(dir.path().join("gdb"))
        // Even where it waits for the host each moment, it is not granted the rest.
        .when_silent(HANG / 50, tell)
        .timeout(HANG / 5)
        .run()?;
    let text = describe(&outcome);
    ensure!(
        outcome.end == End::TimedOut && outcome.log.is_empty(),
        "it began\n{text}"
    );
    ensure!(told.get().is_some(), "it was not told\n{text}");
    Ok(())
}

/// A machine that does nothing for ever is ended, and that is what is said of it.
fn hang() -> Result<()> {
    let arch = one_arch();
    let (is_silent, tell) = is_told();
    let outcome = Guest::with_kernel(test_kernel(arch)?)
        .machine(Machine::usual(arch))
        .words("ochre.boottest=hang")
        .when_silent(HANG / 2, tell)
        .timeout(HANG)
        .run()?;
    let told = describe(&outcome);
    ensure!(
        outcome.end == End::TimedOut && outcome.status.is_none(),
        "not told as a kernel that hangs\n{told}"
    );
    ensure!(is_silent.get().is_none(), "told of one that speaks\n{told}");
    ensure!(
        outcome.log.contains("boottest hang: begins")
            && !outcome.log.contains("kernel panicked")
            && !outcome.log.contains("kernel fault"),
        "it is told, and for another reason\n{told}"
    );
    Ok(())
}

/// Whether a property holds, in a kernel that is told these words besides.
fn check(arch: Arch, name: &str, processors: u32, words: &str) -> Result<()> {
    let mut guest = Guest::with_kernel(test_kernel(arch)?).machine(Machine::usual(arch));
    if arch == Arch::Aarch64 && name == "user-access" {
        // The usual model is older than what this is about.
        guest = guest.processor_model("max,pauth-impdef=on");
    }
    if arch == Arch::Aarch64 && name.starts_with("memory-error") {
        // Made by what stays at EL2; one model says of what kind it is.
        guest = guest.machine_properties("virtualization=on");
        if name == "memory-error-user" {
            guest = guest.processor_model("neoverse-n1");
        }
    }
    let outcome = guest
        .processors(processors)
        .words(format!("ochre.boottest={name} {words}"))
        .patience(TIMEOUT)
        .run()?;
    match expected(arch, name) {
        Holds => {
            ended_on(arch, &outcome, QemuExit::Ordered)?;
            let told = format!("boottest {name}: ok ({processors} processors)");
            ensure!(
                outcome.status == Some(0) && outcome.log.contains(&told),
                "the property was not said to hold\n{}",
                describe(&outcome)
            );
        }
        Dies(texts) => {
            ended_on(arch, &outcome, QemuExit::Panicked)?;
            ensure!(
                !outcome.log.contains(": ok"),
                "it went on after what must be caught\n{}",
                describe(&outcome)
            );
            for text in texts {
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
