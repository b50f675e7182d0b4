//! Durability, and advice about it. Files here are memory: what is written is
//! as durable as it will be, so these calls only find errors.

use ochre_abi::Errno;

use super::{Call, Fd, SysResult};
use crate::vfs::Kind;

/// `sync(2)`.
pub fn sync(_call: &mut Call<'_>) -> SysResult {
    Ok(0)
}

/// `fsync(2)`.
pub fn fsync(call: &mut Call<'_>, fd: Fd) -> Result<(), Errno> {
    let file = call.files().get(fd.0)?;
    match file.path().map(|path| path.dentry.kind()) {
        Some(Kind::Regular | Kind::Directory | Kind::BlockDevice) => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// `fdatasync(2)`.
pub fn fdatasync(call: &mut Call<'_>, fd: Fd) -> Result<(), Errno> {
    fsync(call, fd)
}

/// `syncfs(2)`.
pub fn syncfs(call: &mut Call<'_>, fd: Fd) -> Result<(), Errno> {
    call.files().get(fd.0)?;
    Ok(())
}

/// `sync_file_range(2)`.
pub fn sync_file_range(
    call: &mut Call<'_>,
    fd: Fd,
    offset: i64,
    len: i64,
    flags: u32,
) -> Result<(), Errno> {
    let file = call.files().get(fd.0)?;
    if flags & !7 != 0 || offset < 0 || len < 0 || offset.checked_add(len).is_none() {
        return Err(Errno::EINVAL);
    }
    match file.path().map(|path| path.dentry.kind()) {
        Some(Kind::Regular | Kind::Directory | Kind::BlockDevice | Kind::Symlink) => Ok(()),
        _ => Err(Errno::ESPIPE),
    }
}

/// The last advice of posix_fadvise(3).
const ADVICE_MAX: u32 = 5;

/// `fadvise64`, posix_fadvise(2).
pub fn fadvise64(
    call: &mut Call<'_>,
    fd: Fd,
    _offset: i64,
    len: i64,
    advice: u32,
) -> Result<(), Errno> {
    let file = call.files().get(fd.0)?;
    if file.metadata().kind == Kind::Fifo {
        return Err(Errno::ESPIPE);
    }
    if len < 0 || advice > ADVICE_MAX {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// `readahead(2)`.
pub fn readahead(call: &mut Call<'_>, fd: Fd, _offset: i64, _len: usize) -> Result<(), Errno> {
    let file = call.files().get(fd.0)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    match file.path().map(|path| path.dentry.kind()) {
        Some(Kind::Regular | Kind::BlockDevice) => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}
