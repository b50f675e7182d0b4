//! The newc cpio format: entries one after the other.
//!
//! A header of 110 bytes, thirteen hexadecimal fields after the magic number;
//! the name with its NUL, the content; name and content each padded to four
//! bytes (cpio(5)). The name may be followed by more NUL bytes, which counts as
//! its length: so an archive can put content at the start of a page.

use alloc::vec::Vec;

use ochre_hal::memory::{PAGE_SIZE, UserFrame};

use super::source::{ArchiveError, Source};
use crate::memory::MakeRoom;

const HEADER: usize = 110;

/// The longest name with padding, and the longest symbolic link.
const NAME_LIMIT: usize = 2 * 4096;

const TRAILER: &[u8] = b"TRAILER!!!";

/// One entry, its content still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) modified: u32,
    pub(super) size: u64,
    /// The device that it stands for.
    pub(super) device: u64,
    /// Device and number of the inode: what names of one file have in common.
    pub(super) identity: (u32, u32, u32),
}

/// Cuts a source into entries.
pub(super) struct Reader<'a> {
    source: &'a mut dyn Source,
    start: u64,
    /// Content of the current entry not yet read.
    remaining: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a mut dyn Source) -> Reader<'a> {
        Reader {
            start: source.position(),
            source,
            remaining: 0,
        }
    }

    /// The next entry, `None` after the trailer. What was not read of the last
    /// one is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let rest = self.remaining;
        self.skip(rest, "the content of a file")?;
        self.remaining = 0;
        self.align("the padding of a file")?;
        let mut header = [0; HEADER];
        self.fill(&mut header, "a header")?;
        if !matches!(&header[..6], b"070701" | b"070702") {
            return Err(ArchiveError::Magic);
        }
        let field = |index: usize, name: &'static str| {
            let at = 6 + index * 8;
            hexadecimal(&header[at..at + 8]).ok_or(ArchiveError::Field(name))
        };
        let inode = field(0, "ino")?;
        let mode = field(1, "mode")?;
        let size = field(6, "filesize")?;
        let device = (field(7, "devmajor")?, field(8, "devminor")?);
        let represents = (field(9, "rdevmajor")?, field(10, "rdevminor")?);
        let name_size = field(11, "namesize")? as usize;
        if name_size == 0 || name_size > NAME_LIMIT {
            return Err(ArchiveError::Text);
        }
        let mut entry = Entry {
            name: Vec::new(),
            mode,
            uid: field(2, "uid")?,
            gid: field(3, "gid")?,
            links: field(4, "nlink")?,
            modified: field(5, "mtime")?,
            size: u64::from(size),
            device: ochre_abi::stat::make_device(represents.0, represents.1),
            identity: (device.0, device.1, inode),
        };
        let mut name = zeroed(name_size)?;
        self.fill(&mut name, "a name")?;
        let end = name
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(ArchiveError::Text)?;
        if end == 0 || name[end..].iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::Text);
        }
        name.truncate(end);
        self.align("the padding of a name")?;
        if name == TRAILER {
            return Ok(None);
        }
        entry.name = name;
        self.remaining = size as usize;
        Ok(Some(entry))
    }

    /// Content of the entry not yet read.
    pub(super) fn remaining(&self) -> usize {
        self.remaining
    }

    /// The content as one text: a symbolic link's target.
    pub(super) fn text(&mut self) -> Result<Vec<u8>, ArchiveError> {
        if self.remaining == 0 || self.remaining > NAME_LIMIT {
            return Err(ArchiveError::Text);
        }
        let mut text = zeroed(self.remaining)?;
        self.fill(&mut text, "a symbolic link")?;
        self.remaining = 0;
        Ok(text)
    }

    /// Up to `limit` bytes of content.
    pub(super) fn data(&mut self, limit: usize) -> Result<&[u8], ArchiveError> {
        let limit = limit.min(self.remaining);
        let bytes = self.source.peek()?;
        if bytes.is_empty() {
            return Err(ArchiveError::Short("the content of a file"));
        }
        Ok(&bytes[..limit.min(bytes.len())])
    }

    /// Moves over content that `data` showed.
    pub(super) fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.remaining -= count;
    }

    /// The next page of content, whole and without a copy, where that is possible.
    pub(super) fn take_page(&mut self) -> Option<UserFrame> {
        if self.remaining < PAGE_SIZE {
            return None;
        }
        let frame = self.source.take_page()?;
        self.remaining -= PAGE_SIZE;
        Some(frame)
    }

    fn fill(&mut self, to: &mut [u8], what: &'static str) -> Result<(), ArchiveError> {
        let mut done = 0;
        while done < to.len() {
            let bytes = self.source.peek()?;
            let count = bytes.len().min(to.len() - done);
            if count == 0 {
                return Err(ArchiveError::Short(what));
            }
            to[done..done + count].copy_from_slice(&bytes[..count]);
            self.source.consume(count);
            done += count;
        }
        Ok(())
    }

    fn skip(&mut self, mut count: usize, what: &'static str) -> Result<(), ArchiveError> {
        while count > 0 {
            let part = self.source.peek()?.len().min(count);
            if part == 0 {
                return Err(ArchiveError::Short(what));
            }
            self.source.consume(part);
            count -= part;
        }
        Ok(())
    }

    fn align(&mut self, what: &'static str) -> Result<(), ArchiveError> {
        let over = (self.source.position() - self.start) % 4;
        self.skip((4 - over as usize) % 4, what)
    }
}

