//! A line for the host, put together without the heap: what is told of calls
//! and samples must not depend on there being memory.

use core::fmt::{self, Write};

use ochre_hal::debug;
use ochre_sync::SpinLock;

/// Held while a line is written to the log port: a host that takes a processor
/// away in the middle of one leaves the others waiting for longer than the port
/// itself is patient, which then mixes lines rather than lose one.
static TURN: SpinLock<()> = SpinLock::new(());

/// Writes whole lines to the log port.
pub(crate) fn tell(lines: &[u8]) {
    let turn = TURN.lock();
    debug::write(lines);
    drop(turn);
}

/// A text of at most `N` bytes. Each write is whole or not at all.
pub(crate) struct Line<const N: usize> {
    room: [u8; N],
    len: usize,
}

impl<const N: usize> Line<N> {
    /// An empty one.
    pub(crate) fn new() -> Line<N> {
        Line {
            room: [0; N],
            len: 0,
        }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }

    /// Takes back all but the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds bytes.
    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) -> fmt::Result {
        let end = self.len + bytes.len();
        let room = self.room.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Adds bytes as hexadecimal digits; part may be there if they do not fit.
    pub(crate) fn write_digits(&mut self, bytes: &[u8]) -> fmt::Result {
        bytes.iter().try_for_each(|byte| write!(self, "{byte:02x}"))
    }
}

impl<const N: usize> Write for Line<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut line: Line<6> = Line::new();
        line.write_bytes(b"ab").unwrap();
        line.write_digits(&[0xc, 0xde]).unwrap();
        assert_eq!(line.bytes(), b"ab0cde");
        line.write_bytes(b"f").unwrap_err();
        assert_eq!((line.bytes(), line.len()), (&b"ab0cde"[..], 6));
        line.truncate(2);
        line.truncate(5);
        assert_eq!(line.bytes(), b"ab");
    }
}
