//! Changes of names: make, link, remove, rename; who may, and in which order
//! what is found wrong.
//!
//! Each takes the directory and the name that a [`Walk`](super::walk::Walk)
//! stopped at. Names are looked up first without a lock, because a file system
//! may have to search; then the directory is locked and what was found must
//! still be so.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::fcntl::{RENAME_EXCHANGE, RENAME_NOREPLACE, S_ISGID};

use super::dentry::{lock_rename, lock_two, move_child, swap_children};
use super::{Access, Dentry, Kind, New, Path, Rename, Want};
use crate::memory;

/// What to make: kind, permission bits with the umask applied, device, target.
#[derive(Clone, Copy, Debug)]
pub struct Make<'a> {
    /// What.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// The device it stands for.
    pub device: u64,
    /// Where a symbolic link points.
    pub target: &'a [u8],
}

impl Make<'_> {
    /// A plain kind with permission bits.
    #[must_use]
    pub fn plain(kind: Kind, mode: u32) -> Make<'static> {
        Make {
            kind,
            mode,
            device: 0,
            target: b"",
        }
    }
}

/// Whether `access` may add names to `directory`.
fn may_create(access: &Access, directory: &Path) -> Result<(), Errno> {
    access.check(
        directory.inode().permissions(),
        Kind::Directory,
        Want::WRITE | Want::EXECUTE,
    )
}

/// Whether `access` may take `child` out of `directory`; `as_directory` says
/// what it has to be.
fn may_remove(
    access: &Access,
    directory: &Path,
    child: &Dentry,
    as_directory: bool,
) -> Result<(), Errno> {
    may_create(access, directory)?;
    let (above, own) = (directory.inode().permissions(), child.inode().permissions());
    if access.is_held_by_sticky(above, own) {
        return Err(Errno::EPERM);
    }
    match (as_directory, child.is_directory()) {
        (true, false) => Err(Errno::ENOTDIR),
        (false, true) => Err(Errno::EISDIR),
        _ => Ok(()),
    }
}

fn is_absent(directory: &Path, name: &[u8]) -> Result<(), Errno> {
    match directory.dentry.child(name) {
        Ok(_) => Err(Errno::EEXIST),
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Owner, group and mode that a new object in `directory` gets.
pub(super) fn inherit<'a>(access: &Access, directory: &Path, make: &Make<'a>) -> New<'a> {
    let above = directory.inode().permissions();
    let mut new = New {
        kind: make.kind,
        mode: make.mode & 0o7777,
        uid: access.uid,
        gid: access.gid,
        device: make.device,
        target: make.target,
    };
    if above.mode & S_ISGID != 0 {
        new.gid = above.gid;
        if make.kind == Kind::Directory {
            new.mode |= S_ISGID;
        } else if new.mode & 0o010 != 0 {
            new.mode = access.settable_mode(new.mode, new.gid);
        }
    }
    new
}

/// Makes an object under a new name.
///
/// # Errors
/// EEXIST, EROFS, EACCES, ENOENT in a removed directory; ENOSPC, ENOMEM.
pub fn make(
    access: &Access,
    directory: &Path,
    name: &[u8],
    make: &Make<'_>,
) -> Result<Arc<Dentry>, Errno> {
    is_absent(directory, name)?;
    directory.mount.check_writable()?;
    may_create(access, directory)?;
    memory::check_headroom()?;
    let new = inherit(access, directory, make);
    let mut entries = directory.dentry.entries()?;
    if entries.get(name).is_some() {
        return Err(Errno::EEXIST);
    }
    entries.reserve()?;
    let inode = directory.inode().create(name, &new)?;
    entries.add(name, inode)
}

/// Gives the file at `old` another name.
///
/// # Errors
/// EEXIST, EXDEV, EROFS, EACCES, EPERM for a directory, ENOENT for a removed
/// file; EMLINK, ENOSPC, ENOMEM.
pub fn link(
    access: &Access,
    old: &Path,
    directory: &Path,
    name: &[u8],
    may_have_no_name: bool,
) -> Result<(), Errno> {
    is_absent(directory, name)?;
    directory.mount.check_writable()?;
    if !Arc::ptr_eq(&old.mount, &directory.mount) {
        return Err(Errno::EXDEV);
    }
    may_create(access, directory)?;
    if old.dentry.is_directory() {
        return Err(Errno::EPERM);
    }
    if old.inode().metadata().links == 0 && !may_have_no_name {
        return Err(Errno::ENOENT);
    }
    memory::check_headroom()?;
    let mut entries = directory.dentry.entries()?;
    if entries.get(name).is_some() {
        return Err(Errno::EEXIST);
    }
    entries.reserve()?;
    directory.inode().link(name, old.inode())?;
    entries.add(name, Arc::clone(old.inode()))?;
    Ok(())
}

