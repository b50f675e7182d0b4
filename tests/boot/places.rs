//! Where the kernel is: elsewhere each time, and where it is linked if asked to.

use core::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Arch, Case, Guest, Machine, QemuExit, describe, ended_on, prefix, test_kernel};

/// How long a boot may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Boots that are compared. That two of a kind are the same happens; that all
/// are, in one of some ten thousand runs for the kind with the fewest bits.
const BOOTS: usize = 3;

/// What the linker script and the tables of `kernel_map.rs` say.
const AS_LINKED: [u64; 3] = [0xffff_ffff_8020_0000, 0xffff_8000_0000_0000, 0];

pub(crate) fn cases(arch: Arch) -> [Case; 2] {
    let prefix = prefix(arch);
    [
        Case::new(format!("{prefix}places differ"), move || they_differ(arch)),
        Case::new(format!("{prefix}places with nokaslr"), move || {
            they_are_as_linked(arch)
        }),
    ]
}

/// Image, direct map, stacks: what a boot says of them.
fn places(arch: Arch, words: &str) -> Result<[u64; 3]> {
    let outcome = Guest::with_kernel(test_kernel(arch)?)
        .machine(Machine::usual(arch))
        .processors(2)
        .words(format!("ochre.boottest=places {words}"))
        .patience(TIMEOUT)
        .run()?;
    ended_on(arch, &outcome, QemuExit::Ordered)?;
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

fn they_differ(arch: Arch) -> Result<()> {
    let boots = (0..BOOTS)
        .map(|_| places(arch, ""))
        .collect::<Result<Vec<_>>>()?;
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

fn they_are_as_linked(arch: Arch) -> Result<()> {
    let places = places(arch, "nokaslr")?;
    ensure!(places == AS_LINKED, "{places:x?} instead of {AS_LINKED:x?}");
    Ok(())
}
