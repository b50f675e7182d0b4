//! Opening and closing.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    O_ACCMODE, O_APPEND, O_ASYNC, O_CLOEXEC, O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL,
    O_LARGEFILE, O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDWR, O_SYNC, O_TMPFILE,
    O_TRUNC, O_WRONLY, OpenHow,
};

use super::names::{HERE, Names, read_path};
use super::{Call, Fd, Outcome, Ptr};
use crate::memory;
use crate::vfs::{self, How, OpenFile, OpenOutcome, Opener, StatusFlags};

/// Flags that `openat2` knows.
const KNOWN: u32 = O_ACCMODE
    | O_CREAT
    | O_EXCL
    | O_NOCTTY
    | O_TRUNC
    | O_APPEND
    | O_NONBLOCK
    | O_DSYNC
    | O_ASYNC
    | O_DIRECT
    | O_LARGEFILE
    | O_DIRECTORY
    | O_NOFOLLOW
    | O_NOATIME
    | O_CLOEXEC
    | O_SYNC
    | O_PATH
    | O_TMPFILE;

/// `open(2)`.
pub fn open(call: &mut Call<'_>, path: Ptr<u8>, flags: u32, mode: u32) -> Result<Outcome, Errno> {
    openat(call, HERE, path, flags, mode)
}

/// `creat(2)`.
pub fn creat(call: &mut Call<'_>, path: Ptr<u8>, mode: u32) -> Result<Outcome, Errno> {
    openat(call, HERE, path, O_CREAT | O_WRONLY | O_TRUNC, mode)
}

/// `openat(2)`. Flags that are not known are passed over, as they always were.
pub fn openat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    flags: u32,
    mode: u32,
) -> Result<Outcome, Errno> {
    let text = read_path(call, path)?;
    let files = call.files();
    let limit = call.open_files_limit();
    files.check_room(limit)?;
    memory::check_headroom()?;
    let names = Names::of(call);
    let start = names.start(call, directory, &text)?;
    let opener = Opener {
        access: &names.access,
        root: &names.root,
        thread: Some(call.thread),
    };
    let how = How {
        flags: flags & KNOWN,
        mode: names.masked(mode),
    };
    let close_on_exec = flags & O_CLOEXEC != 0;
    Ok(match vfs::open(&opener, start, &text, how)? {
        OpenOutcome::Open(file) => {
            let fd = files.insert(Arc::new(file), close_on_exec, limit)?;
            Outcome::Done(Ok(fd as usize))
        }
        OpenOutcome::Wait(path, opening) => Outcome::wait(async move {
            let file = opening.await?;
            let open = OpenFile::at(
                path,
                file,
                how.flags & O_ACCMODE != O_WRONLY,
                matches!(how.flags & O_ACCMODE, O_WRONLY | O_RDWR),
                StatusFlags::from_bits_retain(
                    how.flags & (O_APPEND | O_NONBLOCK | O_NOATIME) | O_LARGEFILE,
                ),
            );
            let fd = files.insert(Arc::new(open), close_on_exec, limit)?;
            Ok(fd as usize)
        }),
    })
}

/// `openat2(2)`.
pub fn openat2(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    how: Ptr<OpenHow>,
    size: usize,
) -> Result<Outcome, Errno> {
    if size < size_of::<OpenHow>() {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let mut rest = [0_u8; 64];
    let mut at = size_of::<OpenHow>();
    while at < size {
        let len = (size - at).min(rest.len());
        call.space
            .read(how.address().wrapping_add(at as u64), &mut rest[..len])?;
        if rest[..len].iter().any(|byte| *byte != 0) {
            return Err(Errno::E2BIG);
        }
        at += len;
    }
    let how = call.space.read_value(how)?;
    let makes = how.flags & u64::from(O_CREAT) != 0
        || how.flags & u64::from(O_TMPFILE) == u64::from(O_TMPFILE);
    let path_only = u64::from(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if how.flags & !u64::from(KNOWN) != 0
        || how.mode & !0o7777 != 0
        || (how.mode != 0 && !makes)
        || (how.flags & u64::from(O_PATH) != 0 && how.flags & !path_only != 0)
        // No RESOLVE_* is known here.
        || how.resolve != 0
    {
        return Err(Errno::EINVAL);
    }
    openat(call, directory, path, how.flags as u32, how.mode as u32)
}

/// `close(2)`.
pub fn close(call: &mut Call<'_>, fd: Fd) -> Result<(), Errno> {
    let file = call.files().remove(fd.0)?;
    super::fcntl::descriptor_closed(call.process(), &file);
    Ok(())
}

/// Of `close_range`: give the thread a table of its own first.
const CLOSE_RANGE_UNSHARE: u32 = 2;
/// Of `close_range`: only mark to be closed at exec.
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// `close_range(2)`.
pub fn close_range(call: &mut Call<'_>, first: u32, last: u32, flags: u32) -> Result<(), Errno> {
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        call.thread.set_files(call.files().duplicate()?);
    }
    let files = call.files();
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        files.mark_range(first, last);
        return Ok(());
    }
    while let Some((_, file)) = files.remove_in(first, last) {
        super::fcntl::descriptor_closed(call.process(), &file);
    }
    Ok(())
}
