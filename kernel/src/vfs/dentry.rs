//! Dentries: named places in the tree of one file system.
//!
//! A dentry joins a name, a parent and an inode. In a resident directory
//! (see [`inode`](super::inode)) the children are held by the parent and are
//! the directory; in others they are held by whoever uses them, and the parent
//! only remembers them.
//!
//! # Invariants
//! - Attached and resident: the parent holds the child, the child knows the
//!   parent weakly. Anywhere else the child holds the parent, so `..` and paths
//!   work for removed files too. No cycle of strong handles exists.
//! - A directory that was removed is *closed*: it has no children, and gets none.
//!
//! # Lock protocol
//! `RENAME` (whoever moves a name across directories, or reads a chain of
//! parents that must not change) -> `children` of a directory -> `children` of a
//! directory below it -> `place`. Two unrelated directories are locked by
//! [`lock_two`] under `RENAME`. File systems are called with `children` held;
//! they take their own locks below.
//!
//! Dropping is a loop, however deep the tree: see [`Dentry::drop`].

mod children;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::fcntl::NAME_MAX;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};
use ochre_sync::{SpinLock, SpinLockGuard};

use super::{Inode, Kind};
use children::{Child, hash};

pub(super) use children::Children;

/// Held by whoever moves a name from one directory to another.
static RENAME: SpinLock<()> = SpinLock::new(());

/// Looks at a child: its name, what is there, the cursor after it. Answers
/// whether to go on.
pub type VisitChild<'a> = dyn FnMut(&[u8], &Arc<dyn Inode>, u64) -> bool + 'a;

/// A named place in the tree of one file system.
pub struct Dentry {
    inode: Arc<dyn Inode>,
    kind: Kind,
    resident: bool,
    /// Mounts on top of it, in any mount of the file system.
    mounts: AtomicU32,
    place: SpinLock<Place>,
    children: SpinLock<Children>,
}

struct Place {
    parent: Parent,
    name: Box<[u8]>,
    deleted: bool,
}

enum Parent {
    /// A root.
    None,
    /// Held by the child: removed, or in a directory that is not resident.
    Held(Arc<Dentry>),
    /// Holds the child.
    Attached(Weak<Dentry>),
}

impl Dentry {
    fn make(inode: Arc<dyn Inode>, parent: Parent, name: &[u8], deleted: bool) -> Arc<Dentry> {
        Arc::new(Dentry {
            kind: inode.kind(),
            resident: inode.is_resident(),
            inode,
            mounts: AtomicU32::new(0),
            place: SpinLock::new(Place {
                parent,
                name: name.into(),
                deleted,
            }),
            children: SpinLock::new(Children::default()),
        })
    }

    /// The top of a file system.
    #[must_use]
    pub fn root(inode: Arc<dyn Inode>) -> Arc<Dentry> {
        Dentry::make(inode, Parent::None, b"", false)
    }

    /// A place outside every directory, which shows as `name`; `deleted` says
    /// whether paths add so (memory files do, pipes do not).
    #[must_use]
    pub fn detached(inode: Arc<dyn Inode>, name: &[u8], deleted: bool) -> Arc<Dentry> {
        Dentry::make(inode, Parent::None, name, deleted)
    }

