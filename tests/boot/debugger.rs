//! A machine that waits for a debugger (`ochre debug`): it has not begun when
//! one comes, shows its registers, and goes on when it is told to.

use anyhow::{Result, ensure};
use ochre_tests::{Case, check_output, shell};
use ochre_tool::remote::Remote;

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("a debugger holds the machine", held)]
}

fn held() -> Result<()> {
    let dir = ochre_tool::qemu::run_dir()?;
    let socket = dir.path().join("gdb");
    let running = shell("echo on; exit 5")?.debugger(&socket).start()?;
    let mut gdb = Remote::connect(&socket)?;
    let stopped = gdb.ask("?")?;
    ensure!(
        stopped.starts_with("T05") || stopped.starts_with("S05"),
        "not stopped: {stopped}"
    );
    // A processor that executed nothing of ours is where it is after reset.
    let registers = gdb.ask("g")?;
    ensure!(
        registers.len() > 17 * 16 && registers.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "no registers: {registers}"
    );
    gdb.send("D")?;
    let outcome = running.wait()?;
    check_output(&outcome, 5, "on\n")
}
