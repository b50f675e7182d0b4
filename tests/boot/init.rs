//! Process 1 as the `init` of a system: busybox's, on the console.
//!
//! It is spared signals it did not ask for, its machine ends when it says so
//! (`reboot(2)`), and if it ends all the same, that is an error that is said.

use core::time::Duration;

use anyhow::{Result, ensure};
use ochre_tests::{
    Arch, Case, End, Guest, QemuExit, Running, archive, check_output, describe, guest_on, name_on,
    prefix, shell_tree,
};

/// How long the console may take to show something.
const PATIENCE: Duration = Duration::from_secs(80);

const INITTAB: &str = "\
::sysinit:/bin/echo init is up
::respawn:-/bin/sh
::shutdown:/bin/echo init goes down
";

/// What the shell asks for a command with.
const PROMPT: &str = "# ";

pub(super) fn cases(arch: Arch) -> Vec<Case> {
    let case = |name: &str, check: fn(Arch) -> Result<()>| {
        Case::new(format!("{}{name}", prefix(arch)), move || check(arch))
    };
    vec![
        case("init runs a system", a_system),
        case("init shuts a system down", a_shutdown),
        case("a restart resets the machine", a_restart),
        case("init that dies is told", |arch| {
            for (script, status) in [("exit 0", 1), ("exit 5", 5)] {
                dying(arch, script, status)?;
            }
            Ok(())
        }),
    ]
}

/// A system with this first program.
fn system(arch: Arch) -> Result<Guest> {
    let root = archive(&name_on(arch, "init"), || {
        let mut tree = shell_tree(arch)?;
        tree.file("/etc/inittab", 0o644, INITTAB)?;
        Ok(tree)
    })?;
    Ok(guest_on(arch)?.archive(root).protect_init())
}

fn start(arch: Arch) -> Result<Running> {
    let mut console = system(arch)?
        .program("/sbin/init")
        .console(24, 80)
        .stdin_later()
        .start()?;
    console.expect("init is up", PATIENCE)?;
    console.expect(PROMPT, PATIENCE)?;
    Ok(console)
}

/// Types a command. Its echo must not look like its answer.
fn command(console: &mut Running, command: &str, answer: &str) -> Result<()> {
    console.send(format!("{command}\r"))?;
    console.expect(answer, PATIENCE)?;
    console.expect(PROMPT, PATIENCE)?;
    Ok(())
}

fn a_system(arch: Arch) -> Result<()> {
    let mut console = start(arch)?;
    command(&mut console, "echo $((6 * 7)) by $PPID", "42 by 1")?;
    // Nobody ends init by a signal.
    command(
        &mut console,
        "kill -9 1; kill -SEGV 1; echo st\"\"ill here",
        "still here",
    )?;
    // The shell leads its session: Ctrl-C is for what it runs.
    console.send("sh -c 'echo st\"\"arted; sleep 1000'\r")?;
    console.expect("started", PATIENCE)?;
    console.send("\x03")?;
    console.expect(PROMPT, PATIENCE)?;
    // An orphan is init's to bury.
    command(
        &mut console,
        "sh -c 'sleep 0.1 & exit'; sleep 0.3; ps | grep -c '[s]leep'; echo bur\"\"ied",
        "0\r\nburied",
    )?;
    // Another shell comes for one that ends.
    command(&mut console, "OLD=yes; exit", "exit")?;
    command(&mut console, "echo old: ${OLD:-no}.", "old: no.")?;
    console.send("poweroff -f\r")?;
    let outcome = console.wait()?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    Ok(())
}

fn a_shutdown(arch: Arch) -> Result<()> {
    let mut console = start(arch)?;
    console.send("poweroff\r")?;
    console.expect("init goes down", PATIENCE)?;
    let outcome = console.wait()?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    Ok(())
}

/// A restart is the machine's own reset, which is no power off: QEMU tells them
/// apart, and, told not to start again, ends at either.
fn a_restart(arch: Arch) -> Result<()> {
    for command in ["reboot -f", "reboot"] {
        let mut console = system(arch)?
            .program("/sbin/init")
            .console(24, 80)
            .stdin_later()
            .controlled()
            .start()?;
        console.expect("init is up", PATIENCE)?;
        console.expect(PROMPT, PATIENCE)?;
        console.send(format!("{command}\r"))?;
        let told = console.control()?.end_reason(PATIENCE)?;
        let outcome = console.wait()?;
        ensure!(
            told == "guest-reset"
                && outcome.status.is_none()
                && matches!(outcome.end, End::Qemu(QemuExit::PoweredOff))
                && outcome.log.contains("restart"),
            "{command}: QEMU says {told}\n{}",
            describe(&outcome)
        );
    }
    Ok(())
}

/// The machine must end with `status` and say why.
fn dying(arch: Arch, script: &str, status: u8) -> Result<()> {
    let outcome = system(arch)?
        .program("/bin/sh")
        .args(["-c", &format!("echo hello; {script}")])
        .run()?;
    check_output(&outcome, status, "hello\n")?;
    ensure!(
        outcome.log.contains("init is gone"),
        "nothing is said\n{}",
        describe(&outcome)
    );
    let console = system(arch)?
        .program("/bin/sh")
        .args(["-c", script])
        .console(24, 80)
        .run()?;
    ensure!(
        console.status == Some(status)
            && String::from_utf8_lossy(&console.stdout).contains("ochre: init is gone"),
        "nothing is said on the console\n{}",
        describe(&console)
    );
    Ok(())
}
