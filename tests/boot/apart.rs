//! Programs on tables of their own (`pti=on`): which processors need it, and
//! that what may come anywhere comes through. What programs notice of it is in
//! the suite `abi`, what they are shown in the kernel's own tests.

use anyhow::Result;
use ochre_tests::{Arch, Case, check_output, shell};

/// A processor that loads ahead what it may not, by what it says of itself.
const AFFECTED: &str = "Skylake-Client-v1";

/// Properties about traps with stacks of their own, how many processors they
/// are tried on.
const PROPERTIES: [(&str, u32); 6] = [
    ("breakpoint", 1),
    ("stack-overflow", 1),
    ("user-execute", 1),
    ("panic-elsewhere", 2),
    ("overflow-elsewhere", 2),
    ("stuck", 2),
];

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let told = [
        (
            "a processor that is not affected",
            "",
            "max",
            "Not affected",
        ),
        (
            "one that need not, with pti=on",
            "pti=on",
            "max",
            "Mitigation: PTI",
        ),
        ("an affected processor", "", AFFECTED, "Mitigation: PTI"),
        (
            "an affected one with nopti",
            "nopti",
            AFFECTED,
            "Vulnerable",
        ),
    ];
    let told = told.into_iter().map(|(name, words, model, says)| {
        Case::new(format!("tables of programs: {name}"), move || {
            is_told(words, model, says)
        })
    });
    let properties = PROPERTIES.into_iter().map(|(name, processors)| {
        Case::new(format!("{name} on {processors} with pti=on"), move || {
            crate::check(Arch::X86_64, name, processors, "pti=on")
        })
    });
    told.chain(properties)
}

/// What the file says where Linux says it; and programs run there.
fn is_told(words: &str, model: &'static str, says: &str) -> Result<()> {
    let outcome = shell("cat /sys/devices/system/cpu/vulnerabilities/meltdown | cat; exit 5")?
        .processor_model(model)
        .processors(2)
        .words(words)
        .run()?;
    check_output(&outcome, 5, &format!("{says}\n"))
}
