//! What was found, row by row.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// One row: one thing done with one allocator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// What was done.
    pub(crate) group: String,
    /// Whose allocator.
    pub(crate) who: String,
    /// Nanoseconds for one, in the middle of the repetitions; or, over time,
    /// mebibytes that the process has at each look.
    pub(crate) values: Vec<f64>,
}

/// The group whose values are a course over time.
pub(crate) const MEMORY: &str = "memory over time (MiB)";

impl Sample {
    /// The number of a row.
    pub(crate) fn value(&self) -> f64 {
        self.values.first().copied().unwrap_or(f64::NAN)
    }

    fn to_value(&self) -> Value {
        json!({ "group": self.group, "who": self.who, "values": self.values })
    }

    /// As a line of text.
    pub(crate) fn to_line(&self) -> String {
        self.to_value().to_string()
    }

    /// From such a line.
    pub(crate) fn from_line(line: &str) -> Result<Sample> {
        let value: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Sample> {
        let text = |name: &str| {
            let text = value.get(name).and_then(Value::as_str);
            text.map(str::to_owned)
                .with_context(|| format!("no {name}"))
        };
        let values = value.get("values").and_then(Value::as_array);
        Ok(Sample {
            group: text("group")?,
            who: text("who")?,
            values: values
                .into_iter()
                .flatten()
                .filter_map(Value::as_f64)
                .collect(),
        })
    }
}

/// Groups together, the best of each first.
pub(crate) fn sort(samples: &mut [Sample]) {
    samples.sort_by(|a, b| a.group.cmp(&b.group).then(a.value().total_cmp(&b.value())));
}

/// The rows of each group together.
pub(crate) fn groups(samples: &[Sample]) -> impl Iterator<Item = &[Sample]> {
    samples.chunk_by(|a, b| a.group == b.group)
}

/// One table for each group.
pub(crate) fn table(samples: &[Sample]) -> String {
    let mut text = String::new();
    for group in groups(samples) {
        let name = group.first().map_or("", |sample| sample.group.as_str());
        if name == MEMORY {
            text.push_str(&format!(
                "\n{name}\n\n| | at the end | most |\n| --- | --- | --- |\n"
            ));
            for sample in group {
                let last = sample.values.last().copied().unwrap_or(f64::NAN);
                let most = sample.values.iter().copied().fold(0.0, f64::max);
                text.push_str(&format!("| {} | {last:.1} | {most:.1} |\n", sample.who));
            }
            continue;
        }
        text.push_str(&format!("\n{name}\n\n| | ns |\n| --- | --- |\n"));
        for sample in group {
            text.push_str(&format!("| {} | {:.1} |\n", sample.who, sample.value()));
        }
    }
    text
}

/// The rows from data.
pub(crate) fn from_json(text: &str) -> Result<Vec<Sample>> {
    let rows: Vec<Value> = serde_json::from_str(text)?;
    rows.iter().map(Sample::from_value).collect()
}

/// Adds the rows of `before` that were not measured again.
pub(crate) fn keep_others(samples: &mut Vec<Sample>, mut before: Vec<Sample>) {
    let is = |a: &Sample, b: &Sample| a.who == b.who && a.group == b.group;
    before.retain(|row| !samples.iter().any(|again| is(row, again)));
    samples.append(&mut before);
}

/// The rows as data.
pub(crate) fn to_json(samples: &[Sample]) -> Result<String> {
    let rows: Vec<Value> = samples.iter().map(Sample::to_value).collect();
    let mut text = serde_json::to_string_pretty(&rows)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{Sample, from_json, keep_others, sort, to_json};

    #[test]
    fn a_row_survives_its_line() {
        let sample = Sample {
            group: "pair".to_owned(),
            who: "us".to_owned(),
            values: vec![1.5, 2.0],
        };
        let read = Sample::from_line(&sample.to_line()).expect("a row");
        assert_eq!(read, sample);
        assert!(Sample::from_line("{}").is_err());
    }

    #[test]
    fn what_is_measured_again_is_new() {
        let row = |group: &str, who: &str, value| Sample {
            group: group.to_owned(),
            who: who.to_owned(),
            values: vec![value],
        };
        let before = [
            row("pair", "us", 9.0),
            row("fill", "us", 8.0),
            row("pair", "them", 2.0),
        ];
        let before = to_json(&before).expect("rows");
        let mut rows = vec![row("pair", "us", 1.0)];
        keep_others(&mut rows, from_json(&before).expect("the same rows"));
        let all = [
            row("pair", "us", 1.0),
            row("fill", "us", 8.0),
            row("pair", "them", 2.0),
        ];
        assert_eq!(rows, all);
    }

    #[test]
    fn the_best_of_a_group_comes_first() {
        let row = |group: &str, value| Sample {
            group: group.to_owned(),
            who: String::new(),
            values: vec![value],
        };
        let mut rows = [row("b", 1.0), row("a", 3.0), row("a", 2.0)];
        sort(&mut rows);
        assert_eq!(rows, [row("a", 2.0), row("a", 3.0), row("b", 1.0)]);
    }
}
