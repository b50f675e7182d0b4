//! How bytes for the guest's standard input travel over a serial line that has no end of file.
//!
//! In pipe mode the byte `FF` is an escape: `FF FF` stands for one `FF`, and
//! `FF 00` for the end of the input. All other bytes stand for themselves, so
//! text costs nothing. The kernel's serial reader undoes this.
//!
//! A serial port may lose the first byte that it received, when the kernel sets
//! it up: the line begins with `00 01`, and what is before the 01 does not count.

/// The byte that announces an escape sequence.
pub const ESCAPE: u8 = 0xff;

/// What the line begins with.
pub const BEGINNING: [u8; 2] = [0, 1];

/// What the guest takes for the end of its standard input.
pub const END_OF_INPUT: [u8; 2] = [ESCAPE, 0];

/// Appends `input` to `output` in its escaped form.
pub fn encode(input: &[u8], output: &mut Vec<u8>) {
    output.reserve(input.len());
    for &byte in input {
        output.push(byte);
        if byte == ESCAPE {
            output.push(ESCAPE);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{END_OF_INPUT, ESCAPE, encode};

    /// What the kernel does: the bytes, and whether the end was announced.
    fn decode(encoded: &[u8]) -> Option<(Vec<u8>, bool)> {
        let mut bytes = Vec::new();
        let mut rest = encoded.iter();
        while let Some(&byte) = rest.next() {
            if byte != ESCAPE {
                bytes.push(byte);
                continue;
            }
            match rest.next()? {
                &ESCAPE => bytes.push(ESCAPE),
                0 => return Some((bytes, rest.next().is_none())),
                _ => return None,
            }
        }
        Some((bytes, false))
    }

    #[test]
    fn text_is_unchanged_and_ff_is_doubled() {
        let mut out = Vec::new();
        encode(b"a\n\x00\xffz", &mut out);
        assert_eq!(out, b"a\n\x00\xff\xffz");
    }

    proptest! {
        #[test]
        fn decoding_gives_the_bytes_back(parts in any::<Vec<Vec<u8>>>()) {
            let mut encoded = Vec::new();
            for part in &parts {
                encode(part, &mut encoded);
            }
            prop_assert_eq!(decode(&encoded), Some((parts.concat(), false)));
            encoded.extend(END_OF_INPUT);
            prop_assert_eq!(decode(&encoded), Some((parts.concat(), true)));
        }

        #[test]
        fn nothing_but_the_end_looks_like_the_end(bytes in any::<Vec<u8>>()) {
            let mut encoded = Vec::new();
            encode(&bytes, &mut encoded);
            prop_assert!(decode(&encoded).is_some_and(|(_, ended)| !ended));
        }
    }
}
