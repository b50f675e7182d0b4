//! A program runs on every kind of machine, with little memory and with much.

use anyhow::Result;
use ochre_tests::{Case, Machine, Size, check_output, shell};

pub(super) fn cases() -> impl Iterator<Item = Case> {
    let sizes = [
        ("32 MiB", Size::from_mib(32)),
        ("16 GiB", Size::from_mib(16 << 10)),
    ];
    Machine::ALL.into_iter().flat_map(move |machine| {
        sizes.into_iter().map(move |(text, size)| {
            Case::new(format!("{} with {text}", machine.name()), move || {
                check(machine, size)
            })
        })
    })
}

fn check(machine: Machine, memory: Size) -> Result<()> {
    let outcome = shell("echo hello; exit 7")?
        .machine(machine)
        .memory(memory)
        .run()?;
    check_output(&outcome, 7, "hello\n")
}
