//! What the kernel says of a sample, as one line of its log.
//!
//! ```text
//! profile PERIODS PID TID NAME WHAT [FILE:PLACE[,PLACE]...]...
//! ```

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

use crate::digits;

/// Where a thread was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sample {
    /// The name of the thread.
    pub(super) name: String,
    pub(super) what: What,
    /// Where the program was, innermost first.
    pub(super) calls: Vec<Place>,
}

/// What it was at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    User,
    /// In the kernel, for a system call of this number.
    Call(u64),
    /// In the kernel, for a fault or an interrupt.
    Trap,
}

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The guest's path of the file; `None` for memory that is of no file.
    pub(super) file: Option<PathBuf>,
    /// The offset in the file, or the address.
    pub(super) at: u64,
}

impl Sample {
    /// Reads a line of the log: a sample, and for how many periods it stands;
    /// `None` if it is not one, or a damaged one.
    pub(super) fn parse(line: &str) -> Option<(Self, u64)> {
        let mut words = line.trim_end().split(' ');
        if words.next()? != "profile" {
            return None;
        }
        let periods = words.next()?.parse().ok()?;
        for _number in ["process", "thread"] {
            words.next()?.parse::<u32>().ok()?;
        }
        let name = digits::bytes(words.next()?)?;
        let what = match words.next()? {
            "user" => What::User,
            "trap" => What::Trap,
            number => What::Call(number.parse().ok()?),
        };
        let mut calls = Vec::new();
        for word in words {
            let (file, places) = word.split_once(':')?;
            let file = match file {
                "-" => None,
                digits => Some(PathBuf::from(OsString::from_vec(digits::bytes(digits)?))),
            };
            for place in places.split(',') {
                calls.push(Place {
                    file: file.clone(),
                    at: u64::from_str_radix(place, 16).ok()?,
                });
            }
        }
        let sample = Self {
            name: String::from_utf8_lossy(&name).into_owned(),
            what,
            calls,
        };
        Some((sample, periods))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::{Sample, What};

    #[test]
    fn a_sample_is_read_whole() {
        let line = "profile 3 7 8 7368 1 2f61:1f,20 -:7f00 2f61:30\n";
        let (sample, periods) = Sample::parse(line).unwrap();
        assert_eq!((periods, sample.name.as_str()), (3, "sh"));
        assert_eq!(sample.what, What::Call(1));
        let calls: Vec<_> = sample
            .calls
            .iter()
            .map(|place| (place.file.as_deref(), place.at))
            .collect();
        let file = Some(Path::new("/a"));
        assert_eq!(
            calls,
            [(file, 0x1f), (file, 0x20), (None, 0x7f00), (file, 0x30)]
        );
        let (sample, _) = Sample::parse("profile 1 1 1  user").unwrap();
        assert!(sample.name.is_empty() && sample.calls.is_empty());
    }

    #[test]
    fn what_is_not_a_sample_is_none() {
        for line in [
            "",
            "profile",
            "[ 0.1] INFO profile 1 1 1 61 user",
            "profile x 1 1 61 user",
            "profile 1 1 1 6 user",
            "profile 1 1 1 61 else",
            "profile 1 1 1 61 user 61",
            "profile 1 1 1 61 user 61:",
            "profile 1 1 1 61 user 6:1",
        ] {
            assert_eq!(Sample::parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC*") {
            let _ = Sample::parse(&line);
            let _ = Sample::parse(&format!("profile 1 1 1 61 user {line}"));
        }
    }
}
