//! What is measured, in what unit, and what it should be.

use crate::machines::System;
use crate::sample::{Samples, Summary};

/// A unit, which says how a value is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Guest instructions.
    Instructions,
    /// Bytes.
    Bytes,
    /// So many.
    Count,
    /// One part of another.
    Part,
    /// Bytes a second.
    Rate,
}

/// What Ochre's value should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// At most this part of Linux's.
    OfLinux(f64),
    /// At least as much as Linux's.
    AsLinux,
    /// At most this, whatever Linux's is.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// None: the row explains others.
    None,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The name of its readings.
    pub(crate) key: String,
    /// What people read.
    pub(crate) title: String,
    /// Its unit.
    pub(crate) unit: Unit,
    /// Its target.
    pub(crate) target: Target,
}

/// The rows that `bench-guest` prints: name, title, and whether it has a
/// target of its own.
const CALLS: &[(&str, &str, bool)] = &[
    ("null_call", "null call (`getppid`)", true),
    ("read_1_byte", "read 1 byte of /dev/zero", true),
    ("write_1_byte", "write 1 byte to /dev/null", true),
    ("open_close", "open + close", true),
    ("stat", "stat", true),
    ("fstat", "fstat", true),
    ("signal_install", "signal: install", true),
    ("signal_deliver", "signal: deliver", true),
    ("pipe_round_trip", "pipe round trip, two processes", true),
    ("pipe_alone", "pipe write + read, one process", false),
    ("context_switch", "context switch", true),
    ("file_fault", "file page fault", true),
    ("mmap_1_mib", "mmap 1 MiB, touch, munmap", true),
    ("fork_exit", "fork + exit + wait", true),
    ("fork_exec", "fork + exec + exit + wait", true),
];

/// How many processors the rows about threads are measured with.
pub(crate) const PROCESSORS: [u32; 3] = [1, 2, 4];

/// The rows about threads: name, title, and whether there is one with a single
/// processor only, with several only, or both.
const THREADS: &[(&str, &str, On)] = &[
    ("futex_wake", "futex: wake to run, next processor", On::Any),
    (
        "futex_wake_shared",
        "futex: wake to run, one processor",
        On::Several,
    ),
    ("create_join", "thread: create + join", On::Any),
    (
        "switch",
        "switch between two threads (`sched_yield`)",
        On::Any,
    ),
    ("pipe", "pipe round trip, next processor", On::Any),
    (
        "hackbench_processes",
        "`hackbench -p -g 2 -f 10 -l 100`",
        On::Any,
    ),
    (
        "hackbench_threads",
        "`hackbench -p -T -g 2 -f 10 -l 100`",
        On::Any,
    ),
    (
        "sysbench_threads",
        "`sysbench threads --threads=4 --events=400`",
        On::Any,
    ),
    ("work_one", "independent work on one processor", On::Any),
    ("work_all", "the same on each processor", On::Several),
];

/// How many processors the rows about memory are measured with.
pub(crate) const MEMORY_PROCESSORS: [u32; 2] = [1, 2];

/// The rows about memory: name and title.
const MEMORY: &[(&str, &str)] = &[
    ("fault_zero", "load from a fresh page (4 KiB)"),
    ("fault_anonymous", "store to a fresh page (4 KiB)"),
    ("fault_file", "load from a file's page"),
    ("fault_file_copy", "store to a private page of a file"),
    ("fault_cow", "store to a page shared by a fork (4 KiB)"),
    ("map_4_kib", "mmap + munmap 4 KiB"),
    ("map_1_mib", "mmap + munmap 1 MiB"),
    ("map_64_mib", "mmap + munmap 64 MiB"),
    ("map_1_gib", "mmap + munmap 1 GiB"),
    ("map_touch_8_mib", "mmap 8 MiB, touch, munmap"),
    ("fork_1_mib", "fork + exit + wait, 1 MiB touched"),
    ("fork_64_mib", "the same with 64 MiB"),
    ("fork_512_mib", "the same with 512 MiB"),
    ("brk", "brk up a page, touch, down"),
    ("copy_1_mib", "`process_vm_readv` of 1 MiB"),
];

