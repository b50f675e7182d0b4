//! A machine that waits for a debugger (`ochre debug`): it has not begun when
//! one comes, shows its registers, and goes on when it is told to.

use anyhow::{Result, ensure};
use ochre_tests::{Arch, Case, architectures, check_output, prefix, shell_on};
use ochre_tool::remote::Remote;

pub(super) fn cases() -> Vec<Case> {
    let case = |arch| {
        let name = format!("{}a debugger holds the machine", prefix(arch));
        Case::new(name, move || held(arch))
    };
    architectures().map(case).collect()
}

/// Hexadecimal digits of a machine's general registers, program counter and all.
fn digits(arch: Arch) -> usize {
    match arch {
        Arch::X86_64 => 17 * 16,
        Arch::Aarch64 => 33 * 16,
    }
}

fn held(arch: Arch) -> Result<()> {
    let dir = ochre_tool::qemu::run_dir()?;
    let socket = dir.path().join("gdb");
    let running = shell_on(arch, "echo on; exit 5")?
        .debugger(&socket)
        .start()?;
    let mut gdb = Remote::connect(&socket)?;
    let stopped = gdb.ask("?")?;
    ensure!(
        stopped.starts_with("T05") || stopped.starts_with("S05"),
        "not stopped: {stopped}"
    );
    // A processor that executed nothing of ours is where it is after reset.
    let registers = gdb.ask("g")?;
    ensure!(
        registers.len() >= digits(arch) && registers.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "no registers: {registers}"
    );
    gdb.send("D")?;
    let outcome = running.wait()?;
    check_output(&outcome, 5, "on\n")
}
