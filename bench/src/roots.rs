//! The roots that both systems boot from: the benchmark, and what it runs.
//!
//! Programs of Debian's come with those of their libraries that they are linked
//! to, and nothing else: an archive takes memory of the guest.

use anyhow::Result;
use ochre_tool::{Arch, debian::Packages, rootfs, setup, tree::Tree, user_build};

/// Busybox and the benchmark, nothing else.
pub(crate) fn plain(arch: Arch) -> Result<Tree> {
    let ours = setup::ensure_busybox()?;
    let tree = match arch {
        Arch::X86_64 => rootfs::shell(&ours)?,
        Arch::Aarch64 => rootfs::foreign_shell(&setup::ensure_busybox_of(arch)?, &ours)?,
    };
    with_benchmark(tree, arch)
}

/// `hackbench` and `sysbench`, and the libraries that they are linked to.
const LOAD: [&str; 28] = [
    "rt-tests",
    "sysbench",
    "libaio1",
    "libc6",
    "libcom-err2",
    "libffi8",
    "libgcc-s1",
    "libgmp10",
    "libgnutls30",
    "libgssapi-krb5-2",
    "libhogweed6",
    "libidn2-0",
    "libk5crypto3",
    "libkeyutils1",
    "libkrb5-3",
    "libkrb5support0",
    "libldap-2.5-0",
    "libluajit-5.1-2",
    "libmariadb3",
    "libnettle8",
    "libnuma1",
    "libp11-kit0",
    "libpq5",
    "libsasl2-2",
    "libssl3",
    "libtasn1-6",
    "libunistring2",
    "zlib1g",
];

/// A root with those.
pub(crate) fn loaded(arch: Arch) -> Result<Tree> {
    packages(&LOAD, arch)
}

/// stress-ng, and the libraries that it is linked to.
const STRESS: [&str; 25] = [
    "stress-ng",
    "libapparmor1",
    "libbsd0",
    "libc6",
    "libcrypt1",
    "libdrm2",
    "libegl1",
    "libexpat1",
    "libffi8",
    "libgbm1",
    "libgcc-s1",
    "libgles2",
    "libglvnd0",
    "libjpeg62-turbo",
    "libjudydebian1",
    "libkmod2",
    "liblzma5",
    "libmd0",
    "libsctp1",
    "libssl3",
    "libwayland-server0",
    "libxxhash0",
    "libzstd1",
    "zlib1g",
    ONLY_PC,
];

/// What there is, and is wanted, on PCs alone.
const ONLY_PC: &str = "libipsec-mb1";

/// A root with those.
pub(crate) fn stress(arch: Arch) -> Result<Tree> {
    let names = match arch {
        Arch::X86_64 => &STRESS[..],
        Arch::Aarch64 => &STRESS[..STRESS.len() - 1],
    };
    packages(names, arch)
}

fn packages(names: &[&str], arch: Arch) -> Result<Tree> {
    let folder = Packages::new(names).of(arch).fetch()?;
    with_benchmark(rootfs::folder(&folder)?, arch)
}

/// The same with the benchmark as process 1.
fn with_benchmark(mut tree: Tree, arch: Arch) -> Result<Tree> {
    tree.host_file("/init", &user_build::build_for(arch, "bench-guest")?)?;
    Ok(tree)
}