/// The rows about processors that do something at the same time: name, title.
const TOGETHER: &[(&str, &str)] = &[
    ("page_fault1_threads", "page_fault1, threads: a page"),
    ("page_fault1_processes", "page_fault1, processes: a page"),
    ("mmap1_threads", "mmap1, threads: mmap + munmap 128 MiB"),
    ("mmap1_processes", "mmap1, processes"),
    ("brk1_threads", "brk1, threads: brk up and down"),
    ("brk1_processes", "brk1, processes"),
];

/// The rows about whole runs of stress-ng: name, title. What all of them are told
/// besides is in `user/bench-guest/src/stress.rs`.
const STRESSORS: &[(&str, &str)] = &[
    (
        "stress_vm",
        "`stress-ng --vm 2 --vm-bytes 2M --vm-ops 20000`",
    ),
    (
        "stress_mmap",
        "`stress-ng --mmap 2 --mmap-bytes 1M --mmap-ops 20`",
    ),
    ("stress_brk", "`stress-ng --brk 2 --brk-ops 10000`"),
    ("stress_stack", "`stress-ng --stack 2 --stack-ops 600`"),
    (
        "stress_mremap",
        "`stress-ng --mremap 2 --mremap-bytes 1M --mremap-ops 100`",
    ),
    ("stress_madvise", "`stress-ng --madvise 2 --madvise-ops 10`"),
    ("stress_fault", "`stress-ng --fault 2 --fault-ops 2000`"),
    (
        "stress_page_in",
        "the same as with `--mmap`, and `--page-in`",
    ),
];

/// Whether one of those is among these names, or all rows are wanted, as there are
/// none.
pub(crate) fn has_stressors(names: &[String]) -> bool {
    let is_one = |name: &String| STRESSORS.iter().any(|(of, _)| of == name);
    names.is_empty() || names.iter().any(is_one)
}

/// The rows about terminals: name and title.
const CONSOLE: &[(&str, &str)] = &[
    ("screen_plain", "PC text screen, plain lines"),
    ("screen_rich", "PC text screen, colours and inserted lines"),
    ("serial_plain", "serial line, plain lines"),
    ("serial_rich", "serial line, colours and inserted lines"),
];

/// On how many processors a row makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Any,
    Several,
}

const MIB: f64 = 1024.0 * 1024.0;

