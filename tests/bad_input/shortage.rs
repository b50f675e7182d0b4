//! Each allocation of each system call fails once: `abi-test --shortage` orders
//! it from a kernel that takes such orders, and says what was not as it should be.

use core::time::Duration;

use anyhow::{Result, ensure};
use ochre_tests::{
    Arch, Case, Extent, Guest, Machine, Size, abi_test_tree, archive, check_output, describe,
    extent, name_on, prefix, test_kernel,
};

use crate::alive;

/// How long one machine may take.
const TIMEOUT: Duration = Duration::from_secs(240);

/// What is printed where all is well.
const EXPECTED: &str = "orders are taken: true\n\
    a thousand were short: true\n\
    no object is left: true\n\
    memory is back: true\n";

/// The cases.
pub(crate) fn cases(arch: Arch) -> impl Iterator<Item = Case> {
    let counts = match extent(arch) {
        Extent::All => &[1, 2][..],
        _ => &[],
    };
    counts.iter().map(move |&processors| {
        let name = format!("{}shortage in every call on {processors}", prefix(arch));
        Case::new(name, move || check(arch, processors))
    })
}

fn check(arch: Arch, processors: u32) -> Result<()> {
    let root = archive(&name_on(arch, "abi-test"), || abi_test_tree(arch))?;
    let outcome = Guest::with_kernel(test_kernel(arch)?)
        .machine(Machine::usual(arch))
        .audited()
        .archive(root)
        .memory(Size::from_mib(96))
        .processors(processors)
        .program("/bin/abi-test")
        .args(["--shortage"])
        .patience(TIMEOUT)
        .run()?;
    alive(&outcome)?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    check_output(&outcome, 0, EXPECTED)
}
