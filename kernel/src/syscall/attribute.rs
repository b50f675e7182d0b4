//! Mode, owner, times and size of files.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE, UTIME_NOW, UTIME_OMIT,
};
use ochre_abi::time::{TimeSpec, TimeVal};

use super::names::{HERE, Names, read_path};
use super::{Call, Fd, Outcome, Ptr, SysResult};
use crate::process::Work;
use crate::sched;
use crate::vfs::attributes::{self, SetTime};
use crate::vfs::{Allocate, Allocation, Kind, Path, Timestamp};

/// The place that a call with flags names.
fn place(
    call: &Call<'_>,
    names: &Names,
    directory: Fd,
    path: Ptr<u8>,
    flags: u32,
) -> Result<Path, Errno> {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let text = read_path(call, path)?;
    names.find_or_self(
        call,
        directory,
        &text,
        flags & AT_SYMLINK_NOFOLLOW == 0,
        flags & AT_EMPTY_PATH != 0,
    )
}

/// `chmod(2)`.
pub fn chmod(call: &mut Call<'_>, path: Ptr<u8>, mode: u32) -> Result<(), Errno> {
    fchmodat2(call, HERE, path, mode, 0)
}

/// `fchmodat(2)`: the system call has no flags.
pub fn fchmodat(call: &mut Call<'_>, directory: Fd, path: Ptr<u8>, mode: u32) -> Result<(), Errno> {
    fchmodat2(call, directory, path, mode, 0)
}

/// `fchmodat2(2)`.
pub fn fchmodat2(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    mode: u32,
    flags: u32,
) -> Result<(), Errno> {
    let names = Names::of(call);
    let path = place(call, &names, directory, path, flags)?;
    attributes::change_mode(&names.access, &path, mode)
}

/// `fchmod(2)`.
pub fn fchmod(call: &mut Call<'_>, fd: Fd, mode: u32) -> Result<(), Errno> {
    let file = call.files().get(fd.0)?;
    let path = file.path_or_anonymous();
    attributes::change_mode(&call.thread.access(), &path, mode)
}

/// An identity as calls name it: -1 leaves it alone.
fn id(raw: u32) -> Option<u32> {
    Some(raw).filter(|id| *id != u32::MAX)
}

/// `chown(2)`.
pub fn chown(call: &mut Call<'_>, path: Ptr<u8>, uid: u32, gid: u32) -> Result<(), Errno> {
    fchownat(call, HERE, path, uid, gid, 0)
}

/// `lchown(2)`.
pub fn lchown(call: &mut Call<'_>, path: Ptr<u8>, uid: u32, gid: u32) -> Result<(), Errno> {
    fchownat(call, HERE, path, uid, gid, AT_SYMLINK_NOFOLLOW)
}

/// `fchownat(2)`.
pub fn fchownat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    uid: u32,
    gid: u32,
    flags: u32,
) -> Result<(), Errno> {
    let names = Names::of(call);
    let path = place(call, &names, directory, path, flags)?;
    attributes::change_owner(&names.access, &path, id(uid), id(gid))
}

/// `fchown(2)`.
pub fn fchown(call: &mut Call<'_>, fd: Fd, uid: u32, gid: u32) -> Result<(), Errno> {
    let file = call.files().get(fd.0)?;
    let path = file.path_or_anonymous();
    attributes::change_owner(&call.thread.access(), &path, id(uid), id(gid))
}

/// `umask(2)`.
pub fn umask(call: &mut Call<'_>, mask: u32) -> SysResult {
    Ok(call.fs().set_umask(mask) as usize)
}

/// `truncate(2)`.
pub fn truncate(call: &mut Call<'_>, path: Ptr<u8>, size: i64) -> Result<(), Errno> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let text = read_path(call, path)?;
    let names = Names::of(call);
    let path = names.find(call, HERE, &text, true)?;
    if path.dentry.kind() == Kind::Regular {
        attributes::check_size_limit(call.thread, size)?;
    }
    attributes::truncate(&names.access, &path, size)
}

/// `ftruncate(2)`.
pub fn ftruncate(call: &mut Call<'_>, fd: Fd, size: i64) -> Result<(), Errno> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let file = call.files().get(fd.0)?;
    let path = file.path().ok_or(Errno::EINVAL)?;
    if path.dentry.kind() != Kind::Regular || !file.is_writable() {
        return Err(Errno::EINVAL);
    }
    attributes::check_size_limit(call.thread, size)?;
    path.inode().truncate(size)?;
    attributes::wrote(&call.thread.access(), path);
    Ok(())
}

