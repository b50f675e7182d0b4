//! Descriptors: duplicates, flags, locks.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS, F_GETFD, F_GETFL, F_GETLK, F_GETOWN,
    F_GETPIPE_SZ, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETFD, F_SETFL, F_SETLK,
    F_SETLKW, F_SETPIPE_SZ, F_UNLCK, F_WRLCK, FD_CLOEXEC, Flock, LOCK_EX, LOCK_NB, LOCK_SH,
    LOCK_UN, O_CLOEXEC, SEEK_CUR, SEEK_END, SEEK_SET, Seals,
};

use super::{Call, Fd, FromArgument, Outcome, Ptr, SysResult};
use crate::fs::tmpfs::Node;
use crate::ipc::pipe::PipeEnd;
use crate::process::{Process, Thread};
use crate::vfs::lock::{self, Owner, Span};
use crate::vfs::{OpenFile, StatusFlags};
use crate::wait;

/// A descriptor of the process went away; `file` is what it named.
pub(super) fn descriptor_closed(process: &Process, file: &OpenFile) {
    lock::descriptor_closed(file, process.pid.0);
}

/// `dup(2)`.
pub fn dup(call: &mut Call<'_>, fd: Fd) -> SysResult {
    let files = call.files();
    let file = files.get_any(fd.0)?;
    let fd = files.insert(file, false, call.open_files_limit())?;
    Ok(fd as usize)
}

/// `dup2(2)`.
pub fn dup2(call: &mut Call<'_>, old: Fd, new: Fd) -> SysResult {
    if old == new {
        call.files().get_any(old.0)?;
        return Ok(new.0 as usize);
    }
    replace(call, old, new, false)
}

/// `dup3(2)`.
pub fn dup3(call: &mut Call<'_>, old: Fd, new: Fd, flags: u32) -> SysResult {
    if flags & !O_CLOEXEC != 0 || old == new {
        return Err(Errno::EINVAL);
    }
    replace(call, old, new, flags & O_CLOEXEC != 0)
}

fn replace(call: &Call<'_>, old: Fd, new: Fd, close_on_exec: bool) -> SysResult {
    let files = call.files();
    let file = files.get_any(old.0)?;
    let replaced = files.replace(new.0, file, close_on_exec, call.open_files_limit())?;
    if let Some(replaced) = replaced {
        descriptor_closed(call.process(), &replaced);
    }
    Ok(new.0 as usize)
}

/// `fcntl(2)`.
pub fn fcntl(call: &mut Call<'_>, fd: Fd, command: u32, argument: u64) -> Result<Outcome, Errno> {
    let files = call.files();
    let file = files.get_any(fd.0)?;
    let done = |value: usize| Ok(Outcome::Done(Ok(value)));
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let limit = call.open_files_limit();
            let from = usize::try_from(argument as i32)
                .ok()
                .filter(|from| *from < limit)
                .ok_or(Errno::EINVAL)?;
            let fd = files.insert_from(from, file, command == F_DUPFD_CLOEXEC, limit)?;
            return done(fd as usize);
        }
        F_GETFD => return done(usize::from(files.is_close_on_exec(fd.0)?)),
        F_SETFD => {
            files.set_close_on_exec(fd.0, argument as u32 & FD_CLOEXEC != 0)?;
            return done(0);
        }
        F_GETFL => return done(status(&file) as usize),
        _ if file.is_only_path() => return Err(Errno::EBADF),
        _ => {}
    }
    match command {
        F_SETFL => {
            set_status(call, &file, argument as u32)?;
            done(0)
        }
        F_GETLK | F_OFD_GETLK => get_lock(call, &file, command, argument),
        F_SETLK | F_SETLKW | F_OFD_SETLK | F_OFD_SETLKW => set_lock(call, file, command, argument),
        F_GETPIPE_SZ => done(pipe(&file)?.pipe().capacity()),
        F_SETPIPE_SZ => {
            let privileged = call.thread.access().privileged;
            let size = usize::try_from(argument as u32).map_err(|_| Errno::EINVAL)?;
            done(pipe(&file)?.pipe().set_capacity(size, privileged)?)
        }
        F_GET_SEALS => {
            let seals = memory_file(&file)?.seals()?;
            // CAST: six bits.
            done(seals.bits() as usize)
        }
        F_ADD_SEALS => {
            if !file.is_writable() {
                return Err(Errno::EPERM);
            }
            let seals = u32::try_from(argument)
                .ok()
                .and_then(Seals::from_bits)
                .ok_or(Errno::EINVAL)?;
            memory_file(&file)?.add_seals(seals)?;
            done(0)
        }
        // Nobody can be set, so nobody is.
        F_GETOWN => done(0),
        _ => Err(Errno::EINVAL),
    }
}

