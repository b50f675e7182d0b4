//! What a machine that says nothing may mean, for a person.
//!
//! A kernel's first line on its log comes a moment after its first instruction.
//! One that cannot read what its machine is made of has no log yet, and no
//! console: it can only end the machine, or not even that.

use core::time::Duration;
use std::env;

use crate::arch::Arch;

/// How long nothing has to come until that is told.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Of a machine that goes on.
pub(super) fn lasting(arch: Arch, interactive: bool) -> String {
    let key = if interactive { "Ctrl-A x" } else { "Ctrl-C" };
    let mut text = format!(
        "the machine has not said a word in {} seconds, not on its log either: its kernel hangs, \
         or did not begin. {key} ends it.",
        PATIENCE.as_secs()
    );
    if arch == Arch::Aarch64 {
        text.push_str(
            "\nA kernel that cannot read the machine's device tree, and finds no firmware to turn \
             it off, sleeps like this.",
        );
    }
    text.push_str(&more(arch));
    text
}

/// Of a machine that ended by itself.
pub(super) fn ended(arch: Arch) -> String {
    let reason = match arch {
        Arch::X86_64 => {
            "It was reset before the kernel's first word: a processor that gives up (a triple \
             fault) does that."
        }
        Arch::Aarch64 => {
            "It was turned off before the kernel's first word: a kernel does that if it cannot \
             read the machine's device tree, which would name the console."
        }
    };
    format!("{reason}{}", more(arch))
}

/// Where to look next.
fn more(arch: Arch) -> String {
    let variable = arch.qemu_variable();
    match env::var_os(variable) {
        Some(command) => {
            let tree = match arch {
                Arch::X86_64 => "",
                Arch::Aarch64 => " A tree given with -dtb can be looked at with dtc -I dtb.",
            };
            format!(
                "\n{variable} names {} in the place of QEMU: see what it is and what it adds to \
                 the command line.{tree}",
                command.display()
            )
        }
        None => format!(
            "\n'ochre doctor --arch {}' says which QEMU this is; with another version in \
             {variable} it can be seen whether it is QEMU's.",
            arch.name()
        ),
    }
}
