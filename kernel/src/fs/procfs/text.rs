//! The buffer that a file's text is made in: grows by what there is memory for.

use alloc::vec::Vec;
use core::fmt;

use ochre_abi::Errno;

use crate::memory::MakeRoom;

/// Why a text could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No memory for it.
    Memory,
    /// What it is about is gone, or not for the reader.
    Refused(Errno),
}

impl From<fmt::Error> for Failure {
    fn from(_: fmt::Error) -> Failure {
        // The buffer has no other reason to fail.
        Failure::Memory
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Refused(errno)
    }
}

impl From<Failure> for Errno {
    fn from(failure: Failure) -> Errno {
        match failure {
            Failure::Memory => Errno::ENOMEM,
            Failure::Refused(errno) => errno,
        }
    }
}

/// What making a text comes to.
pub(super) type Made = Result<(), Failure>;

/// The most digits of a number in the smallest base, ten.
const DIGITS: usize = 20;

/// The columns of [`Text::push_kib`]: of the name, and of the number, which
/// takes more if it has to.
pub(super) const KIB_NAME: usize = 16;
const KIB_WIDTH: usize = 8;

/// A text in the making.
#[derive(Debug, Default)]
pub(super) struct Text {
    bytes: Vec<u8>,
}

impl Text {
    /// What was made.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Made {
        self.bytes
            .make_room(bytes.len())
            .map_err(|_| Failure::Memory)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds bytes, those in `special` as a backslash and three octal digits.
    pub(super) fn push_escaped(&mut self, bytes: &[u8], special: &[u8]) -> Made {
        for byte in bytes {
            if special.contains(byte) {
                let digit = |shift: u8| b'0' + (byte >> shift & 7);
                self.push(&[b'\\', digit(6), digit(3), digit(0)])?;
            } else {
                self.push(&[*byte])?;
            }
        }
        Ok(())
    }

    /// Adds spaces up to `column` bytes after `start`.
    pub(super) fn pad_to(&mut self, start: usize, column: usize) -> Made {
        let end = start.saturating_add(column);
        let missing = end.saturating_sub(self.bytes.len());
        self.bytes.make_room(missing).map_err(|_| Failure::Memory)?;
        self.bytes.resize(self.bytes.len() + missing, b' ');
        Ok(())
    }

    /// Adds a number, behind spaces if it has fewer digits than `width`: as
    /// `{:width$}` does, at a small part of what that costs. For texts with
    /// thousands of numbers.
    pub(super) fn push_decimal(&mut self, value: u64, width: usize) -> Made {
        self.push_digits::<10>(value, width, b' ')
    }

    /// The same in hexadecimal digits behind zeroes.
    pub(super) fn push_hex(&mut self, value: u64, width: usize) -> Made {
        self.push_digits::<16>(value, width, b'0')
    }

    fn push_digits<const BASE: u64>(&mut self, value: u64, width: usize, fill: u8) -> Made {
        let mut digits = [fill; DIGITS];
        let first = write_digits::<BASE>(&mut digits, value);
        self.push(&digits[first.min(DIGITS.saturating_sub(width))..])?;
        Ok(())
    }

    /// Adds a line of a name and so many KiB, in columns. For texts with
    /// thousands of them: it is made in one place and added as one piece.
    pub(super) fn push_kib(&mut self, name: &[u8; KIB_NAME], kib: u64) -> Made {
        const UNIT: &[u8; 4] = b" kB\n";
        const END: usize = KIB_NAME + KIB_WIDTH;
        // CAST: a few.
        if kib >= 10_u64.pow(KIB_WIDTH as u32) {
            self.push(name)?;
            self.push_decimal(kib, KIB_WIDTH)?;
            self.push(UNIT)?;
            return Ok(());
        }
        let mut line = [b' '; END + UNIT.len()];
        line[..KIB_NAME].copy_from_slice(name);
        write_digits::<10>(&mut line[KIB_NAME..END], kib);
        line[END..].copy_from_slice(UNIT);
        self.push(&line)?;
        Ok(())
    }

    /// Adds `len` bytes for `fill` to write.
    pub(super) fn extend_with<R>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, Failure> {
        self.bytes.make_room(len).map_err(|_| Failure::Memory)?;
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        Ok(fill(&mut self.bytes[start..]))
    }

    /// Cuts it to `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// What is there from `start` on.
    pub(super) fn from(&self, start: usize) -> &[u8] {
        self.bytes.get(start..).unwrap_or(&[])
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Writes a number's digits at the end of `to`; says where they begin. Of a
/// number that has more there are only the last ones.
fn write_digits<const BASE: u64>(to: &mut [u8], value: u64) -> usize {
    let mut first = to.len();
    let mut rest = value;
    for (at, digit) in to.iter_mut().enumerate().rev() {
        // CAST: less than the base.
        *digit = b"0123456789abcdef"[(rest % BASE) as usize];
        rest /= BASE;
        first = at;
        if rest == 0 {
            break;
        }
    }
    first
}

/// The number in what was written to a file, white space around it passed over.
pub(super) fn number(bytes: &[u8]) -> Result<i64, Errno> {
    let bytes = bytes.trim_ascii();
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    text.trim_end_matches('\0')
        .trim_ascii()
        .parse()
        .map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::{Text, number};
    use core::fmt::Write;
    use ochre_abi::Errno;

    #[test]
    fn special_bytes_become_octal() {
        let mut text = Text::default();
        text.push_escaped(b"/a b\\c\n\xff", b" \t\n\\").unwrap();
        assert_eq!(text.into_bytes(), b"/a\\040b\\134c\\012\xff");
    }

    #[test]
    fn padding_counts_from_the_start_of_the_line() {
        let mut text = Text::default();
        text.push(b"line\n").unwrap();
        let start = text.len();
        write!(text, "{:03x}", 5).unwrap();
        text.pad_to(start, 6).unwrap();
        text.pad_to(start, 2).unwrap();
        assert_eq!(text.into_bytes(), b"line\n005   ");
    }

    #[test]
    fn digits_are_those_of_the_formatter() {
        for value in [0, 7, 10, 4096, 99_999_999, 0x7fff_0000_1000, u64::MAX] {
            for width in [0, 1, 8, 20] {
                let mut text = Text::default();
                text.push_decimal(value, width).unwrap();
                text.push_hex(value, width).unwrap();
                let expected = format!("{value:width$}{value:0width$x}");
                assert_eq!(text.into_bytes(), expected.as_bytes());
            }
        }
    }

    #[test]
    fn sizes_are_in_columns_until_they_need_more() {
        for kib in [0, 7, 4096, 99_999_999, 100_000_000, u64::MAX / 1024] {
            let mut text = Text::default();
            text.push_kib(b"Private_Clean:  ", kib).unwrap();
            let expected = format!("{:16}{kib:8} kB\n", "Private_Clean:");
            assert_eq!(text.into_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn numbers_come_without_what_is_around() {
        assert_eq!(number(b" -17\n"), Ok(-17));
        assert_eq!(number(b"5\0"), Ok(5));
        assert_eq!(number(b"5x"), Err(Errno::EINVAL));
        assert_eq!(number(b""), Err(Errno::EINVAL));
        assert_eq!(number(b"99999999999999999999"), Err(Errno::EINVAL));
    }
}
