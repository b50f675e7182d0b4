//! Reading directories, resident or not, with one kind of cursor.
//!
//! Position 0 is ".", 1 is "..", and from 2 on the file system's own cursor,
//! moved up by two.

use ochre_abi::Errno;

use super::{Kind, Path};

/// Entries before the file system's own.
const DOTS: u64 = 2;

/// An entry as a reader sees it.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Number of the inode.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// The position after it.
    pub next: u64,
}

/// Visits the entries of the directory at `path` from `position` on until
/// `visit` answers false. No user memory is touched: the directory is locked.
///
/// # Errors
/// ENOTDIR; ENOENT for a directory that was removed.
pub fn read(
    path: &Path,
    position: u64,
    root: &Path,
    visit: &mut dyn FnMut(&Listed<'_>) -> bool,
) -> Result<(), Errno> {
    let dentry = &path.dentry;
    if !dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if dentry.is_deleted() {
        return Err(Errno::ENOENT);
    }
    let mut dot = |name: &[u8], path: &Path, next: u64| {
        visit(&Listed {
            name,
            inode: path.inode().metadata().inode,
            kind: Kind::Directory,
            next,
        })
    };
    if position < 1 && !dot(b".", path, 1) {
        return Ok(());
    }
    if position < 2 {
        let mut above = path.clone();
        above.ascend(root);
        if !dot(b"..", &above, 2) {
            return Ok(());
        }
    }
    let cursor = position.saturating_sub(DOTS);
    if dentry.is_resident() {
        dentry.visit_children(cursor, &mut |name, inode, next| {
            visit(&Listed {
                name,
                inode: inode.metadata().inode,
                kind: inode.kind(),
                next: next.saturating_add(DOTS),
            })
        });
        return Ok(());
    }
    dentry.inode().read_dir(cursor, &mut |entry| {
        visit(&Listed {
            name: entry.name,
            inode: entry.inode,
            kind: entry.kind,
            next: entry.next.saturating_add(DOTS),
        })
    })
}