    /// What is there.
    #[inline]
    #[must_use]
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// What kind of file is there.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is a directory.
    #[inline]
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether its children are the directory.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        self.resident
    }

    /// Whether something is mounted on it, in some mount.
    #[inline]
    #[must_use]
    pub fn is_mount_point(&self) -> bool {
        // ORDERING: Relaxed; the mount table's lock orders what follows.
        self.mounts.load(Ordering::Relaxed) != 0
    }

    /// Counts a mount on top; the mount table's lock is held.
    pub(super) fn add_mount(&self) {
        self.mounts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a mount less.
    pub(super) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether its name was removed.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.place.lock().deleted
    }

    /// Its name; empty for a root.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        self.place.lock().name.to_vec()
    }

    /// Hands its name to `f`.
    pub fn with_name<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.place.lock().name)
    }

    /// The directory it is in; `None` for a root.
    #[must_use]
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        match &self.place.lock().parent {
            Parent::None => None,
            Parent::Held(parent) => Some(Arc::clone(parent)),
            Parent::Attached(parent) => parent.upgrade(),
        }
    }

    /// Whether `self` is `other` or below it; the caller holds `RENAME` if the
    /// answer must stay true.
    #[must_use]
    pub fn is_within(self: &Arc<Self>, other: &Arc<Dentry>) -> bool {
        let mut at = Arc::clone(self);
        loop {
            if Arc::ptr_eq(&at, other) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// The child of that name.
    ///
    /// # Errors
    /// ENOENT, ENAMETOOLONG; others from the file system.
    pub fn child(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        let hash = hash(name);
        let found = self.children.lock().get(hash, name);
        if self.resident {
            return found.ok_or(if name.len() > NAME_MAX {
                Errno::ENAMETOOLONG
            } else {
                Errno::ENOENT
            });
        }
        match found {
            Some(child) if child.is_current(name) => Ok(child),
            _ if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
            _ => self.look_up(hash, name),
        }
    }

    /// Asks the file system, and remembers the answer.
    fn look_up(self: &Arc<Self>, hash: u64, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        let inode = self.inode.lookup(name)?;
        let child = Dentry::make(inode, Parent::Held(Arc::clone(self)), name, false);
        let mut children = self.children.lock();
        // Somebody else may have been faster; then theirs is the one. A stale
        // one, or another name of the same hash, makes room.
        if let Some(other) = children.get(hash, name) {
            if other.is_current(name) {
                drop(children);
                return Ok(other);
            }
            let stale = children.remove(hash, &other);
            drop(children);
            drop((stale, other));
            children = self.children.lock();
        }
        children.insert(hash, Child::Remembered(Arc::downgrade(&child)))?;
        drop(children);
        Ok(child)
    }

    /// Whether a remembered child is what `name` means now.
    fn is_current(&self, name: &[u8]) -> bool {
        !self.inode.is_stale() && self.with_name(|other| other == name)
    }

    /// Locks the directory's entries for a change.
    ///
    /// # Errors
    /// ENOENT for a directory that was removed.
    pub(super) fn entries(self: &Arc<Self>) -> Result<Entries<'_>, Errno> {
        let children = self.children.lock();
        if children.is_closed() {
            return Err(Errno::ENOENT);
        }
        Ok(Entries {
            dentry: self,
            children,
        })
    }

    /// Visits the children of a resident directory from `cursor` on, until
    /// `visit` answers false. The directory is locked meanwhile.
    pub fn visit_children(&self, cursor: u64, visit: &mut VisitChild<'_>) {
        self.children.lock().visit(cursor, visit);
    }

    /// Takes `self` out of its parent's memory and gives the parent handle, if
    /// `self` held one. `address` is where its handles pointed: what was taken
    /// out of the last one is somewhere else.
    fn leave_parent(&mut self, address: *const Dentry) -> Option<Arc<Dentry>> {
        let place = self.place.get_mut();
        match core::mem::replace(&mut place.parent, Parent::None) {
            Parent::Held(parent) => {
                if !place.deleted {
                    let gone = parent.children.lock().forget(hash(&place.name), address);
                    drop(gone);
                }
                Some(parent)
            }
            Parent::None | Parent::Attached(_) => None,
        }
    }
}

impl Drop for Dentry {
    /// Handles are followed up (parents held by removed children) and down
    /// (children of a file system that goes away) by loops: a program decides
    /// how deep a tree is, and the stack is short.
    fn drop(&mut self) {
        let mut above = self.leave_parent(core::ptr::from_ref(self));
        while let Some(parent) = above {
            let address = Arc::as_ptr(&parent);
            above = Arc::into_inner(parent).and_then(|mut parent| parent.leave_parent(address));
        }
        let mut levels = Vec::new();
        levels.extend(self.children.get_mut().take());
        while let Some(level) = levels.last_mut() {
            match level.pop() {
                Some(child) => {
                    if let Some(mut child) = Arc::into_inner(child) {
                        levels.extend(child.children.get_mut().take());
                    }
                }
                None => {
                    levels.pop();
                }
            }
        }
    }
}

impl core::fmt::Debug for Dentry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Dentry")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The entries of a directory, locked.
pub(super) struct Entries<'a> {
    dentry: &'a Arc<Dentry>,
    children: SpinLockGuard<'a, Children>,
}

