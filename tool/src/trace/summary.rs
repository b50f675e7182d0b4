//! Calls counted: how often each was made, how often it failed, how long it took.

use core::time::Duration;
use std::{
    collections::HashMap,
    io::{self, Write},
};

use super::{record::Call, show};
use crate::arch::Arch;

/// What came together.
#[derive(Debug, Default)]
pub(super) struct Summary {
    calls: HashMap<u64, Row>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    count: u64,
    errors: u64,
    spent: Duration,
}

impl Summary {
    /// Counts a call.
    pub(super) fn add(&mut self, call: &Call) {
        let row = self.calls.entry(call.number).or_default();
        row.count += 1;
        if call
            .result
            .is_some_and(|result| (-4095..0).contains(&result))
        {
            row.errors += 1;
        }
        row.spent += Duration::from_nanos(call.end_ns.saturating_sub(call.begin_ns));
    }

    /// Writes the table, the calls that took longest first.
    pub(super) fn write(&self, arch: Arch, to: &mut dyn Write) -> io::Result<()> {
        let mut rows: Vec<(String, Row)> = self
            .calls
            .iter()
            .map(|(number, row)| (show::name(arch, *number), *row))
            .collect();
        rows.sort_by(|a, b| b.1.spent.cmp(&a.1.spent).then_with(|| a.0.cmp(&b.0)));
        writeln!(to, "    seconds  us/call      calls   errors  call")?;
        for (name, row) in &rows {
            let seconds = row.spent.as_secs_f64();
            let each = row.spent.as_micros() / u128::from(row.count.max(1));
            let Row { count, errors, .. } = row;
            writeln!(to, "{seconds:11.6} {each:8} {count:10} {errors:8}  {name}")?;
        }
        let sum = |of: fn(&Row) -> u64| rows.iter().map(|(_, row)| of(row)).sum::<u64>();
        let seconds: Duration = rows.iter().map(|(_, row)| row.spent).sum();
        writeln!(
            to,
            "{:11.6} {:8} {:10} {:8}  total",
            seconds.as_secs_f64(),
            "",
            sum(|row| row.count),
            sum(|row| row.errors)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;
    use crate::{arch::Arch, trace::record::Record};

    #[test]
    fn calls_and_errors_are_counted_apart() {
        let mut summary = Summary::default();
        for line in [
            "trace call 1 0 3000 39 0 0 0 0 0 0 7",
            "trace call 1 0 9000 3 5 0 0 0 0 0 -9",
            "trace call 1 0 1000 3 4 0 0 0 0 0 0",
        ] {
            let Some(Record::Call(call)) = Record::parse(line) else {
                panic!("not a call: {line}");
            };
            summary.add(&call);
        }
        let mut text = Vec::new();
        summary.write(Arch::X86_64, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let words: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(words[1], ["0.000010", "5", "2", "1", "close"]);
        assert_eq!(words[2], ["0.000003", "3", "1", "0", "getpid"]);
        assert_eq!(words[3], ["0.000013", "3", "1", "total"]);
    }
}
