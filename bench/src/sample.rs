//! What the guests print, as readings, and readings as medians.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use object::{Object as _, ObjectSegment as _};

use crate::machines::{MEMORY, System};

/// One value read in one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    /// The row, with the clock in front where there are two: `wall:stat`.
    pub(crate) row: String,
    /// The value, in the row's unit.
    pub(crate) value: f64,
}

impl Reading {
    /// A reading.
    pub(crate) fn new(row: impl Into<String>, value: f64) -> Self {
        Self {
            row: row.into(),
            value,
        }
    }

    /// Reads the rows that `bench-guest` printed, a tick of its counter being
    /// `tick` of the unit of times.
    pub(crate) fn rows(stdout: &[u8], clock: &str, tick: f64) -> Result<Vec<Self>> {
        let mut readings = Vec::new();
        for words in lines(stdout) {
            match words.as_slice() {
                [kind @ ("row" | "ticks"), name, value] => {
                    let value: f64 = value.parse().with_context(|| format!("the row {name}"))?;
                    let value = if *kind == "ticks" {
                        value * tick
                    } else {
                        value
                    };
                    readings.push(Self::new(format!("{clock}:{name}"), value));
                }
                // The counter began with the machine, if it counts instructions.
                ["start", counter] if clock == "counted" => {
                    let value = counter.parse().context("the counter at the start")?;
                    readings.push(Self::new("counted:boot", value));
                }
                _ => {}
            }
        }
        ensure!(!readings.is_empty(), "the guest printed no rows");
        Ok(readings)
    }

    /// Reads the memory line: what is missing of the machine's memory, but for
    /// the file of the program that looks.
    pub(crate) fn memory(stdout: &[u8]) -> Result<Vec<Self>> {
        let lines = lines(stdout);
        let known = lines
            .iter()
            .find_map(|words| match words.as_slice() {
                ["memory", free, _, own] => {
                    Some(free.parse::<u64>().ok()? + own.parse::<u64>().ok()?)
                }
                _ => None,
            })
            .context("the guest printed no memory line")?;
        let gone = MEMORY.bytes().saturating_sub(known);
        Ok(vec![Self::new("memory", gone as f64)])
    }
}

/// The words after `bench` of each line that starts with it.
fn lines(stdout: &[u8]) -> Vec<Vec<&str>> {
    stdout
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .filter_map(|line| core::str::from_utf8(line).ok()?.strip_prefix("bench "))
        .map(|rest| rest.split_whitespace().collect())
        .collect()
}

/// The size of a kernel image without what is not loaded (symbols, debug
/// information): to the end of the last loaded segment. A file that is no ELF
/// counts whole.
pub(crate) fn image_size(bytes: &[u8]) -> u64 {
    object::File::parse(bytes)
        .ok()
        .and_then(|file| {
            file.segments()
                .map(|segment| {
                    let (offset, len) = segment.file_range();
                    offset.saturating_add(len)
                })
                .max()
        })
        .unwrap_or(bytes.len() as u64)
}

/// All readings of a run.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    linux: BTreeMap<String, Vec<f64>>,
    ochre: BTreeMap<String, Vec<f64>>,
    /// What earlier runs found, by row and system.
    kept: BTreeMap<(String, System), Summary>,
}

/// Several values of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The middle one.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The most.
    pub(crate) most: f64,
    /// How many.
    pub(crate) count: usize,
}

impl Samples {
    /// Adds the readings of one run.
    pub(crate) fn add(&mut self, system: System, readings: Vec<Reading>) {
        let all = match system {
            System::Linux => &mut self.linux,
            System::Ochre => &mut self.ochre,
        };
        for Reading { row, value } in readings {
            all.entry(row).or_default().push(value);
        }
    }

    /// Adds the lines of a data file, for what is not measured in this run.
    pub(crate) fn add_kept(&mut self, text: &str) -> Result<()> {
        for line in text.lines() {
            let fields: Vec<&str> = line.split(',').collect();
            let [row, system, _, median, least, most, count] = fields.as_slice() else {
                continue;
            };
            let system = match *system {
                "Linux" => System::Linux,
                "Ochre" => System::Ochre,
                // The heading.
                _ => continue,
            };
            let number = |text: &str| text.parse().with_context(|| format!("the row {row}"));
            let summary = Summary {
                median: number(median)?,
                least: number(least)?,
                most: number(most)?,
                count: count.parse().with_context(|| format!("the row {row}"))?,
            };
            self.kept.insert(((*row).to_owned(), system), summary);
        }
        Ok(())
    }

