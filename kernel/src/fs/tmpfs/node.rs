//! The inodes of tmpfs, which are their own open files.
//!
//! # Lock protocol
//! `bytes` before `attributes`. Neither is held across anything that waits or
//! resolves a fault: cursors stop at one (see [`io`](crate::vfs)), and the file
//! is asked again.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::fcntl::{S_ISGID, S_ISUID, Seals};
use ochre_hal::memory::{PAGE_SIZE, UserFrame};
use ochre_sync::SpinLock;

use super::Accounts;
use super::pages::{Frame, Pages, SIZE_MAX};
use crate::fs::devtmpfs;
use crate::ipc::fifo::Fifo;
use crate::memory::{AreaFlags, Backing, Gone, Identity, Mappers};
use crate::vfs::{
    Allocate, Allocation, AllocationStage, Change, File, Inode, Kind, Link, Metadata, New, Open,
    Opened, Permissions, Rename, Sink, Source, Timestamp, WriterCount, now,
};

#[cfg(not(test))]
type StoredFrame = UserFrame;
#[cfg(test)]
type StoredFrame = super::pages::tests::HostFrame;

/// What an entry adds to the size of a directory, as Linux counts.
const ENTRY_SIZE: u64 = 20;

/// A file of tmpfs.
pub struct Node {
    accounts: Arc<Accounts>,
    me: Weak<Node>,
    number: u64,
    kind: Kind,
    created: Timestamp,
    writers: WriterCount,
    mappers: Mappers,
    attributes: SpinLock<Attributes>,
    content: Content,
}

struct Attributes {
    permissions: Permissions,
    links: u32,
    /// Entries of a directory.
    entries: u64,
    accessed: Timestamp,
    modified: Timestamp,
    changed: Timestamp,
}

enum Content {
    Bytes(SpinLock<Pages<StoredFrame>>),
    Link(Arc<[u8]>),
    Device(u64),
    Fifo(Fifo),
    Nothing,
}

impl Node {
    /// A new object, with one name (two for a directory) that the caller gives it.
    pub(super) fn new(accounts: &Arc<Accounts>, new: &New<'_>) -> Result<Arc<Node>, Errno> {
        let number = accounts.charge_inode()?;
        let time = now();
        let content = match new.kind {
            Kind::Regular => Content::Bytes(SpinLock::new(Pages::default())),
            Kind::Symlink => Content::Link(new.target.into()),
            Kind::CharacterDevice | Kind::BlockDevice => Content::Device(new.device),
            Kind::Fifo => Content::Fifo(Fifo::default()),
            Kind::Directory | Kind::Socket => Content::Nothing,
        };
        Ok(Arc::new_cyclic(|me| Node {
            accounts: Arc::clone(accounts),
            me: Weak::clone(me),
            number,
            kind: new.kind,
            created: time,
            writers: WriterCount::default(),
            mappers: Mappers::new(),
            attributes: SpinLock::new(Attributes {
                permissions: Permissions {
                    mode: new.mode & 0o7777,
                    uid: new.uid,
                    gid: new.gid,
                },
                links: if new.kind == Kind::Directory { 2 } else { 1 },
                entries: 0,
                accessed: time,
                modified: time,
                changed: time,
            }),
            content,
        }))
    }

