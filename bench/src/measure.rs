//! What is measured of each group of rows, in which order.
//!
//! Systems take turns, so that a busy minute of the host harms both. What is
//! counted is counted twice: equal figures show that they repeat exactly.

use anyhow::Result;
use ochre_tool::report::say;

use crate::{
    Options,
    machines::{Bench, System},
    rows,
    sample::{Reading, Samples},
};

/// How often instructions are counted.
const COUNTS: u32 = 2;

/// A run of the command, and what it has found so far.
pub(crate) struct Measuring<'a> {
    bench: &'a Bench,
    systems: &'a [System],
    options: &'a Options,
    samples: Samples,
}

impl<'a> Measuring<'a> {
    /// Nothing is measured yet.
    pub(crate) fn new(bench: &'a Bench, systems: &'a [System], options: &'a Options) -> Self {
        Self {
            bench,
            systems,
            options,
            samples: Samples::default(),
        }
    }

    /// What was found.
    pub(crate) fn into_samples(self) -> Samples {
        self.samples
    }

    /// System calls, the boot, and what a system takes.
    pub(crate) fn calls(&mut self) -> Result<()> {
        let (bench, options) = (self.bench, self.options);
        for boot in 1..=options.boots {
            for &system in self.systems {
                say(format!("{system}: boot {boot} of {}", options.boots));
                if options.row.is_empty() {
                    self.samples.add(system, bench.boot(system)?);
                }
                if !options.no_wall {
                    self.samples.add(system, bench.rows(system)?);
                }
            }
        }
        if options.row.is_empty() {
            for &system in self.systems {
                self.samples.add(system, bench.memory(system)?);
                self.samples.add(system, bench.image(system)?);
            }
        }
        self.counts("", |system| bench.counted(system))
    }

    /// Threads, and what a blocked one takes.
    pub(crate) fn threads(&mut self) -> Result<()> {
        let (bench, options) = (self.bench, self.options);
        // What the machines' own scaling is judged by.
        let is_about = |name: &String| ["scaling", "host"].contains(&name.as_str());
        let with_host = options.row.is_empty() || options.row.iter().any(is_about);
        self.boots("threads", &options.processors, |system, processors| {
            let mut readings = bench.threads(system, processors)?;
            if processors > 1 && with_host {
                readings.extend(bench.host(system, processors)?);
            }
            Ok(readings)
        })?;
        if !options.no_blocked && options.row.is_empty() {
            for &system in self.systems {
                say(format!("{system}: blocking threads"));
                self.samples.add(system, bench.blocked(system)?);
            }
        }
        if options.processors.contains(&1) {
            self.counts(" of threads", |system| bench.threads_counted(system))?;
        }
        Ok(())
    }

    /// Address spaces.
    pub(crate) fn memory(&mut self) -> Result<()> {
        let (bench, wanted) = (self.bench, &self.options.processors);
        let mut processors = rows::MEMORY_PROCESSORS.to_vec();
        processors.retain(|of| wanted.contains(of));
        self.boots("memory", &processors, |system, processors| {
            bench.space(system, processors)
        })?;
        if wanted.contains(&1) {
            self.counts(" of memory", |system| bench.space_counted(system))?;
        }
        Ok(())
    }

    /// Terminals.
    pub(crate) fn console(&mut self) -> Result<()> {
        let bench = self.bench;
        self.boots("terminals", &[1], |system, _| bench.console(system))?;
        self.counts(" of terminals", |system| bench.console_counted(system))
    }

    /// Measures times with each number of processors, as often as was asked.
    fn boots(
        &mut self,
        what: &str,
        processors: &[u32],
        measure: impl Fn(System, u32) -> Result<Vec<Reading>>,
    ) -> Result<()> {
        if self.options.no_wall {
            return Ok(());
        }
        let boots = self.options.boots;
        for boot in 1..=boots {
            for &processors in processors {
                for &system in self.systems {
                    say(format!(
                        "{system}: {what} on {processors}, {boot} of {boots}"
                    ));
                    self.samples.add(system, measure(system, processors)?);
                }
            }
        }
        Ok(())
    }

    /// Counts instructions.
    fn counts(
        &mut self,
        what: &str,
        measure: impl Fn(System) -> Result<Vec<Reading>>,
    ) -> Result<()> {
        if self.options.no_counted {
            return Ok(());
        }
        for &system in self.systems {
            for _ in 0..COUNTS {
                say(format!("{system}: counting instructions{what}"));
                self.samples.add(system, measure(system)?);
            }
        }
        Ok(())
    }
}
