//! `cargo xtask tidy`: the rules of the house that no lint knows. Also a test, so that `cargo test` says it too.
//!
//! Each rule is a function that adds what it finds to a list; all rules run,
//! so that one run shows everything.

mod book;
mod crates;
mod documents;
mod examples;
mod files;
mod locks;
mod machines;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use ochre_tool::paths;

use crate::{allocations, metadata::Metadata, sources};

/// Everything that breaks a rule.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, place: impl AsRef<Path>, what: impl AsRef<str>) {
        let place = place.as_ref().display();
        self.0.push(format!("{place}: {}", what.as_ref()));
    }
}

/// What the rules look at.
struct House {
    root: PathBuf,
    metadata: Metadata,
    files: Vec<SourceFile>,
}

/// One Rust file of ours.
struct SourceFile {
    /// From the root of the workspace.
    path: PathBuf,
    text: String,
}

/// The names of the crates that may hold unsafe code.
pub(crate) fn trusted_crates() -> Result<BTreeSet<String>> {
    crates::trusted(&paths::workspace()?)
}

/// Checks every rule.
pub(crate) fn check() -> Result<()> {
    let root = paths::workspace()?;
    let mut files = Vec::new();
    for path in sources::rust_files(&root)? {
        let text = std::fs::read_to_string(&path)?;
        let path = path.strip_prefix(&root)?.to_owned();
        files.push(SourceFile { path, text });
    }
    let metadata = Metadata::of_kernel_image()?;
    let house = House {
        root,
        metadata,
        files,
    };
    let mut findings = Findings::default();
    files::check(&house, &mut findings);
    crates::check(&house, &mut findings)?;
    documents::check(&house, &mut findings)?;
    examples::check(&house, &mut findings)?;
    book::check(&house, &mut findings)?;
    locks::check(&house, &mut findings)?;
    machines::check(&house, &mut findings);
    infallible(&house, &mut findings)?;
    if findings.0.is_empty() {
        return Ok(());
    }
    bail!(
        "{} finding(s):\n{}",
        findings.0.len(),
        findings.0.join("\n")
    );
}

/// No file of the kernel has more allocations that cannot fail politely than the list says.
fn infallible(house: &House, findings: &mut Findings) -> Result<()> {
    let listed = allocations::listed(&house.root)?;
    for (path, lines) in allocations::in_kernel(&house.root)? {
        let limit = listed.get(&path).copied().unwrap_or(0);
        if lines.len() > limit {
            findings.add(
                &path,
                format!(
                    "allocates in {} places (lines {lines:?}) without a way to fail; {limit} are in {}: \
                     use make_room, try_box or check_headroom, or say there why not",
                    lines.len(),
                    allocations::LIST
                ),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        super::check().unwrap();
    }
}
