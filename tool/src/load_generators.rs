//! Load generators of Debian's, which suites and benchmarks run: the packages.
//!
//! Each comes with those libraries that it is linked to. What else the packages
//! depend on (drivers for graphics, servers of databases) is many times their
//! size and never loaded.

use std::collections::BTreeSet;

use crate::{arch::Arch, debian::Packages};

/// `stress-ng`.
const STRESS_NG: [&str; 25] = [
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
    ONLY_PC,
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
];

/// `hackbench` and `sysbench`.
const BENCHES: [&str; 28] = [
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

/// What is not there for other machines, whose load generators do without.
const ONLY_PC: &str = "libipsec-mb1";

/// The packages of `stress-ng`.
pub fn stress_ng(arch: Arch) -> Packages {
    packages(&[&STRESS_NG], arch)
}

/// Those of `hackbench` and `sysbench`.
pub fn benches(arch: Arch) -> Packages {
    packages(&[&BENCHES], arch)
}

/// Those of all three.
pub fn all(arch: Arch) -> Packages {
    packages(&[&STRESS_NG, &BENCHES], arch)
}

fn packages(lists: &[&[&str]], arch: Arch) -> Packages {
    let names: BTreeSet<&str> = lists.concat().into_iter().collect();
    let is_there = |name: &&str| arch == Arch::X86_64 || *name != ONLY_PC;
    Packages::new(names.into_iter().filter(is_there)).of(arch)
}
