//! A program runs on every kind of machine, with little memory and with much.

use anyhow::Result;
use ochre_tests::{Case, Machine, Size, architectures, check_output, is_tested, prefix, shell_on};

pub(super) fn cases() -> impl Iterator<Item = Case> {
    let sizes = [
        ("32 MiB", Size::from_mib(32)),
        ("16 GiB", Size::from_mib(16 << 10)),
    ];
    let machines = Machine::ALL.into_iter().chain([Machine::Virt]);
    let machines = machines.filter(|machine| is_tested(machine.arch()));
    machines.flat_map(move |machine| {
        sizes.into_iter().map(move |(text, size)| {
            let arch = prefix(machine.arch());
            Case::new(format!("{arch}{} with {text}", machine.name()), move || {
                check(machine, size)
            })
        })
    })
}

/// What is sent before the machine is up is not lost.
pub(super) fn early_input() -> impl Iterator<Item = Case> {
    architectures().map(|arch| {
        let name = format!("{}early input is not lost", prefix(arch));
        Case::new(name, move || {
            let lines: String = (0..4096)
                .map(|line| format!("early line {line}\n"))
                .collect();
            let outcome = shell_on(arch, "cat; exit 4")?.stdin(lines.as_str()).run()?;
            check_output(&outcome, 4, &lines)
        })
    })
}

fn check(machine: Machine, memory: Size) -> Result<()> {
    let outcome = shell_on(machine.arch(), "echo hello; exit 7")?
        .machine(machine)
        .memory(memory)
        .run()?;
    check_output(&outcome, 7, "hello\n")
}
