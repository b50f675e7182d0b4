//! The kernel's command line: words separated by spaces, values percent-encoded.
//!
//! Any byte but NUL can be carried in a value: what is not plain is written as
//! `%XX`. The kernel decodes it; the words themselves are listed in the
//! documentation of the kernel's command line.

use core::fmt::{self, Write};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

/// A command line under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(String);

/// A value held a NUL byte, which no C string can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NulInValue;

impl fmt::Display for NulInValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments and environment variables cannot hold a NUL byte")
    }
}

impl core::error::Error for NulInValue {}

impl CommandLine {
    /// An empty command line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `key=value`, the value encoded.
    ///
    /// # Errors
    /// If the value holds a NUL byte.
    pub fn word(&mut self, key: &str, value: impl AsRef<OsStr>) -> Result<(), NulInValue> {
        self.separate();
        self.0.push_str(key);
        self.0.push('=');
        encode(value.as_ref().as_bytes(), &mut self.0)
    }

    /// Adds text that is already a command line (one word or several).
    pub fn raw(&mut self, words: &str) {
        if !words.is_empty() {
            self.separate();
            self.0.push_str(words);
        }
    }

    /// The whole line.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
    }
}

/// Appends the encoded form of `value` to `line`.
fn encode(value: &[u8], line: &mut String) -> Result<(), NulInValue> {
    for &byte in value {
        match byte {
            0 => return Err(NulInValue),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => line.push(char::from(byte)),
            b'_' | b'.' | b'/' | b':' | b'=' | b',' | b'@' | b'+' | b'-' => {
                line.push(char::from(byte));
            }
            _ => write!(line, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{CommandLine, NulInValue};

    fn decode(value: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = value.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first == b'%' {
                let digits = core::str::from_utf8(&tail[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(*first);
            }
        }
        bytes
    }

    #[test]
    fn words_are_separated_and_encoded() {
        let mut line = CommandLine::new();
        line.word("init", "/bin/sh").unwrap();
        line.word("ochre.arg", "a b\"%").unwrap();
        line.raw("quiet");
        line.raw("");
        assert_eq!(line.as_str(), "init=/bin/sh ochre.arg=a%20b%22%25 quiet");
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(CommandLine::new().word("a", "b\0c"), Err(NulInValue));
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in any::<Vec<u8>>()) {
            let value: Vec<u8> = value.into_iter().filter(|&b| b != 0).collect();
            let mut line = CommandLine::new();
            line.word("k", OsStr::from_bytes(&value)).unwrap();
            prop_assert!(line.as_str().bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(decode(&line.as_str()[2..]), value);
        }
    }
}
