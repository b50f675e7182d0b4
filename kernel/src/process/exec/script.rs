//! The first line of a script: `#!interpreter argument`. Pure.

/// Bytes looked at (`BINPRM_BUF_SIZE`).
pub(super) const LINE_LIMIT: usize = 256;

/// What a script asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Path of the interpreter.
    pub(super) interpreter: &'a [u8],
    /// The rest of the line, one argument, if there is a rest.
    pub(super) argument: Option<&'a [u8]>,
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Reads the line. `start` is the file's start, at most [`LINE_LIMIT`] bytes
/// of it; `None` if it is no script, or one whose interpreter's name is empty
/// or cut off.
pub(super) fn parse(start: &[u8]) -> Option<Line<'_>> {
    let start = start.get(..LINE_LIMIT).unwrap_or(start);
    let rest = start.strip_prefix(b"#!")?;
    let line = match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => rest.get(..end)?,
        None if start.len() < LINE_LIMIT => rest,
        None => {
            // The line goes on; that is no harm unless the name does too.
            let name = rest.trim_ascii_start_blank();
            name.iter().find(|byte| is_blank(**byte) || **byte == 0)?;
            rest
        }
    };
    // What follows a NUL is not seen, as in C.
    let line = line.split(|byte| *byte == 0).next()?;
    let line = line.trim_ascii_start_blank();
    let end = line.iter().rposition(|byte| !is_blank(*byte))?;
    let line = line.get(..=end)?;
    let name_end = line
        .iter()
        .position(|byte| is_blank(*byte))
        .unwrap_or(line.len());
    let (interpreter, argument) = line.split_at_checked(name_end)?;
    let argument = argument.trim_ascii_start_blank();
    Some(Line {
        interpreter,
        argument: (!argument.is_empty()).then_some(argument),
    })
}

trait TrimBlank {
    fn trim_ascii_start_blank(&self) -> &[u8];
}

impl TrimBlank for [u8] {
    fn trim_ascii_start_blank(&self) -> &[u8] {
        let start = self
            .iter()
            .position(|byte| !is_blank(*byte))
            .unwrap_or(self.len());
        self.get(start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_LIMIT, Line, parse};

    fn check(start: &[u8], expected: Option<(&str, Option<&str>)>) {
        let expected = expected.map(|(interpreter, argument)| Line {
            interpreter: interpreter.as_bytes(),
            argument: argument.map(str::as_bytes),
        });
        assert_eq!(parse(start), expected, "{:?}", start.escape_ascii());
    }

    #[test]
    fn reads_what_linux_reads() {
        check(b"#!/bin/sh\necho", Some(("/bin/sh", None)));
        check(b"#!/bin/sh", Some(("/bin/sh", None)));
        check(b"#! \t/bin/sh \t \n", Some(("/bin/sh", None)));
        check(
            b"#!/usr/bin/env python3 -x  \n",
            Some(("/usr/bin/env", Some("python3 -x"))),
        );
        check(b"#!/bin/sh\0ignored\n", Some(("/bin/sh", None)));
        check(b"#!/bin/sh -a\0b\n", Some(("/bin/sh", Some("-a"))));
        check(b"#!\n", None);
        check(b"#!   \n/bin/sh", None);
        check(b"#!", None);
        check(b"# !/bin/sh\n", None);
        check(b"", None);
    }

    #[test]
    fn a_long_line_must_not_cut_the_name() {
        let mut long = b"#!/".to_vec();
        long.resize(LINE_LIMIT + 10, b'x');
        check(&long, None);
        long[20] = b' ';
        let parsed = parse(&long).expect("the name ends");
        assert_eq!(parsed.interpreter.len(), 18);
        assert_eq!(parsed.argument.map(<[u8]>::len), Some(LINE_LIMIT - 21));
        let mut blank = b"#!".to_vec();
        blank.resize(LINE_LIMIT, b' ');
        check(&blank, None);
    }
}
