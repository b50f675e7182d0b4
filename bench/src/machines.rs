//! Boots either system with the same archive on the same machine.
//!
//! Linux finds `/init` in the archive and passes it the words after `--`;
//! Ochre is told both on its command line. What the guest prints comes over
//! the first serial line in both cases.

use core::{fmt, time::Duration};
use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};
use ochre_tool::{
    Arch, Guest, Machine, Outcome, Running, cpio, debian, kernel_build,
    machine::{Accelerator, Screen},
    paths, report, setup,
    size::Size,
    tree::Tree,
};

use crate::{
    roots,
    rows::{self, Group},
    sample::{Reading, image_size},
};

/// How long a guest may take to its first words.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How often a guest that does not start is started again. Linux on `microvm`
/// has nothing but the PIT to tell its clock by, and waits for ever if a busy
/// host made that reading unsteady.
const ATTEMPTS: u32 = 8;

/// How long a measurement may take.
const LIMIT: Duration = Duration::from_secs(600);

/// The memory of every guest.
pub(crate) const MEMORY: Size = Size::from_mib(1024);

/// Words that make Linux quiet and let the guest's end be seen, behind the one
/// that names its console.
const LINUX_WORDS: &str = "quiet loglevel=1 panic=-1 reboot=t norandmaps";

/// The processor that AArch64 is measured with unless told otherwise.
const ARM_PROCESSOR: &str = "cortex-a57";

/// Which kernel is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum System {
    /// Debian's, for comparison.
    Linux,
    /// Ours.
    Ochre,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linux => "Linux",
            Self::Ochre => "Ochre",
        })
    }
}

/// What both systems run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    machine: Machine,
    /// QEMU's name of the processor, with its properties; only of AArch64.
    processor: Option<&'static str>,
}

impl Platform {
    /// A kind of machine, with a processor that is not the usual one.
    pub(crate) fn new(machine: Machine, processor: Option<String>) -> Self {
        let processor = processor.map(|name| &*name.leak());
        Self {
            machine,
            processor: match machine.arch() {
                Arch::X86_64 => processor,
                Arch::Aarch64 => processor.or(Some(ARM_PROCESSOR)),
            },
        }
    }

    /// Its architecture.
    pub(crate) fn arch(self) -> Arch {
        self.machine.arch()
    }

    /// The processor's name, where there is more than one that is measured.
    pub(crate) fn processor(self) -> Option<&'static str> {
        self.processor
    }

    /// The processor whose counter counts instructions.
    fn counting_processor(self) -> Option<&'static str> {
        match self.machine.arch() {
            Arch::X86_64 => self.processor,
            // It would count each sixteenth otherwise.
            Arch::Aarch64 => {
                let name = self.processor.unwrap_or(ARM_PROCESSOR);
                Some(format!("{name},cntfrq=1000000000").leak())
            }
        }
    }

    /// What Linux calls its console.
    fn linux_words(self) -> String {
        let console = match self.machine.arch() {
            Arch::X86_64 => "ttyS0",
            Arch::Aarch64 => "ttyAMA0",
        };
        format!("console={console} {LINUX_WORDS}")
    }
}

/// Everything that the measurements need.
pub(crate) struct Bench {
    platform: Platform,
    archive: PathBuf,
    /// The same with programs of Debian's that load a system, if they are
    /// wanted: their libraries take memory.
    loaded_archive: Option<PathBuf>,
    /// The same with stress-ng.
    stress_archive: Option<PathBuf>,
    linux: Option<PathBuf>,
    ochre: Option<PathBuf>,
    /// What tells the guest which rows are wanted.
    only: Vec<String>,
}

