//! The groups about terminals: on a pseudo-terminal here, on the console there
//! (on either machine: what is asked is none of the machine's).
//!
//! The program asks for keys with lines like `type "ab\x03"`; they are typed
//! when the line is there, on both sides in the same way, so what is echoed
//! and when is compared too. Every byte of the output counts: control
//! characters are shown as escapes.

use core::time::Duration;
use std::{
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use ochre_tests::{Arch, Running, guest_on, once, rootfs};
use ochre_tool::{bridge::Capture, user_build};
use rustix::{
    pty::{self, OpenptFlags},
    termios::{self, Winsize},
};

use crate::{Outputs, TIMEOUT, groups, program_archive};

/// How long the program may take for a line.
const PATIENCE: Duration = Duration::from_secs(80);

/// The window on both sides: rows and columns.
const WINDOW: (u16, u16) = (24, 80);

/// What the names of these groups begin with.
const PREFIX: &str = "tty";

/// Whether a group is one of these.
pub(crate) fn is_about(group: &str) -> bool {
    group.starts_with(PREFIX)
}

/// The arguments of `abi-test`.
fn arguments() -> impl Iterator<Item = &'static str> {
    let names = groups()
        .map(|group| group.name)
        .filter(|name| is_about(name));
    core::iter::once("terminal").chain(names)
}

/// What the host prints.
pub(crate) fn linux() -> Result<Outputs> {
    static OUTPUTS: OnceLock<core::result::Result<Outputs, String>> = OnceLock::new();
    once(&OUTPUTS, || talk(&mut Pty::start()?))
}

/// What Ochre prints.
pub(crate) fn ochre(arch: Arch) -> Result<Outputs> {
    static OUTPUTS: [OnceLock<core::result::Result<Outputs, String>>; 2] =
        [OnceLock::new(), OnceLock::new()];
    once(&OUTPUTS[arch as usize], || {
        let mut running = guest_on(arch)?
            .audited()
            .archive(program_archive(arch)?)
            .program("/bin/abi-test")
            .args(arguments())
            .console(WINDOW.0, WINDOW.1)
            .stdin_later()
            .patience(TIMEOUT)
            .start()?;
        let outputs = talk(&mut running)?;
        let outcome = running.wait()?;
        ensure!(
            outcome.status == Some(0),
            "{}",
            ochre_tests::describe(&outcome)
        );
        Ok(outputs)
    })
}

/// A terminal that somebody sits at.
trait Screen {
    /// The next line, with its end.
    fn line(&mut self) -> Result<Vec<u8>>;
    fn send(&mut self, keys: &[u8]) -> Result<()>;
}

impl Screen for Running {
    fn line(&mut self) -> Result<Vec<u8>> {
        self.expect("\n", PATIENCE)
    }

    fn send(&mut self, keys: &[u8]) -> Result<()> {
        Ok(Running::send(self, keys)?)
    }
}

/// Reads to the end, types what is asked for, and sorts the lines by groups.
/// A side that falls silent has what it said until then.
fn talk(screen: &mut impl Screen) -> Result<Outputs> {
    let mut outputs = Outputs::new();
    let mut current = None;
    loop {
        let line = match screen.line() {
            Ok(line) => line,
            Err(error) if current.is_some() => {
                eprintln!("the groups about the terminal: {error:#}");
                return Ok(outputs);
            }
            Err(error) => return Err(error),
        };
        let shown = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        let text = shown.trim_end_matches('\r');
        if text == "== end" {
            return Ok(outputs);
        }
        if let Some(name) = text.strip_prefix("== ") {
            outputs.insert(name.to_owned(), String::new());
            current = Some(name.to_owned());
            continue;
        }
        let group = current.as_ref().and_then(|name| outputs.get_mut(name));
        let Some(group) = group else { continue };
        group.push_str(&shown.escape_debug().to_string());
        group.push('\n');
        if let Some(keys) = text.strip_prefix("type ") {
            screen.send(&unescape(keys)?)?;
        }
    }
}

/// The bytes of a quoted text with `\n`, `\r`, `\t`, `\'`, `\"`, `\\` and
/// `\xff`.
fn unescape(quoted: &str) -> Result<Vec<u8>> {
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .with_context(|| format!("not quoted: {quoted}"))?;
    let mut bytes = Vec::new();
    let mut characters = inner.bytes();
    while let Some(byte) = characters.next() {
        bytes.push(match byte {
            b'\\' => match characters.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits =
                        [characters.next(), characters.next()].map(|digit| digit.unwrap_or(0));
                    u8::from_str_radix(core::str::from_utf8(&digits)?, 16)?
                }
                Some(other) => other,
                None => return Err(anyhow!("ends in the middle: {quoted}")),
            },
            byte => byte,
        });
    }
    Ok(bytes)
}

/// The program on a pseudo-terminal of the host.
struct Pty {
    controller: std::fs::File,
    screen: Capture,
    child: Child,
}

impl Pty {
    fn start() -> Result<Self> {
        let controller = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        pty::grantpt(&controller)?;
        pty::unlockpt(&controller)?;
        let line: OwnedFd =
            pty::ioctl_tiocgptpeer(&controller, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        let (ws_row, ws_col) = WINDOW;
        termios::tcsetwinsize(
            &controller,
            Winsize {
                ws_row,
                ws_col,
                ws_xpixel: 0,
                ws_ypixel: 0,
            },
        )?;
        let child = Command::new(user_build::build("abi-test")?)
            .args(arguments())
            .stdin(Stdio::from(line.try_clone()?))
            .stdout(Stdio::from(line))
            .stderr(Stdio::inherit())
            .env_clear()
            .env("PATH", rootfs::GUEST_PATH)
            .spawn()
            .context("running abi-test on the host")?;
        let controller = std::fs::File::from(controller);
        let screen = Capture::default();
        let (mut shown, mut sink) = (controller.try_clone()?, screen.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It ends with an error when nobody has the other side open.
            while let Ok(len @ 1..) = shown.read(&mut buffer) {
                let _ = sink.write_all(&buffer[..len]);
            }
        });
        Ok(Self {
            controller,
            screen,
            child,
        })
    }
}

impl Screen for Pty {
    fn line(&mut self) -> Result<Vec<u8>> {
        let end = |shown: &[u8]| shown.iter().position(|&byte| byte == b'\n');
        let started = Instant::now();
        let more = || PATIENCE.checked_sub(started.elapsed());
        match self.screen.wait_for(more, end) {
            Some(at) => Ok(self.screen.take_first(at + 1)),
            None => Err(anyhow!(
                "abi-test fell silent on the host after {:?}",
                String::from_utf8_lossy(&self.screen.take())
            )),
        }
    }

    fn send(&mut self, keys: &[u8]) -> Result<()> {
        Ok(self.controller.write_all(keys)?)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It has ended, or hangs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
