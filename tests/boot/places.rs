//! Where the kernel is: elsewhere each time, and where it is linked if asked to.

use core::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Case, Guest, QemuExit, describe, ended_with, test_kernel};
use ochre_tool::arch::Arch;

/// How long a boot may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Boots that are compared. That two of a kind are the same happens; that all
/// are, in one of some ten thousand runs for the kind with the fewest bits.
const BOOTS: usize = 3;

/// What the linker script and the tables of `kernel_map.rs` say.
const AS_LINKED: [u64; 3] = [0xffff_ffff_8020_0000, 0xffff_8000_0000_0000, 0];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("places differ", they_differ),
        Case::new("places with nokaslr", they_are_as_linked),
    ]
}

/// Image, direct map, stacks: what a boot says of them.
fn places(words: &str) -> Result<[u64; 3]> {
    let outcome = Guest::with_kernel(test_kernel(Arch::X86_64)?)
        .processors(2)
        .words(format!("ochre.boottest=places {words}"))
        .timeout(TIMEOUT)
        .run()?;
    ended_with(&outcome, QemuExit::Ordered)?;
    let line = outcome
        .log
        .lines()
        .find_map(|line| line.strip_prefix("places "));
    let line = line.with_context(|| describe(&outcome))?;
    let numbers: Vec<u64> = line
        .split_whitespace()
        .filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect();
    numbers
        .try_into()
        .map_err(|_| anyhow::anyhow!("not three places: {line}"))
}

fn they_differ() -> Result<()> {
    let boots = (0..BOOTS).map(|_| places("")).collect::<Result<Vec<_>>>()?;
    for (index, name) in ["image", "direct map", "stacks"].iter().enumerate() {
        let all: Vec<u64> = boots.iter().map(|places| places[index]).collect();
        ensure!(
            all.iter().any(|place| *place != all[0]),
            "the {name} is at the same place each time: {all:x?}"
        );
    }
    ensure!(
        boots.iter().all(|places| places[0] % (2 << 20) == 0),
        "an image that is not at a multiple of 2 MiB: {boots:x?}"
    );
    Ok(())
}

fn they_are_as_linked() -> Result<()> {
    let places = places("nokaslr")?;
    ensure!(places == AS_LINKED, "{places:x?} instead of {AS_LINKED:x?}");
    Ok(())
}
