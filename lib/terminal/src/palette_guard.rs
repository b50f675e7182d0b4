//! Linux's console has two sequences that no other terminal has: `ESC ] P` and
//! seven hexadecimal digits sets a colour, `ESC ] R` resets them. They have no
//! end mark, so a parser that does not know them swallows what follows; here
//! an end mark is put behind them.
//!
//! ```text
//! Text ── ESC ──> Escape ── ] ──> Command ── P ──> Digits(7) ── a digit ──> Digits(n - 1)
//!   ^                │               │ R                 │ 0 left, or no digit
//!   └── any other ───┴── any other ──┴───── end mark ────┘
//! ```
//! The colours themselves stay what they are.

/// Where in such a sequence the bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nowhere.
    #[default]
    Text,
    /// Behind `ESC`.
    Escape,
    /// Behind `ESC ]`.
    Command,
    /// So many digits are to come.
    Digits(u8),
}

/// Ends a string.
pub(crate) const END_MARK: &[u8] = b"\x1b\\";

impl Guard {
    /// How many of the bytes go on before an end mark is due: all, and false,
    /// if none is.
    pub(crate) fn split(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            *self = match (*self, byte) {
                (_, 0x1b) => Guard::Escape,
                (Guard::Text, _) => {
                    // Most bytes are text: look for the next that may be more.
                    let rest = bytes.get(at..).unwrap_or(&[]);
                    let text = rest.iter().position(|byte| *byte == 0x1b);
                    at += text.unwrap_or(rest.len());
                    Guard::Text
                }
                (Guard::Escape, b']') => Guard::Command,
                (Guard::Command, b'P') => Guard::Digits(7),
                (Guard::Command, b'R') => {
                    *self = Guard::Text;
                    return (at, true);
                }
                (Guard::Digits(left), digit) if digit.is_ascii_hexdigit() && left > 1 => {
                    Guard::Digits(left - 1)
                }
                (Guard::Digits(_), _) => {
                    *self = Guard::Text;
                    // What is no digit is no part of it.
                    return (at - usize::from(!byte.is_ascii_hexdigit()), true);
                }
                _ => Guard::Text,
            };
        }
        (at, false)
    }
}

#[cfg(test)]
mod tests {
    use super::Guard;
    use std::vec::Vec;

    fn ends(pieces: &[&[u8]]) -> Vec<usize> {
        let mut guard = Guard::default();
        let mut ends = Vec::new();
        let mut before = 0;
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (count, end) = guard.split(rest);
                before += count;
                rest = &rest[count..];
                if end {
                    ends.push(before);
                }
            }
        }
        ends
    }

    #[test]
    fn ends_what_has_no_end() {
        let check = |text: &[u8], expected: &[usize]| {
            assert_eq!(ends(&[text]), expected, "{text:?}");
            let single: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(ends(&single), expected, "{text:?} byte by byte");
        };
        check(b"text", &[]);
        check(b"\x1b]P1a0b0c0text", &[10]);
        check(b"\x1b]Rtext\x1b]R", &[3, 10]);
        check(b"\x1b]P1axtext", &[5]);
        check(b"\x1b]0;Pretty title\x07", &[]);
        check(b"\x1b]P12\x1b[m", &[]);
    }
}