/// Removes a name: of an empty directory if `as_directory`, of anything else if not.
///
/// # Errors
/// EROFS, ENOENT, EACCES, EPERM, ENOTDIR, EISDIR, EBUSY, ENOTEMPTY.
pub fn remove(
    access: &Access,
    directory: &Path,
    name: &[u8],
    as_directory: bool,
) -> Result<(), Errno> {
    directory.mount.check_writable()?;
    let child = directory.dentry.child(name)?;
    may_remove(access, directory, &child, as_directory)?;
    if child.is_mount_point() {
        return Err(Errno::EBUSY);
    }
    let mut entries = directory.dentry.entries()?;
    if !entries.has(name, &child) {
        return Err(Errno::ENOENT);
    }
    if as_directory {
        entries.close_child(&child)?;
    }
    if let Err(errno) = directory.inode().unlink(name, child.inode()) {
        entries.reopen_child(&child);
        return Err(errno);
    }
    let removed = entries.remove(&child);
    drop(entries);
    drop(removed);
    Ok(())
}

/// A name in a directory, and whether a slash follows it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The directory.
    pub directory: &'a Path,
    /// The name.
    pub name: &'a [u8],
    /// Whether it must be a directory.
    pub slash: bool,
}

/// Moves `from` to `to`, taking the place of what is there, or exchanges them.
///
/// # Errors
/// EXDEV, EROFS, ENOENT, EEXIST with `RENAME_NOREPLACE`, ENOTDIR, EISDIR,
/// EINVAL for a directory into itself, ENOTEMPTY, EACCES, EPERM, EBUSY, ENOMEM.
pub fn rename(access: &Access, from: Named<'_>, to: Named<'_>, flags: u32) -> Result<(), Errno> {
    let (old, new) = (from.directory, to.directory);
    if !Arc::ptr_eq(&old.mount, &new.mount) {
        return Err(Errno::EXDEV);
    }
    old.mount.check_writable()?;
    let exchange = flags & RENAME_EXCHANGE != 0;
    let _moving = lock_rename();
    let child = old.dentry.child(from.name)?;
    let target = match new.dentry.child(to.name) {
        Ok(target) => Some(target),
        Err(Errno::ENOENT) => None,
        Err(errno) => return Err(errno),
    };
    check_rename(&child, target.as_ref(), from, to, flags)?;
    if let Some(target) = &target
        && Arc::ptr_eq(target.inode(), child.inode())
    {
        return Ok(());
    }
    may_remove(access, old, &child, child.is_directory())?;
    match &target {
        None => may_create(access, new)?,
        Some(target) if exchange => may_remove(access, new, target, target.is_directory())?,
        Some(target) => may_remove(access, new, target, child.is_directory())?,
    }
    if !Arc::ptr_eq(&old.dentry, &new.dentry) {
        // `..` of a directory that moves is written.
        may_move(access, &child)?;
        if let Some(target) = target.as_ref().filter(|_| exchange) {
            may_move(access, target)?;
        }
    }
    if child.is_mount_point() || target.as_ref().is_some_and(|t| t.is_mount_point()) {
        return Err(Errno::EBUSY);
    }

    let (mut first, mut second) = lock_two(&old.dentry, &new.dentry)?;
    let is_so = first.has(from.name, &child)
        && match (&target, second.as_ref().unwrap_or(&first)) {
            (Some(target), entries) => entries.has(to.name, target),
            (None, entries) => entries.get(to.name).is_none(),
        };
    if !is_so {
        return Err(Errno::ENOENT);
    }
    let change = Rename {
        name: from.name,
        child: child.inode(),
        directory: new.inode(),
        new_name: to.name,
        replaced: target.as_ref().map(|target| target.inode()),
        exchange,
    };
    match &target {
        Some(target) if exchange => {
            old.inode().rename(&change)?;
            swap_children(&mut first, second.as_mut(), &child, target)?;
        }
        Some(target) => {
            let entries = second.as_mut().unwrap_or(&mut first);
            if target.is_directory() {
                entries.close_child(target)?;
            }
            if let Err(errno) = old.inode().rename(&change) {
                entries.reopen_child(target);
                return Err(errno);
            }
            let removed = entries.remove(target);
            move_child(&mut first, second.as_mut(), &child, to.name)?;
            drop((first, second));
            drop(removed);
        }
        None => {
            second.as_mut().unwrap_or(&mut first).reserve()?;
            old.inode().rename(&change)?;
            move_child(&mut first, second.as_mut(), &child, to.name)?;
        }
    }
    Ok(())
}

/// What is wrong with a rename whoever asks for it.
fn check_rename(
    child: &Arc<Dentry>,
    target: Option<&Arc<Dentry>>,
    from: Named<'_>,
    to: Named<'_>,
    flags: u32,
) -> Result<(), Errno> {
    let exchange = flags & RENAME_EXCHANGE != 0;
    match target {
        Some(_) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
        None if exchange => return Err(Errno::ENOENT),
        Some(target) if exchange && to.slash && !target.is_directory() => {
            return Err(Errno::ENOTDIR);
        }
        _ => {}
    }
    if !child.is_directory() && (from.slash || (!exchange && to.slash)) {
        return Err(Errno::ENOTDIR);
    }
    if child.is_directory() && to.directory.dentry.is_within(child) {
        return Err(Errno::EINVAL);
    }
    if let Some(target) = target
        && target.is_directory()
        && from.directory.dentry.is_within(target)
    {
        return Err(if exchange {
            Errno::EINVAL
        } else {
            Errno::ENOTEMPTY
        });
    }
    Ok(())
}

fn may_move(access: &Access, child: &Dentry) -> Result<(), Errno> {
    if child.is_directory() {
        access.check(child.inode().permissions(), Kind::Directory, Want::WRITE)?;
    }
    Ok(())
}