/// All rows, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    let row = |key: &str, title: &str, unit, target| Row {
        key: key.to_owned(),
        title: title.to_owned(),
        unit,
        target,
    };
    let mut rows = vec![
        row(
            "boot",
            "QEMU's start to init's first output",
            Unit::Nanoseconds,
            Target::OfLinux(0.1),
        ),
        row(
            "memory",
            "memory gone at the shell's prompt",
            Unit::Bytes,
            Target::AtMost(8.0 * MIB),
        ),
        row(
            "image",
            "kernel image, stripped",
            Unit::Bytes,
            Target::AtMost(2.0 * MIB),
        ),
    ];
    for (clock, unit) in [("wall", Unit::Nanoseconds), ("counted", Unit::Instructions)] {
        if clock == "counted" {
            rows.push(row(
                "counted:boot",
                "reset to init's first instruction",
                unit,
                Target::OfLinux(0.1),
            ));
        }
        for (name, title, has_target) in CALLS {
            let target = if *has_target {
                Target::OfLinux(1.0)
            } else {
                Target::None
            };
            rows.push(row(&format!("{clock}:{name}"), title, unit, target));
        }
    }
    for processors in PROCESSORS {
        let rows_of = |clock: &str, unit| {
            THREADS
                .iter()
                .filter(|(_, _, on)| *on == On::Any || processors > 1)
                .map(|(name, title, _)| {
                    // The work itself is the emulator's, not the kernel's.
                    let target = if name.starts_with("work_") {
                        Target::None
                    } else {
                        Target::OfLinux(1.0)
                    };
                    row(&format!("{clock}:{name}"), title, unit, target)
                })
                .collect::<Vec<_>>()
        };
        rows.extend(rows_of(&format!("smp{processors}"), Unit::Nanoseconds));
        if processors == 1 {
            rows.extend(rows_of("smp1-counted", Unit::Instructions));
            continue;
        }
        rows.push(row(
            &format!("smp{processors}:scaling"),
            "scaling: time on one / time on all",
            Unit::Part,
            // More processors than the host has cannot scale.
            if processors == 2 {
                Target::AtLeast(0.95)
            } else {
                Target::None
            },
        ));
        rows.push(row(
            &format!("smp{processors}:host"),
            "the host's limit: one machine alone / as many at once",
            Unit::Part,
            Target::None,
        ));
    }
    for (prefix, unit, is_one) in [
        ("memory1-counted", Unit::Instructions, true),
        ("memory1", Unit::Nanoseconds, true),
        ("memory2", Unit::Nanoseconds, false),
    ] {
        let alone = if is_one { MEMORY } else { &[] };
        for (name, title) in alone.iter().chain(TOGETHER).chain(STRESSORS) {
            rows.push(row(
                &format!("{prefix}:{name}"),
                title,
                unit,
                Target::OfLinux(1.0),
            ));
        }
    }
    for (name, title) in TOGETHER {
        let (what, _) = title.split_once(": ").unwrap_or((title, ""));
        rows.push(row(
            &format!("memory2:{name}_scaling"),
            &format!("{what}: done by two processors / by one"),
            Unit::Part,
            Target::AtLeast(1.9),
        ));
    }
    for (name, title) in CONSOLE {
        let key = |clock: &str| format!("{clock}:{name}");
        rows.push(row(&key("console"), title, Unit::Rate, Target::AsLinux));
        // Counted time runs on while the serial line waits for the host.
        if name.starts_with("screen_") {
            rows.push(row(
                &key("console-counted"),
                title,
                Unit::Instructions,
                Target::OfLinux(1.0),
            ));
        }
    }
    rows.extend([
        row(
            "blocked:blocked_threads",
            "threads blocked on futexes at once",
            Unit::Count,
            Target::AtLeast(100_000.0),
        ),
        row(
            "blocked:blocked_memory",
            "kernel memory of each",
            Unit::Bytes,
            Target::AtMost(1536.0),
        ),
        row(
            "blocked:blocked_time",
            "time to start each and block it",
            Unit::Nanoseconds,
            Target::OfLinux(1.0),
        ),
    ]);
    rows
}

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// System calls, starting, memory
    Calls,
    /// Threads, on 1, 2 and 4 processors
    Threads,
    /// Faults, mappings, large forks, on 1 and 2 processors
    Memory,
    /// Output to the screen and to the serial line
    Console,
}

/// A table that rows belong to.
pub(crate) struct Table {
    /// What it is measured with.
    pub(crate) group: Group,
    /// For people; empty if the group's name says it.
    pub(crate) title: &'static str,
    /// What the keys of its rows begin with; empty for those without a colon.
    pub(crate) prefix: &'static str,
}

impl Table {
    /// Whether a row belongs to it.
    pub(crate) fn has(&self, row: &Row) -> bool {
        if self.prefix.is_empty() {
            !row.key.contains(':')
        } else {
            row.key.starts_with(self.prefix)
        }
    }
}

/// The tables, in the order of people's interest.
#[rustfmt::skip]
pub(crate) const TABLES: [Table; 13] = {
    const fn table(group: Group, title: &'static str, prefix: &'static str) -> Table {
        Table { group, title, prefix }
    }
    use Group::{Calls, Console, Memory, Threads};
    [
        table(Calls, "", ""),
        table(Calls, "Guest instructions", "counted:"),
        table(Calls, "Wall clock: median (least to most)", "wall:"),
        table(Threads, "Threads, guest instructions, 1 processor", "smp1-counted:"),
        table(Threads, "Threads, 1 processor: median (least to most)", "smp1:"),
        table(Threads, "Threads, 2 processors: median (least to most)", "smp2:"),
        table(Threads, "Threads, 4 processors: median (least to most)", "smp4:"),
        table(Threads, "Threads blocked on futexes, in 1 GiB", "blocked:"),
        table(Memory, "Memory, guest instructions, 1 processor", "memory1-counted:"),
        table(Memory, "Memory, 1 processor: median (least to most)", "memory1:"),
        table(Memory, "Memory, 2 processors: median (least to most)", "memory2:"),
        table(Console, "Bytes a second: median (least to most)", "console:"),
        table(Console, "Guest instructions for 1 KiB", "console-counted:"),
    ]
};