    fn bytes(&self) -> Result<&SpinLock<Pages<StoredFrame>>, Errno> {
        match &self.content {
            Content::Bytes(bytes) => Ok(bytes),
            _ if self.kind == Kind::Directory => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Takes the last name of a nameless file away (`O_TMPFILE`, memfd).
    pub fn make_nameless(&self) {
        self.attributes.lock().links = 0;
    }

    /// Gives the file a whole page of content made elsewhere; the size is set
    /// by `truncate` before.
    ///
    /// # Errors
    /// ENOSPC; EINVAL if it is not a regular file.
    #[cfg(not(test))]
    pub fn adopt_page(&self, index: u64, frame: UserFrame) -> Result<(), Errno> {
        let bytes = self.bytes()?;
        self.accounts.charge(1)?;
        let old = bytes.lock().adopt(index, frame);
        if old.is_some() {
            self.accounts.release(1);
        }
        Ok(())
    }

    /// A child came or went: counts and times of a directory.
    fn entries_changed(&self, added: i64, subdirectories: i32) {
        let time = now();
        let mut attributes = self.attributes.lock();
        attributes.entries = attributes.entries.saturating_add_signed(added);
        attributes.links = attributes.links.saturating_add_signed(subdirectories);
        attributes.modified = time;
        attributes.changed = time;
    }

    /// An inode of this file system, from the general handle.
    fn of(inode: &Arc<dyn Inode>) -> Result<&Node, Errno> {
        inode.as_any().downcast_ref().ok_or(Errno::EXDEV)
    }

    /// What must not happen to the file any more.
    ///
    /// # Errors
    /// EINVAL if it is not a regular file.
    pub fn seals(&self) -> Result<Seals, Errno> {
        self.bytes()
            .map(|bytes| bytes.lock().seals)
            .map_err(|_| Errno::EINVAL)
    }

    /// Sets the seals of a file that was just made.
    pub fn set_seals(&self, seals: Seals) {
        if let Ok(bytes) = self.bytes() {
            bytes.lock().seals = seals;
        }
    }

    /// Adds seals (`F_ADD_SEALS`).
    ///
    /// # Errors
    /// EINVAL if it is not a regular file, EPERM if no seals may be added,
    /// EBUSY to forbid writing while somebody has a mapping that may.
    pub fn add_seals(&self, seals: Seals) -> Result<(), Errno> {
        let bytes = self.bytes().map_err(|_| Errno::EINVAL)?;
        let is_executable = self.permissions().mode & 0o111 != 0;
        let is_new = {
            let mut bytes = bytes.lock();
            if bytes.seals.contains(Seals::SEAL) {
                return Err(Errno::EPERM);
            }
            let is_new = seals.contains(Seals::WRITE) && !bytes.seals.contains(Seals::WRITE);
            if !is_new {
                bytes.seals |= seals;
            } else {
                // No new mapping may write from here on.
                bytes.seals |= Seals::WRITE;
            }
            is_new
        };
        if is_new {
            let writes = self.mappers.any(Backing::identity(self), |area| {
                area.is_shared() && !area.flags.contains(AreaFlags::NEVER_WRITE)
            });
            let mut bytes = bytes.lock();
            if writes {
                bytes.seals.remove(Seals::WRITE);
                return Err(Errno::EBUSY);
            }
            bytes.seals |= seals;
        }
        if seals.contains(Seals::EXEC) && is_executable {
            // It stays what it is, so its content has to, too.
            bytes.lock().seals |= Seals::SHRINK | Seals::GROW | Seals::WRITE | Seals::FUTURE_WRITE;
        }
        Ok(())
    }

    /// Pages were taken out, for a hole: no mapping shows them any more.
    fn taken_out(&self, out: &BTreeMap<u64, StoredFrame>) {
        self.accounts.release(out.len() as u64);
        let (Some((first, _)), Some((last, _))) = (out.first_key_value(), out.last_key_value())
        else {
            return;
        };
        let is_gone = |index: u64, frame: &UserFrame| {
            out.get(&index)
                .is_some_and(|gone| gone.clone().into_user().same_as(frame))
        };
        self.mappers.forget(
            Backing::identity(self),
            *first..last.saturating_add(1),
            Gone::Hole(&is_gone),
        );
    }

    /// The content was written: times, and the loss of set-user and set-group.
    fn written(&self) {
        let time = now();
        let mut attributes = self.attributes.lock();
        attributes.modified = time;
        attributes.changed = time;
    }

    fn write_at(
        &self,
        source: &mut Source<'_>,
        position: &mut u64,
        append: bool,
    ) -> Result<usize, Errno> {
        let mut bytes = self.bytes()?.lock();
        if append {
            *position = bytes.size();
        }
        let count = bytes.write(
            source,
            position,
            |pages| self.accounts.charge(pages),
            |pages| self.accounts.release(pages),
        )?;
        drop(bytes);
        if count > 0 {
            self.written();
        }
        Ok(count)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Content::Bytes(bytes) = &mut self.content {
            let frames = bytes.get_mut().take();
            self.accounts.release(frames.len() as u64);
            Frame::give_back(frames);
        }
        self.accounts.release_inode();
    }
}

impl Inode for Node {
    #[inline]
    fn kind(&self) -> Kind {
        self.kind
    }

    #[inline]
    fn permissions(&self) -> Permissions {
        self.attributes.lock().permissions
    }

    fn metadata(&self) -> Metadata {
        let (size, pages) = match &self.content {
            Content::Bytes(bytes) => {
                let bytes = bytes.lock();
                (bytes.size(), bytes.count())
            }
            Content::Link(target) => (target.len() as u64, 0),
            Content::Device(_) | Content::Fifo(_) | Content::Nothing => (0, 0),
        };
        let attributes = self.attributes.lock();
        Metadata {
            device: self.accounts.device,
            inode: self.number,
            kind: self.kind,
            permissions: attributes.permissions,
            links: attributes.links,
            represents: match self.content {
                Content::Device(device) => device,
                _ => 0,
            },
            size: if self.kind == Kind::Directory {
                attributes.entries.saturating_add(2) * ENTRY_SIZE
            } else {
                size
            },
            block_size: PAGE_SIZE as u32,
            blocks: pages.saturating_mul(PAGE_SIZE as u64 / 512),
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
            created: self.created,
        }
    }

    fn change(&self, change: &Change) -> Result<(), Errno> {
        let time = now();
        let is_mode_sealed = self.seals().is_ok_and(|seals| seals.contains(Seals::EXEC));
        let mut attributes = self.attributes.lock();
        let permissions = &mut attributes.permissions;
        if let Some(mode) = change.mode {
            if is_mode_sealed && (permissions.mode ^ mode) & 0o111 != 0 {
                return Err(Errno::EPERM);
            }
            permissions.mode = mode & 0o7777;
        }
        permissions.uid = change.uid.unwrap_or(permissions.uid);
        permissions.gid = change.gid.unwrap_or(permissions.gid);
        attributes.accessed = change.accessed.unwrap_or(attributes.accessed);
        attributes.modified = change.modified.unwrap_or(attributes.modified);
        attributes.changed = time;
        Ok(())
    }

    fn is_resident(&self) -> bool {
        self.kind == Kind::Directory
    }

    fn create(&self, _name: &[u8], new: &New<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let node = Node::new(&self.accounts, new)?;
        self.entries_changed(1, i32::from(new.kind == Kind::Directory));
        Ok(node)
    }

    fn create_nameless(&self, new: &New<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let node = Node::new(&self.accounts, new)?;
        node.make_nameless();
        Ok(node)
    }

    fn link(&self, _name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node = Node::of(target)?;
        {
            let mut attributes = node.attributes.lock();
            attributes.links = attributes.links.checked_add(1).ok_or(Errno::EMLINK)?;
            attributes.changed = now();
        }
        self.entries_changed(1, 0);
        Ok(())
    }

    fn unlink(&self, _name: &[u8], child: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node = Node::of(child)?;
        {
            let mut attributes = node.attributes.lock();
            let names = if node.kind == Kind::Directory { 2 } else { 1 };
            attributes.links = attributes.links.saturating_sub(names);
            attributes.changed = now();
        }
        self.entries_changed(-1, -i32::from(node.kind == Kind::Directory));
        Ok(())
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let target = Node::of(rename.directory)?;
        let child = Node::of(rename.child)?;
        let child_counts = i32::from(child.kind == Kind::Directory);
        let time = now();
        child.attributes.lock().changed = time;
        match rename.replaced {
            Some(replaced) if rename.exchange => {
                let other = Node::of(replaced)?;
                other.attributes.lock().changed = time;
                let other_counts = i32::from(other.kind == Kind::Directory);
                self.entries_changed(0, other_counts - child_counts);
                target.entries_changed(0, child_counts - other_counts);
            }
            Some(replaced) => {
                target.unlink(rename.new_name, replaced)?;
                self.entries_changed(-1, -child_counts);
                target.entries_changed(1, child_counts);
            }
            None => {
                self.entries_changed(-1, -child_counts);
                target.entries_changed(1, child_counts);
            }
        }
        Ok(())
    }

    fn link_target(&self) -> Result<Link, Errno> {
        match &self.content {
            Content::Link(target) => Ok(Link::Text(Arc::clone(target))),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(self: Arc<Self>, open: &Open<'_>) -> Result<Opened, Errno> {
        match self.kind {
            Kind::Regular | Kind::Directory => Ok(Opened::File(self)),
            Kind::Symlink => Err(Errno::ELOOP),
            Kind::CharacterDevice | Kind::BlockDevice => {
                let device = match self.content {
                    Content::Device(device) => device,
                    _ => 0,
                };
                devtmpfs::open(self.kind, device, open).map(Opened::File)
            }
            Kind::Fifo | Kind::Socket => match &self.content {
                Content::Fifo(fifo) => fifo.open(open),
                _ => Err(Errno::ENXIO),
            },
        }
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        let mut bytes = self.bytes()?.lock();
        if bytes.refuses_size(size) {
            return Err(Errno::EPERM);
        }
        let shorter = size < bytes.size();
        let cut = bytes.resize(size);
        drop(bytes);
        self.accounts.release(cut.len() as u64);
        if shorter {
            let first = size.div_ceil(PAGE_SIZE as u64);
            self.mappers
                .forget(Backing::identity(self), first..u64::MAX, Gone::End);
        }
        Frame::give_back(cut);
        self.written();
        Ok(())
    }

    fn allocate(&self, work: &mut Allocation) -> Result<bool, Errno> {
        let Range { start, end } = work.range;
        if end > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        let mut bytes = self.bytes()?.lock();
        let is_write_sealed = bytes.seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE);
        let grows = bytes.seals.contains(Seals::GROW) && end > bytes.size();
        let is_hole = work.how.contains(Allocate::PUNCH_HOLE);
        if is_hole && is_write_sealed || !is_hole && grows {
            return Err(Errno::EPERM);
        }
        let left = work.at..end;
        match work.stage {
            AllocationStage::Punch => {
                let (out, next) = bytes.punch(left);
                drop(bytes);
                self.taken_out(&out);
                work.at = next;
                if next < end {
                    return Ok(false);
                }
                if !is_hole {
                    work.stage = AllocationStage::Count { missing: 0 };
                    work.at = start;
                    return self.allocate(work);
                }
            }
            AllocationStage::Count { missing } => {
                let (more, next) = bytes.missing(left);
                drop(bytes);
                let missing = missing.saturating_add(more);
                work.stage = AllocationStage::Count { missing };
                work.at = next;
                if next < end {
                    return Ok(false);
                }
                // All or nothing, before a frame is touched: a program may ask
                // for any size. Who takes the room meanwhile has it.
                self.accounts.charge(missing)?;
                self.accounts.release(missing);
                work.stage = AllocationStage::Fill;
                work.at = start;
                return self.allocate(work);
            }
            AllocationStage::Fill => {
                let next = bytes.populate(
                    left,
                    |pages| self.accounts.charge(pages),
                    |pages| self.accounts.release(pages),
                )?;
                work.at = next;
                if next < end {
                    return Ok(false);
                }
                if end > bytes.size() && !work.how.contains(Allocate::KEEP_SIZE) {
                    bytes.resize(end);
                }
                drop(bytes);
            }
        }
        self.written();
        Ok(true)
    }

    fn seek_data(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        self.bytes()?.lock().seek(offset, hole)
    }

    fn drop_set_ids(&self) {
        let mut attributes = self.attributes.lock();
        let mode = attributes.permissions.mode;
        attributes.permissions.mode = match mode {
            _ if mode & 0o010 != 0 => mode & !(S_ISUID | S_ISGID),
            _ => mode & !S_ISUID,
        };
    }

    fn record_access(&self) {
        let time = now();
        self.attributes.lock().accessed = time;
    }

    fn writers(&self) -> Option<&WriterCount> {
        Some(&self.writers)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for Node {
    fn read(&self, sink: &mut Sink<'_>, position: &mut u64) -> Result<usize, Errno> {
        let count = self.bytes()?.lock().read(sink, position);
        let mut attributes = self.attributes.lock();
        if attributes.accessed <= attributes.modified || attributes.accessed <= attributes.changed {
            attributes.accessed = now();
        }
        Ok(count)
    }

    fn write(&self, source: &mut Source<'_>, position: &mut u64) -> Result<usize, Errno> {
        self.write_at(source, position, false)
    }

    fn append(&self, source: &mut Source<'_>, position: &mut u64) -> Result<usize, Errno> {
        self.write_at(source, position, true)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn backing(&self) -> Option<Arc<dyn Backing>> {
        match self.content {
            Content::Bytes(_) => self.me.upgrade().map(|node| node as Arc<dyn Backing>),
            _ => None,
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Backing for Node {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        let frame = self.bytes()?.lock().page(
            index,
            |pages| self.accounts.charge(pages),
            |pages| self.accounts.release(pages),
        )?;
        Ok(frame.into_user())
    }

    fn page_at_hand(&self, index: u64) -> Option<Result<UserFrame, Errno>> {
        let page = self.bytes().map(|bytes| bytes.lock().page_at_hand(index));
        match page {
            Ok(page) => page.map(|page| page.map(Frame::into_user)),
            Err(errno) => Some(Err(errno)),
        }
    }

    fn present(&self, pages: Range<u64>, visit: &mut dyn FnMut(u64, UserFrame)) {
        if let Ok(bytes) = self.bytes() {
            bytes
                .lock()
                .present(pages, &mut |index, frame| visit(index, frame.into_user()));
        }
    }

    fn size(&self) -> u64 {
        self.bytes().map_or(0, |bytes| bytes.lock().size())
    }

    fn identity(&self) -> Identity {
        Identity {
            device: self.accounts.device,
            inode: self.number,
        }
    }

    fn path(&self) -> Vec<u8> {
        Vec::new()
    }

    fn mappers(&self) -> Option<&Mappers> {
        Some(&self.mappers)
    }

    fn admit(&self, writable: bool) -> Result<bool, Errno> {
        let is_sealed = self
            .seals()
            .is_ok_and(|seals| seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE));
        if is_sealed && writable {
            return Err(Errno::EPERM);
        }
        Ok(!is_sealed)
    }

    fn punch(&self, pages: Range<u64>) -> Result<u64, Errno> {
        let (start, end) = (
            pages.start.checked_mul(PAGE_SIZE as u64),
            pages.end.checked_mul(PAGE_SIZE as u64),
        );
        let (Some(start), Some(end)) = (start, end) else {
            return Err(Errno::EFBIG);
        };
        let how = Allocate::PUNCH_HOLE | Allocate::KEEP_SIZE;
        let mut work = Allocation::new(start, end.saturating_sub(start), how)?;
        match self.allocate(&mut work)? {
            true => Ok(pages.end),
            false => Ok(work.at / PAGE_SIZE as u64),
        }
    }
}