/// A file that can have seals.
fn memory_file(file: &OpenFile) -> Result<&Node, Errno> {
    file.file().as_any().downcast_ref().ok_or(Errno::EINVAL)
}

fn pipe(file: &OpenFile) -> Result<&PipeEnd, Errno> {
    file.file()
        .as_any()
        .downcast_ref::<PipeEnd>()
        .ok_or(Errno::EBADF)
}

/// What `F_GETFL` shows.
fn status(file: &OpenFile) -> u32 {
    let mode = match (file.is_readable(), file.is_writable()) {
        (true, false) => 0,
        (false, true) => 1,
        (true, true) => 2,
        (false, false) if file.is_only_path() => 0,
        (false, false) => 3,
    };
    file.flags().bits() | mode
}

fn set_status(call: &Call<'_>, file: &OpenFile, new: u32) -> Result<(), Errno> {
    let settable = StatusFlags::APPEND
        | StatusFlags::NONBLOCK
        | StatusFlags::ASYNC
        | StatusFlags::DIRECT
        | StatusFlags::NOATIME;
    let new = StatusFlags::from_bits_retain(new) & settable;
    let old = file.flags();
    if new.contains(StatusFlags::NOATIME)
        && !old.contains(StatusFlags::NOATIME)
        && !call.thread.access().owns(file.metadata().permissions)
    {
        return Err(Errno::EPERM);
    }
    file.set_flags((old - settable) | new);
    Ok(())
}

fn is_of_description(command: u32) -> bool {
    matches!(command, F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW)
}

/// A lock as a program describes it: where, and for whom.
fn described(
    call: &Call<'_>,
    file: &OpenFile,
    command: u32,
    argument: u64,
) -> Result<(Flock, Owner, Span), Errno> {
    let flock: Flock = call.space.read_value(Ptr::from_argument(argument))?;
    if is_of_description(command) && flock.l_pid != 0 {
        return Err(Errno::EINVAL);
    }
    let base = match u32::try_from(flock.l_whence) {
        Ok(SEEK_SET) => 0,
        Ok(SEEK_CUR) => *file.position().lock(),
        Ok(SEEK_END) => file.metadata().size,
        _ => return Err(Errno::EINVAL),
    };
    let span = Span::new(base, flock.l_start, flock.l_len)?;
    let owner = if is_of_description(command) {
        Owner::Description(lock::description(file))
    } else {
        Owner::Process(call.process().pid.0)
    };
    Ok((flock, owner, span))
}

fn get_lock(
    call: &Call<'_>,
    file: &OpenFile,
    command: u32,
    argument: u64,
) -> Result<Outcome, Errno> {
    let (mut flock, owner, span) = described(call, file, command, argument)?;
    let exclusive = match flock.l_type {
        F_RDLCK => false,
        F_WRLCK => true,
        _ => return Err(Errno::EINVAL),
    };
    match lock::conflict(lock::key(file), owner, span, exclusive) {
        None => flock.l_type = F_UNLCK,
        Some(held) => {
            flock.l_type = if held.exclusive { F_WRLCK } else { F_RDLCK };
            flock.l_whence = SEEK_SET as i16;
            flock.l_start = held.span.first.cast_signed();
            flock.l_len = if held.span.last == Span::END {
                0
            } else {
                (held.span.last - held.span.first + 1).cast_signed()
            };
            flock.l_pid = match held.owner {
                Owner::Process(pid) => pid.cast_signed(),
                Owner::Description(_) => -1,
            };
        }
    }
    call.space
        .write_value(Ptr::from_argument(argument), &flock)?;
    Ok(Outcome::Done(Ok(0)))
}

