//! Running the command with pipes, or with a terminal of its own.

use core::time::Duration;
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use ochre_tool::bridge::Capture;
use rustix::{
    pty::OpenptFlags,
    termios::{Termios, Winsize},
};

/// How long a terminal may take to show something.
const PATIENCE: Duration = Duration::from_secs(80);

/// The command with these arguments.
pub(crate) fn ochre(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ochre"));
    command.args(args);
    command
}

/// What came of a command.
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Done {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Without what the tool says while it builds.
    pub(crate) fn stderr(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines = text.split_inclusive('\n');
        lines
            .filter(|line| {
                !line.starts_with("ochre: building") && !line.starts_with("ochre: fetching")
            })
            .collect()
    }
}

/// `ochre run` with these arguments and no input.
pub(crate) fn run(args: &[&str]) -> Done {
    let mut command = ochre(&["run", "--timeout", "100"]);
    command.args(args);
    run_with(command, b"")
}

/// Runs a command with this input. One at a time: guests that compete for
/// processors only get slower.
pub(crate) fn run_with(mut command: Command, input: &[u8]) -> Done {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command is built beside this test");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // A program need not read its input.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("a child can be waited for");
    writer.join().expect("the writer does not panic");
    Done {
        status: output.status.code(),
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

/// A terminal: what a person sees, and the keys.
pub(crate) struct Terminal {
    keys: File,
    line: OwnedFd,
    screen: Capture,
}

impl Terminal {
    pub(crate) fn new(rows: u16, columns: u16) -> Self {
        let controller = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)
            .expect("the host has pseudo-terminals");
        rustix::pty::grantpt(&controller).expect("the host has pseudo-terminals");
        rustix::pty::unlockpt(&controller).expect("the host has pseudo-terminals");
        let name =
            rustix::pty::ptsname(&controller, Vec::new()).expect("the host has pseudo-terminals");
        let line = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("the host has pseudo-terminals"))
            .expect("the host has pseudo-terminals");
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&controller, size).expect("the host has pseudo-terminals");
        let keys = File::from(controller);
        let mut shown = keys.try_clone().expect("the host has pseudo-terminals");
        let screen = Capture::default();
        let mut sink = screen.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len) = shown.read(&mut buffer) {
                if len == 0 || sink.write_all(&buffer[..len]).is_err() {
                    break;
                }
            }
        });
        Self {
            keys,
            line: line.into(),
            screen,
        }
    }

    /// The mode of the terminal, for comparison.
    pub(crate) fn mode(&self) -> String {
        let mode: Termios =
            rustix::termios::tcgetattr(&self.line).expect("the host has pseudo-terminals");
        format!(
            "{:?} {:?} {:?} {:?}",
            mode.input_modes, mode.output_modes, mode.control_modes, mode.local_modes
        )
    }

    pub(crate) fn start(&self, mut command: Command) -> Child {
        let end = || {
            Stdio::from(
                self.line
                    .try_clone()
                    .expect("the host has pseudo-terminals"),
            )
        };
        command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the command is built beside this test")
    }

    pub(crate) fn send(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .expect("the host has pseudo-terminals");
    }

    /// Waits until the screen has shown this since the last call.
    pub(crate) fn expect(&mut self, text: &str) {
        let started = Instant::now();
        let more = || PATIENCE.checked_sub(started.elapsed());
        let found = self.screen.wait_for(more, |shown| {
            shown
                .windows(text.len())
                .position(|window| window == text.as_bytes())
                .map(|at| at + text.len())
        });
        match found {
            Some(len) => drop(self.screen.take_first(len)),
            None => panic!(
                "{text:?} was not shown, but: {:?}",
                String::from_utf8_lossy(&self.screen.take())
            ),
        }
    }
}
