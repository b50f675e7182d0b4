//! AArch64 machines that a device tree describes: of several kinds, without
//! what is usually there, and with trees that lie.
//!
//! The trees are QEMU's own with some bytes changed. (What is wrong in their
//! structure is tried on the host, in `lib/device-tree`: QEMU reads them too,
//! and passes none on that it cannot read. `unreadable.rs` has a loader that does.)

use core::time::Duration;
use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{
    Arch, Case, Guest, Machine, Outcome, QemuExit, Size, check_output, describe, ended_on,
    guest_on, prefix, setup, shell_on, test_kernel,
};

/// How long one of them may take.
const TIMEOUT: Duration = Duration::from_secs(60);

const ARM: Arch = Arch::Aarch64;

pub(super) fn cases() -> impl Iterator<Item = Case> {
    let case = |name, check: fn() -> Result<()>| Case::new(format!("{}{name}", prefix(ARM)), check);
    [
        case("kinds of machines", kinds),
        case("a large tree", large),
        case("no clock", no_clock),
        case("no initial archive", no_archive),
        case("no interrupt controller", no_controller),
        case("processors in another order", another_order),
        case("a processor without interrupts", without_interrupts),
        case("no memory", no_memory),
        case("no serial port", no_serial),
    ]
    .into_iter()
}

/// Interrupt controllers, hypervisors, processors and memory.
fn kinds() -> Result<()> {
    for (properties, model, processors, mib) in [
        ("gic-version=2", "cortex-a57", 8, 64),
        ("gic-version=3", "cortex-a57", 1, 64),
        ("gic-version=3", "cortex-a72", 8, 8 << 10),
        // They start at EL2.
        ("gic-version=2,virtualization=on", "cortex-a57", 2, 512),
        (
            "gic-version=3,virtualization=on",
            "max,pauth-impdef=on",
            4,
            512,
        ),
        // A secure side that is not ours, with a serial port and memory.
        ("gic-version=2,secure=on", "cortex-a72", 2, 256),
        (
            "gic-version=3,secure=on,virtualization=on",
            "cortex-a53",
            2,
            256,
        ),
        // All below four gigabytes.
        ("gic-version=2,highmem=off", "cortex-a35", 2, 256),
        (
            "gic-version=3,iommu=smmuv3,ras=on,acpi=off",
            "neoverse-n1",
            2,
            256,
        ),
        ("gic-version=2", "cortex-a76", 2, 256),
    ] {
        // Sleeps need the timer's interrupt, and sleepers elsewhere the others'.
        let script = "nproc; for i in 1 2 3 4 5 6 7 8; do sleep 0.01 & done; wait; \
                      read -r _ total _ </proc/meminfo; echo $((total > LEAST)); exit 3"
            .replace("LEAST", &(mib * 1024 * 9 / 16).to_string());
        let outcome = shell_on(ARM, &script)?
            .machine_properties(properties)
            .processor_model(model)
            .processors(processors)
            .memory(Size::from_mib(mib))
            .run()?;
        check_output(&outcome, 3, &format!("{processors}\n1\n"))
            .with_context(|| format!("{properties} with {model}, {processors} processors"))?;
    }
    Ok(())
}

/// One change of a tree.
pub(super) enum Change {
    /// These bytes, wherever they are, become those.
    Bytes(&'static [u8], &'static [u8]),
    /// Memory is reserved: start and length.
    Reserve(u64, u64),
    /// Room at the end, this many bytes.
    Room(u32),
    /// The processor of this number has that one.
    Processor(u32, u32),
}
use Change::{Bytes, Processor, Reserve, Room};

/// The guest in a machine with a tree like this.
pub(super) fn boot(guest: Guest, changes: &[Change]) -> Result<Outcome> {
    boot_with(guest, 2, 1, changes)
}

