//! A list of cases, run and shown like any other tests of cargo.

use std::{env, process::ExitCode, thread};

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

/// One test.
pub struct Case {
    name: String,
    check: Box<dyn FnOnce() -> Result<()> + Send>,
}

impl core::fmt::Debug for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

impl Case {
    /// A test of this name, which fails if `check` gives an error (or panics).
    pub fn new(
        name: impl Into<String>,
        check: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            check: Box::new(check),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Runs the cases that the command line asks for.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    if arguments.test_threads.is_none() && env::var_os("RUST_TEST_THREADS").is_none() {
        // A QEMU is two busy threads at times; more guests than processors
        // only make timeouts fire.
        arguments.test_threads = thread::available_parallelism().ok().map(usize::from);
    }
    let trials = cases
        .into_iter()
        .map(|case| {
            Trial::test(case.name, move || {
                (case.check)().map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
