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
use super::text::{Made, Text};
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
/// what is true then.
pub(super) struct Generated<C> {
    content: Arc<C>,
    text: SpinLock<Option<Arc<Vec<u8>>>>,
    /// The first part of a write that met a fault.
    heard: SpinLock<Vec<u8>>,
}

impl<C: Content> Generated<C> {
    /// The open file of a content.
    pub(super) fn opened(content: Arc<C>) -> Opened {
        Opened::File(Arc::new(Generated {
            content,
            text: SpinLock::new(None),
            heard: SpinLock::new(Vec::new()),
        }))
    }

    fn text_at(&self, position: u64) -> Result<Arc<Vec<u8>>, Errno> {
        if position != 0
            && let Some(text) = &*self.text.lock()
        {
            return Ok(Arc::clone(text));
        }
        let mut text = Text::default();
        self.content.render(&mut text)?;
        let text = Arc::new(text.into_bytes());
        let old = self.text.lock().replace(Arc::clone(&text));
        drop(old);
        Ok(text)
    }
}

impl<C: Content> File for Generated<C> {
    fn read(&self, sink: &mut Sink<'_>, position: &mut u64) -> Result<usize, Errno> {
        let text = self.text_at(*position)?;
        let start = usize::try_from(*position).unwrap_or(usize::MAX);
        let count = sink.put(text.get(start..).unwrap_or(&[]));
        *position = position.saturating_add(count as u64);
        Ok(count)
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
