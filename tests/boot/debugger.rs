//! A machine that waits for a debugger (`ochre debug`): it has not begun when
//! one comes, shows its registers, and goes on when it is told to.

use core::time::Duration;
use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Case, check_output, shell};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("a debugger holds the machine", held)]
}

fn held() -> Result<()> {
    let dir = ochre_tool::qemu::run_dir()?;
    let socket = dir.path().join("gdb");
    let running = shell("echo on; exit 5")?.debugger(&socket).start()?;
    let mut gdb = Gdb(UnixStream::connect(&socket).context("connecting as a debugger")?);
    gdb.0.set_read_timeout(Some(PATIENCE))?;
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

/// The debugger's end of gdb's remote serial protocol.
struct Gdb(UnixStream);

impl Gdb {
    /// Sends a packet: `$`, the text, `#`, and the sum of its bytes.
    fn send(&mut self, text: &str) -> Result<()> {
        let sum = text.bytes().fold(0, u8::wrapping_add);
        write!(self.0, "${text}#{sum:02x}")?;
        Ok(())
    }

    /// Sends a packet and gives the text of the answer.
    fn ask(&mut self, text: &str) -> Result<String> {
        self.send(text)?;
        let mut answer = Vec::new();
        let mut byte = [0];
        // Whether it was understood, the packet, and two digits of its sum.
        while !answer.ends_with(b"#") {
            self.0.read_exact(&mut byte).context("no answer")?;
            answer.extend_from_slice(&byte);
        }
        self.0.read_exact(&mut [0; 2])?;
        self.0.write_all(b"+")?;
        let answer = String::from_utf8(answer)?;
        let answer = answer.trim_start_matches('+').trim_start_matches('$');
        Ok(answer.trim_end_matches('#').to_owned())
    }
}