    /// Whether a row was measured in this run; `name` is without the clock.
    pub(crate) fn has_row(&self, name: &str) -> bool {
        let mut rows = self.linux.keys().chain(self.ochre.keys());
        rows.any(|row| row.rsplit(':').next() == Some(name))
    }

    /// A row condensed, if it was measured.
    pub(crate) fn summary(&self, system: System, row: &str) -> Option<Summary> {
        let all = match system {
            System::Linux => &self.linux,
            System::Ochre => &self.ochre,
        };
        let Some(values) = all.get(row) else {
            return self.kept.get(&(row.to_owned(), system)).copied();
        };
        let mut values = values.clone();
        values.sort_by(f64::total_cmp);
        Some(Summary {
            median: *values.get(values.len() / 2)?,
            least: *values.first()?,
            most: *values.last()?,
            count: values.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reading, Samples, image_size};
    use crate::machines::{MEMORY, System};

    const PRINTED: &[u8] = b"noise\r\nbench start 120\r\nbench ticks null_call 33.5\r\n\
        bench row scaling 7.0\nbench memory 1048576 2097152 8192\nbench end";

    #[test]
    fn rows_are_read() {
        let wall = Reading::rows(PRINTED, "wall", 2.0).unwrap();
        assert_eq!(
            wall,
            [
                Reading::new("wall:null_call", 67.0),
                Reading::new("wall:scaling", 7.0)
            ]
        );
        let counted = Reading::rows(PRINTED, "counted", 1.0).unwrap();
        assert_eq!(counted[0], Reading::new("counted:boot", 120.0));
        assert!(Reading::rows(b"bench end", "wall", 1.0).is_err());
        assert!(Reading::rows(b"bench row x y\n", "wall", 1.0).is_err());
    }

    #[test]
    fn memory_is_what_is_missing() {
        let readings = Reading::memory(PRINTED).unwrap();
        assert_eq!(readings[0].value, (MEMORY.bytes() - 1_056_768) as f64);
    }

    #[test]
    fn the_median_is_the_middle() {
        let mut samples = Samples::default();
        for value in [5.0, 1.0, 3.0] {
            samples.add(System::Ochre, vec![Reading::new("x", value)]);
        }
        let summary = samples.summary(System::Ochre, "x").unwrap();
        assert_eq!(
            (summary.least, summary.median, summary.most),
            (1.0, 3.0, 5.0)
        );
        assert_eq!(samples.summary(System::Linux, "x"), None);
    }

    #[test]
    fn a_row_is_asked_for_without_its_clock() {
        let mut samples = Samples::default();
        samples.add(System::Ochre, vec![Reading::new("smp1-counted:pipe", 1.0)]);
        samples.add_kept("smp1:switch,Ochre,ns,7,6,8,3\n").unwrap();
        let found = ["pipe", "smp1-counted:pipe", "pip", "switch"].map(|row| samples.has_row(row));
        assert_eq!(found, [true, false, false, false]);
    }

    #[test]
    fn what_was_kept_fills_the_gaps() {
        let mut samples = Samples::default();
        samples.add(System::Ochre, vec![Reading::new("x", 2.0)]);
        let kept = "# date: 1\nrow,system,unit,median,least,most,count\n\
            x,Ochre,ns,7,6,8,3\nx,Linux,ns,9,9,9,1\n";
        samples.add_kept(kept).unwrap();
        let median = |system| samples.summary(system, "x").unwrap().median;
        assert_eq!((median(System::Ochre), median(System::Linux)), (2.0, 9.0));
        assert!(samples.add_kept("x,Linux,ns,many,9,9,1").is_err());
    }

    #[test]
    fn what_is_no_elf_counts_whole() {
        assert_eq!(image_size(&[7; 99]), 99);
    }
}