fn zeroed(len: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    bytes.make_room_exact(len)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::{ArchiveError, Source};
    use super::{Entry, Reader};

    /// Bytes in small pieces.
    struct Pieces<'a> {
        bytes: &'a [u8],
        at: usize,
        size: usize,
    }

    impl Source for Pieces<'_> {
        fn peek(&mut self) -> Result<&[u8], ArchiveError> {
            let end = self.bytes.len().min(self.at + self.size);
            Ok(&self.bytes[self.at..end])
        }

        fn consume(&mut self, count: usize) {
            self.at += count;
        }

        fn position(&self) -> u64 {
            self.at as u64
        }
    }

    fn push(archive: &mut Vec<u8>, name: &str, padding: usize, mode: u32, content: &[u8]) {
        let fields = [
            7,
            mode,
            1,
            2,
            1,
            99,
            content.len() as u32,
            8,
            1,
            4,
            64,
            (name.len() + 1 + padding) as u32,
            0,
        ];
        archive.extend_from_slice(b"070701");
        for field in fields {
            archive.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        archive.extend_from_slice(name.as_bytes());
        archive.extend(core::iter::repeat_n(0, 1 + padding));
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }

    fn sample() -> Vec<u8> {
        let mut archive = Vec::new();
        push(&mut archive, "bin", 0, 0o040755, b"");
        push(&mut archive, "bin/a", 37, 0o100644, b"hello");
        push(&mut archive, "link", 0, 0o120777, b"bin/a");
        push(&mut archive, "TRAILER!!!", 0, 0, b"");
        archive
    }

    fn read(bytes: &[u8], size: usize) -> Result<Vec<(Entry, Vec<u8>)>, ArchiveError> {
        let mut source = Pieces { bytes, at: 0, size };
        let mut reader = Reader::new(&mut source);
        let mut entries = Vec::new();
        while let Some(entry) = reader.next()? {
            let mut content = Vec::new();
            while reader.remaining() > 0 {
                let part = reader.data(3)?.to_vec();
                reader.consume(part.len());
                content.extend(part);
            }
            entries.push((entry, content));
        }
        Ok(entries)
    }

    #[test]
    fn reads_entries_in_pieces_of_any_size() {
        for size in [1, 7, 110, 100_000] {
            let entries = read(&sample(), size).expect("the archive is good");
            let names: Vec<_> = entries
                .iter()
                .map(|(entry, _)| entry.name.as_slice())
                .collect();
            assert_eq!(names, [&b"bin"[..], b"bin/a", b"link"]);
            assert_eq!(entries[1].1, b"hello");
            assert_eq!(entries[2].1, b"bin/a");
            assert_eq!(entries[1].0.identity, (8, 1, 7));
            assert_eq!((entries[1].0.uid, entries[1].0.modified), (1, 99));
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = sample();
        // Padding after the trailer may be missing.
        for len in 0..whole.len() - 4 {
            assert!(read(&whole[..len], 64).is_err(), "{len}");
        }
    }

    #[test]
    fn damage_never_panics() {
        let whole = sample();
        for at in 0..whole.len() {
            for value in [0, b'0', b'9', b'f', b'g', 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = read(&damaged, 64);
            }
        }
        let mut damaged = whole.clone();
        damaged[20] = b'x';
        assert_eq!(read(&damaged, 64), Err(ArchiveError::Field("mode")));
        damaged[0] = b'1';
        assert_eq!(read(&damaged, 64), Err(ArchiveError::Magic));
    }
}
