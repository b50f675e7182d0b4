//! Paths: a place in the tree of mounts, and its text.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;

use super::mount::{self, Mount};
use super::{Dentry, Inode};
use crate::memory::MakeRoom;

/// A dentry as seen through a mount.
#[derive(Clone, Debug)]
pub struct Path {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The place in its file system.
    pub dentry: Arc<Dentry>,
}

impl PartialEq for Path {
    fn eq(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }
}

impl Path {
    /// What is there.
    #[inline]
    #[must_use]
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.dentry.inode()
    }

    /// Whether it is the root of its mount.
    #[inline]
    #[must_use]
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, self.mount.root())
    }

    /// Goes on to what is mounted on top, and on top of that.
    #[inline]
    pub fn cross_mounts(&mut self) {
        if self.dentry.is_mount_point() {
            self.cross();
        }
    }

    #[cold]
    fn cross(&mut self) {
        while self.dentry.is_mount_point() {
            match mount::on(self) {
                Some(mount) => {
                    self.dentry = Arc::clone(mount.root());
                    self.mount = mount;
                }
                None => break,
            }
        }
    }

    /// The directory above; `root` and the top of everything are their own.
    pub fn ascend(&mut self, root: &Path) {
        while *self != *root {
            if self.is_mount_root() {
                match self.mount.place() {
                    Some(place) => *self = place,
                    None => break,
                }
            } else {
                if let Some(parent) = self.dentry.parent() {
                    self.dentry = parent;
                }
                break;
            }
        }
        self.cross_mounts();
    }

    /// The path's text as seen from `root`, and whether `root` is above it.
    /// Removed files show " (deleted)".
    ///
    /// # Errors
    /// ENOMEM: a path has no longest length.
    pub fn text(&self, root: &Path) -> Result<(Vec<u8>, bool), Errno> {
        let mut reversed = Vec::new();
        let mut at = self.clone();
        let mut reached = true;
        while at != *root {
            if at.is_mount_root() {
                match at.mount.place() {
                    Some(place) => at = place,
                    None => {
                        reached = false;
                        break;
                    }
                }
                continue;
            }
            at.dentry
                .with_name(|name| put_reversed(&mut reversed, name))?;
            match at.dentry.parent() {
                Some(parent) => {
                    put_reversed(&mut reversed, b"/")?;
                    at.dentry = parent;
                }
                None => {
                    // A place outside every directory: a memory file, a pipe.
                    if at.dentry.is_deleted() {
                        put_reversed(&mut reversed, b"/")?;
                    }
                    break;
                }
            }
        }
        if reversed.is_empty() {
            put_reversed(&mut reversed, b"/")?;
        }
        reversed.reverse();
        if self.dentry.is_deleted() {
            const DELETED: &[u8] = b" (deleted)";
            reversed.make_room(DELETED.len())?;
            reversed.extend_from_slice(DELETED);
        }
        Ok((reversed, reached))
    }
}

/// Puts a part of a path behind those below it, last byte first.
pub fn put_reversed(reversed: &mut Vec<u8>, part: &[u8]) -> Result<(), Errno> {
    reversed.make_room(part.len())?;
    reversed.extend(part.iter().rev());
    Ok(())
}
