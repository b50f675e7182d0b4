//! gdb's remote serial protocol, as far as a machine has to be looked into.
//!
//! A packet is `$`, a text, `#`, and the sum of the text's bytes in two digits;
//! who gets one says `+`. QEMU speaks it at the socket of
//! [`Guest::debugger`](crate::Guest::debugger), over a line that loses nothing,
//! so sums and the other side's `+` are not looked at.

use core::time::Duration;
use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};

use crate::digits;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest packet; QEMU's are 4 KiB.
const LONGEST: usize = 64 << 10;

/// The byte that stops the machine.
const INTERRUPT: u8 = 3;

/// A debugger's end of the line.
#[derive(Debug)]
pub struct Remote {
    line: UnixStream,
    /// What came and was not looked at yet.
    come: Vec<u8>,
}

impl Remote {
    /// Connects to a machine that waits at this socket.
    ///
    /// # Errors
    /// If nobody waits there.
    pub fn connect(socket: &Path) -> Result<Self> {
        let line = UnixStream::connect(socket).context("connecting as a debugger")?;
        line.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            line,
            come: Vec::new(),
        })
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// If the machine is gone.
    pub fn send(&mut self, text: &str) -> Result<()> {
        let sum = text.bytes().fold(0, u8::wrapping_add);
        self.line
            .write_all(format!("${text}#{sum:02x}").as_bytes())
            .context("telling the machine")
    }

    /// Stops the machine, and waits until it has.
    ///
    /// # Errors
    /// If it is gone.
    pub fn stop(&mut self) -> Result<String> {
        self.line.write_all(&[INTERRUPT])?;
        self.answer()
    }

    /// Sends a packet and gives the text of the answer.
    ///
    /// # Errors
    /// If there is none.
    pub fn ask(&mut self, text: &str) -> Result<String> {
        self.send(text)?;
        self.answer()
    }

    /// The bytes of a register file or of memory that a packet asks for.
    ///
    /// # Errors
    /// If the answer is none, or not bytes.
    pub fn ask_bytes(&mut self, text: &str) -> Result<Vec<u8>> {
        let answer = self.ask(text)?;
        digits::bytes(&answer).with_context(|| format!("the machine says {answer} to {text}"))
    }

    fn answer(&mut self) -> Result<String> {
        loop {
            if let Some(packet) = packet(&mut self.come) {
                self.line.write_all(b"+")?;
                return String::from_utf8(packet).context("the machine's answer");
            }
            ensure!(self.come.len() < LONGEST, "the machine's answer has no end");
            let mut buffer = [0; 4096];
            let count = self.line.read(&mut buffer).context("no answer")?;
            ensure!(count > 0, "the machine is gone");
            self.come.extend_from_slice(&buffer[..count]);
        }
    }
}

/// Takes the first packet out, if it is whole, and gives its text.
fn packet(come: &mut Vec<u8>) -> Option<Vec<u8>> {
    let start = come.iter().position(|&byte| byte == b'$')? + 1;
    let end = start + come[start..].iter().position(|&byte| byte == b'#')?;
    let after = end + 3;
    if come.len() < after {
        return None;
    }
    let text = come[start..end].to_vec();
    come.drain(..after);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::packet;

    #[test]
    fn packets_are_taken_when_they_are_whole() {
        let mut come = b"++$O".to_vec();
        assert_eq!(packet(&mut come), None);
        come.extend_from_slice(b"K#9");
        assert_eq!(packet(&mut come), None);
        come.extend_from_slice(b"a+$#00$");
        assert_eq!(packet(&mut come).as_deref(), Some(&b"OK"[..]));
        assert_eq!(packet(&mut come).as_deref(), Some(&b""[..]));
        assert_eq!(packet(&mut come), None);
        assert_eq!(come, b"$");
    }
}