/// The same with this generation of the interrupt controller, and with so many
/// processors.
fn boot_with(
    guest: Guest,
    controller: u32,
    processors: u32,
    changes: &[Change],
) -> Result<Outcome> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("tree");
    dump(&path, controller, processors)?;
    let mut tree = fs::read(&path)?;
    cut(&mut tree)?;
    for change in changes {
        match *change {
            Bytes(from, to) => replace(&mut tree, from, to)?,
            Reserve(start, len) => reserve(&mut tree, start, len)?,
            Processor(from, to) => {
                let name = name_of(&tree, b"reg")?;
                // A property of four bytes: only processors' numbers are so short.
                let property = |number: u32| [3, 4, name, number].map(u32::to_be_bytes).concat();
                replace(&mut tree, &property(from), &property(to))?;
            }
            Room(bytes) => {
                let total = field(&tree, TOTAL)? + bytes;
                tree.resize(total as usize, 0);
                tree[TOTAL..TOTAL + 4].copy_from_slice(&total.to_be_bytes());
            }
        }
    }
    fs::write(&path, tree)?;
    guest
        .machine_properties(match controller {
            2 => "gic-version=2",
            _ => "gic-version=3",
        })
        .processors(processors)
        .device_tree(path)
        .patience(TIMEOUT)
        .run()
}

