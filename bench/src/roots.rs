//! The roots that both systems boot from: the benchmark, and what it runs.
//!
//! Programs of Debian's come with those of their libraries that they are linked
//! to, and nothing else: an archive takes memory of the guest.

use anyhow::Result;
use ochre_tool::{Arch, debian::Packages, load_generators, rootfs, setup, tree::Tree, user_build};

/// Busybox and the benchmark, nothing else.
pub(crate) fn plain(arch: Arch) -> Result<Tree> {
    let ours = setup::ensure_busybox()?;
    let tree = match arch {
        Arch::X86_64 => rootfs::shell(&ours)?,
        Arch::Aarch64 => rootfs::foreign_shell(&setup::ensure_busybox_of(arch)?, &ours)?,
    };
    with_benchmark(tree, arch)
}

/// A root with `hackbench` and `sysbench`.
pub(crate) fn loaded(arch: Arch) -> Result<Tree> {
    with_packages(&load_generators::benches(arch), arch)
}

/// A root with `stress-ng`.
pub(crate) fn stress(arch: Arch) -> Result<Tree> {
    with_packages(&load_generators::stress_ng(arch), arch)
}

fn with_packages(packages: &Packages, arch: Arch) -> Result<Tree> {
    with_benchmark(rootfs::folder(&packages.fetch()?)?, arch)
}

/// The same with the benchmark as process 1.
fn with_benchmark(mut tree: Tree, arch: Arch) -> Result<Tree> {
    tree.host_file("/init", &user_build::build_for(arch, "bench-guest")?)?;
    Ok(tree)
}
