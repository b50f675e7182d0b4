//! Characters whose bytes come in pieces, put together before they are parsed,
//! and bytes that are no characters, replaced.
//!
//! The parser can do both, too, but (vte 0.15) what follows a character in
//! pieces may be lost: of `é`, a backspace and the beginning of another
//! character it drops the backspace, if `é` began in an earlier piece. And it
//! holds back the beginning of a character that another one follows, if a piece
//! ends between the two; or takes it for an end of the string that it is in.

/// What is shown in place of bytes that are no character.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The beginning of a character that is to go on.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    bytes: [u8; 4],
    len: usize,
}

impl Assembler {
    /// Gives `parse` all characters but one that is not complete, after those
    /// that came before. What cannot become a character is replaced.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut parse: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while self.len > 0 {
            let Some((&byte, later)) = rest.split_first() else {
                return;
            };
            self.bytes[self.len] = byte;
            let so_far = &self.bytes[..=self.len];
            match core::str::from_utf8(so_far).map_err(|error| error.error_len()) {
                Ok(_) => parse(so_far),
                Err(None) => {
                    self.len += 1;
                    rest = later;
                    continue;
                }
                Err(Some(_)) => {
                    // The byte is none of this character's.
                    parse(REPLACEMENT);
                    self.len = 0;
                    break;
                }
            }
            self.len = 0;
            rest = later;
        }
        let mut chunks = rest.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            if !chunk.valid().is_empty() {
                parse(chunk.valid().as_bytes());
            }
            let invalid = chunk.invalid();
            if invalid.is_empty() {
                continue;
            }
            if chunks.peek().is_none() && is_beginning(invalid) {
                self.bytes[..invalid.len()].copy_from_slice(invalid);
                self.len = invalid.len();
            } else {
                parse(REPLACEMENT);
            }
        }
    }
}

/// Whether these bytes, which are no character, may become one.
fn is_beginning(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::Assembler;
    use std::vec::Vec;

    #[test]
    fn puts_pieces_together() {
        let text = "aé\u{8}本z\u{1f600}".as_bytes();
        for cut in 1..text.len() {
            let mut assembler = Assembler::default();
            let mut parsed = Vec::new();
            for piece in text.chunks(cut) {
                assembler.feed(piece, |bytes| {
                    assert!(core::str::from_utf8(bytes).is_ok());
                    parsed.extend_from_slice(bytes);
                });
            }
            assert_eq!(parsed, text);
        }
    }

    #[test]
    fn replaces_what_does_not_go_on() {
        let check = |pieces: [&[u8]; 2], expected: &[u8]| {
            let mut assembler = Assembler::default();
            let mut parsed = Vec::new();
            for piece in pieces {
                assembler.feed(piece, |bytes| parsed.extend_from_slice(bytes));
            }
            assert_eq!(parsed, expected);
        };
        check([b"\xe2\x82", b"x"], "\u{fffd}x".as_bytes());
        check([b"\xe2\x82", b"\xe2\x82\xac"], "\u{fffd}€".as_bytes());
        check([b"\xf0\x90", b"\xf0"], "\u{fffd}".as_bytes());
        check([b"\xff", b"x"], "\u{fffd}x".as_bytes());
        check([b"\xc2", b"\xc2"], "\u{fffd}".as_bytes());
        check([b"", b"\xc2\xc2"], "\u{fffd}".as_bytes());
        // Inside of a string, too, which a byte like this would end.
        check([b"\x1bP\xe2", b"\x9cx"], "\x1bP\u{fffd}x".as_bytes());
        check([b"", b"\x1bP\xe2\x9cx"], "\x1bP\u{fffd}x".as_bytes());
    }
}
