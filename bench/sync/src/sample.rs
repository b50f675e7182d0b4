//! Rows: what criterion left in its folders, round by round, and what is kept.

use std::collections::BTreeMap;
use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// What a row is about: one thing done by one library with some threads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// What was done.
    pub(crate) group: String,
    /// By how many threads.
    pub(crate) threads: u64,
    /// Who did it; the library is the first word.
    pub(crate) who: String,
}

impl Key {
    /// The library's name.
    pub(crate) fn library(&self) -> &str {
        self.who.split([' ', ',']).next().unwrap_or_default()
    }

    /// What of the library did it, if the name says so.
    pub(crate) fn what(&self) -> &str {
        let name = self.who.split(", ").next().unwrap_or_default();
        name.split_once(' ').map_or("", |(_, what)| what)
    }

    /// What is said of the row beside who did it.
    pub(crate) fn shape(&self) -> &str {
        self.who.split_once(", ").map_or("", |(_, shape)| shape)
    }
}

/// Nanoseconds for one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    pub(crate) median: f64,
    /// A quarter of the samples took less.
    pub(crate) lower: f64,
    /// A quarter of the samples took more.
    pub(crate) upper: f64,
}

/// All rows, in the order in which they are shown.
pub(crate) type Rows = BTreeMap<Key, Times>;

/// Reads every row of the folder's rounds; the samples of one row are put together.
pub(crate) fn read(folder: &Path) -> Result<Rows> {
    let mut samples = BTreeMap::new();
    collect(folder, &mut samples)?;
    ensure!(
        !samples.is_empty(),
        "nothing was measured; run 'cargo xtask bench sync'"
    );
    let rows = samples.into_iter().map(|(key, mut each): (Key, Vec<f64>)| {
        each.sort_by(f64::total_cmp);
        let at = |quarter: usize| each.get((each.len() - 1) * quarter / 4).copied();
        let times = at(1)
            .zip(at(2))
            .zip(at(3))
            .map(|((lower, median), upper)| Times {
                median,
                lower,
                upper,
            });
        let times = times.with_context(|| format!("{}: no samples", key.who))?;
        Ok((key, times))
    });
    rows.collect()
}

fn collect(folder: &Path, samples: &mut BTreeMap<Key, Vec<f64>>) -> Result<()> {
    if folder.join("benchmark.json").is_file() {
        let (key, mut each) = one(folder)?;
        if !each.is_empty() {
            samples.entry(key).or_default().append(&mut each);
        }
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

fn parse(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn one(folder: &Path) -> Result<(Key, Vec<f64>)> {
    let id = parse(&folder.join("benchmark.json"))?;
    let raw = parse(&folder.join("sample.json"))?;
    let numbers = |name: &str| -> Vec<f64> {
        let list = raw.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect()
    };
    let each = numbers("times")
        .into_iter()
        .zip(numbers("iters"))
        .map(|(time, rounds)| time / rounds)
        .collect();
    let text = |name: &str| id.get(name).and_then(Value::as_str);
    let key = Key {
        group: text("group_id")
            .context("a row without a group")?
            .to_owned(),
        who: text("function_id").unwrap_or("").to_owned(),
        threads: text("value_str").map_or(Ok(1), str::parse)?,
    };
    Ok((key, each))
}

/// The rows as data.
pub(crate) fn to_json(rows: &Rows) -> Result<String> {
    let rows: Vec<Value> = rows
        .iter()
        .map(|(key, times)| {
            json!({
                "group": key.group,
                "who": key.who,
                "threads": key.threads,
                "median_ns": times.median,
                "lower_quartile_ns": times.lower,
                "upper_quartile_ns": times.upper,
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&rows)?;
    text.push('\n');
    Ok(text)
}

/// The rows that were kept earlier; none if there is no such file.
pub(crate) fn kept(path: &Path) -> Result<Rows> {
    if !path.exists() {
        return Ok(Rows::new());
    }
    let data = parse(path)?;
    let rows = data.as_array().into_iter().flatten().map(|row| {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| row.get(name).and_then(Value::as_f64);
        let key = Key {
            group: text("group")?,
            who: text("who")?,
            threads: row.get("threads").and_then(Value::as_u64)?,
        };
        let times = Times {
            median: number("median_ns")?,
            lower: number("lower_quartile_ns")?,
            upper: number("upper_quartile_ns")?,
        };
        Some((key, times))
    });
    rows.collect::<Option<Rows>>()
        .with_context(|| format!("{} is not what this program keeps", path.display()))
}

/// The rows of each group, fastest first for each number of threads.
pub(crate) fn groups(rows: &Rows) -> Vec<Vec<(&Key, &Times)>> {
    let mut sorted: Vec<_> = rows.iter().collect();
    let place = |key: &Key| (key.group.clone(), key.threads, key.shape().to_owned());
    sorted.sort_by(|(a, one), (b, other)| {
        place(a)
            .cmp(&place(b))
            .then(one.median.total_cmp(&other.median))
    });
    sorted
        .chunk_by(|(a, _), (b, _)| a.group == b.group)
        .map(<[_]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Key, Rows, kept, read, to_json};
    use std::{fs, path::Path};

    fn row(folder: &Path, round: &str, times: &str) {
        let row = folder.join(round).join("group/who/2/new");
        fs::create_dir_all(&row).expect("a row's folder");
        fs::write(
            row.join("benchmark.json"),
            r#"{"group_id":"group","function_id":"who, 1 to 1","value_str":"2"}"#,
        )
        .expect("written");
        fs::write(
            row.join("sample.json"),
            format!(r#"{{"iters":[10.0,10.0],"times":{times}}}"#),
        )
        .expect("written");
    }

    fn two_rounds() -> Rows {
        let folder = tempfile::tempdir().expect("a folder");
        row(folder.path(), "round-1", "[30.0,10.0]");
        row(folder.path(), "round-2", "[20.0,50.0]");
        row(folder.path(), "round-3", "[40.0]");
        read(folder.path()).expect("a row")
    }

    #[test]
    fn the_rounds_of_a_row_are_put_together() {
        let rows = two_rounds();
        assert_eq!(rows.len(), 1);
        let (key, times) = rows.first_key_value().expect("one");
        assert_eq!((times.lower, times.median, times.upper), (2.0, 3.0, 4.0));
        assert_eq!((key.library(), key.shape()), ("who", "1 to 1"));
        assert_eq!(key.threads, 2);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let rows = two_rounds();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept.json");
        assert!(kept(&file).expect("nothing yet").is_empty());
        fs::write(&file, to_json(&rows).expect("data")).expect("written");
        assert_eq!(kept(&file).expect("rows"), rows);
        let mut more = kept(&file).expect("rows");
        let other = Key {
            threads: 4,
            ..more.first_key_value().expect("one").0.clone()
        };
        more.extend([(other, rows.values().copied().next().expect("one"))]);
        assert_eq!(more.len(), 2);
    }

    #[test]
    fn nothing_measured_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = read(folder.path()).expect_err("there is nothing");
        assert!(error.to_string().contains("nothing was measured"));
    }
}
