//! The table that people read, and the file that programs read.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use ochre_tool::{Arch, paths};

use crate::{
    machines::{MEMORY, Platform, System},
    rows::{self, Group, Row},
    sample::{Samples, Summary},
};

/// When, of what and where.
pub(crate) struct Heading {
    date: String,
    commit: String,
    host: String,
    qemu: String,
    platform: Platform,
}

/// What was measured.
pub(crate) struct Report<'a> {
    samples: &'a Samples,
    rows: Vec<Row>,
    heading: Heading,
}

impl Heading {
    /// What is here, filed under `date`, or today.
    pub(crate) fn new(date: Option<String>, platform: Platform) -> Result<Self> {
        let commit = first_line(
            Command::new("git")
                .args(["describe", "--always", "--dirty"])
                .current_dir(paths::workspace()?),
        );
        let today = first_line(Command::new("date").args(["-u", "+%F"]));
        Ok(Self {
            date: date.or(today).unwrap_or_else(|| "undated".to_owned()),
            commit: commit.unwrap_or_else(|| "unknown".to_owned()),
            host: host(),
            qemu: first_line(Command::new(platform.arch().qemu()).arg("--version"))
                .unwrap_or_default(),
            platform,
        })
    }

    /// The name of the data file.
    pub(crate) fn file_name(&self) -> String {
        let processor = self.mark().map(|name| format!("-{name}"));
        let processor = processor.unwrap_or_default();
        format!("{}-{}{processor}.csv", self.date, self.commit)
    }

    /// The page that the tables are put into.
    fn page(&self) -> &'static str {
        match self.platform.arch() {
            Arch::X86_64 => "measured.md",
            Arch::Aarch64 => "measured-aarch64.md",
        }
    }

    /// The processor's name in marks and names of files: without its properties.
    fn mark(&self) -> Option<&'static str> {
        self.platform.processor()?.split(',').next()
    }

    /// Reads a data file, which has to be of this commit.
    pub(crate) fn read(&self, path: &Path) -> Result<String> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            text.lines().any(|line| line == self.commit_line()),
            "{} is not of commit {}",
            path.display(),
            self.commit
        );
        Ok(text)
    }

    fn commit_line(&self) -> String {
        format!("# commit: {}", self.commit)
    }
}

impl<'a> Report<'a> {
    /// A report of these samples.
    pub(crate) fn new(samples: &'a Samples, heading: Heading) -> Self {
        Self {
            samples,
            rows: rows::all(),
            heading,
        }
    }

    /// How many targets were missed.
    pub(crate) fn missed(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.met(self.samples) == Some(false))
            .count()
    }

    /// Everything that was measured.
    pub(crate) fn markdown(&self) -> String {
        format!("{}{}", self.provenance(), self.tables(|_| true))
    }

    /// When, of what and where, in a line.
    fn provenance(&self) -> String {
        let Heading {
            date,
            commit,
            host,
            qemu,
            platform,
        } = &self.heading;
        let processor = platform.processor().map(|name| format!(", `-cpu {name}`"));
        format!(
            "{date} on {host}, {} MiB of memory, commit {commit}; {qemu}{}\n",
            MEMORY.bytes() >> 20,
            processor.unwrap_or_default(),
        )
    }

    /// The tables of some groups, as far as there is something in them.
    fn tables(&self, wanted: impl Fn(Group) -> bool) -> String {
        let mut text = String::new();
        for table in rows::TABLES.iter().filter(|table| wanted(table.group)) {
            let lines: Vec<String> = self
                .rows
                .iter()
                .filter(|row| table.has(row))
                .filter_map(|row| self.line(row))
                .collect();
            if lines.is_empty() {
                continue;
            }
            if !table.title.is_empty() {
                text.push_str(&format!("\n{}\n", table.title));
            }
            text.push_str(
                "\n| | Linux | Ochre | ratio | target | |\n| --- | --- | --- | --- | --- | --- |\n",
            );
            text.push_str(&lines.concat());
        }
        text
    }

    /// Puts the tables into the page for people in this folder: those of each
    /// group between the two lines that are there for them. What was not
    /// measured stays.
    ///
    /// # Errors
    /// If the page has no place for a group that was measured.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(self.heading.page());
        let mut text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        for group in Group::value_variants() {
            let tables = self.tables(|of| of == *group);
            if !tables.is_empty() {
                let new = format!("{}{tables}", self.provenance());
                text = between(&text, self.heading.mark(), *group, &new)
                    .with_context(|| format!("no place for {group:?} in {}", path.display()))?;
            }
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    fn line(&self, row: &Row) -> Option<String> {
        let linux = self.samples.summary(System::Linux, &row.key);
        let ochre = self.samples.summary(System::Ochre, &row.key);
        if linux.is_none() && ochre.is_none() {
            return None;
        }
        let show = |summary: Option<Summary>| match summary {
            None => String::new(),
            Some(Summary {
                median,
                least,
                most,
                ..
            }) if least == most => row.unit.show(median),
            Some(Summary {
                median,
                least,
                most,
                ..
            }) => {
                format!(
                    "{} ({} to {})",
                    row.unit.show(median),
                    row.unit.show(least),
                    row.unit.show(most)
                )
            }
        };
        let ratio = match (linux, ochre) {
            (Some(linux), Some(ochre)) if linux.median > 0.0 => {
                format!("{:.3}", ochre.median / linux.median)
            }
            _ => String::new(),
        };
        let mark = match row.met(self.samples) {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        Some(format!(
            "| {} | {} | {} | {ratio} | {} | {mark} |\n",
            row.title,
            show(linux),
            show(ochre),
            row.target_text()
        ))
    }

    /// Writes the data: what and where in lines that start with `#`, then a
    /// line for each row and system.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut text = format!(
            "# date: {}\n{}\n# host: {}\n# emulator: {}\nrow,system,unit,median,least,most,count\n",
            self.heading.date,
            self.heading.commit_line(),
            self.heading.host,
            self.heading.qemu
        );
        for row in &self.rows {
            for system in [System::Linux, System::Ochre] {
                if let Some(Summary {
                    median,
                    least,
                    most,
                    count,
                }) = self.samples.summary(system, &row.key)
                {
                    text.push_str(&format!(
                        "{},{system},{},{median},{least},{most},{count}\n",
                        row.key,
                        row.unit.name()
                    ));
                }
            }
        }
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        }
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }
}

