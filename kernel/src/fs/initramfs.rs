//! The initial archive: newc cpio, plain or gzip, unpacked into the root.
//!
//! The format is Linux's (`Documentation/driver-api/early-userspace/buffer-format.rst`):
//! any number of archives one after the other, zeroes between them, each plain
//! or compressed. Everything in it is hostile: a field that cannot be is an
//! error that says which and where, and nothing is read twice.
//!
//! `source` is where bytes come from, `gzip` one such source over another,
//! `cpio` cuts bytes into entries, and this file makes files of them.

mod cpio;
mod gzip;
mod source;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_hal::boot::Initramfs;
use ochre_hal::memory::{PAGE_SIZE, UserFrame};

use self::cpio::{Entry, Reader};
use self::gzip::Gzip;
use self::source::{ArchiveError, Source};
use crate::vfs::tree::{self, Make};
use crate::vfs::walk::{Last, Walk};
use crate::vfs::{Access, Change, Dentry, Inode, Kind, Open, Opened, Path, StatusFlags, Timestamp};

/// Bytes of content written at a time.
const CHUNK: usize = 16 * 1024;

const PAGE: u64 = PAGE_SIZE as u64;

/// What unpacking made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries of all kinds.
    pub entries: usize,
    /// Bytes of file content.
    pub bytes: u64,
    /// Pages that became file content without a copy.
    pub adopted: usize,
}

/// Unpacks every archive in `archive` under `root`.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn unpack(archive: Initramfs, root: &Path) -> Result<Report, String> {
    let mut source = source::Memory::new(archive);
    unpack_from(&mut source, root)
}

fn unpack_from(source: &mut dyn Source, root: &Path) -> Result<Report, String> {
    let mut unpacker = Unpacker {
        root,
        access: Access::root(),
        links: BTreeMap::new(),
        report: Report::default(),
    };
    unpacker.archives(source).map_err(|error| {
        format!(
            "the initial archive is damaged at byte {}: {error}",
            source.position()
        )
    })?;
    Ok(unpacker.report)
}

struct Unpacker<'a> {
    root: &'a Path,
    access: Access,
    /// First names of files that have more than one, by device and inode number.
    links: BTreeMap<(u32, u32, u32), Path>,
    report: Report,
}

