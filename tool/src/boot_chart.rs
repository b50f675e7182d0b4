//! `ochre boot-chart`: where the time of a boot goes, from asking for a kernel
//! to the shell's prompt.
//!
//! What happens on the host is timed here. The kernel notes when each stage of
//! its boot was over and says so in `/proc/ochre/boot`, by its own clock. The
//! two clocks meet in the log: a line cannot arrive before the time it bears,
//! so the line that took least to arrive says how far they are apart.

mod draw;
mod meet;

use core::{fmt, time::Duration};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use self::meet::Arrivals;
use crate::{cpio, guest::Guest, qemu, tree::Tree};

/// How long a boot may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the kernel's stages stand.
const STAGES: &str = "/proc/ochre/boot";

/// What the shell shows when it is ready, from `/etc/profile`.
const PROMPT: &str = " # ";

/// The stages of a boot, in order.
#[derive(Clone, Debug)]
pub struct BootChart {
    began: Instant,
    stages: Vec<Stage>,
}

/// A stage: from the end of the one before to its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Who does it.
    pub by: By,
    /// What is done.
    pub name: String,
    /// When it ends, since the start of all.
    pub end: Duration,
}

/// Who is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// This host: the tool, and QEMU before the guest's first instruction.
    Host,
    /// The machine, before the kernel.
    Firmware,
    /// The kernel.
    Kernel,
    /// Programs.
    Programs,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Firmware => "firmware",
            Self::Kernel => "kernel",
            Self::Programs => "programs",
        }
    }
}

impl Default for BootChart {
    fn default() -> Self {
        Self::begin()
    }
}

impl BootChart {
    /// Nothing was done yet.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            stages: Vec::new(),
        }
    }

    /// Something was done on this host, until now.
    pub fn done(&mut self, name: &str) {
        self.add(By::Host, name, self.began.elapsed());
    }

    /// The stages so far.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Boots the guest with this root, to the prompt of its shell in a
    /// terminal.
    ///
    /// # Errors
    /// If it does not get there, or does not say how.
    pub fn boot(&mut self, guest: Guest, root: &Tree) -> Result<()> {
        let dir = qemu::run_dir()?;
        let archive = dir.path().join("root.cpio");
        cpio::write_file(root, &archive).context("packing the guest's root")?;
        self.done("the root is packed");
        let arrivals = Arrivals::default();
        let mut running = guest
            .archive(&archive)
            .console(24, 80)
            .program("/bin/sh")
            .name("-sh")
            .directory("/root")
            .stdin_later()
            .log_to(Box::new(arrivals.clone()))
            .start()?;
        self.done("QEMU has its devices");
        running.expect(PROMPT, PATIENCE)?;
        let prompt = self.began.elapsed();
        running.send(format!("exec cat {STAGES}\n"))?;
        let outcome = running.wait()?;
        ensure!(
            outcome.status == Some(0),
            "the guest did not say how it booted: {}",
            outcome.end
        );
        let zero = arrivals
            .zero()
            .context("the kernel's log has no time on it")?;
        self.add_kernel(zero, &String::from_utf8_lossy(&outcome.stdout));
        self.add(By::Programs, "a shell's prompt", prompt);
        Ok(())
    }

    /// Adds what the kernel says, whose clock began at `zero`.
    fn add_kernel(&mut self, zero: Instant, text: &str) {
        let zero = zero.saturating_duration_since(self.began);
        for (index, (ns, name)) in text.lines().filter_map(stage).enumerate() {
            let by = if index == 0 { By::Firmware } else { By::Kernel };
            let distance = Duration::from_nanos(ns.unsigned_abs());
            let end = if ns < 0 {
                zero.saturating_sub(distance)
            } else {
                zero.saturating_add(distance)
            };
            self.add(by, name, end);
        }
    }

    fn add(&mut self, by: By, name: &str, end: Duration) {
        // Two clocks agree to some microseconds only.
        let end = end.max(self.total());
        self.stages.push(Stage {
            by,
            name: name.to_owned(),
            end,
        });
    }

    fn total(&self) -> Duration {
        self.stages.last().map_or(Duration::ZERO, |last| last.end)
    }

    /// Each stage with when it began.
    fn with_begins(&self) -> impl Iterator<Item = (Duration, &Stage)> {
        let ends = self.stages.iter().map(|stage| stage.end);
        core::iter::once(Duration::ZERO)
            .chain(ends)
            .zip(&self.stages)
    }
}

/// A line of the kernel's: when it was by its clock, in nanoseconds, and what.
fn stage(line: &str) -> Option<(i64, &str)> {
    let (ns, name) = line.trim().split_once(' ')?;
    Some((ns.parse().ok()?, name))
}

/// The stages as a table: when each began and how long it took, in milliseconds.
impl fmt::Display for BootChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "   from ms    took ms")?;
        for (begin, stage) in self.with_begins() {
            let took = stage.end.saturating_sub(begin);
            writeln!(
                f,
                "{:10.3} {:10.3}  {:8}  {}",
                milliseconds(begin),
                milliseconds(took),
                stage.by.name(),
                stage.name
            )?;
        }
        writeln!(f, "{:10.3}", milliseconds(self.total()))
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{BootChart, By, stage};

    #[test]
    fn a_kernels_line_is_a_time_and_a_name() {
        assert_eq!(stage("-1200 the loader\r"), Some((-1200, "the loader")));
        assert_eq!(stage("5 x"), Some((5, "x")));
        for other in ["", "5", "~ # exec cat /proc/ochre/boot", "x 5"] {
            assert_eq!(stage(other), None, "{other}");
        }
    }

    #[test]
    fn stages_follow_each_other() {
        let mut chart = BootChart::begin();
        chart.add(By::Host, "packed", Duration::from_millis(3));
        let zero = chart.began + Duration::from_millis(10);
        let text = "exec cat\r\n-4000000 loader\r\n-9000000 early\r\n2000000 root\r\n";
        chart.add_kernel(zero, text);
        chart.add(By::Programs, "prompt", Duration::from_millis(20));
        let ends: Vec<_> = chart
            .stages()
            .iter()
            .map(|stage| (stage.by, stage.name.as_str(), stage.end.as_millis()))
            .collect();
        let expected = [
            (By::Host, "packed", 3),
            (By::Firmware, "loader", 6),
            // It cannot end before the one before it.
            (By::Kernel, "early", 6),
            (By::Kernel, "root", 12),
            (By::Programs, "prompt", 20),
        ];
        assert_eq!(ends, expected);
        let table = chart.to_string();
        assert!(
            table.contains("     3.000      3.000  firmware  loader\n"),
            "{table}"
        );
        assert!(table.ends_with("    20.000\n"), "{table}");
    }
}
