//! Inodes of files and links, and open files.
//!
//! What differs between files is their [`Content`]; what differs between links
//! is their [`Target`].

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use ochre_abi::Errno;
use ochre_sync::SpinLock;

use super::TREE;
use super::text::{Failure, Made, Text};
use super::tree::Tree;
use crate::memory::MakeRoom;
use crate::process::{Capability, Thread};
use crate::vfs::{
    File, Inode, Kind, Link, Metadata, Open, Opened, Permissions, Sink, Source, Timestamp, now,
};

/// Most bytes that a write to a file here takes.
const WRITE_MAX: usize = 4096;

/// Whom an inode belongs to, its number, and that of its file system.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    pub(super) tree: &'static Tree,
    pub(super) number: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Identity {
    /// Something of the superuser's in procfs.
    pub(super) const fn of_root(number: u64, mode: u32) -> Identity {
        Identity {
            tree: &TREE,
            number,
            mode,
            uid: 0,
            gid: 0,
        }
    }

    /// The same in another file system.
    pub(super) const fn on(self, tree: &'static Tree) -> Identity {
        Identity { tree, ..self }
    }

    pub(super) fn permissions(self) -> Permissions {
        Permissions {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
        }
    }

    pub(super) fn metadata(self, kind: Kind, links: u32, size: u64, time: Timestamp) -> Metadata {
        Metadata {
            device: self.tree.device(),
            inode: self.number,
            kind,
            permissions: self.permissions(),
            links,
            represents: 0,
            size,
            block_size: 1024,
            blocks: 0,
            accessed: time,
            modified: time,
            changed: time,
            created: time,
        }
    }
}

/// Whether whoever opens a file may know where in memory things are
/// (`CAP_SYS_ADMIN`, as Linux has it). What a program does with the open file
/// is up to it: who reads is not asked again.
pub(super) fn may_see_memory(open: &Open<'_>) -> bool {
    let may = |thread: &Arc<Thread>| thread.has(Capability::SysAdmin);
    open.thread.is_none_or(may)
}

/// What a file says and hears.
pub(super) trait Content: Send + Sync + 'static {
    /// Number, mode, owner.
    fn identity(&self) -> Identity;

    /// Whether what it is about is gone.
    fn is_gone(&self) -> bool {
        false
    }

    /// Whether it may be opened, beyond what its mode says.
    fn check_open(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Makes the text.
    fn render(&self, text: &mut Text) -> Made;

    /// Makes a part of the text, and says with which mark the next one is made;
    /// the first one's is 0. What may be long comes in parts, so that a program
    /// that reads a little costs little; a part is of whole lines.
    fn render_part(&self, mark: u64, text: &mut Text) -> Result<Option<u64>, Failure> {
        let _ = mark;
        self.render(text)?;
        Ok(None)
    }

    /// Takes what was written.
    fn store(&self, bytes: &[u8]) -> Result<(), Errno> {
        let _ = bytes;
        Err(Errno::EINVAL)
    }
}

/// A file.
pub(super) struct Leaf<C>(pub(super) Arc<C>);

impl<C: Content> Leaf<C> {
    pub(super) fn inode(content: C) -> Arc<dyn Inode> {
        Arc::new(Leaf(Arc::new(content)))
    }
}

impl<C: Content> Inode for Leaf<C> {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn permissions(&self) -> Permissions {
        self.0.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        self.0.identity().metadata(Kind::Regular, 1, 0, now())
    }

    fn is_stale(&self) -> bool {
        self.0.is_gone()
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        self.0.check_open()?;
        Ok(Generated::opened(Arc::clone(&self.0)))
    }

    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        // `echo x > file` cuts first: there is nothing to cut.
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open file: its text, made when it is read from the start, so that the
/// pieces that a program reads fit together, and a program that rewinds sees
/// what is true then. Of a text in parts there is the one that was read last;
/// who goes back in it has it made again from the start.
pub(super) struct Generated<C> {
    content: Arc<C>,
    part: SpinLock<Option<Part>>,
    /// The first part of a write that met a fault.
    heard: SpinLock<Vec<u8>>,
}

/// A part of a text.
#[derive(Clone)]
struct Part {
    /// Where in the text it begins.
    start: u64,
    text: Arc<Vec<u8>>,
    /// What the next one is made with, if there is one.
    next: Option<u64>,
}

impl Part {
    /// Where in the text it ends.
    fn end(&self) -> u64 {
        self.start.saturating_add(self.text.len() as u64)
    }

