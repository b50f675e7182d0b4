//! Characters whose bytes come in pieces, put together before they are parsed.
//!
//! The parser can do that, too, but (vte 0.15) what follows such a character
//! may be lost: of `é`, a backspace and the beginning of another character it
//! drops the backspace, if `é` began in an earlier piece.

/// The beginning of a character that is to go on.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    bytes: [u8; 4],
    len: usize,
}

impl Assembler {
    /// Gives `parse` all bytes but those of a character that is not complete,
    /// after those that came before. What cannot become a character is
    /// replaced.
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
                    parse("\u{fffd}".as_bytes());
                    self.len = 0;
                    break;
                }
            }
            self.len = 0;
            rest = later;
        }
        let (whole, tail) = rest.split_at(rest.len() - incomplete(rest));
        if !whole.is_empty() {
            parse(whole);
        }
        self.bytes[..tail.len()].copy_from_slice(tail);
        self.len = tail.len();
    }
}

/// How many bytes at the end begin a character that is not complete.
fn incomplete(bytes: &[u8]) -> usize {
    (1..=bytes.len().min(3))
        .find(|len| {
            let tail = &bytes[bytes.len() - len..];
            tail[0] >= 0xc2
                && core::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none())
        })
        .unwrap_or(0)
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
        // Hopeless bytes are the parser's affair.
        check([b"\xff", b"x"], b"\xffx");
    }
}
