//! Names: making, linking, removing, renaming.

use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, RENAME_EXCHANGE, RENAME_NOREPLACE, S_IFMT,
};

use super::names::{HERE, Names, last_name, read_path};
use super::{Call, Fd, Ptr, SysResult};
use crate::process::Capability;
use crate::vfs::tree::{self, Make, Named};
use crate::vfs::walk::Last;
use crate::vfs::{Kind, Link};

/// `mkdir(2)`.
pub fn mkdir(call: &mut Call<'_>, path: Ptr<u8>, mode: u32) -> Result<(), Errno> {
    mkdirat(call, HERE, path, mode)
}

/// `mkdirat(2)`.
pub fn mkdirat(call: &mut Call<'_>, directory: Fd, path: Ptr<u8>, mode: u32) -> Result<(), Errno> {
    let text = read_path(call, path)?;
    let names = Names::of(call);
    let walk = names.walk_to_new(call, directory, &text, true)?;
    // Set-user and set-group are not for mkdir to give.
    let make = Make::plain(Kind::Directory, names.masked(mode) & 0o1777);
    tree::make(&names.access, walk.place(), last_name(&walk), &make)?;
    Ok(())
}

/// `mknod(2)`.
pub fn mknod(call: &mut Call<'_>, path: Ptr<u8>, mode: u32, device: u32) -> Result<(), Errno> {
    mknodat(call, HERE, path, mode, device)
}

/// `mknodat(2)`.
pub fn mknodat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    mode: u32,
    device: u32,
) -> Result<(), Errno> {
    let kind = match mode & S_IFMT {
        0 => Kind::Regular,
        _ => match Kind::of_mode(mode) {
            Some(Kind::Directory) => return Err(Errno::EPERM),
            Some(Kind::Symlink) | None => return Err(Errno::EINVAL),
            Some(kind) => kind,
        },
    };
    let is_device = matches!(kind, Kind::CharacterDevice | Kind::BlockDevice);
    let text = read_path(call, path)?;
    let names = Names::of(call);
    let walk = names.walk_to_new(call, directory, &text, false)?;
    if is_device && !call.thread.has(Capability::MknodDevices) {
        return Err(Errno::EPERM);
    }
    let make = Make {
        device: if is_device { u64::from(device) } else { 0 },
        ..Make::plain(kind, names.masked(mode))
    };
    tree::make(&names.access, walk.place(), last_name(&walk), &make)?;
    Ok(())
}

/// `symlink(2)`.
pub fn symlink(call: &mut Call<'_>, target: Ptr<u8>, path: Ptr<u8>) -> Result<(), Errno> {
    symlinkat(call, target, HERE, path)
}

/// `symlinkat(2)`.
pub fn symlinkat(
    call: &mut Call<'_>,
    target: Ptr<u8>,
    directory: Fd,
    path: Ptr<u8>,
) -> Result<(), Errno> {
    let target = read_path(call, target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let text = read_path(call, path)?;
    let names = Names::of(call);
    let walk = names.walk_to_new(call, directory, &text, false)?;
    let make = Make {
        target: &target,
        ..Make::plain(Kind::Symlink, 0o777)
    };
    tree::make(&names.access, walk.place(), last_name(&walk), &make)?;
    Ok(())
}

/// `readlink(2)`.
pub fn readlink(call: &mut Call<'_>, path: Ptr<u8>, to: u64, size: i32) -> SysResult {
    readlinkat(call, HERE, path, to, size)
}

/// `readlinkat(2)`. An empty path reads the link that the descriptor is.
pub fn readlinkat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    to: u64,
    size: i32,
) -> SysResult {
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size > 0)
        .ok_or(Errno::EINVAL)?;
    let text = read_path(call, path)?;
    let names = Names::of(call);
    let found = names.find_or_self(call, directory, &text, false, directory != HERE)?;
    if found.dentry.kind() != Kind::Symlink {
        return Err(if text.is_empty() {
            Errno::ENOENT
        } else {
            Errno::EINVAL
        });
    }
    let target: Vec<u8> = match found.inode().link_target()? {
        Link::Text(text) => text.to_vec(),
        Link::Jump(place) => place.text(&names.root)?.0,
    };
    found.inode().record_access();
    let len = target.len().min(size);
    call.space.write(to, &target[..len])?;
    Ok(len)
}

