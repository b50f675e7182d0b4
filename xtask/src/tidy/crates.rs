//! Rules about crates: who may hold unsafe code, and who may depend on whom.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};

use super::{Findings, House};
use crate::metadata::Package;

/// The list of crates that may hold unsafe code.
const TRUSTED: &str = "docs/trusted-base.md";

pub(super) fn check(house: &House, findings: &mut Findings) -> Result<()> {
    let trusted = trusted(&house.root)?;
    for package in house.metadata.ours() {
        unsafe_code(package, trusted.contains(&package.name), findings)?;
        direction(house, package, findings);
    }
    for name in &trusted {
        if !house.metadata.ours().any(|package| package.name == *name) {
            findings.add(TRUSTED, format!("lists {name}, which is no crate here"));
        }
    }
    Ok(())
}

/// The names of the crates that may hold unsafe code.
pub(super) fn trusted(root: &Path) -> Result<BTreeSet<String>> {
    let text =
        fs::read_to_string(root.join(TRUSTED)).with_context(|| format!("reading {TRUSTED}"))?;
    Ok(names_in_table(&text))
}

/// The names in backquotes in the first column of a document's tables.
pub(super) fn names_in_table(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn unsafe_code(package: &Package, is_trusted: bool, findings: &mut Findings) -> Result<()> {
    for root in &package.roots {
        let text =
            fs::read_to_string(root).with_context(|| format!("reading {}", root.display()))?;
        let forbids = text.contains("#![forbid(unsafe_code)]");
        if !is_trusted && !forbids {
            findings.add(
                root,
                format!(
                    "has no #![forbid(unsafe_code)], and {} is not in {TRUSTED}",
                    package.name
                ),
            );
        }
    }
    Ok(())
}

/// Forms that the kernel has in common with those outside of it.
const SPOKEN: [&str; 2] = ["ochre-abi", "ochre-symbols"];

/// What programs may use because anybody may: it knows nothing of the kernel.
const FOR_ANYBODY: [&str; 1] = ["ochre-sync"];

/// What a crate is to the direction of dependencies, by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Lib,
    Hal,
    Kernel,
    /// Runs on the host or in the guest: at most what both sides of it speak, and
    /// what anybody may use.
    Outside,
    /// Looks at everything: suites, benchmarks, developers' commands.
    Above,
}

fn layer(house: &House, package: &Package) -> Layer {
    let dir = package
        .dir
        .strip_prefix(&house.root)
        .unwrap_or(&package.dir);
    let first = dir.components().next();
    match first.and_then(|part| part.as_os_str().to_str()) {
        Some("lib") => Layer::Lib,
        Some("hal") => Layer::Hal,
        Some("kernel") => Layer::Kernel,
        Some("tool" | "user") => Layer::Outside,
        _ => Layer::Above,
    }
}

fn direction(house: &House, package: &Package, findings: &mut Findings) {
    let from = layer(house, package);
    for dependency in package
        .dependencies
        .iter()
        .filter(|dependency| dependency.is_ours)
    {
        let Some(target) = house
            .metadata
            .ours()
            .find(|other| other.name == dependency.name)
        else {
            continue;
        };
        if !may_depend(from, layer(house, target), &target.name) {
            findings.add(
                package.dir.join("Cargo.toml"),
                format!("{} must not depend on {}", package.name, target.name),
            );
        }
    }
}

fn may_depend(from: Layer, on: Layer, name: &str) -> bool {
    match from {
        Layer::Lib => on == Layer::Lib,
        Layer::Hal => matches!(on, Layer::Lib | Layer::Hal),
        Layer::Kernel => matches!(on, Layer::Lib | Layer::Hal),
        Layer::Outside => SPOKEN.contains(&name) || FOR_ANYBODY.contains(&name),
        Layer::Above => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{Layer, may_depend, names_in_table};

    #[test]
    fn dependencies_point_one_way() {
        let check = |from, on, name, expected| assert_eq!(may_depend(from, on, name), expected);
        check(Layer::Hal, Layer::Lib, "ochre-sync", true);
        check(Layer::Kernel, Layer::Hal, "ochre-hal", true);
        check(Layer::Hal, Layer::Kernel, "ochre-kernel", false);
        check(Layer::Lib, Layer::Hal, "ochre-hal", false);
        check(Layer::Outside, Layer::Lib, "ochre-abi", true);
        check(Layer::Outside, Layer::Lib, "ochre-sync", true);
        check(Layer::Outside, Layer::Lib, "ochre-alloc", false);
        check(Layer::Kernel, Layer::Outside, "ochre-tool", false);
        check(Layer::Above, Layer::Outside, "ochre-tool", true);
    }

    #[test]
    fn tables_name_crates_in_their_first_column() {
        let names = names_in_table("| crate | why |\n| --- | --- |\n| `a-b` | `c` |\ntext `d`\n");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a-b"]);
    }
}
