//! What the kernel says of a call, a signal or an end, as one line of its log.
//!
//! ```text
//! trace call TID BEGIN END NUMBER A0 A1 A2 A3 A4 A5 RESULT [N=BYTES[,BYTES]...]...
//! trace signal TID TIME NUMBER
//! trace end TID TIME STATUS
//! ```
//!
//! Times are nanoseconds of the guest's clock; arguments are hexadecimal;
//! `RESULT` is decimal, or `?` for a call that did not return. `N=` has what
//! argument N led to, in hexadecimal digits, `+` behind it if there was more;
//! a list of strings has commas, one after each string.

use crate::digits;

/// A line understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Call(Box<Call>),
    /// A signal was taken by a thread.
    Signal {
        thread: u32,
        number: u32,
    },
    /// A process ended, with a status as wait(2) has it.
    End {
        thread: u32,
        status: u32,
    },
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) thread: u32,
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    pub(super) number: u64,
    pub(super) arguments: [u64; 6],
    /// `None` if it did not return.
    pub(super) result: Option<i64>,
    /// What arguments led to.
    pub(super) seen: [Seen; 6],
}

/// What the kernel saw behind an argument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Seen {
    /// It did not look, or could not.
    #[default]
    Nothing,
    Bytes(Piece),
    List(Vec<Piece>),
}

/// Bytes of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Whether there was more.
    pub(super) is_cut: bool,
}

impl Record {
    /// Reads a line of the log; `None` if it is not a record, or a damaged one.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim_end().split(' ');
        if words.next()? != "trace" {
            return None;
        }
        let kind = words.next()?;
        let thread = words.next()?.parse().ok()?;
        let begin_ns = words.next()?.parse().ok()?;
        match kind {
            "signal" => Some(Self::Signal {
                thread,
                number: words.next()?.parse().ok()?,
            }),
            "end" => Some(Self::End {
                thread,
                status: words.next()?.parse().ok()?,
            }),
            "call" => {
                let end_ns = words.next()?.parse().ok()?;
                let number = words.next()?.parse().ok()?;
                let mut arguments = [0; 6];
                for argument in &mut arguments {
                    *argument = u64::from_str_radix(words.next()?, 16).ok()?;
                }
                let result = match words.next()? {
                    "?" => None,
                    result => Some(result.parse().ok()?),
                };
                let mut seen = <[Seen; 6]>::default();
                for word in words {
                    let (index, bytes) = word.split_once('=')?;
                    *seen.get_mut(index.parse::<usize>().ok()?)? = Seen::parse(bytes)?;
                }
                Some(Self::Call(Box::new(Call {
                    thread,
                    begin_ns,
                    end_ns,
                    number,
                    arguments,
                    result,
                    seen,
                })))
            }
            _ => None,
        }
    }
}

impl Seen {
    fn parse(text: &str) -> Option<Self> {
        let Some(list) = text.strip_suffix(',') else {
            return Some(Self::Bytes(Piece::parse(text)?));
        };
        let pieces = list.split(',').map(Piece::parse);
        Some(Self::List(pieces.collect::<Option<Vec<_>>>()?))
    }
}

impl Piece {
    fn parse(text: &str) -> Option<Self> {
        let (digits, is_cut) = match text.strip_suffix('+') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        Some(Self {
            bytes: digits::bytes(digits)?,
            is_cut,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Piece, Record, Seen};

    #[test]
    fn a_call_is_read_whole() {
        let line = "trace call 7 1000 2500 257 ffffffffffffff9c 4000 80000 0 0 0 -2 1=2f61+\n";
        let Some(Record::Call(call)) = Record::parse(line) else {
            panic!("not a call");
        };
        assert_eq!((call.thread, call.number, call.result), (7, 257, Some(-2)));
        assert_eq!((call.begin_ns, call.end_ns), (1000, 2500));
        assert_eq!(call.arguments[0], (-100_i64).cast_unsigned());
        let piece = Piece {
            bytes: b"/a".to_vec(),
            is_cut: true,
        };
        assert_eq!(call.seen[1], Seen::Bytes(piece));
        assert_eq!(call.seen[0], Seen::Nothing);
    }

    #[test]
    fn lists_signals_and_ends_are_read() {
        let line = "trace call 1 0 0 59 1 2 3 0 0 0 ? 1=6c73,2d6c,";
        let Some(Record::Call(call)) = Record::parse(line) else {
            panic!("not a call");
        };
        assert_eq!(call.result, None);
        assert!(matches!(&call.seen[1], Seen::List(list) if list[1].bytes == b"-l"));
        assert_eq!(
            Record::parse("trace signal 3 5 11"),
            Some(Record::Signal {
                thread: 3,
                number: 11
            })
        );
        assert_eq!(
            Record::parse("trace end 3 5 256"),
            Some(Record::End {
                thread: 3,
                status: 256
            })
        );
    }

    #[test]
    fn what_is_not_a_record_is_none() {
        for line in [
            "",
            "trace",
            "[ 0.1] INFO trace call",
            "trace call 1 0 0 59 1 2 3 0 0 0 0 6=00",
            "trace call 1 0 0 59 1 2 3 0 0 0 0 1=0",
            "trace call 1 0 0 59 1 2 3 0 0 0 0 1=zz",
            "trace call 1 0 0 59 1 2 3",
            "trace end 1 0 x",
        ] {
            assert_eq!(Record::parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC*") {
            let _ = Record::parse(&line);
            let _ = Record::parse(&format!("trace call {line}"));
        }
    }
}
