//! The tests inside the kernel, one by one.
//!
//! A kernel with the feature `ktest` names its tests on the log
//! (`ochre.ktest=list`: a line `ktest NAME` for each) or runs one or all of
//! them, with the lines `ktest NAME: runs` and `ktest NAME: ok` around each.
//! One that fails panics, and that is the end of its machine.
//!
//! One machine runs them all; the tests that it did not come to, because one
//! before them failed, get a machine of their own each. All of it is done on
//! one processor and on several, on every machine ([`architectures`]); on x86_64 on
//! several with tables of their own for programs, too; on AArch64 several are
//! newer ones, with the newer interrupt controller.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::{
    collections::BTreeSet,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, anyhow, bail, ensure};
use ochre_tests::{
    Arch, Case, Guest, Machine, Outcome, QemuExit, architectures, describe, ended_on, prefix,
    test_kernel,
};

/// How long a machine may take, for one test or for all.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How many processors the machines have, and what their kernels are told.
const RUNS: [(u32, &str); 3] = [(1, ""), (4, ""), (4, "pti=on")];

fn main() -> ExitCode {
    ochre_tests::run(architectures().flat_map(cases).collect())
}

fn cases(arch: Arch) -> Vec<Case> {
    let names = match list(arch) {
        Ok(names) => names,
        Err(error) => {
            let name = format!("{}list of tests", prefix(arch));
            return vec![Case::new(name, move || Err(error))];
        }
    };
    let runs = RUNS.into_iter();
    let runs = runs.filter(|(_, words)| arch == Arch::X86_64 || words.is_empty());
    let cases = runs.flat_map(|(processors, words)| {
        let common = Arc::new(CommonRun::new(arch, processors, words));
        names.iter().map(move |name| {
            let (name, common) = (name.clone(), Arc::clone(&common));
            let title = match (processors, words) {
                (1, _) => format!("{}{name}", prefix(arch)),
                (several, "") => format!("{}{name} on {several}", prefix(arch)),
                (several, words) => format!("{}{name} on {several} with {words}", prefix(arch)),
            };
            Case::new(title, move || check(&name, &common))
        })
    });
    cases.collect()
}

/// Asks the kernel which tests it has.
fn list(arch: Arch) -> Result<Vec<String>> {
    let outcome = boot(arch, "list", RUNS[0])?;
    ended_on(arch, &outcome, QemuExit::Ordered)?;
    let names: Vec<_> = outcome
        .log
        .lines()
        .filter_map(|line| line.strip_prefix("ktest "))
        .map(|name| name.trim().to_owned())
        .collect();
    ensure!(
        !names.is_empty(),
        "the kernel has no test\n{}",
        describe(&outcome)
    );
    Ok(names)
}

/// Whether one test passes.
fn check(name: &str, common: &CommonRun) -> Result<()> {
    let run = common.run()?;
    if run.passed.contains(name) {
        return Ok(());
    }
    if run.culprit.as_deref() == Some(name) {
        bail!("{}", run.description);
    }
    // The run did not come to this test.
    let outcome = boot(common.arch, name, common.how)?;
    if passed(&outcome).contains(name) && ended_on(common.arch, &outcome, QemuExit::Ordered).is_ok()
    {
        return Ok(());
    }
    bail!("{}", describe(&outcome));
}

/// The machine that runs all tests, started by the first case that asks.
struct CommonRun {
    arch: Arch,
    how: (u32, &'static str),
    result: Mutex<Option<core::result::Result<Arc<AllTests>, String>>>,
}

/// What came of it.
struct AllTests {
    passed: BTreeSet<String>,
    /// The test that ended it.
    culprit: Option<String>,
    description: String,
}

impl CommonRun {
    fn new(arch: Arch, processors: u32, words: &'static str) -> Self {
        Self {
            arch,
            how: (processors, words),
            result: Mutex::default(),
        }
    }

    fn run(&self) -> Result<Arc<AllTests>> {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result
            .get_or_insert_with(|| {
                let outcome =
                    boot(self.arch, "all", self.how).map_err(|error| format!("{error:#}"))?;
                let passed = passed(&outcome);
                let begun = outcome
                    .log
                    .lines()
                    .filter_map(|line| line.strip_prefix("ktest ")?.strip_suffix(": runs"))
                    .next_back();
                let culprit = begun.filter(|name| !passed.contains(*name));
                Ok(Arc::new(AllTests {
                    culprit: culprit.map(str::to_owned),
                    passed,
                    description: describe(&outcome),
                }))
            })
            .clone()
            .map_err(|error| anyhow!(error))
    }
}

/// The tests that a log says have passed.
fn passed(outcome: &Outcome) -> BTreeSet<String> {
    outcome
        .log
        .lines()
        .filter_map(|line| line.strip_prefix("ktest ")?.strip_suffix(": ok"))
        .map(str::to_owned)
        .collect()
}

fn boot(arch: Arch, what: &str, (processors, words): (u32, &str)) -> Result<Outcome> {
    let mut guest = Guest::with_kernel(test_kernel(arch)?).machine(Machine::usual(arch));
    if arch == Arch::Aarch64 && processors > 1 {
        // All that is usual there is older: the other interrupt controller, and
        // a processor that can do what the kernel has a use for.
        guest = guest
            .machine_properties("gic-version=3")
            .processor_model("max,pauth-impdef=on");
    }
    guest
        .processors(processors)
        .words(format!("ochre.ktest={what} {words}"))
        .patience(TIMEOUT)
        .run()
}