impl Row {
    /// Whether Ochre meets the target; none if that cannot be said.
    pub(crate) fn met(&self, samples: &Samples) -> Option<bool> {
        let value = |system| {
            let summary = samples.summary(system, &self.key);
            summary.map(|summary: Summary| summary.median)
        };
        let ochre = value(System::Ochre)?;
        match self.target {
            Target::OfLinux(part) => Some(ochre <= value(System::Linux)? * part),
            Target::AsLinux => Some(ochre >= value(System::Linux)?),
            Target::AtMost(most) => Some(ochre <= most),
            Target::AtLeast(least) => Some(ochre >= least),
            Target::None => None,
        }
    }

    /// The target for people.
    pub(crate) fn target_text(&self) -> String {
        match self.target {
            Target::OfLinux(part) => format!("≤ {part} of Linux"),
            Target::AsLinux => "≥ Linux".to_owned(),
            Target::AtMost(most) => format!("≤ {}", self.unit.show(most)),
            Target::AtLeast(least) => format!("≥ {}", self.unit.show(least)),
            Target::None => String::new(),
        }
    }
}

impl Unit {
    /// A value with its unit, short.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Nanoseconds if value >= 1e7 => format!("{:.0} ms", value / 1e6),
            Self::Nanoseconds if value >= 1e4 => format!("{:.1} µs", value / 1e3),
            Self::Nanoseconds => format!("{value:.0} ns"),
            Self::Instructions | Self::Count => thousands(value),
            Self::Part => format!("{value:.3}"),
            Self::Rate if value < 1e6 => format!("{:.0} kB/s", value / 1e3),
            Self::Rate => format!("{:.2} MB/s", value / 1e6),
            Self::Bytes if value < 0.1 * MIB => format!("{} bytes", thousands(value)),
            Self::Bytes => format!("{:.2} MiB", value / MIB),
        }
    }

    /// The unit's name in the data.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Instructions => "instructions",
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::Part => "part",
            Self::Rate => "bytes/s",
        }
    }
}

/// A whole number with commas.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{MIB, Row, TABLES, Target, Unit, all};
    use crate::{
        machines::System,
        sample::{Reading, Samples},
    };

    #[test]
    fn values_are_short() {
        let check = |unit: Unit, value, text| assert_eq!(unit.show(value), text);
        check(Unit::Nanoseconds, 812.4, "812 ns");
        check(Unit::Nanoseconds, 81_250.0, "81.2 µs");
        check(Unit::Nanoseconds, 2_345_678_901.0, "2346 ms");
        check(Unit::Instructions, 1_698_000.0, "1,698,000");
        check(Unit::Instructions, 331.0, "331");
        check(Unit::Bytes, 1.5 * MIB, "1.50 MiB");
        check(Unit::Bytes, 1536.0, "1,536 bytes");
        check(Unit::Count, 100_000.0, "100,000");
        check(Unit::Part, 0.95, "0.950");
        check(Unit::Rate, 812_300.0, "812 kB/s");
        check(Unit::Rate, 12_345_678.0, "12.35 MB/s");
    }

    #[test]
    fn targets_are_judged_by_medians() {
        let row = |target| Row {
            key: "x".into(),
            title: "x".into(),
            unit: Unit::Bytes,
            target,
        };
        let mut samples = Samples::default();
        samples.add(System::Ochre, vec![Reading::new("x", 10.0)]);
        assert_eq!(row(Target::OfLinux(1.0)).met(&samples), None);
        samples.add(System::Linux, vec![Reading::new("x", 90.0)]);
        assert_eq!(row(Target::OfLinux(1.0)).met(&samples), Some(true));
        assert_eq!(row(Target::OfLinux(0.1)).met(&samples), Some(false));
        assert_eq!(row(Target::AsLinux).met(&samples), Some(false));
        assert_eq!(row(Target::AtMost(10.0)).met(&samples), Some(true));
        assert_eq!(row(Target::AtLeast(10.0)).met(&samples), Some(true));
        assert_eq!(row(Target::AtLeast(10.5)).met(&samples), Some(false));
        assert_eq!(row(Target::None).met(&samples), None);
    }

    #[test]
    fn names_are_unique() {
        let mut keys: Vec<String> = all().into_iter().map(|row| row.key).collect();
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn every_row_is_in_one_table() {
        for row in all() {
            let tables = TABLES.iter().filter(|table| table.has(&row)).count();
            assert_eq!(tables, 1, "{}", row.key);
        }
    }
}