impl Bench {
    /// Fetches and builds what is needed to measure these groups on `systems`;
    /// these rows only, if there are any.
    pub(crate) fn new(
        platform: Platform,
        systems: &[System],
        wanted: impl Fn(Group) -> bool,
        rows: &[String],
    ) -> Result<Self> {
        let arch = platform.arch();
        setup::ensure_qemu(arch)?;
        let linux = systems
            .contains(&System::Linux)
            .then(|| debian::linux_kernel(arch))
            .transpose()?;
        let ochre = systems
            .contains(&System::Ochre)
            .then(|| kernel_build::build_for(arch, &[]))
            .transpose()?;
        let archive = paths::cache("archive")?.join(format!("bench-{}.cpio", std::process::id()));
        cpio::write_file(&roots::plain(arch)?, &archive)?;
        let other = |of: &str, root: fn(Arch) -> Result<Tree>| {
            let path = archive.with_extension(format!("{of}.cpio"));
            cpio::write_file(&root(arch)?, &path)?;
            Ok::<PathBuf, anyhow::Error>(path)
        };
        let loaded_archive = wanted(Group::Threads)
            .then(|| other("loaded", roots::loaded))
            .transpose()?;
        let stress_archive = (wanted(Group::Memory) && rows::has_stressors(rows))
            .then(|| other("stress", roots::stress))
            .transpose()?;
        Ok(Self {
            platform,
            archive,
            loaded_archive,
            stress_archive,
            linux,
            ochre,
            only: rows.iter().map(|row| format!("only={row}")).collect(),
        })
    }

    /// Time to the first output, on a cold start.
    pub(crate) fn boot(&self, system: System) -> Result<Vec<Reading>> {
        let finished = finish(|| self.guest(system, &["boot"]))?;
        let first = finished
            .outcome
            .first_output
            .context("the guest printed nothing")?;
        Ok(vec![Reading::new("boot", first.as_nanos() as f64)])
    }

    /// The rows in nanoseconds of the wall clock.
    pub(crate) fn rows(&self, system: System) -> Result<Vec<Reading>> {
        finish(|| self.guest(system, &["rows"]))?.timed("wall")
    }

    /// The rows, and the way to the first of them, in instructions.
    pub(crate) fn counted(&self, system: System) -> Result<Vec<Reading>> {
        finish(|| {
            let guest = self.guest(system, &["rows"])?;
            Ok(self.counting(guest))
        })?
        .counted("counted")
    }

    /// The rows about threads, with so many processors.
    pub(crate) fn threads(&self, system: System, processors: u32) -> Result<Vec<Reading>> {
        finish(|| self.loaded_guest(system, processors, &["threads"]))?
            .timed(&format!("smp{processors}"))
    }

    /// What the host gives to so many machines: independent work's time in one
    /// of one processor, as a part of that in so many of them at once.
    pub(crate) fn host(&self, system: System, machines: u32) -> Result<Vec<Reading>> {
        let scaling = self.beside(system, 1)? / self.beside(system, machines)?;
        Ok(vec![Reading::new(format!("smp{machines}:host"), scaling)])
    }

    /// What independent work takes in the slowest of so many machines at once, in
    /// ticks.
    fn beside(&self, system: System, machines: u32) -> Result<f64> {
        let mut running = (0..machines)
            .map(|_| started("bench ready", || self.guest(system, &["beside"])))
            .collect::<Result<Vec<_>>>()?;
        for machine in &mut running {
            machine.send("\n")?;
        }
        let mut slowest = 0.0_f64;
        // All go on until the last is done.
        for machine in &mut running {
            let rows = machine.expect("bench end ", LIMIT)?;
            for reading in Reading::rows(&rows, "beside", 1.0)? {
                slowest = slowest.max(reading.value);
            }
        }
        for mut machine in running {
            machine.kill();
            machine.wait()?;
        }
        Ok(slowest)
    }

    /// The rows about threads with one processor, in instructions.
    pub(crate) fn threads_counted(&self, system: System) -> Result<Vec<Reading>> {
        finish(|| {
            let guest = self.loaded_guest(system, 1, &["threads"])?;
            Ok(self.counting(guest))
        })?
        .counted("smp1-counted")
    }

    /// The rows about memory, with so many processors.
    pub(crate) fn space(&self, system: System, processors: u32) -> Result<Vec<Reading>> {
        let clock = format!("memory{processors}");
        self.space_guests(system, processors, |guest| finish(guest)?.timed(&clock))
    }

