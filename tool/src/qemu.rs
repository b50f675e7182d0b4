//! One QEMU process and the sockets that its devices are plugged into.
//!
//! The sockets are ours and QEMU connects to them while it starts, in the
//! order of its arguments. The process never outlives its owner: dropping
//! [`Emulator`] kills it, and where the host has `setpriv` the host's kernel
//! kills it when we die without a drop.

use core::time::Duration;
use std::{
    ffi::OsStr,
    fs,
    io::Read as _,
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec};
use tempfile::TempDir;

use crate::{
    host,
    machine::{Hardware, Machine, Wiring},
    setup,
    status::{self, QemuExit},
};

/// How often a QEMU that does not connect is asked whether it is still there.
const ACCEPT_POLL: Duration = Duration::from_millis(20);

/// A running QEMU.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    machine: Machine,
    dir: TempDir,
}

/// Our ends of a QEMU's devices.
#[derive(Debug)]
pub struct Sockets {
    /// The first serial line.
    pub com1: UnixStream,
    /// The second serial line.
    pub com2: Option<UnixStream>,
    /// The kernel's log.
    pub log: UnixStream,
    /// The control line.
    pub control: Option<UnixStream>,
    /// What QEMU itself has to say.
    pub errors: ChildStderr,
}

/// What to start.
#[derive(Debug)]
pub struct Start<'a> {
    /// The hardware.
    pub hardware: Hardware,
    /// The kernel.
    pub kernel: &'a Path,
    /// The initial file system.
    pub initrd: Option<&'a Path>,
    /// The device tree, in place of the machine's own (AArch64).
    pub device_tree: Option<&'a Path>,
    /// The kernel's command line.
    pub command_line: &'a str,
    /// Whether there is a second serial line.
    pub second_serial: bool,
    /// Whether there is a control line.
    pub control: bool,
    /// The socket at which a debugger is waited for, if one is.
    pub debugger: Option<&'a Path>,
    /// A plugin of QEMU's, with its arguments.
    pub plugin: Option<&'a OsStr>,
    /// Whether keys like Ctrl-C are kept from QEMU, because we see to its end
    /// when they come.
    pub own_group: bool,
    /// A folder for the sockets, made by [`run_dir`]; removed in the end with
    /// all that is in it.
    pub dir: TempDir,
}

/// A folder of a short name: the path of a socket has about a hundred bytes.
///
/// # Errors
/// If it cannot be made.
pub fn run_dir() -> Result<TempDir> {
    let made = tempfile::Builder::new().prefix("ochre-").tempdir();
    made.context("making a folder for the machine's sockets")
}

impl Emulator {
    /// Starts QEMU and waits until it has connected all its devices, which it
    /// does before the guest's first instruction.
    ///
    /// # Errors
    /// If QEMU is missing or ends at once; its message is in the error.
    pub fn start(start: Start<'_>) -> Result<(Self, Sockets)> {
        let qemu = setup::ensure_qemu(start.hardware.machine.arch())?;
        let dir = start.dir;
        let listen = |name: &str| -> Result<(PathBuf, UnixListener)> {
            let path = dir.path().join(name);
            let listener = UnixListener::bind(&path)
                .with_context(|| format!("making the socket {}", path.display()))?;
            listener.set_nonblocking(true)?;
            Ok((path, listener))
        };
        let (com1_path, com1) = listen("com1")?;
        let com2 = start.second_serial.then(|| listen("com2")).transpose()?;
        let (log_path, log) = listen("log")?;
        let control = start.control.then(|| listen("control")).transpose()?;
        let arguments = start.hardware.arguments(&Wiring {
            kernel: start.kernel,
            initrd: start.initrd,
            device_tree: start.device_tree,
            command_line: start.command_line,
            com1: &com1_path,
            com2: com2.as_ref().map(|(path, _)| path.as_path()),
            log: &log_path,
            status: &dir.path().join("status"),
            debugger: start.debugger,
            control: control.as_ref().map(|(path, _)| path.as_path()),
        });
        let mut command = command(&qemu);
        if start.own_group {
            command.process_group(0);
        }
        if let Some(plugin) = start.plugin {
            command.arg("-plugin").arg(plugin);
        }
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", qemu.display()))?;
        let errors = child.stderr.take().context("QEMU without errors")?;
        // From here on dropping kills the process.
        let mut emulator = Self {
            child,
            machine: start.hardware.machine,
            dir,
        };
        let mut errors = Some(errors);
        let mut accept = |listener: &UnixListener| emulator.accept(listener, &mut errors);
        let sockets = (
            accept(&com1)?,
            com2.as_ref()
                .map(|(_, listener)| accept(listener))
                .transpose()?,
            accept(&log)?,
            control
                .as_ref()
                .map(|(_, listener)| accept(listener))
                .transpose()?,
        );
        let errors = errors.context("QEMU's errors were read already")?;
        Ok((
            emulator,
            Sockets {
                com1: sockets.0,
                com2: sockets.1,
                log: sockets.2,
                control: sockets.3,
                errors,
            },
        ))
    }

    fn accept(
        &mut self,
        listener: &UnixListener,
        errors: &mut Option<ChildStderr>,
    ) -> Result<UnixStream> {
        loop {
            let wait = Timespec::try_from(ACCEPT_POLL)?;
            let ready =
                rustix::event::poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&wait));
            match ready {
                Ok(0) => {}
                Ok(_) => {
                    let (stream, _) = listener.accept().context("waiting for QEMU")?;
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => bail!("waiting for QEMU: {error}"),
            }
            if let Some(status) = self.child.try_wait()? {
                let mut text = String::new();
                if let Some(mut errors) = errors.take() {
                    let _ = errors.read_to_string(&mut text);
                }
                bail!("QEMU did not start ({status}):\n{}", text.trim_end());
            }
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The kind of machine that it is.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// How long the one of its threads that waited longest was ready to run
    /// and waited for a processor; nothing if the host does not tell.
    pub fn waited(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id()));
        let waited = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            waited(&text)
        };
        let all = tasks.into_iter().flatten().flatten().filter_map(waited);
        all.max().unwrap_or_default()
    }

    /// Its folder, for files that nobody needs afterwards.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends the process, whatever it is at.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
    }

    /// Waits for the end and gives it with the status of process 1.
    ///
    /// # Errors
    /// If waiting fails.
    pub fn wait(mut self) -> Result<(QemuExit, Option<u8>)> {
        let exit = QemuExit::from(self.child.wait().context("waiting for QEMU")?);
        let bytes = fs::read(self.dir.path().join("status")).unwrap_or_default();
        Ok((exit, status::decode(&bytes, exit)))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
        // Reaps it; after a kill this is a matter of moments.
        let _ = self.child.wait();
    }
}

/// The second word of a task's `schedstat`: nanoseconds for which it was ready
/// and did not run (the kernel's Documentation/scheduler/sched-stats).
fn waited(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// QEMU as a command that dies with the thread that starts it.
fn command(qemu: &Path) -> Command {
    match host::find_command("setpriv") {
        Some(setpriv) if cfg!(target_os = "linux") => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(qemu);
            command
        }
        _ => Command::new(qemu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_the_second_word() {
        let told = "1523000 2048000001 17\n";
        assert_eq!(waited(told), Some(Duration::from_nanos(2_048_000_001)));
        assert_eq!(waited("0 x 1"), None);
        assert_eq!(waited(""), None);
    }
}
