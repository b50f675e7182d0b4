//! The negative control of the models: each ordering in turn loses a part, and
//! some model has to fail.
//!
//! The seam of `ochre-sync` weakens one place as an environment variable says
//! (`lib/sync/src/primitive/model.rs`), so the crate is built once. A first run
//! notes which tests reach which place; then each place is weakened and those
//! tests are run until one fails.
//!
//! An ordering that no model reaches is an error, and so is one whose loss no
//! model notices, unless a comment above it says `UNMODELLED:` and why. Such a
//! comment at a place that is noticed after all is an error too.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tool::paths;
use serde_json::Value;

use crate::sources;

/// A weakened lock may go round for ever; that counts as noticed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many lines above a place its comment may begin.
const COMMENT_LINES: usize = 12;

/// How many lines a call may take from its name to its ordering.
const CALL_LINES: usize = 8;

/// One part of one ordering in the sources: `FILE:LINE:COLUMN:PART`.
type Place = String;

/// A part of the places: each `every`th, beginning with one of the first. All
/// shares of one `every` together are all places, each once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) every: usize,
    /// Any number; those beyond `every` begin anew.
    pub(crate) which: usize,
}

impl Share {
    fn of<T>(self, places: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        let every = self.every.max(1);
        places.skip(self.which % every).step_by(every)
    }
}

/// Weakens a share of the places of a crate; `only` keeps those whose name
/// contains it.
pub(crate) fn weaken(package: &str, dir: &Path, only: Option<&str>, share: Share) -> Result<()> {
    let program = build(package)?;
    let list = env::temp_dir().join(format!("weaken-{}", std::process::id()));
    let reached = places(&program, &list);
    let _ = fs::remove_file(&list);
    let reached = reached?;

    let mut wrong = Vec::new();
    if only.is_none() {
        wrong.extend(unreached(dir, &reached)?);
    }
    let (mut noticed, mut excused) = (0, 0);
    let wanted = reached
        .iter()
        .filter(|(place, _)| only.is_none_or(|part| place.contains(part)));
    for (place, tests) in share.of(wanted) {
        let known = excuse(place)?;
        let seen = notices(&program, place, tests)?;
        println!(
            "{place}: {}",
            match (&seen, &known) {
                (Some(test), _) => format!("noticed by {test}"),
                (None, Some(reason)) => format!("not noticed; {reason}"),
                (None, None) => "NOT NOTICED".to_owned(),
            }
        );
        match (seen, known) {
            (Some(_), None) => noticed += 1,
            (None, Some(_)) => excused += 1,
            (Some(_), Some(_)) => wrong.push(format!("{place}: noticed, yet called UNMODELLED")),
            (None, None) => wrong.push(format!("{place}: no model notices")),
        }
    }
    println!("{noticed} weakened orderings noticed, {excused} known not to be");
    for line in &wrong {
        eprintln!("error: {line}");
    }
    ensure!(wrong.is_empty(), "{} places to look at", wrong.len());
    Ok(())
}

/// The program with the crate's loom tests.
fn build(package: &str) -> Result<PathBuf> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--release", "--lib", "--no-run"])
        .args(["--message-format", "json", "--package", package])
        .current_dir(paths::workspace()?)
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", paths::target()?.join("loom"))
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    ensure!(output.status.success(), "{package} does not build");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back()
        .with_context(|| format!("{package} has no tests"))
}

fn models(program: &Path) -> Result<Command> {
    let mut command = Command::new(program);
    command
        .env("LOOM_MAX_PREEMPTIONS", "2")
        .current_dir(paths::workspace()?)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}

/// Which tests reach which places.
fn places(program: &Path, list: &Path) -> Result<BTreeMap<Place, BTreeSet<String>>> {
    let _ = fs::remove_file(list);
    let status = models(program)?
        .arg("loom")
        .env("OCHRE_SITES", list)
        .status()?;
    ensure!(status.success(), "the models fail as they are");
    let text = fs::read_to_string(list).context("no model reaches any ordering")?;
    let mut reached: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((test, place)) = line.split_once('\t') {
            let tests = reached.entry(place.to_owned()).or_default();
            tests.insert(test.to_owned());
        }
    }
    Ok(reached)
}

/// The first test that fails with the place weakened, or does not end; that is said.
fn notices(program: &Path, place: &str, tests: &BTreeSet<String>) -> Result<Option<String>> {
    for test in tests {
        let child = models(program)?
            .args(["--exact", test])
            .env("OCHRE_WEAKEN", place)
            .spawn()?;
        match succeeds(child)? {
            Some(true) => {}
            Some(false) => return Ok(Some(test.clone())),
            None => return Ok(Some(format!("{test}, which did not end"))),
        }
    }
    Ok(None)
}

/// `None` if it had to be stopped.
fn succeeds(mut child: Child) -> Result<Option<bool>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Why a place is known to go unnoticed.
fn excuse(place: &str) -> Result<Option<String>> {
    let mut parts = place.split(':');
    let (Some(file), Some(line)) = (parts.next(), parts.next()) else {
        bail!("{place} is no place");
    };
    let text = fs::read_to_string(paths::workspace()?.join(file)).context(file.to_owned())?;
    let line: usize = line.parse().context("a line number")?;
    let above: Vec<&str> = text.lines().take(line).collect();
    // The comment belongs to the statement: it ends where the one before does.
    let mut inside = true;
    for line in above.iter().rev().take(COMMENT_LINES) {
        let line = line.trim();
        if let Some((_, reason)) = line.split_once("UNMODELLED:") {
            return Ok(Some(reason.trim().to_owned()));
        }
        if !inside && !line.starts_with("//") {
            return Ok(None);
        }
        if line.starts_with("//") {
            inside = false;
        }
    }
    Ok(None)
}

/// Orderings that are written and that no model comes by.
fn unreached(dir: &Path, reached: &BTreeMap<Place, BTreeSet<String>>) -> Result<Vec<String>> {
    let root = paths::workspace()?;
    let mut missing = Vec::new();
    for path in sources::rust_files(&dir.join("src"))? {
        let name = path
            .strip_prefix(&root)
            .unwrap_or(&path)
            .display()
            .to_string();
        // The seam itself, the backends on which loom does not run, the models.
        let foreign = ["/primitive/", "/blocking/", "/models"];
        if foreign.iter().any(|part| name.contains(part)) || name.ends_with("tests.rs") {
            continue;
        }
        let lines: BTreeSet<usize> = reached
            .keys()
            .filter_map(|place| {
                place
                    .strip_prefix(&name)?
                    .strip_prefix(':')?
                    .split(':')
                    .next()
            })
            .filter_map(|line| line.parse().ok())
            .collect();
        let text = fs::read_to_string(&path).with_context(|| name.clone())?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with("#[cfg(all(test") {
                break;
            }
            let strong = ["Acquire", "Release", "AcqRel"]
                .iter()
                .any(|kind| line.contains(&format!("Ordering::{kind}")));
            let number = index + 1;
            let first = number.saturating_sub(CALL_LINES);
            if strong && !line.starts_with("//") && lines.range(first..=number).next().is_none() {
                let place = format!("{name}:{number}");
                if excuse(&place)?.is_none() {
                    missing.push(format!("{place}: no model comes by"));
                }
            }
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn shares_together_are_everything_once() {
        for every in [0, 1, 3, 12] {
            let shares = (7..7 + every.max(1)).map(|which| Share { every, which });
            let mut places: Vec<u32> = shares.flat_map(|share| share.of(0..40)).collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..40), "each {every}th");
        }
    }
}