    /// What it has from a position on, if it begins before that.
    fn from(&self, position: u64) -> Option<&[u8]> {
        let skipped = usize::try_from(position.checked_sub(self.start)?).ok()?;
        Some(self.text.get(skipped..).unwrap_or(&[]))
    }
}

impl<C: Content> Generated<C> {
    /// The open file of a content.
    pub(super) fn opened(content: Arc<C>) -> Opened {
        Opened::File(Arc::new(Generated {
            content,
            part: SpinLock::new(None),
            heard: SpinLock::new(Vec::new()),
        }))
    }

    /// The part that a position is in, or the last one; whether it was made now.
    fn part_at(&self, position: u64) -> Result<(Part, bool), Errno> {
        if position != 0
            && let Some(part) = &*self.part.lock()
            && part.start <= position
            && (position < part.end() || part.next.is_none())
        {
            return Ok((part.clone(), false));
        }
        let known = if position == 0 {
            None
        } else {
            self.part.lock().clone()
        };
        let mut part = match known {
            Some(part) if part.start <= position => part,
            _ => self.made(0, 0)?,
        };
        while part.end() <= position
            && let Some(mark) = part.next
        {
            part = self.made(part.end(), mark)?;
        }
        let old = self.part.lock().replace(part.clone());
        drop(old);
        Ok((part, true))
    }

    fn made(&self, start: u64, mark: u64) -> Result<Part, Errno> {
        let mut text = Text::default();
        let next = self.content.render_part(mark, &mut text)?;
        Ok(Part {
            start,
            text: Arc::new(text.into_bytes()),
            next,
        })
    }
}

impl<C: Content> File for Generated<C> {
    fn read(&self, sink: &mut Sink<'_>, position: &mut u64) -> Result<usize, Errno> {
        // What is left of a part that was begun, and one more part: as on Linux,
        // a read of a long text ends with a line's end, and programs take one that
        // is shorter than it could be for the last.
        let mut count = 0;
        loop {
            let (part, is_new) = match self.part_at(*position) {
                Ok(part) => part,
                // What was read is read.
                Err(_) if count > 0 => return Ok(count),
                Err(errno) => return Err(errno),
            };
            let rest = part.from(*position).unwrap_or(&[]);
            let put = sink.put(rest);
            count += put;
            *position = position.saturating_add(put as u64);
            if is_new || put < rest.len() || part.next.is_none() || sink.remaining() == 0 {
                return Ok(count);
            }
        }
    }

    fn write(&self, source: &mut Source<'_>, position: &mut u64) -> Result<usize, Errno> {
        let mut bytes = core::mem::take(&mut *self.heard.lock());
        let before = bytes.len();
        let want = source.remaining().min(WRITE_MAX.saturating_sub(before));
        bytes.make_room(want)?;
        bytes.resize(before + want, 0);
        let count = source.take(&mut bytes[before..]);
        bytes.truncate(before + count);
        if source.faulted() {
            *self.heard.lock() = bytes;
        } else {
            self.content.store(&bytes)?;
        }
        *position = position.saturating_add(count as u64);
        Ok(count)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Where a symbolic link leads.
pub(super) trait Target: Send + Sync + 'static {
    /// Number, mode, owner.
    fn identity(&self) -> Identity;

    /// Whether what it is about is gone.
    fn is_gone(&self) -> bool {
        false
    }

    /// The size that `lstat` shows.
    fn size(&self) -> u64 {
        0
    }

    /// Where it leads.
    fn target(&self) -> Result<Link, Errno>;
}

/// A symbolic link.
pub(super) struct Arrow<T>(T);

impl<T: Target> Arrow<T> {
    pub(super) fn inode(target: T) -> Arc<dyn Inode> {
        Arc::new(Arrow(target))
    }
}

impl<T: Target> Inode for Arrow<T> {
    fn kind(&self) -> Kind {
        Kind::Symlink
    }

    fn permissions(&self) -> Permissions {
        self.0.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        let identity = self.0.identity();
        identity.metadata(Kind::Symlink, 1, self.0.size(), now())
    }

    fn is_stale(&self) -> bool {
        self.0.is_gone()
    }

    fn link_target(&self) -> Result<Link, Errno> {
        self.0.target()
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        Err(Errno::ELOOP)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open directory: what it lists is the inode's.
pub(super) struct Listing;

impl File for Listing {
    fn read(&self, _sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