/// A text with something else between the two lines that a group has in it
/// (measured with a processor, where there are several).
fn between(text: &str, processor: Option<&str>, group: Group, new: &str) -> Option<String> {
    const END: &str = "<!-- end -->\n";
    let name = group.to_possible_value()?;
    let mut begin = "<!-- bench ".to_owned();
    if let Some(processor) = processor {
        begin.push_str(processor);
        begin.push(' ');
    }
    begin.push_str(name.get_name());
    begin.push_str(" -->\n");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{begin}\n{new}\n{END}{after}"))
}

/// The first line of a command's output, if it works.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .map(str::to_owned)
}

/// The host's processor.
fn host() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim());
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model} ({count} processors)")
}

#[cfg(test)]
mod tests {
    use ochre_tool::Machine;

    use super::{Group, Heading, Report, between};
    use crate::{
        machines::{Platform, System},
        sample::{Reading, Samples},
    };

    #[test]
    fn tables_have_a_place() {
        let text = "a\n<!-- bench memory -->\nold\n<!-- end -->\nb\n<!-- end -->\n";
        assert_eq!(
            between(text, None, Group::Memory, "new\n").as_deref(),
            Some("a\n<!-- bench memory -->\n\nnew\n\n<!-- end -->\nb\n<!-- end -->\n")
        );
        assert_eq!(between(text, None, Group::Threads, "new\n"), None);
        assert_eq!(between(text, Some("max"), Group::Memory, "new\n"), None);
        let text = text.replace("bench memory", "bench max memory");
        assert!(between(&text, Some("max"), Group::Memory, "new\n").is_some());
        assert_eq!(between(&text, None, Group::Memory, "new\n"), None);
    }

    #[test]
    fn a_table_says_what_is_met() {
        let mut samples = Samples::default();
        samples.add(
            System::Linux,
            vec![Reading::new("wall:stat", 200.0), Reading::new("boot", 2e9)],
        );
        samples.add(
            System::Ochre,
            vec![Reading::new("wall:stat", 100.0), Reading::new("boot", 1e9)],
        );
        let heading = |machine, processor: Option<&str>| {
            let platform = Platform::new(machine, processor.map(str::to_owned));
            Heading::new(Some("2026-01-02".to_owned()), platform).unwrap()
        };
        let arm = heading(Machine::Virt, Some("max,pauth-impdef=on"));
        assert!(arm.file_name().ends_with("-max.csv"));
        assert_eq!(arm.page(), "measured-aarch64.md");
        let heading = heading(Machine::Microvm, None);
        assert!(heading.file_name().starts_with("2026-01-02-"));
        assert_eq!(heading.page(), "measured.md");
        let report = Report::new(&samples, heading);
        let table = report.markdown();
        assert!(
            table.contains("| stat | 200 ns | 100 ns | 0.500 | ≤ 1 of Linux | met |"),
            "{table}"
        );
        assert!(
            table.contains("| 2000 ms | 1000 ms | 0.500 | ≤ 0.1 of Linux | **missed** |"),
            "{table}"
        );
        assert_eq!(report.missed(), 1);
    }
}