/// `fallocate(2)`: by parts, between which others run.
pub fn fallocate(
    call: &mut Call<'_>,
    fd: Fd,
    mode: u32,
    offset: i64,
    len: i64,
) -> Result<Outcome, Errno> {
    let file = call.files().get(fd.0)?;
    let (Ok(offset), Ok(len)) = (u64::try_from(offset), u64::try_from(len)) else {
        return Err(Errno::EINVAL);
    };
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    let both = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    if mode & !known != 0
        || mode & both == both
        || mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) == FALLOC_FL_PUNCH_HOLE
    {
        return Err(Errno::EOPNOTSUPP);
    }
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    let path = file.path().ok_or(Errno::ESPIPE)?;
    match path.dentry.kind() {
        Kind::Regular => {}
        Kind::Fifo => return Err(Errno::ESPIPE),
        Kind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::ENODEV),
    }
    if mode & FALLOC_FL_KEEP_SIZE == 0 {
        attributes::check_size_limit(call.thread, offset.saturating_add(len))?;
    }
    let how = Allocate::from_bits_truncate(mode);
    let mut work = Allocation::new(offset, len, how)?;
    if path.inode().allocate(&mut work)? {
        attributes::wrote(&call.thread.access(), path);
        return Ok(Outcome::Done(Ok(0)));
    }
    let (path, thread) = (path.clone(), Arc::clone(call.thread));
    Ok(Outcome::wait(async move {
        loop {
            sched::yield_now().await;
            if thread.work().contains(Work::EXIT) {
                return Err(Errno::EINTR);
            }
            if path.inode().allocate(&mut work)? {
                attributes::wrote(&thread.access(), &path);
                return Ok(0);
            }
        }
    }))
}

fn set_time(spec: TimeSpec) -> Result<SetTime, Errno> {
    match spec.nanoseconds {
        UTIME_NOW => Ok(SetTime::Now),
        UTIME_OMIT => Ok(SetTime::Omit),
        0..1_000_000_000 => Ok(SetTime::To(Timestamp {
            seconds: spec.seconds,
            nanoseconds: spec.nanoseconds as u32,
        })),
        _ => Err(Errno::EINVAL),
    }
}

fn set_times(
    call: &Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    (accessed, modified): (SetTime, SetTime),
    flags: u32,
) -> Result<(), Errno> {
    let names = Names::of(call);
    if path.is_null() && directory != HERE {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        let path = call.files().get(directory.0)?.path_or_anonymous();
        return attributes::change_times(&names.access, &path, accessed, modified);
    }
    let path = place(call, &names, directory, path, flags)?;
    attributes::change_times(&names.access, &path, accessed, modified)
}

/// `utimensat(2)`. A null path means the descriptor.
pub fn utimensat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    times: Ptr<TimeSpec>,
    flags: u32,
) -> Result<(), Errno> {
    let mut both = (SetTime::Now, SetTime::Now);
    if !times.is_null() {
        let accessed = call.space.read_value(times)?;
        let modified = call
            .space
            .read_value(times.offset(size_of::<TimeSpec>() as u64))?;
        if accessed.nanoseconds == UTIME_OMIT && modified.nanoseconds == UTIME_OMIT {
            return Ok(());
        }
        both = (set_time(accessed)?, set_time(modified)?);
    }
    set_times(call, directory, path, both, flags)
}

fn from_microseconds(value: TimeVal) -> Result<SetTime, Errno> {
    if !(0..1_000_000).contains(&value.microseconds) {
        return Err(Errno::EINVAL);
    }
    Ok(SetTime::To(Timestamp {
        seconds: value.seconds,
        nanoseconds: (value.microseconds * 1000) as u32,
    }))
}

/// `futimesat(2)`.
pub fn futimesat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    times: Ptr<TimeVal>,
) -> Result<(), Errno> {
    let mut both = (SetTime::Now, SetTime::Now);
    if !times.is_null() {
        let accessed = call.space.read_value(times)?;
        let modified = call
            .space
            .read_value(times.offset(size_of::<TimeVal>() as u64))?;
        both = (from_microseconds(accessed)?, from_microseconds(modified)?);
    }
    set_times(call, directory, path, both, 0)
}

/// `utimes(2)`.
pub fn utimes(call: &mut Call<'_>, path: Ptr<u8>, times: Ptr<TimeVal>) -> Result<(), Errno> {
    futimesat(call, HERE, path, times)
}

/// `utime(2)`: whole seconds.
pub fn utime(call: &mut Call<'_>, path: Ptr<u8>, times: Ptr<[i64; 2]>) -> Result<(), Errno> {
    let mut both = (SetTime::Now, SetTime::Now);
    if !times.is_null() {
        let [accessed, modified] = call.space.read_value(times)?;
        let to = |seconds| {
            SetTime::To(Timestamp {
                seconds,
                nanoseconds: 0,
            })
        };
        both = (to(accessed), to(modified));
    }
    set_times(call, HERE, path, both, 0)
}