impl Unpacker<'_> {
    fn archives(&mut self, source: &mut dyn Source) -> Result<(), ArchiveError> {
        let mut any = false;
        loop {
            skip_zeroes(source)?;
            let start = source.peek()?;
            match start {
                [] if any => return Ok(()),
                [] => return Err(ArchiveError::Empty),
                [b'0', ..] => self.archive(source)?,
                [0x1f, 0x8b, ..] => {
                    let mut inner = Gzip::new(source)?;
                    loop {
                        skip_zeroes(&mut inner)?;
                        if inner.peek()?.is_empty() {
                            break;
                        }
                        self.archive(&mut inner)?;
                    }
                }
                _ => return Err(ArchiveError::Unknown),
            }
            any = true;
        }
    }

    fn archive(&mut self, source: &mut dyn Source) -> Result<(), ArchiveError> {
        self.links.clear();
        let mut reader = Reader::new(source);
        while let Some(entry) = reader.next()? {
            self.report.entries += 1;
            self.entry(&entry, &mut reader)
                .map_err(|error| match error {
                    ArchiveError::Make(errno, _) => ArchiveError::Make(errno, entry.name.clone()),
                    other => other,
                })?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, reader: &mut Reader<'_>) -> Result<(), ArchiveError> {
        let kind = Kind::of_mode(entry.mode).ok_or(ArchiveError::Mode(entry.mode))?;
        let target = if kind == Kind::Symlink {
            reader.text()?
        } else {
            Vec::new()
        };
        let walk = self.directory(&entry.name)?;
        let Last::Name(name) = walk.last() else {
            // The root itself: attributes only.
            let root = walk.place().clone();
            return self.attributes(&root.dentry, entry);
        };
        let name = name.to_vec();
        let directory = walk.place().clone();
        if let Some(first) = self.first_name(kind, entry) {
            self.replace(&directory, &name)?;
            tree::link(&self.access, &first, &directory, &name, false)?;
            return if entry.size == 0 {
                Ok(())
            } else {
                self.content(&first, entry, reader)
            };
        }
        let dentry = match walk.look_up() {
            Ok(old) if kind == Kind::Directory && old.dentry.is_directory() => old.dentry,
            _ => {
                self.replace(&directory, &name)?;
                let make = Make {
                    kind,
                    mode: entry.mode & 0o7777,
                    device: entry.device,
                    target: &target,
                };
                tree::make(&self.access, &directory, &name, &make)?
            }
        };
        let path = Path {
            mount: Arc::clone(&directory.mount),
            dentry,
        };
        if kind == Kind::Regular {
            self.content(&path, entry, reader)?;
        }
        self.attributes(&path.dentry, entry)?;
        if entry.links > 1 && kind != Kind::Directory {
            self.links.insert(entry.identity, path);
        }
        Ok(())
    }

    fn first_name(&self, kind: Kind, entry: &Entry) -> Option<Path> {
        if entry.links > 1 && kind != Kind::Directory {
            self.links.get(&entry.identity).cloned()
        } else {
            None
        }
    }

    /// A walk that stands at the directory of `name`, made where it is missing.
    fn directory<'b>(&'b self, name: &'b [u8]) -> Result<Walk<'b>, ArchiveError> {
        let mut end = 0;
        loop {
            let mut walk = Walk::new(&self.access, self.root, self.root.clone(), name)?;
            match walk.to_last() {
                Ok(()) => return Ok(walk),
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
            // Make the directories on the way one by one.
            let rest = name.get(end + 1..).unwrap_or_default();
            let Some(slash) = rest.iter().position(|byte| *byte == b'/') else {
                return Err(Errno::ENOENT.into());
            };
            end += 1 + slash;
            let prefix = &name[..end];
            let mut parent = Walk::new(&self.access, self.root, self.root.clone(), prefix)?;
            parent.to_last()?;
            if let Last::Name(part) = parent.last() {
                let make = Make::plain(Kind::Directory, 0o755);
                match tree::make(&self.access, parent.place(), part, &make) {
                    Ok(_) | Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
    }

    /// A later entry takes the place of an earlier one of its name.
    fn replace(&self, directory: &Path, name: &[u8]) -> Result<(), ArchiveError> {
        match tree::remove(&self.access, directory, name, false) {
            Err(Errno::EISDIR) => tree::remove(&self.access, directory, name, true)?,
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    fn content(
        &mut self,
        path: &Path,
        entry: &Entry,
        reader: &mut Reader<'_>,
    ) -> Result<(), ArchiveError> {
        let inode = path.inode();
        inode.truncate(entry.size)?;
        self.report.bytes += entry.size;
        let open = Open {
            thread: None,
            readable: false,
            writable: true,
            flags: StatusFlags::empty(),
            may_control: false,
        };
        let Opened::File(file) = Arc::clone(inode).open(&open)? else {
            return Err(Errno::EINVAL.into());
        };
        let mut position = 0;
        while reader.remaining() > 0 {
            if position % PAGE == 0
                && let Some(frame) = reader.take_page()
            {
                adopt(inode, position / PAGE, frame)?;
                position += PAGE;
                self.report.adopted += 1;
                continue;
            }
            let part = reader.data(CHUNK)?;
            let mut from = crate::vfs::Source::kernel(part);
            let count = file.write(&mut from, &mut position)?;
            if count == 0 {
                return Err(Errno::ENOSPC.into());
            }
            reader.consume(count);
        }
        Ok(())
    }

    fn attributes(&self, dentry: &Arc<Dentry>, entry: &Entry) -> Result<(), ArchiveError> {
        let time = Timestamp {
            seconds: i64::from(entry.modified),
            nanoseconds: 0,
        };
        dentry.inode().change(&Change {
            mode: (dentry.kind() != Kind::Symlink).then_some(entry.mode & 0o7777),
            uid: Some(entry.uid),
            gid: Some(entry.gid),
            accessed: Some(time),
            modified: Some(time),
        })?;
        Ok(())
    }
}

/// Makes a page of the archive content of a file, without a copy.
#[cfg(not(test))]
fn adopt(inode: &Arc<dyn Inode>, index: u64, frame: UserFrame) -> Result<(), Errno> {
    let node = inode
        .as_any()
        .downcast_ref::<super::tmpfs::Node>()
        .ok_or(Errno::EINVAL)?;
    node.adopt_page(index, frame)
}

/// A host's files keep their content elsewhere; its sources give no pages.
#[cfg(test)]
fn adopt(_: &Arc<dyn Inode>, _: u64, _: UserFrame) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

fn skip_zeroes(source: &mut dyn Source) -> Result<(), ArchiveError> {
    loop {
        let bytes = source.peek()?;
        let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
        let stop = zeroes < bytes.len() || bytes.is_empty();
        source.consume(zeroes);
        if stop {
            return Ok(());
        }
    }
}
