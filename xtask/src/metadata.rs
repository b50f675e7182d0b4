//! What cargo knows of the workspace and of the kernel image's dependencies.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use ochre_tool::setup::KERNEL_TARGET;
use serde_json::Value;

use crate::run;

/// One package.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The folder of its `Cargo.toml`.
    pub(crate) dir: PathBuf,
    /// Whether it is a member of this workspace.
    pub(crate) is_ours: bool,
    /// The root files of what is compiled of it: libraries, programs, tests.
    pub(crate) roots: Vec<PathBuf>,
    /// What its `Cargo.toml` names.
    pub(crate) dependencies: Vec<Dependency>,
    is_macro: bool,
}

/// One line of a `[dependencies]` table.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// Whether it is a folder of ours.
    pub(crate) is_ours: bool,
}

/// All packages.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    packages: BTreeMap<String, Package>,
    /// By package id: the ids of what is linked with it.
    links: BTreeMap<String, Vec<String>>,
}

impl Metadata {
    /// Asks cargo, with the platform of the kernel's image.
    pub(crate) fn of_kernel_image() -> Result<Self> {
        let text = run::cargo(["metadata", "--format-version", "1"])?
            .args(["--filter-platform", KERNEL_TARGET])
            .output()?;
        let value: Value = serde_json::from_str(&text).context("cargo metadata's answer")?;
        Self::read(&value).context("cargo metadata's answer is not of the known form")
    }

    fn read(value: &Value) -> Option<Self> {
        let members: BTreeSet<&str> = value["workspace_members"]
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut packages = BTreeMap::new();
        for package in value["packages"].as_array()? {
            let id = package["id"].as_str()?;
            let targets = package["targets"].as_array()?;
            let dir = Path::new(package["manifest_path"].as_str()?).parent()?;
            let dependencies = package["dependencies"].as_array()?;
            packages.insert(
                id.to_owned(),
                Package {
                    name: package["name"].as_str()?.to_owned(),
                    version: package["version"].as_str()?.to_owned(),
                    dir: dir.to_owned(),
                    is_ours: members.contains(id),
                    roots: targets
                        .iter()
                        .filter_map(|target| target["src_path"].as_str())
                        .map(PathBuf::from)
                        .collect(),
                    dependencies: dependencies
                        .iter()
                        .filter_map(|dependency| {
                            Some(Dependency {
                                name: dependency["name"].as_str()?.to_owned(),
                                is_ours: dependency["path"].is_string(),
                            })
                        })
                        .collect(),
                    is_macro: targets
                        .iter()
                        .filter_map(|target| target["kind"].as_array())
                        .flatten()
                        .any(|kind| kind == "proc-macro"),
                },
            );
        }
        let mut links = BTreeMap::new();
        for node in value["resolve"]["nodes"].as_array()? {
            let linked = node["deps"]
                .as_array()?
                .iter()
                .filter(|dependency| is_linked(dependency))
                .filter_map(|dependency| Some(dependency["pkg"].as_str()?.to_owned()))
                .collect();
            links.insert(node["id"].as_str()?.to_owned(), linked);
        }
        Some(Self { packages, links })
    }

    /// The members of the workspace.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.is_ours)
    }

    /// Everything whose code is in the kernel's image: what `ochre-kernel` is
    /// linked with, directly or not. Macros run in the compiler and build
    /// scripts on the host, so they do not count.
    pub(crate) fn in_kernel_image(&self) -> Result<Vec<&Package>> {
        let kernel = self
            .packages
            .iter()
            .find(|(_, package)| package.is_ours && package.name == "ochre-kernel");
        let (kernel, _) = kernel.context("there is no ochre-kernel")?;
        let mut seen = BTreeSet::new();
        let mut todo = vec![kernel];
        while let Some(id) = todo.pop() {
            let is_macro = self.packages.get(id).is_none_or(|package| package.is_macro);
            if !is_macro && seen.insert(id) {
                todo.extend(self.links.get(id).into_iter().flatten());
            }
        }
        Ok(seen
            .into_iter()
            .filter_map(|id| self.packages.get(id))
            .collect())
    }
}

/// Whether a dependency is an ordinary one, not for tests or build scripts.
fn is_linked(dependency: &Value) -> bool {
    dependency["dep_kinds"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}
