//! The two machines' folders of `hal` have the same files, and files of one
//! name show the rest of the crate the same items: so who knows one machine
//! finds his way in the other, and neutral code compiles for both.

use std::{collections::BTreeSet, path::Path};

use super::{Findings, House};

/// Where the machines are.
const FOLDER: &str = "hal/src/arch";

const MACHINES: [&str; 2] = ["x86_64", "aarch64"];

/// Files that only one machine has, and why.
const ONE_ONLY: [(&str, &str); 25] = [
    ("acpi.rs", "a PC's firmware tells of it in tables"),
    ("acpi/tests.rs", "as acpi.rs"),
    ("acpi/virtio.rs", "as acpi.rs"),
    ("apic.rs", "a PC's interrupt controllers are three"),
    ("ioapic.rs", "as apic.rs"),
    ("pic.rs", "as apic.rs"),
    (
        "apart/entry.rs",
        "programs have tables of their own on a PC only",
    ),
    ("apart/ktests.rs", "as apart/entry.rs"),
    ("gic.rs", "Arm's interrupt controller is one"),
    ("calibrate.rs", "a PC does not say how fast its counter is"),
    ("gdt.rs", "segments"),
    ("idt.rs", "vectors are a table of addresses"),
    ("port.rs", "ports"),
    ("protections.rs", "tests of control bits that only a PC has"),
    ("pvh.rs", "the loader's protocol"),
    ("pvh/tests.rs", "as pvh.rs"),
    ("trampoline.rs", "processors start in the mode of 1978"),
    ("platform.rs", "Arm's firmware tells of it in a device tree"),
    ("platform/tests.rs", "as platform.rs"),
    ("platform/wires.rs", "as platform.rs"),
    ("routines.rs", "a PC has instructions for whole strings"),
    (
        "psci.rs",
        "Arm's firmware starts processors and ends the machine",
    ),
    ("screen/cp437.rs", "the characters of a PC's text mode"),
    ("pci.rs", "the host tool's ports are on a card there"),
    ("keys.rs", "PCs sign no pointers"),
];

/// Files with names that say themselves which of two kinds of device they drive,
/// or tests of what only one machine can run on a host.
const ONE_ONLY_BELOW: [&str; 4] = ["keyboard/", "uart/", "sigframe/", "usercopy/"];

/// Files that are the machine's own language: what they name is its manual's.
const OWN_LANGUAGE: [&str; 4] = ["exceptions.rs", "registers.rs", "system.rs", "ktests.rs"];

/// What begins an item that other modules of the crate see.
const VISIBLE: &str = "pub(crate) ";

/// What may stand between that and the item's name.
const WORDS: [&str; 12] = [
    "const", "unsafe", "extern", "\"C\"", "async", "fn", "struct", "enum", "static", "mut", "type",
    "trait",
];

pub(super) fn check(house: &House, findings: &mut Findings) {
    let folders = MACHINES.map(|machine| Path::new(FOLDER).join(machine));
    let files = folders.each_ref().map(|folder| {
        let inside = house.files.iter().filter_map(|file| {
            let path = file.path.strip_prefix(folder).ok()?;
            Some((path.to_string_lossy().into_owned(), file.text.as_str()))
        });
        inside.collect::<Vec<_>>()
    });
    for (here, there) in [(0, 1), (1, 0)] {
        for (path, text) in &files[here] {
            let place = folders[here].join(path);
            match files[there].iter().find(|(other, _)| other == path) {
                None if is_alone(path) => {}
                None => findings.add(
                    &place,
                    format!(
                        "{} has no file of this name: give one its name, or say in \
                         xtask/src/tidy/machines.rs why not",
                        MACHINES[there]
                    ),
                ),
                Some(_) if OWN_LANGUAGE.contains(&path.as_str()) => {}
                Some((_, other)) => {
                    for name in items(text).difference(&items(other)) {
                        findings.add(
                            &place,
                            format!(
                                "shows `{name}` to the crate, which {} does not",
                                MACHINES[there]
                            ),
                        );
                    }
                }
            }
        }
    }
    for (path, _) in ONE_ONLY {
        let holders = files
            .iter()
            .filter(|files| files.iter().any(|(other, _)| other == path));
        if holders.count() != 1 {
            findings.add(
                Path::new(FOLDER).join(path),
                "is listed as a file of one machine, and is not",
            );
        }
    }
}

fn is_alone(path: &str) -> bool {
    ONE_ONLY.iter().any(|(alone, _)| *alone == path)
        || ONE_ONLY_BELOW.iter().any(|folder| path.starts_with(folder))
}

/// The names that a file shows to the crate, its tests apart.
fn items(text: &str) -> BTreeSet<&str> {
    text.lines()
        .take_while(|line| *line != "mod tests {")
        .filter_map(|line| {
            let rest = line.trim_start().strip_prefix(VISIBLE)?;
            let mut words = rest.split_whitespace().peekable();
            let mut is_item = false;
            while words.peek().is_some_and(|word| WORDS.contains(word)) {
                let _ = words.next();
                is_item = true;
            }
            let name = words.next().filter(|_| is_item)?;
            name.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn items_are_found_by_their_names() {
        let text = "pub(crate) const unsafe fn one<T>() {}\n\
                    fn two() {}\n\
                    pub(crate) mod three;\n\
                    struct S {\n    pub(crate) field: u8,\n}\n    \
                    pub(crate) static mut FOUR: u8 = 0;\n\
                    mod tests {\n\
                    pub(crate) fn five() {}\n";
        assert!(items(text).iter().copied().eq(["FOUR", "one"]));
    }
}
