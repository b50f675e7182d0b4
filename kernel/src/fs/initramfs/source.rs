//! Where an archive's bytes come from, and what can be wrong with them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ochre_abi::Errno;
use ochre_hal::boot::Initramfs;
use ochre_hal::memory::UserFrame;

/// Bytes read once from front to back.
pub(super) trait Source {
    /// Bytes that are there now, at least one unless the end is reached.
    fn peek(&mut self) -> Result<&[u8], ArchiveError>;

    /// Moves over bytes that `peek` showed.
    fn consume(&mut self, count: usize);

    /// Bytes consumed so far.
    fn position(&self) -> u64;

    /// The page under the cursor, if the source can give it away whole.
    fn take_page(&mut self) -> Option<UserFrame> {
        None
    }
}

/// What is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArchiveError {
    /// There is nothing in it.
    Empty,
    /// It is neither newc cpio nor gzip.
    Unknown,
    /// It ends inside something.
    Short(&'static str),
    /// A header that does not start with the magic number.
    Magic,
    /// A field that is not eight hexadecimal digits.
    Field(&'static str),
    /// A name or link that is empty, too long or not ended by NUL.
    Text,
    /// A mode that is of no kind of file.
    Mode(u32),
    /// A gzip header that cannot be.
    Gzip(&'static str),
    /// A file could not be made.
    Make(Errno, Vec<u8>),
}

impl From<Errno> for ArchiveError {
    fn from(errno: Errno) -> ArchiveError {
        ArchiveError::Make(errno, Vec::new())
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveError::Empty => f.write_str("it is empty"),
            ArchiveError::Unknown => f.write_str("neither newc cpio nor gzip starts here"),
            ArchiveError::Short(what) => write!(f, "it ends inside {what}"),
            ArchiveError::Magic => f.write_str("no cpio header (070701) where one should be"),
            ArchiveError::Field(name) => {
                write!(f, "the header's field {name} is not a hexadecimal number")
            }
            ArchiveError::Text => f.write_str("a name is empty, too long, or has no end"),
            ArchiveError::Mode(mode) => write!(f, "mode {mode:o} is of no kind of file"),
            ArchiveError::Gzip(what) => write!(f, "gzip: {what}"),
            ArchiveError::Make(errno, name) => write!(
                f,
                "cannot make `{}`: {errno}",
                String::from_utf8_lossy(name)
            ),
        }
    }
}

/// The loader's pages.
pub(super) struct Memory {
    archive: Initramfs,
    len: usize,
}

impl Memory {
    pub(super) fn new(archive: Initramfs) -> Memory {
        Memory {
            len: archive.remaining(),
            archive,
        }
    }
}

impl Source for Memory {
    fn peek(&mut self) -> Result<&[u8], ArchiveError> {
        Ok(self.archive.bytes())
    }

    fn consume(&mut self, count: usize) {
        self.archive.consume(count);
    }

    fn position(&self) -> u64 {
        (self.len - self.archive.remaining()) as u64
    }

    fn take_page(&mut self) -> Option<UserFrame> {
        self.archive.take_page()
    }
}