    /// The same with one processor, in instructions.
    pub(crate) fn space_counted(&self, system: System) -> Result<Vec<Reading>> {
        self.space_guests(system, 1, |guest| {
            finish(|| Ok(self.counting(guest()?)))?.counted("memory1-counted")
        })
    }

    /// Measures in both guests that have rows about memory: stress-ng is in one
    /// of its own.
    fn space_guests(
        &self,
        system: System,
        processors: u32,
        measure: impl Fn(&dyn Fn() -> Result<Guest>) -> Result<Vec<Reading>>,
    ) -> Result<Vec<Reading>> {
        let smp = format!("smp={processors}");
        let mut readings = measure(&|| {
            let guest = self.guest(system, &["space", &smp])?;
            Ok(guest.processors(processors))
        })?;
        if let Some(archive) = &self.stress_archive {
            readings.extend(measure(&|| {
                let guest = self.guest(system, &["stress", &smp])?;
                Ok(guest.archive(archive).processors(processors))
            })?);
        }
        Ok(readings)
    }

    /// Bytes a second to terminals.
    pub(crate) fn console(&self, system: System) -> Result<Vec<Reading>> {
        let mut readings = finish(|| self.console_guest(system))?.timed("console")?;
        for reading in &mut readings {
            // The guest has the time of a KiB.
            reading.value = 1024.0 * 1e9 / reading.value;
        }
        Ok(readings)
    }

    /// The same in instructions for a KiB.
    pub(crate) fn console_counted(&self, system: System) -> Result<Vec<Reading>> {
        finish(|| {
            let guest = self.console_guest(system)?;
            Ok(self.counting(guest))
        })?
        .counted("console-counted")
    }

    /// A machine with a screen, which `microvm` has not, and its first serial
    /// line as a terminal.
    fn console_guest(&self, system: System) -> Result<Guest> {
        let guest = self.guest(system, &["console"])?;
        let guest = guest.machine(Machine::Q35).screen(Screen::Hidden);
        Ok(match system {
            System::Linux => guest,
            System::Ochre => guest.console(24, 80),
        })
    }

    /// What many blocked threads cost.
    pub(crate) fn blocked(&self, system: System) -> Result<Vec<Reading>> {
        finish(|| self.guest(system, &["blocked"]))?.timed("blocked")
    }

    fn loaded_guest(&self, system: System, processors: u32, words: &[&str]) -> Result<Guest> {
        let archive = self
            .loaded_archive
            .as_ref()
            .context("programs that load a system were not asked for")?;
        let smp = format!("smp={processors}");
        let words: Vec<&str> = words.iter().copied().chain([smp.as_str()]).collect();
        Ok(self
            .guest(system, &words)?
            .archive(archive)
            .processors(processors))
    }

    /// What is left of the memory at a shell's prompt.
    pub(crate) fn memory(&self, system: System) -> Result<Vec<Reading>> {
        let mut running = started("# ", || self.prompt(system))?;
        running.send("/init memory\r")?;
        let stdout = running.expect("bench end", LIMIT)?;
        running.kill();
        running.wait()?;
        Reading::memory(&stdout)
    }

    /// A guest whose process 1 is a shell.
    fn prompt(&self, system: System) -> Result<Guest> {
        let guest = match system {
            System::Linux => Guest::with_foreign_kernel(
                self.linux.as_ref().context("no Linux kernel")?,
                &format!("{} rdinit=/bin/sh", self.platform.linux_words()),
            ),
            System::Ochre => Guest::with_kernel(self.ochre.as_ref().context("no kernel")?)
                .program("/bin/sh")
                .console(24, 80)
                .log_level("error"),
        };
        Ok(self.on_machine(guest).stdin_later())
    }

    /// The size of the kernel's file.
    pub(crate) fn image(&self, system: System) -> Result<Vec<Reading>> {
        let path = match system {
            System::Linux => self.linux.as_ref(),
            System::Ochre => self.ochre.as_ref(),
        };
        let path = path.context("that kernel is not measured")?;
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(vec![Reading::new("image", image_size(&bytes) as f64)])
    }

