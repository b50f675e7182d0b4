//! Each allocation of each system call fails once: `abi-test --shortage` orders
//! it from a kernel that takes such orders, and says what was not as it should be.

use core::time::Duration;

use anyhow::{Result, ensure};
use ochre_tests::{Arch, Case, Guest, Size, archive, check_output, describe, rootfs, test_kernel};
use ochre_tool::user_build;

use crate::alive;

/// How long one machine may take.
const TIMEOUT: Duration = Duration::from_secs(240);

/// What is printed where all is well.
const EXPECTED: &str = "orders are taken: true\n\
    a thousand were short: true\n\
    no object is left: true\n\
    memory is back: true\n";

/// The cases.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    [1, 2].into_iter().map(|processors| {
        Case::new(
            format!("shortage in every call on {processors}"),
            move || check(processors),
        )
    })
}

fn check(processors: u32) -> Result<()> {
    let root = archive("shortage", || {
        let mut tree = rootfs::skeleton()?;
        tree.host_file("/bin/abi-test", &user_build::build("abi-test")?)?;
        Ok(tree)
    })?;
    let outcome = Guest::with_kernel(test_kernel(Arch::X86_64)?)
        .archive(root)
        .memory(Size::from_mib(96))
        .processors(processors)
        .program("/bin/abi-test")
        .args(["--shortage"])
        .timeout(TIMEOUT)
        .run()?;
    alive(&outcome)?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    check_output(&outcome, 0, EXPECTED)
}
