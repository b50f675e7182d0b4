//! Directories: reading them, and which one is the working one.

use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::dirent::Dirent;
use ochre_abi::fcntl::PATH_MAX;

use super::names::{HERE, Names, read_path};
use super::{Call, Fd, Ptr, SysResult};
use crate::memory::MakeRoom;
use crate::process::Capability;
use crate::vfs::{Kind, Path, Want, directory};

/// Most bytes of entries that one call gives.
const ENTRIES_MAX: usize = 32 * 1024;

/// How entries are laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `struct linux_dirent`.
    First,
    /// `struct linux_dirent64`.
    Second,
}

/// Reads entries.
fn read_entries(call: &Call<'_>, fd: Fd, to: u64, limit: usize, layout: Layout) -> SysResult {
    let file = call.files().get(fd.0)?;
    let path = file.path().ok_or(Errno::ENOTDIR)?;
    let mut buffer = Vec::new();
    let limit = limit.min(ENTRIES_MAX);
    let start = *file.position().lock();
    let mut next = start;
    let mut failure = None;
    let root = call.fs().root();
    directory::read(path, start, &root, &mut |entry| {
        let record = Dirent {
            inode: entry.inode,
            next: entry.next,
            kind: entry.kind.entry_type(),
            name: entry.name,
        };
        let at = buffer.len();
        let len = match layout {
            Layout::First => record.len(),
            Layout::Second => record.len64(),
        };
        if len > limit - at {
            // Not even one fits: the buffer is too small.
            failure = Some(Errno::EINVAL);
            return false;
        }
        if buffer.make_room(len).is_err() {
            failure = Some(Errno::ENOMEM);
            return false;
        }
        buffer.resize(at + len, 0);
        next = entry.next;
        match layout {
            Layout::First => record.write(&mut buffer[at..]),
            Layout::Second => record.write64(&mut buffer[at..]),
        }
    })?;
    if buffer.is_empty() {
        return failure.map_or(Ok(0), Err);
    }
    call.space.write(to, &buffer)?;
    *file.position().lock() = next;
    path.inode().record_access();
    Ok(buffer.len())
}

/// `getdents64(2)`.
pub fn getdents64(call: &mut Call<'_>, fd: Fd, to: u64, limit: u32) -> SysResult {
    read_entries(call, fd, to, limit as usize, Layout::Second)
}

/// `getdents(2)`.
pub fn getdents(call: &mut Call<'_>, fd: Fd, to: u64, limit: u32) -> SysResult {
    read_entries(call, fd, to, limit as usize, Layout::First)
}

/// `getcwd(2)`: the length with the NUL is the result.
pub fn getcwd(call: &mut Call<'_>, to: u64, size: usize) -> SysResult {
    let context = call.fs();
    let working = context.working();
    if working.dentry.is_deleted() {
        return Err(Errno::ENOENT);
    }
    const UNREACHABLE: &[u8] = b"(unreachable)";
    let (mut path, reached) = working.text(&context.root())?;
    path.make_room(UNREACHABLE.len() + 1)?;
    if !reached {
        path.splice(..0, UNREACHABLE.iter().copied());
    }
    path.push(0);
    if path.len() > PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if path.len() > size {
        return Err(Errno::ERANGE);
    }
    call.space.write(to, &path)?;
    Ok(path.len())
}

fn enter(call: &Call<'_>, path: Path) -> Result<Path, Errno> {
    if !path.dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    call.thread
        .access()
        .check(path.inode().permissions(), Kind::Directory, Want::EXECUTE)?;
    Ok(path)
}

/// `chdir(2)`.
pub fn chdir(call: &mut Call<'_>, path: Ptr<u8>) -> Result<(), Errno> {
    let text = read_path(call, path)?;
    let path = Names::of(call).find(call, HERE, &text, true)?;
    let path = enter(call, path)?;
    call.fs().set_working(path);
    Ok(())
}

/// `fchdir(2)`.
pub fn fchdir(call: &mut Call<'_>, fd: Fd) -> Result<(), Errno> {
    let file = call.files().get_any(fd.0)?;
    let path = file.path().cloned().ok_or(Errno::ENOTDIR)?;
    let path = enter(call, path)?;
    call.fs().set_working(path);
    Ok(())
}

/// `chroot(2)`.
pub fn chroot(call: &mut Call<'_>, path: Ptr<u8>) -> Result<(), Errno> {
    let text = read_path(call, path)?;
    let path = Names::of(call).find(call, HERE, &text, true)?;
    let path = enter(call, path)?;
    if !call.thread.has(Capability::SysChroot) {
        return Err(Errno::EPERM);
    }
    call.fs().set_root(path);
    Ok(())
}
