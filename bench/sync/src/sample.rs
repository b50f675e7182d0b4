//! What criterion left in its folder, row by row.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// One row: one thing done by one library with some threads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// What was done.
    pub(crate) group: String,
    /// Who did it.
    pub(crate) who: String,
    /// By how many threads.
    pub(crate) threads: u64,
    /// Nanoseconds for one, in the middle.
    pub(crate) median_ns: f64,
    /// The lower end of the samples.
    pub(crate) least_ns: f64,
    /// The upper end of the samples.
    pub(crate) most_ns: f64,
}

/// Reads every row of the last run.
pub(crate) fn read(folder: &Path) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    collect(folder, &mut samples)?;
    ensure!(
        !samples.is_empty(),
        "nothing was measured; run 'cargo xtask bench sync'"
    );
    samples.sort_by(|a, b| {
        (&a.group, a.threads)
            .cmp(&(&b.group, b.threads))
            .then(a.median_ns.total_cmp(&b.median_ns))
    });
    Ok(samples)
}

fn collect(folder: &Path, samples: &mut Vec<Sample>) -> Result<()> {
    if folder.join("benchmark.json").is_file() {
        samples.push(one(folder)?);
        return Ok(());
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        // `base` is the run before this one.
        if path.is_dir() && !path.ends_with("base") {
            collect(&path, samples)?;
        }
    }
    Ok(())
}

fn one(folder: &Path) -> Result<Sample> {
    let parse = |name: &str| -> Result<Value> {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    };
    let id = parse("benchmark.json")?;
    let raw = parse("sample.json")?;
    let numbers = |name: &str| -> Vec<f64> {
        let list = raw.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect()
    };
    let mut each: Vec<f64> = numbers("times")
        .into_iter()
        .zip(numbers("iters"))
        .map(|(time, rounds)| time / rounds)
        .collect();
    each.sort_by(f64::total_cmp);
    let text = |name: &str| id.get(name).and_then(Value::as_str);
    let at = |index: usize| each.get(index).copied().context("a row without samples");
    Ok(Sample {
        group: text("group_id")
            .context("a row without a group")?
            .to_owned(),
        who: text("function_id").unwrap_or("").to_owned(),
        threads: text("value_str").map_or(Ok(1), str::parse)?,
        median_ns: at(each.len() / 2)?,
        least_ns: at(0)?,
        most_ns: at(each.len().saturating_sub(1))?,
    })
}

/// The rows of each group together.
pub(crate) fn groups(samples: &[Sample]) -> impl Iterator<Item = &[Sample]> {
    samples.chunk_by(|a, b| a.group == b.group)
}

/// The rows as data.
pub(crate) fn to_json(samples: &[Sample]) -> Result<String> {
    let rows: Vec<Value> = samples
        .iter()
        .map(|sample| {
            json!({
                "group": sample.group,
                "who": sample.who,
                "threads": sample.threads,
                "median_ns": sample.median_ns,
                "least_ns": sample.least_ns,
                "most_ns": sample.most_ns,
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&rows)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::fs;

    #[test]
    fn a_row_is_read_from_what_criterion_keeps() {
        let folder = tempfile::tempdir().expect("a folder");
        let row = folder.path().join("group/who/2/new");
        fs::create_dir_all(&row).expect("a row's folder");
        fs::write(
            row.join("benchmark.json"),
            r#"{"group_id":"group","function_id":"who","value_str":"2"}"#,
        )
        .expect("written");
        fs::write(
            row.join("sample.json"),
            r#"{"iters":[10.0,10.0,10.0],"times":[30.0,10.0,20.0]}"#,
        )
        .expect("written");
        let samples = read(folder.path()).expect("a row");
        assert_eq!(samples.len(), 1);
        let sample = &samples[0];
        assert_eq!((sample.threads, sample.median_ns), (2, 2.0));
        assert_eq!((sample.least_ns, sample.most_ns), (1.0, 3.0));
    }

    #[test]
    fn nothing_measured_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = read(folder.path()).expect_err("there is nothing");
        assert!(error.to_string().contains("nothing was measured"));
    }
}
