//! Reading, writing, seeking.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    IOV_MAX, Iovec, MAX_RW_COUNT, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
};
use ochre_hal::memory::USER_END;

use super::{Call, Fd, Outcome, Ptr, SysResult, tags};
use crate::memory::MakeRoom;
use crate::vfs::transfer::{self, At, Options, Ranges};
use crate::vfs::{Kind, OpenFile, Range, Transfer};

/// `preadv2`: do not wait.
const RWF_NOWAIT: u32 = 8;
/// `pwritev2`: at the end.
const RWF_APPEND: u32 = 0x10;
/// `preadv2`, `pwritev2`: flags that say how durable or how urgent.
const RWF_WITHOUT_EFFECT: u32 = 1 | 2 | 4;

/// A descriptor's file, opened for the direction.
fn opened(call: &Call<'_>, fd: Fd, transfer: Transfer) -> Result<Arc<OpenFile>, Errno> {
    let file = call.file(fd)?;
    let allowed = match transfer {
        Transfer::Read => file.is_readable(),
        Transfer::Write => file.is_writable(),
    };
    if allowed { Ok(file) } else { Err(Errno::EBADF) }
}

/// One range, cut to what a call moves at most. What could not be the
/// program's memory anyway fails before anything is done.
fn one_range(address: u64, len: usize) -> Result<Ranges, Errno> {
    check_user(address, len)?;
    Ok(Ranges::One([Range {
        address,
        len: len.min(MAX_RW_COUNT),
    }]))
}

fn check_user(address: u64, len: usize) -> Result<(), Errno> {
    match address.checked_add(len as u64) {
        Some(end) if end <= USER_END => Ok(()),
        _ => match tags::meant(address) {
            meant if meant != address => check_user(meant, len),
            _ => Err(Errno::EFAULT),
        },
    }
}

/// The ranges of a vector.
fn many_ranges(call: &Call<'_>, vector: Ptr<Iovec>, count: usize) -> Result<Ranges, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut ranges = Vec::new();
    ranges.make_room(count)?;
    let mut sum = 0_usize;
    for index in 0..count {
        let entry = call
            .space
            .read_value(vector.offset((index * size_of::<Iovec>()) as u64))?;
        let len = usize::try_from(entry.len)
            .ok()
            .filter(|len| *len <= isize::MAX.cast_unsigned())
            .ok_or(Errno::EINVAL)?;
        check_user(entry.base, len)?;
        let len = len.min(MAX_RW_COUNT - sum);
        sum += len;
        ranges.push(Range {
            address: entry.base,
            len,
        });
    }
    Ok(Ranges::Many(ranges))
}

/// A position in a file that has them.
fn offset(file: &OpenFile, offset: i64) -> Result<At, Errno> {
    if !file.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    Ok(At::Offset(offset.cast_unsigned()))
}

/// `read(2)`.
pub fn read(call: &mut Call<'_>, fd: Fd, to: u64, len: usize) -> Result<Outcome, Errno> {
    let file = opened(call, fd, Transfer::Read)?;
    let ranges = one_range(to, len)?;
    Ok(transfer::start(
        call,
        file,
        ranges,
        Transfer::Read,
        At::Position,
        Options::default(),
    ))
}

/// `write(2)`.
pub fn write(call: &mut Call<'_>, fd: Fd, from: u64, len: usize) -> Result<Outcome, Errno> {
    let file = opened(call, fd, Transfer::Write)?;
    let ranges = one_range(from, len)?;
    Ok(transfer::start(
        call,
        file,
        ranges,
        Transfer::Write,
        At::Position,
        Options::default(),
    ))
}

fn at_offset(
    call: &Call<'_>,
    fd: Fd,
    (address, len): (u64, usize),
    position: i64,
    transfer: Transfer,
) -> Result<Outcome, Errno> {
    if position < 0 {
        return Err(Errno::EINVAL);
    }
    let file = call.files().get(fd.0)?;
    let at = offset(&file, position)?;
    let file = opened(call, fd, transfer)?;
    let ranges = one_range(address, len)?;
    Ok(transfer::start(
        call,
        file,
        ranges,
        transfer,
        at,
        Options::default(),
    ))
}

/// `pread64(2)`.
pub fn pread64(
    call: &mut Call<'_>,
    fd: Fd,
    to: u64,
    len: usize,
    position: i64,
) -> Result<Outcome, Errno> {
    at_offset(call, fd, (to, len), position, Transfer::Read)
}

/// `pwrite64(2)`.
pub fn pwrite64(
    call: &mut Call<'_>,
    fd: Fd,
    from: u64,
    len: usize,
    position: i64,
) -> Result<Outcome, Errno> {
    at_offset(call, fd, (from, len), position, Transfer::Write)
}

