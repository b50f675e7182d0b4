//! The person's terminal: raw while a guest has it, and put back in order whatever happens.
//!
//! Raw mode lets every key through to the guest, Ctrl-C too. The old mode is
//! restored when [`RawMode`] is dropped, before the message of a panic is
//! printed, and, because signals end the guest in order (see
//! [`crate::bridge::Event::Signal`]), on signals too.

use std::{
    io::{self, IsTerminal as _, Write},
    panic,
    sync::{Mutex, Once, PoisonError},
};

use anyhow::{Context as _, Result};
use rustix::termios::{OptionalActions, Termios};

/// The key that is for us and not for the guest: Ctrl-A.
const PREFIX: u8 = 0x01;

/// How to leave, for a person.
pub const LEAVE_HINT: &str = "Ctrl-A x leaves, Ctrl-A a sends Ctrl-A";

/// The mode to go back to, while the terminal is raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether standard input and output are both terminals.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The rows and columns of the terminal.
pub fn window_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// The terminal is raw as long as this lives.
#[must_use = "the terminal goes back to its old mode when this is dropped"]
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Makes the terminal at standard input raw.
    ///
    /// # Errors
    /// If it is no terminal.
    pub fn enter() -> Result<Self> {
        let before =
            rustix::termios::tcgetattr(io::stdin()).context("reading the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        restore_on_panic();
        let guard = Self(());
        rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)
            .context("making the terminal raw")?;
        Ok(guard)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back into the mode it had. Does nothing the second time.
pub fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that has gone needs no mode.
        let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}

fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            next(info);
        }));
    });
}

/// Reads what is typed for the keys that are for us.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys {
    after_prefix: bool,
}

/// What a typed byte means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// These bytes, at most two, are for the guest.
    Guest(Bytes),
    /// The person wants to leave.
    Leave,
}

/// None, one or two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    bytes: [u8; 2],
    len: usize,
}

impl Bytes {
    /// As a slice.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Keys {
    /// What this byte means after those before it.
    pub fn typed(&mut self, byte: u8) -> Key {
        let guest = |bytes, len| Key::Guest(Bytes { bytes, len });
        let after_prefix = core::mem::replace(&mut self.after_prefix, false);
        match (after_prefix, byte) {
            (false, PREFIX) => {
                self.after_prefix = true;
                guest([0, 0], 0)
            }
            (false, byte) => guest([byte, 0], 1),
            (true, b'x' | b'X') => Key::Leave,
            (true, b'a' | b'A' | PREFIX) => guest([PREFIX, 0], 1),
            // Not one of our keys: the guest gets what was typed.
            (true, other) => guest([PREFIX, other], 2),
        }
    }
}

/// Writes to a raw terminal lines that end in a plain newline.
#[derive(Debug)]
pub struct RawLines<W>(pub W);

impl<W: Write> Write for RawLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(line) => {
                    self.0.write_all(line)?;
                    self.0.write_all(b"\r\n")?;
                }
                None => self.0.write_all(piece)?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Key, Keys, RawLines};

    fn check(typed: &[u8], for_guest: &[u8], leaves: bool) {
        let mut keys = Keys::default();
        let mut sent = Vec::new();
        let mut left = false;
        for &byte in typed {
            match keys.typed(byte) {
                Key::Guest(bytes) => sent.extend_from_slice(bytes.as_slice()),
                Key::Leave => left = true,
            }
        }
        assert_eq!((&sent[..], left), (for_guest, leaves), "{typed:?}");
    }

    #[test]
    fn keys() {
        check(b"ls\r\x03", b"ls\r\x03", false);
        check(b"\x01x", b"", true);
        check(b"\x01a\x01\x01", b"\x01\x01", false);
        check(b"\x01cx", b"\x01cx", false);
        check(b"x\x01", b"x", false);
    }

    #[test]
    fn lines_for_a_raw_terminal_return_the_carriage() {
        let mut out = RawLines(Vec::new());
        out.write_all(b"a\nb").unwrap();
        out.write_all(b"\n").unwrap();
        assert_eq!(out.0, b"a\r\nb\r\n");
    }
}
