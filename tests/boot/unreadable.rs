//! AArch64 machines with trees that cannot be read at all.
//!
//! The kernel knows no console then, and writes nowhere by guess: that the
//! machine ends, by firmware that is found by guess, is all that its host is
//! told. QEMU hands over no such tree, so a few instructions of ours are the
//! loader: they have the tree's address and jump to the image.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Arch, Case, End, Outcome, QemuExit, describe, kernel, prefix, setup, shell_on};

use crate::{
    boards::until_end,
    trees::{self, Change},
};

const ARM: Arch = Arch::Aarch64;

/// A machine, and where its memory begins.
struct Machine {
    name: &'static str,
    memory: u64,
}

/// With the firmware above each level, called in each way.
const MACHINES: [Machine; 3] = [
    // EL1, with a hypervisor.
    Machine {
        name: "virt",
        memory: 0x4000_0000,
    },
    // EL2, with a secure monitor.
    Machine {
        name: "virt,virtualization=on",
        memory: 0x4000_0000,
    },
    // EL1, with a secure monitor: the hypervisor's call is no instruction there.
    Machine {
        name: "xlnx-zcu102",
        memory: 0,
    },
];

/// The end of the gigabyte that `memory` begins with, which all of them have.
const GIGABYTE: u64 = 1 << 30;

/// Where the image is in memory, and where the loader and its tree.
const IMAGE: u64 = 2 << 20;
const LOADER: u64 = 128 << 20;
const TREE: u64 = 129 << 20;

pub(super) fn cases() -> impl Iterator<Item = Case> {
    let machines = MACHINES.iter().map(|machine| {
        let name = format!(
            "{}trees that cannot be read on {}",
            prefix(ARM),
            machine.name
        );
        Case::new(name, || each(machine))
    });
    let readable = Case::new(format!("{}a tree of another loader", prefix(ARM)), readable);
    let large = Case::new(
        format!("{}a tree that is too large", prefix(ARM)),
        too_large,
    );
    machines.chain([readable, large])
}

/// Every tree that cannot be read ends a machine, in silence.
fn each(machine: &Machine) -> Result<()> {
    let header = |magic: u32, total: u32, version: u32| {
        let words = [magic, total, 56, 56, 40, version, version, 0, 0, 0];
        words.map(u32::to_be_bytes).concat()
    };
    let end = GIGABYTE - 16;
    for (what, address, bytes) in [
        ("nothing", None, vec![]),
        ("no magic number", Some(TREE), vec![0xa5; 4096]),
        (
            "a header that is cut",
            Some(end),
            header(MAGIC, 4096, 17)[..16].to_vec(),
        ),
        (
            "a tree that is cut",
            Some(GIGABYTE - 64),
            header(MAGIC, 4096, 17),
        ),
        ("65 MiB", Some(TREE), header(MAGIC, 65 << 20, 17)),
        ("less than a header", Some(TREE), header(MAGIC, 39, 17)),
        ("a later layout", Some(TREE), header(MAGIC, 4096, 18)),
        ("an address beyond all memory", Some(u64::MAX / 2), vec![]),
    ] {
        let said = load(machine, address, &bytes).with_context(|| what)?;
        ensure!(said.is_empty(), "{what}: it says something\n{said}");
    }
    Ok(())
}

/// The magic number of trees.
const MAGIC: u32 = 0xd00d_feed;

/// The control: this loader hands over a tree that is right, and the kernel has
/// something to say.
fn readable() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("tree");
    trees::dump(&path, 2, 1)?;
    let said = load(&MACHINES[0], Some(TREE), &fs::read(path)?)?;
    ensure!(said.contains("no initial archive"), "it says: {said}");
    Ok(())
}

/// What a machine says until its end whose kernel is handed these bytes as its
/// tree, at an address counted from where memory begins; at 0 for none.
fn load(machine: &Machine, tree: Option<u64>, bytes: &[u8]) -> Result<String> {
    let address = tree.map_or(0, |address| machine.memory + address);
    let image = machine.memory + IMAGE;
    let dir = tempfile::tempdir()?;
    let mut qemu = Command::new(setup::ensure_qemu(ARM)?);
    qemu.args(["-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-M", machine.name, "-smp", "1", "-m", "1G"])
        .args(["-serial", "stdio"])
        // A board has a loudspeaker.
        .env("QEMU_AUDIO_DRV", "none");
    if machine.name.starts_with("virt") {
        qemu.args(["-cpu", "cortex-a57"]);
    }
    let mut place = |path: &Path, at: u64, more: &str| {
        let path = path.display();
        qemu.arg("-device").arg(format!(
            "loader,file={path},addr={at:#x},force-raw=on{more}"
        ));
    };
    place(&kernel(ARM)?.with_extension("img"), image, "");
    let loader = dir.path().join("loader");
    fs::write(&loader, instructions(address, image))?;
    place(&loader, machine.memory + LOADER, ",cpu-num=0");
    if !bytes.is_empty() {
        let path = dir.path().join("tree");
        fs::write(&path, bytes)?;
        place(&path, address, "");
    }
    until_end(qemu, "")
}

/// The tree's address to `x0`, and to the image.
fn instructions(tree: u64, image: u64) -> Vec<u8> {
    const LOAD_X0: u32 = 0x5800_0080;
    const LOAD_X1: u32 = 0x5800_00a1;
    const GO_TO_X1: u32 = 0xd61f_0020;
    const NOTHING: u32 = 0xd503_201f;
    let code = [LOAD_X0, LOAD_X1, GO_TO_X1, NOTHING].map(u32::to_le_bytes);
    [code.concat(), [tree, image].map(u64::to_le_bytes).concat()].concat()
}

/// QEMU itself hands over one that is larger than is believed: it doubles it.
fn too_large() -> Result<()> {
    let outcome = trees::boot(shell_on(ARM, "echo hello")?, &[Change::Room(33 << 20)])?;
    ended_without_a_word(&outcome)
}

fn ended_without_a_word(outcome: &Outcome) -> Result<()> {
    let is_silent = outcome.log.is_empty() && outcome.stdout.is_empty();
    ensure!(
        outcome.end == End::Qemu(QemuExit::PoweredOff) && outcome.status.is_none() && is_silent,
        "it does not end without a word\n{}",
        describe(outcome)
    );
    Ok(())
}