/// `link(2)`.
pub fn link(call: &mut Call<'_>, old: Ptr<u8>, new: Ptr<u8>) -> Result<(), Errno> {
    linkat(call, HERE, old, HERE, new, 0)
}

/// `linkat(2)`.
pub fn linkat(
    call: &mut Call<'_>,
    old_directory: Fd,
    old: Ptr<u8>,
    new_directory: Fd,
    new: Ptr<u8>,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let old = read_path(call, old)?;
    let new = read_path(call, new)?;
    let names = Names::of(call);
    let follow = flags & AT_SYMLINK_FOLLOW != 0;
    let empty = flags & AT_EMPTY_PATH != 0;
    if empty && old.is_empty() && !names.access.privileged {
        return Err(Errno::ENOENT);
    }
    let old = names.find_or_self(call, old_directory, &old, follow, empty)?;
    let walk = names.walk_to_new(call, new_directory, &new, false)?;
    // A file of O_TMPFILE gets its first name this way.
    let may_be_nameless = old.dentry.is_deleted() && old.dentry.parent().is_none();
    tree::link(
        &names.access,
        &old,
        walk.place(),
        last_name(&walk),
        may_be_nameless,
    )
}

/// `rmdir(2)`.
pub fn rmdir(call: &mut Call<'_>, path: Ptr<u8>) -> Result<(), Errno> {
    unlinkat(call, HERE, path, AT_REMOVEDIR)
}

/// `unlink(2)`.
pub fn unlink(call: &mut Call<'_>, path: Ptr<u8>) -> Result<(), Errno> {
    unlinkat(call, HERE, path, 0)
}

/// `unlinkat(2)`.
pub fn unlinkat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let as_directory = flags & AT_REMOVEDIR != 0;
    let text = read_path(call, path)?;
    let names = Names::of(call);
    let mut walk = names.walk(call, directory, &text)?;
    walk.to_last()?;
    let name = match walk.last() {
        Last::Name(name) => name,
        _ if !as_directory => return Err(Errno::EISDIR),
        Last::Dot => return Err(Errno::EINVAL),
        Last::DotDot => return Err(Errno::ENOTEMPTY),
        Last::Nothing => return Err(Errno::EBUSY),
    };
    if walk.wants_directory() && !as_directory {
        walk.place().mount.check_writable()?;
        return Err(if walk.look_up()?.dentry.is_directory() {
            Errno::EISDIR
        } else {
            Errno::ENOTDIR
        });
    }
    tree::remove(&names.access, walk.place(), name, as_directory)
}

/// `rename(2)`.
pub fn rename(call: &mut Call<'_>, old: Ptr<u8>, new: Ptr<u8>) -> Result<(), Errno> {
    renameat2(call, HERE, old, HERE, new, 0)
}

/// `renameat(2)`.
pub fn renameat(
    call: &mut Call<'_>,
    old_directory: Fd,
    old: Ptr<u8>,
    new_directory: Fd,
    new: Ptr<u8>,
) -> Result<(), Errno> {
    renameat2(call, old_directory, old, new_directory, new, 0)
}

/// `renameat2(2)`.
pub fn renameat2(
    call: &mut Call<'_>,
    old_directory: Fd,
    old: Ptr<u8>,
    new_directory: Fd,
    new: Ptr<u8>,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE) != 0
        || flags == RENAME_NOREPLACE | RENAME_EXCHANGE
    {
        return Err(Errno::EINVAL);
    }
    let old = read_path(call, old)?;
    let new = read_path(call, new)?;
    let names = Names::of(call);
    let mut from = names.walk(call, old_directory, &old)?;
    from.to_last()?;
    let mut to = names.walk(call, new_directory, &new)?;
    to.to_last()?;
    if !alloc::sync::Arc::ptr_eq(&from.place().mount, &to.place().mount) {
        return Err(Errno::EXDEV);
    }
    let Last::Name(old_name) = from.last() else {
        return Err(Errno::EBUSY);
    };
    let Last::Name(new_name) = to.last() else {
        return Err(if flags & RENAME_NOREPLACE != 0 {
            Errno::EEXIST
        } else {
            Errno::EBUSY
        });
    };
    tree::rename(
        &names.access,
        Named {
            directory: from.place(),
            name: old_name,
            slash: from.wants_directory(),
        },
        Named {
            directory: to.place(),
            name: new_name,
            slash: to.wants_directory(),
        },
        flags,
    )
}
