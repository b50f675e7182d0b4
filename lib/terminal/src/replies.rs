//! What the terminal answers to programs that ask it something.

use core::fmt::{self, Write};

/// Bytes kept at most.
const SIZE: usize = 128;

/// Answers that nobody took yet. One that does not fit is dropped whole: half
/// an answer would be taken for typed text.
#[derive(Debug)]
pub(crate) struct Replies {
    bytes: [u8; SIZE],
    len: usize,
}

impl Replies {
    /// No answers.
    pub(crate) const fn new() -> Replies {
        Replies {
            bytes: [0; SIZE],
            len: 0,
        }
    }

    /// Adds an answer.
    pub(crate) fn add(&mut self, words: fmt::Arguments<'_>) {
        let before = self.len;
        if self.write_fmt(words).is_err() {
            self.len = before;
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the oldest bytes; returns how many.
    pub(crate) fn take(&mut self, to: &mut [u8]) -> usize {
        let count = to.len().min(self.len);
        to[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes.copy_within(count..self.len, 0);
        self.len -= count;
        count
    }
}

impl Write for Replies {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let to = self
            .bytes
            .get_mut(self.len..)
            .and_then(|rest| rest.get_mut(..text.len()))
            .ok_or(fmt::Error)?;
        to.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Replies, SIZE};

    #[test]
    fn keeps_whole_answers_or_none() {
        let mut replies = Replies::new();
        for _ in 0..SIZE {
            replies.add(format_args!("{}{}", "abc", "defgh"));
        }
        let mut all = [0; SIZE * 2];
        assert_eq!(replies.take(&mut all[..3]), 3);
        let count = 3 + replies.take(&mut all[3..]);
        assert_eq!(count, SIZE / 8 * 8);
        assert!(all[..count].chunks(8).all(|answer| answer == b"abcdefgh"));
        assert!(replies.is_empty());
    }
}