fn set_lock(
    call: &Call<'_>,
    file: Arc<OpenFile>,
    command: u32,
    argument: u64,
) -> Result<Outcome, Errno> {
    let (flock, owner, span) = described(call, &file, command, argument)?;
    let key = lock::key(&file);
    let exclusive = match flock.l_type {
        F_RDLCK if file.is_readable() => false,
        F_WRLCK if file.is_writable() => true,
        F_RDLCK | F_WRLCK => return Err(Errno::EBADF),
        F_UNLCK => {
            lock::unlock_range(key, owner, span)?;
            return Ok(Outcome::Done(Ok(0)));
        }
        _ => return Err(Errno::EINVAL),
    };
    let waits = matches!(command, F_SETLKW | F_OFD_SETLKW);
    match lock::lock_range(&file, owner, span, exclusive) {
        Err(Errno::EAGAIN) if waits => {}
        result => return Ok(Outcome::Done(result.map(|()| 0))),
    }
    let thread = Arc::clone(call.thread);
    Ok(Outcome::wait(wait_for_range(
        thread, file, owner, span, exclusive,
    )))
}

/// Waits for a range lock. A circle of waiting processes is looked for at each
/// try, when it is known who is in the way now.
async fn wait_for_range(
    thread: Arc<Thread>,
    file: Arc<OpenFile>,
    owner: Owner,
    span: Span,
    exclusive: bool,
) -> SysResult {
    let key = lock::key(&file);
    let queue = lock::queue(key);
    let mut note = None;
    wait::until(thread, None, |table| {
        if let Some(table) = table {
            table.add(&queue);
        }
        match lock::lock_range(&file, owner, span, exclusive) {
            Err(Errno::EAGAIN) => {}
            result => return Some(result.map(|()| 0)),
        }
        note = None;
        match lock::note_wait(key, owner, span, exclusive) {
            Ok(waiting) => {
                note = Some(waiting);
                None
            }
            Err(errno) => Some(Err(errno)),
        }
    })
    .await
    .unwrap_or_else(|interrupted| Err(interrupted.restart()))
}

/// `flock(2)`.
pub fn flock(call: &mut Call<'_>, fd: Fd, operation: u32) -> Result<Outcome, Errno> {
    if !matches!(operation & !LOCK_NB, LOCK_SH | LOCK_EX | LOCK_UN) {
        return Err(Errno::EINVAL);
    }
    let file = call.files().get(fd.0)?;
    let asked_by = call.thread.process.pid.0;
    let exclusive = match operation & !LOCK_NB {
        LOCK_SH => false,
        LOCK_EX => true,
        LOCK_UN => {
            lock::unlock_whole(&file);
            return Ok(Outcome::Done(Ok(0)));
        }
        _ => return Err(Errno::EINVAL),
    };
    match lock::lock_whole(&file, asked_by, exclusive) {
        Err(Errno::EAGAIN) if operation & LOCK_NB == 0 => {}
        result => return Ok(Outcome::Done(result.map(|()| 0))),
    }
    let thread = Arc::clone(call.thread);
    Ok(Outcome::wait(async move {
        let queue = lock::queue(lock::key(&file));
        wait::until(thread, None, |table| {
            if let Some(table) = table {
                table.add(&queue);
            }
            match lock::lock_whole(&file, asked_by, exclusive) {
                Err(Errno::EAGAIN) => None,
                result => Some(result.map(|()| 0)),
            }
        })
        .await
        .unwrap_or_else(|interrupted| Err(interrupted.restart()))
    }))
}