    fn guest(&self, system: System, words: &[&str]) -> Result<Guest> {
        let only = self.only.iter().map(String::as_str);
        let words: Vec<&str> = words.iter().copied().chain(only).collect();
        let guest = match system {
            System::Linux => Guest::with_foreign_kernel(
                self.linux.as_ref().context("no Linux kernel")?,
                &format!(
                    "{} -- stay {}",
                    self.platform.linux_words(),
                    words.join(" ")
                ),
            ),
            System::Ochre => Guest::with_kernel(self.ochre.as_ref().context("no kernel")?)
                .program("/init")
                .args(["stay"])
                .args(words.iter().copied())
                // Here and above: counted runs are to repeat exactly.
                .words("norandmaps")
                .log_level("error"),
        };
        // Input that comes at some moment of the host's would make one run
        // differ from the next.
        Ok(self.on_machine(guest).stdin_later())
    }

    fn on_machine(&self, guest: Guest) -> Guest {
        let guest = guest
            .machine(self.platform.machine)
            .memory(MEMORY)
            .accelerator(Accelerator::Tcg)
            .archive(&self.archive)
            .timeout(LIMIT);
        match self.platform.processor {
            Some(name) => guest.processor_model(name),
            None => guest,
        }
    }

    /// A guest whose counter counts instructions.
    fn counting(&self, guest: Guest) -> Guest {
        let guest = guest.accelerator(Accelerator::Counted);
        match self.platform.counting_processor() {
            Some(name) => guest.processor_model(name),
            None => guest,
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.archive);
        let others = [&self.loaded_archive, &self.stress_archive];
        for archive in others.into_iter().flatten() {
            let _ = fs::remove_file(archive);
        }
    }
}

/// A guest that has said that it is done.
struct Finished {
    outcome: Outcome,
    /// A tick of its counter in nanoseconds of the host's clock.
    tick_ns: f64,
}

impl Finished {
    /// Its rows, with times in nanoseconds.
    fn timed(&self, clock: &str) -> Result<Vec<Reading>> {
        Reading::rows(&self.outcome.stdout, clock, self.tick_ns)
    }

    /// Its rows, with times in ticks.
    fn counted(&self, clock: &str) -> Result<Vec<Reading>> {
        Reading::rows(&self.outcome.stdout, clock, 1.0)
    }
}

/// Runs a guest until it says that it is done.
fn finish(guest: impl Fn() -> Result<Guest>) -> Result<Finished> {
    let mut running = started("bench start ", guest)?;
    let first = running.expect("\n", LIMIT)?;
    let started = Instant::now();
    let rows = running.expect("bench end ", LIMIT)?;
    let last = running.expect("\n", LIMIT)?;
    let elapsed = started.elapsed();
    running.kill();
    let mut outcome = running.wait()?;
    let ticks = counter(&last)?.saturating_sub(counter(&first)?);
    // The line's beginning was taken off by waiting for it.
    outcome.stdout = b"bench start ".to_vec();
    outcome.stdout.extend(first);
    outcome.stdout.extend(rows);
    Ok(Finished {
        outcome,
        tick_ns: elapsed.as_nanos() as f64 / ticks.max(1) as f64,
    })
}

/// What the counter showed, from the rest of a line.
fn counter(line: &[u8]) -> Result<u64> {
    let text = String::from_utf8_lossy(line);
    let number = text.trim().parse();
    number.with_context(|| format!("the guest's counter, {text:?}"))
}

/// Starts a guest and waits for its first words; starts it again if they do
/// not come.
fn started(words: &str, guest: impl Fn() -> Result<Guest>) -> Result<Running> {
    let mut attempt = 1;
    loop {
        let mut running = guest()?.start()?;
        match running.expect(words, START_LIMIT) {
            Ok(_) => return Ok(running),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => {
                report::say(format!("it does not start, attempt {attempt}; once more"));
                attempt += 1;
            }
        }
    }
}
