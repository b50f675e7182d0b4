//! The locks of files as they are told, one after the other.
//!
//! Nothing is locked between two of them and nothing is allocated: locks that
//! come or go meanwhile may be missed.

use core::fmt;

use ochre_abi::stat::{major, minor};

use super::{Held, Owner, Span, TABLE};
use crate::memory::Identity;

/// How a lock was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By fcntl(2), for a process.
    Process,
    /// By fcntl(2), for an open file description.
    Description,
    /// By flock(2).
    Whole,
}

/// A lock that is held. Its text is what `/proc/locks` has behind the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How it was asked for.
    pub kind: Kind,
    /// Whether nobody else may have one there.
    pub exclusive: bool,
    /// The process that asked for it, where that is known.
    pub process: Option<u32>,
    /// The file.
    pub file: Identity,
    /// Where in it.
    pub span: Span,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Process => "POSIX ",
            Kind::Description => "OFDLCK",
            Kind::Whole => "FLOCK ",
        };
        let way = if self.exclusive { "WRITE" } else { "READ" };
        write!(f, "{kind} ADVISORY  {way} ")?;
        match self.process {
            Some(process) => write!(f, "{process}")?,
            None => write!(f, "-1")?,
        }
        let Identity { device, inode } = self.file;
        let (major, minor) = (major(device), minor(device));
        let Span { first, last } = self.span;
        write!(f, " {major:02x}:{minor:02x}:{inode} {first} ")?;
        match last {
            Span::END => write!(f, "EOF"),
            last => write!(f, "{last}"),
        }
    }
}

/// Every lock of a file, the files in no order that means anything.
pub fn all() -> impl Iterator<Item = Told> {
    let mut from = (0, 0);
    core::iter::from_fn(move || {
        let (told, next) = after(from)?;
        from = next;
        Some(told)
    })
}

/// The lock at a place, or the first one behind it, and the place behind that.
/// A place is a file's key and a count of its locks.
fn after((key, mut skip): (usize, usize)) -> Option<(Told, (usize, usize))> {
    let table = TABLE.lock();
    for (at, locks) in table.files.range(key..) {
        if *at != key {
            skip = 0;
        }
        let file = locks.file.unwrap_or(Identity {
            device: 0,
            inode: 0,
        });
        let ranges = locks.ranges.held().iter().map(|held| of_range(held, file));
        let whole = locks.whole.iter().map(|held| Told {
            kind: Kind::Whole,
            exclusive: held.exclusive,
            process: Some(held.asked_by),
            file,
            span: Span {
                first: 0,
                last: Span::END,
            },
        });
        if let Some(told) = ranges.chain(whole).nth(skip) {
            return Some((told, (*at, skip + 1)));
        }
    }
    None
}

fn of_range(held: &Held, file: Identity) -> Told {
    let (kind, process) = match held.owner {
        Owner::Process(process) => (Kind::Process, Some(process)),
        Owner::Description(_) => (Kind::Description, None),
    };
    Told {
        kind,
        exclusive: held.exclusive,
        process,
        file,
        span: held.span,
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Owner, Span, of_range};
    use crate::memory::Identity;

    fn text(owner: Owner, exclusive: bool, last: u64) -> String {
        let span = Span { first: 10, last };
        let held = Held {
            owner,
            span,
            exclusive,
        };
        let file = Identity {
            device: ochre_abi::stat::make_device(0, 26),
            inode: 77,
        };
        of_range(&held, file).to_string()
    }

    #[test]
    fn lines_are_as_in_proc_locks() {
        assert_eq!(
            text(Owner::Process(12), true, Span::END),
            "POSIX  ADVISORY  WRITE 12 00:1a:77 10 EOF"
        );
        assert_eq!(
            text(Owner::Description(1), false, 19),
            "OFDLCK ADVISORY  READ -1 00:1a:77 10 19"
        );
    }
}