fn vectored(
    call: &Call<'_>,
    fd: Fd,
    (vector, count): (Ptr<Iovec>, usize),
    position: Option<i64>,
    transfer: Transfer,
    options: Options,
) -> Result<Outcome, Errno> {
    if position.is_some_and(|position| position < 0) {
        return Err(Errno::EINVAL);
    }
    let file = call.files().get(fd.0)?;
    let at = match position {
        Some(position) => offset(&file, position)?,
        None => At::Position,
    };
    let file = opened(call, fd, transfer)?;
    let ranges = many_ranges(call, vector, count)?;
    Ok(transfer::start(call, file, ranges, transfer, at, options))
}

/// `readv(2)`.
pub fn readv(
    call: &mut Call<'_>,
    fd: Fd,
    vector: Ptr<Iovec>,
    count: usize,
) -> Result<Outcome, Errno> {
    let options = Options::default();
    vectored(call, fd, (vector, count), None, Transfer::Read, options)
}

/// `writev(2)`.
pub fn writev(
    call: &mut Call<'_>,
    fd: Fd,
    vector: Ptr<Iovec>,
    count: usize,
) -> Result<Outcome, Errno> {
    let options = Options::default();
    vectored(call, fd, (vector, count), None, Transfer::Write, options)
}

/// `preadv(2)`.
pub fn preadv(
    call: &mut Call<'_>,
    fd: Fd,
    vector: Ptr<Iovec>,
    count: usize,
    position: i64,
) -> Result<Outcome, Errno> {
    let vector = (vector, count);
    let options = Options::default();
    vectored(call, fd, vector, Some(position), Transfer::Read, options)
}

/// `pwritev(2)`.
pub fn pwritev(
    call: &mut Call<'_>,
    fd: Fd,
    vector: Ptr<Iovec>,
    count: usize,
    position: i64,
) -> Result<Outcome, Errno> {
    let vector = (vector, count);
    let options = Options::default();
    vectored(call, fd, vector, Some(position), Transfer::Write, options)
}

/// Flags of `preadv2` and `pwritev2`, and -1 for "at the position".
fn second_version(flags: u32, position: i64) -> Result<(Options, Option<i64>), Errno> {
    if flags & !(RWF_NOWAIT | RWF_APPEND | RWF_WITHOUT_EFFECT) != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let options = Options {
        append: flags & RWF_APPEND != 0,
        never_wait: flags & RWF_NOWAIT != 0,
    };
    Ok((options, Some(position).filter(|position| *position != -1)))
}

/// `preadv2(2)`. (The fifth register is the high half of the position on
/// machines of 32 bits.)
pub fn preadv2(
    call: &mut Call<'_>,
    fd: Fd,
    vector: Ptr<Iovec>,
    count: usize,
    position: i64,
    _high: u64,
    flags: u32,
) -> Result<Outcome, Errno> {
    let (options, position) = second_version(flags, position)?;
    if options.append {
        return Err(Errno::EOPNOTSUPP);
    }
    let vector = (vector, count);
    vectored(call, fd, vector, position, Transfer::Read, options)
}

/// `pwritev2(2)`.
pub fn pwritev2(
    call: &mut Call<'_>,
    fd: Fd,
    vector: Ptr<Iovec>,
    count: usize,
    position: i64,
    _high: u64,
    flags: u32,
) -> Result<Outcome, Errno> {
    let (options, position) = second_version(flags, position)?;
    let vector = (vector, count);
    vectored(call, fd, vector, position, Transfer::Write, options)
}

/// `lseek(2)`.
pub fn lseek(call: &mut Call<'_>, fd: Fd, offset: i64, whence: u32) -> SysResult {
    let file = call.files().get(fd.0)?;
    if whence > SEEK_HOLE {
        return Err(Errno::EINVAL);
    }
    if file.file().ignores_seeks() {
        return Ok(0);
    }
    if !file.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    let Some(path) = file.path() else {
        return Err(Errno::ESPIPE);
    };
    let is_directory = path.dentry.kind() == Kind::Directory;
    if is_directory && !matches!(whence, SEEK_SET | SEEK_CUR) {
        return Err(Errno::EINVAL);
    }
    let mut position = file.position().lock();
    let new = match whence {
        SEEK_SET => offset,
        SEEK_CUR => position
            .checked_add_signed(offset)
            .map(u64::cast_signed)
            .ok_or(Errno::EINVAL)?,
        SEEK_END => {
            let size = path.inode().metadata().size;
            size.checked_add_signed(offset)
                .map(u64::cast_signed)
                .ok_or(Errno::EINVAL)?
        }
        _ => {
            let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            debug_assert!(whence == SEEK_DATA || whence == SEEK_HOLE);
            path.inode()
                .seek_data(from, whence == SEEK_HOLE)?
                .cast_signed()
        }
    };
    let new = u64::try_from(new).map_err(|_| Errno::EINVAL)?;
    *position = new;
    usize::try_from(new).map_err(|_| Errno::EOVERFLOW)
}
