//! AArch64 machines that are not QEMU's `virt`, and say in their device trees
//! what they are instead: the same kernel, by the same code.
//!
//! They have no place for the host tool's card, so the log is on the serial
//! port, between what programs write, and nobody is told the status.

use core::time::Duration;
use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use ochre_tests::{Arch, Case, busybox_root, kernel, prefix, setup};

use crate::trees;

const ARM: Arch = Arch::Aarch64;

/// How long one of them may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A development board: memory from 0 on and, where there is more than two
/// gigabytes, in another bank far above; firmware by the secure monitor's call;
/// two processors, serial ports, places for virtio devices with interrupts
/// above a hundred, a clock that nobody here knows.
const VERSAL: &str = "xlnx-versal-virt";

pub(super) fn cases() -> impl Iterator<Item = Case> {
    [(1, "256M"), (2, "4G")]
        .into_iter()
        .map(|(processors, memory)| {
            let name = format!("{}{VERSAL} on {processors}", prefix(ARM));
            Case::new(name, move || versal(processors, memory))
        })
}

/// A shell is typed at, and a keyboard's interrupt is to be had.
fn versal(processors: u32, memory: &str) -> Result<()> {
    const SCRIPT: &str = "read word; echo got $word; nproc; date +%Y; \
        read -r _ total _ </proc/meminfo; echo $((total / 1048576)) GiB; \
        for i in 1 2 3 4; do sleep 0.01 & done; wait; exit 3";
    let dir = tempfile::tempdir()?;
    let mut machine = Command::new(setup::ensure_qemu(ARM)?);
    machine
        .args(["-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-M", VERSAL, "-m", memory, "-serial", "stdio"])
        .args(["-global", "virtio-mmio.force-legacy=false"])
        .args(["-device", "virtio-keyboard-device"]);
    if processors == 1 {
        // There are always two: one is none.
        let tree = dir.path().join("tree");
        dump(memory, &tree)?;
        let mut bytes = fs::read(&tree)?;
        trees::replace(&mut bytes, b"cpu@1\0", b"off@1\0")?;
        fs::write(&tree, bytes)?;
        machine.arg("-dtb").arg(tree);
    }
    let output = run(machine, SCRIPT, "one\n")?;
    let gigabytes = if memory == "4G" { 3 } else { 0 };
    let said = format!("\ngot one\n{processors}\n1970\n{gigabytes} GiB\n");
    ensure!(output.contains(&said), "it does not say: {said}\n{output}");
    for (what, is_said) in [
        ("process 1 exited with 3: power off", true),
        ("keyboard: scan codes of", true),
        ("is not to be had", false),
        ("does not start", false),
        ("kernel ", false),
    ] {
        ensure!(output.contains(what) == is_said, "{what}?\n{output}");
    }
    Ok(())
}

/// The tree of the machine.
fn dump(memory: &str, path: &Path) -> Result<()> {
    let output = Command::new(setup::ensure_qemu(ARM)?)
        .args(["-nodefaults", "-display", "none", "-m", memory, "-M"])
        .arg(format!("{VERSAL},dumpdtb={}", path.display()))
        .output()
        .context("asking QEMU for its device tree")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(path.is_file(), "no device tree: {said}");
    Ok(())
}

/// What a machine writes until it ends: a shell runs the script, and somebody
/// has typed already.
fn run(mut machine: Command, script: &str, typed: &str) -> Result<String> {
    let escaped: String = script.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let words = "ochre.log=1 init=/bin/sh ochre.arg=sh ochre.arg=-c ochre.env=PATH=/bin";
    machine
        .arg("-kernel")
        .arg(kernel(ARM)?.with_extension("img"))
        .arg("-initrd")
        .arg(busybox_root(ARM)?)
        .arg("-append")
        .arg(format!("{words} ochre.arg={escaped}"));
    until_end(machine, typed)
}

/// What a machine writes on its standard output until it ends, which it has to
/// do in order, without carriage returns; somebody has typed already.
pub(super) fn until_end(mut machine: Command, typed: &str) -> Result<String> {
    let mut child = machine
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting QEMU")?;
    let mut input = child.stdin.take().context("its input")?;
    input.write_all(typed.as_bytes())?;
    let mut output = child.stdout.take().context("its output")?;
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        // Ends when the machine does: what it wrote until then is all there is.
        while let Ok(count @ 1..) = output.read(&mut part) {
            all.extend_from_slice(&part[..count]);
        }
        let _ = sender.send(());
        all
    });
    let has_ended = receiver.recv_timeout(TIMEOUT).is_ok();
    if !has_ended {
        child.kill()?;
    }
    let status = child.wait()?;
    let all = reader.join().expect("a reader does not panic");
    let text = String::from_utf8_lossy(&all).replace('\r', "");
    if !has_ended || !status.success() {
        bail!("it did not end as it should ({status})\n{text}");
    }
    Ok(text)
}