impl Entries<'_> {
    /// The child of that name, from a resident directory or the cache. Look a
    /// name up with [`Dentry::child`] before locking where the directory is not
    /// resident.
    pub(super) fn get(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        self.children.get(hash(name), name)
    }

    /// Whether `child` has that name here.
    pub(super) fn has(&self, name: &[u8], child: &Arc<Dentry>) -> bool {
        let place = child.place.lock();
        let parent = match &place.parent {
            Parent::None => return false,
            Parent::Held(parent) => Arc::as_ptr(parent),
            Parent::Attached(parent) => parent.as_ptr(),
        };
        !place.deleted && *place.name == *name && core::ptr::eq(parent, Arc::as_ptr(self.dentry))
    }

    /// Makes room for one more entry.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn reserve(&mut self) -> Result<(), Errno> {
        self.children.reserve()
    }

    /// Adds an inode under a free name; room was reserved.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn add(&mut self, name: &[u8], inode: Arc<dyn Inode>) -> Result<Arc<Dentry>, Errno> {
        let (parent, resident) = (self.dentry, self.dentry.resident);
        let link = if resident {
            Parent::Attached(Arc::downgrade(parent))
        } else {
            Parent::Held(Arc::clone(parent))
        };
        let child = Dentry::make(inode, link, name, false);
        self.insert(hash(name), &child)?;
        Ok(child)
    }

    fn insert(&mut self, hash: u64, child: &Arc<Dentry>) -> Result<(), Errno> {
        let entry = if self.dentry.resident {
            Child::Held(Arc::clone(child))
        } else {
            Child::Remembered(Arc::downgrade(child))
        };
        self.children.insert(hash, entry)
    }

    /// Takes a child's name away; it keeps the parent from now on. The handle
    /// that comes back is dropped after the lock.
    #[must_use]
    pub(super) fn remove(&mut self, child: &Arc<Dentry>) -> Option<Child> {
        let removed = self.take(child);
        let mut place = child.place.lock();
        place.parent = Parent::Held(Arc::clone(self.dentry));
        place.deleted = true;
        removed
    }

    fn take(&mut self, child: &Arc<Dentry>) -> Option<Child> {
        let hash = child.with_name(hash);
        self.children.remove(hash, child)
    }

    /// Closes a child directory for good if it is empty.
    ///
    /// # Errors
    /// ENOTEMPTY.
    pub(super) fn close_child(&self, child: &Arc<Dentry>) -> Result<(), Errno> {
        child.children.lock().close(child.resident)
    }

    /// Opens a closed child again: its removal failed.
    pub(super) fn reopen_child(&self, child: &Arc<Dentry>) {
        child.children.lock().reopen();
    }
}

/// Gives `child` of `from` the name `name` in `to` (the same directory if
/// `None`). Room was reserved there, and the name is free.
///
/// # Errors
/// ENOMEM; nothing is changed then.
pub(super) fn move_child<'a>(
    from: &mut Entries<'a>,
    to: Option<&mut Entries<'a>>,
    child: &Arc<Dentry>,
    name: &[u8],
) -> Result<(), Errno> {
    let name: Box<[u8]> = name.into();
    let new_hash = hash(&name);
    let removed = from.take(child);
    let target = match to {
        Some(to) => to,
        None => from,
    };
    let link = if target.dentry.resident {
        Parent::Attached(Arc::downgrade(target.dentry))
    } else {
        Parent::Held(Arc::clone(target.dentry))
    };
    {
        let mut place = child.place.lock();
        place.parent = link;
        place.name = name;
    }
    let result = target.insert(new_hash, child);
    drop(removed);
    result
}

/// Exchanges the places of two children.
///
/// # Errors
/// None in practice: what is put in takes the room of what was taken out.
pub(super) fn swap_children<'a>(
    first: &mut Entries<'a>,
    second: Option<&mut Entries<'a>>,
    one: &Arc<Dentry>,
    other: &Arc<Dentry>,
) -> Result<(), Errno> {
    let removed_one = first.take(one);
    let second_or_first = match second {
        Some(second) => {
            let removed_other = second.take(other);
            exchange_places(one, other);
            second.insert(one.with_name(hash), one)?;
            drop(removed_other);
            first
        }
        None => {
            let removed_other = first.take(other);
            exchange_places(one, other);
            first.insert(one.with_name(hash), one)?;
            drop(removed_other);
            first
        }
    };
    second_or_first.insert(other.with_name(hash), other)?;
    drop(removed_one);
    Ok(())
}

fn exchange_places(one: &Dentry, other: &Dentry) {
    core::mem::swap(&mut *one.place.lock(), &mut *other.place.lock());
}

/// Locks one or two directories for a rename; the guard of `RENAME` comes first
/// so that it is released last.
///
/// # Errors
/// ENOENT for a directory that was removed.
pub(super) fn lock_two<'a>(
    first: &'a Arc<Dentry>,
    second: &'a Arc<Dentry>,
) -> Result<(Entries<'a>, Option<Entries<'a>>), Errno> {
    if Arc::ptr_eq(first, second) {
        return Ok((first.entries()?, None));
    }
    let first_is_below = first.is_within(second);
    let second_is_below = second.is_within(first);
    let first_goes_first =
        second_is_below || (!first_is_below && Arc::as_ptr(first) < Arc::as_ptr(second));
    if first_goes_first {
        let one = first.entries()?;
        let two = second.entries()?;
        Ok((one, Some(two)))
    } else {
        let two = second.entries()?;
        let one = first.entries()?;
        Ok((one, Some(two)))
    }
}

/// Takes the lock that keeps names from moving across directories.
pub(super) fn lock_rename() -> SpinLockGuard<'static, ()> {
    RENAME.lock()
}

#[cfg(test)]
mod tests;