/// The tree of the machine that guests get.
pub(super) fn dump(path: &Path, controller: u32, processors: u32) -> Result<()> {
    let output = Command::new(setup::ensure_qemu(ARM)?)
        .args(["-nodefaults", "-display", "none", "-cpu", "cortex-a57"])
        .args(["-m", "512M", "-smp", &processors.to_string(), "-M"])
        .arg(format!(
            "virt,gic-version={controller},dumpdtb={}",
            path.display()
        ))
        .output()
        .context("asking QEMU for its device tree")?;
    ensure!(
        path.is_file(),
        "no device tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Puts other bytes in the place of some, wherever they are.
pub(super) fn replace(tree: &mut [u8], from: &[u8], to: &[u8]) -> Result<()> {
    ensure!(from.len() == to.len(), "bytes are replaced by as many");
    let places: Vec<usize> = tree
        .windows(from.len())
        .enumerate()
        .filter_map(|(at, window)| (window == from).then_some(at))
        .collect();
    ensure!(!places.is_empty(), "{} is not there", from.escape_ascii());
    for at in places {
        tree[at..at + to.len()].copy_from_slice(to);
    }
    Ok(())
}

/// Fields of a tree's header.
const TOTAL: usize = 4;
const STRUCTURE: usize = 8;
const STRINGS: usize = 12;
const RESERVATIONS: usize = 16;
const STRINGS_LEN: usize = 32;
const STRUCTURE_LEN: usize = 36;

fn field(tree: &[u8], at: usize) -> Result<u32> {
    let word = tree.get(at..).and_then(<[u8]>::first_chunk);
    Ok(u32::from_be_bytes(*word.context("a header")?))
}

/// The number that a property's name has: its place among the strings.
fn name_of(tree: &[u8], name: &[u8]) -> Result<u32> {
    let strings = &tree[field(tree, STRINGS)? as usize..];
    let mut names = strings.split(|byte| *byte == 0);
    let mut at = 0;
    let found = names.find(|other| {
        let is_it = *other == name;
        at += if is_it { 0 } else { other.len() + 1 };
        is_it
    });
    ensure!(
        found.is_some(),
        "no property is called {}",
        name.escape_ascii()
    );
    Ok(u32::try_from(at)?)
}

/// Cuts off the unused rest: QEMU makes room of its own, twice as much as the
/// tree has, and would pass on one that is too long.
fn cut(tree: &mut Vec<u8>) -> Result<()> {
    let structure = field(tree, STRUCTURE)? + field(tree, STRUCTURE_LEN)?;
    let strings = field(tree, STRINGS)? + field(tree, STRINGS_LEN)?;
    let end = structure.max(strings);
    tree.truncate(end as usize);
    tree[TOTAL..TOTAL + 4].copy_from_slice(&end.to_be_bytes());
    Ok(())
}

/// Puts an entry into the block of reservations, and moves what is behind it.
fn reserve(tree: &mut Vec<u8>, start: u64, len: u64) -> Result<()> {
    let at = field(tree, RESERVATIONS)? as usize;
    let entry = [start.to_be_bytes(), len.to_be_bytes()].concat();
    let added = entry.len() as u32;
    tree.splice(at..at, entry);
    for place in [TOTAL, STRUCTURE, STRINGS] {
        let moved = field(tree, place)? + added;
        tree[place..place + 4].copy_from_slice(&moved.to_be_bytes());
    }
    Ok(())
}

/// A tree with room for more than any needs: QEMU doubles it.
fn large() -> Result<()> {
    let outcome = boot(shell_on(ARM, "echo up; exit 3")?, &[Room(3 << 20)])?;
    check_output(&outcome, 3, "up\n")
}

fn no_clock() -> Result<()> {
    let script = "ls /dev/rtc0 2>/dev/null; date +%Y; hwclock 2>/dev/null; echo $?";
    for change in [
        Bytes(b"arm,pl031\0", b"arm,pl099\0"),
        // A place that is memory, and one that is nowhere.
        Bytes(
            b"\0\0\0\0\x09\x01\0\0\0\0\0\0\0\0\x10\0",
            b"\0\0\0\0\x48\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        Bytes(
            b"\0\0\0\0\x09\x01\0\0\0\0\0\0\0\0\x10\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
    ] {
        let outcome = boot(shell_on(ARM, script)?, &[change])?;
        check_output(&outcome, 0, "1970\n1\n")?;
        super::rtc::told_of_none(&outcome)?;
    }
    Ok(())
}

fn no_archive() -> Result<()> {
    let outcome = guest_on(ARM)?.program("/bin/sh").run()?;
    told(&outcome, &outcome.log, "no initial archive")
}

/// The kernel's log, or the console where there is none yet, says this, and
/// the machine ends.
fn told(outcome: &Outcome, place: &str, what: &str) -> Result<()> {
    ensure!(
        outcome.status.is_none() && place.contains(what),
        "it does not say: {what}\n{}",
        describe(outcome)
    );
    Ok(())
}

fn no_controller() -> Result<()> {
    for change in [
        Bytes(b"arm,cortex-a15-gic\0", b"arm,cortex-a99-gic\0"),
        // A distributor in the middle of memory.
        Bytes(
            b"\0\0\0\0\x08\0\0\0\0\0\0\0\0\x01\0\0",
            b"\0\0\0\0\x48\0\0\0\0\0\0\0\0\x01\0\0",
        ),
    ] {
        let outcome = boot(shell_on(ARM, "echo hello")?, &[change])?;
        ended_on(ARM, &outcome, QemuExit::Panicked)?;
        told(&outcome, &outcome.log, "names no interrupt controller")?;
    }
    Ok(())
}

/// The kernel numbers processors as the tree does; the interrupt controller
/// does not, and each is woken all the same.
fn another_order() -> Result<()> {
    let swapped = [Processor(1, 9), Processor(3, 1), Processor(9, 3)];
    for controller in [2, 3] {
        for property in ["processors", "wake-from-idle"] {
            let guest = Guest::with_kernel(test_kernel(ARM)?)
                .machine(Machine::Virt)
                .words(format!("ochre.boottest={property}"));
            let outcome = boot_with(guest, controller, 4, &swapped)?;
            let said = format!("boottest {property}: ok (4 processors)");
            ensure!(
                outcome.log.contains(&said),
                "GICv{controller}: {}",
                describe(&outcome)
            );
        }
    }
    Ok(())
}

/// Of four processors three have a part of the interrupt controller.
fn without_interrupts() -> Result<()> {
    let region = |bytes: u32| [0, 0x080a_0000, 0, bytes].map(u32::to_be_bytes).concat();
    let (from, to) = (region(0x00f6_0000), region(3 * 0x2_0000));
    let change = Bytes(from.leak(), to.leak());
    let outcome = boot_with(shell_on(ARM, "nproc; exit 3")?, 3, 4, &[change])?;
    check_output(&outcome, 3, "3\n")?;
    let said = "the processor 0x3 is not like the first";
    ensure!(outcome.log.contains(said), "{}", describe(&outcome));
    Ok(())
}

/// What is wrong before the kernel knows its memory is told on the console.
fn no_memory() -> Result<()> {
    let guest = || shell_on(ARM, "echo hello");
    let console = |outcome: &Outcome, what| {
        ended_on(ARM, outcome, QemuExit::PoweredOff)?;
        told(outcome, &String::from_utf8_lossy(&outcome.stdout), what)
    };
    let outcome = boot(guest()?, &[Reserve(0, u64::MAX)])?;
    console(&outcome, "its device tree leaves no memory")?;
    // A page is left.
    let outcome = boot(
        guest()?,
        &[Reserve(0, 0x4fff_f000), Reserve(0x5000_0000, u64::MAX)],
    )?;
    console(&outcome, "too little memory for the kernel's own tables")
}

fn no_serial() -> Result<()> {
    let change = Bytes(b"arm,pl011\0", b"arm,pl098\0");
    let outcome = boot(shell_on(ARM, "echo hello")?, &[change])?;
    told(&outcome, &outcome.log, "cannot start: ")
}
