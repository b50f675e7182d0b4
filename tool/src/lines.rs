//! A stream of bytes as lines, however the bytes come.

use std::io::{self, Write};

/// Puts lines together. The last one has no newline at its end, unless it is
/// empty; see [`Lines::rest`].
#[derive(Debug)]
pub(crate) struct Lines {
    line: Vec<u8>,
    longest: usize,
}

impl Lines {
    /// Lines of which no more than about `longest` bytes are kept back: a
    /// longer one comes in pieces.
    pub(crate) fn new(longest: usize) -> Self {
        Self {
            line: Vec::new(),
            longest,
        }
    }

    /// Takes bytes off the front until a line is whole, and gives it with its
    /// newline; `None` if they end before.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<Vec<u8>> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.line.extend_from_slice(piece);
        *bytes = rest;
        (end.is_some() || self.line.len() > self.longest).then(|| self.rest())
    }

    /// What came behind the last newline.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.line)
    }
}

/// Does something with a log's lines.
pub trait TakeLines {
    /// How long an unfinished line is kept back; a longer one comes in pieces.
    const LONGEST: usize;

    /// Takes a line, with its newline if it has one.
    ///
    /// # Errors
    /// If it cannot be passed on.
    fn take(&mut self, line: &[u8]) -> io::Result<()>;

    /// Flushes what was passed on.
    ///
    /// # Errors
    /// If that fails.
    fn flush(&mut self) -> io::Result<()>;

    /// The log has ended; whoever would hear of a failure is gone.
    fn end(&mut self) {
        let _ = self.flush();
    }
}

/// A log as a writer, of which something else has the lines. Dropped, it gives
/// the last one too, which may have no newline: a kernel that dies in the
/// middle of a line still said it.
#[derive(Debug)]
pub struct ByLine<T: TakeLines> {
    lines: Lines,
    taker: T,
}

impl<T: TakeLines> ByLine<T> {
    /// The lines go to `taker`.
    pub(crate) fn to(taker: T) -> Self {
        Self {
            lines: Lines::new(T::LONGEST),
            taker,
        }
    }
}

impl<T: TakeLines> Write for ByLine<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut left = bytes;
        while let Some(line) = self.lines.next(&mut left) {
            self.taker.take(&line)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.taker.flush()
    }
}

impl<T: TakeLines> Drop for ByLine<T> {
    fn drop(&mut self) {
        let line = self.lines.rest();
        let _ = self.taker.take(&line);
        self.taker.end();
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    fn all(pieces: &[&str]) -> (Vec<String>, String) {
        let mut lines = Lines::new(8);
        let mut whole = Vec::new();
        for piece in pieces {
            let mut bytes = piece.as_bytes();
            while let Some(line) = lines.next(&mut bytes) {
                whole.push(String::from_utf8(line).unwrap());
            }
            assert!(bytes.is_empty());
        }
        (whole, String::from_utf8(lines.rest()).unwrap())
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let check = |pieces: &[&str], lines: &[&str], rest: &str| {
            let expected = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(all(pieces), (expected, rest.to_owned()), "{pieces:?}");
        };
        check(&["a\nb\n"], &["a\n", "b\n"], "");
        check(&["a", "", "b\n\nc"], &["ab\n", "\n"], "c");
        check(&[], &[], "");
        // One without an end does not take all memory.
        check(&["123456789", "0", "\n"], &["123456789", "0\n"], "");
    }
}
