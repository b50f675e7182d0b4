//! Calls about descriptors of processes and threads.

use alloc::sync::Arc;

use ochre_abi::Errno;

use super::signal::{queued_info, signal_or_none};
use super::{Call, Fd, FromArgument, Ptr, SysResult, outcome};
use crate::memory;
use crate::process::{Pid, PidFd, Thread, table};
use crate::signal::{self, Info};
use crate::vfs::{OpenFile, StatusFlags};

/// Of `pidfd_open`: reads of its state do not wait.
const PIDFD_NONBLOCK: u32 = 0o4000;
/// Of `pidfd_open`: a thread, not its process.
const PIDFD_THREAD: u32 = 0o200;

/// Of `pidfd_send_signal`: to whom. Without any it is what the descriptor is of.
const TO_THREAD: u32 = 1;
const TO_PROCESS: u32 = 2;
const TO_GROUP: u32 = 4;

/// Gives `file` a number of the caller's.
///
/// # Errors
/// EMFILE, ENOMEM.
pub fn install(thread: &Thread, file: PidFd, status: StatusFlags) -> SysResult {
    memory::check_headroom()?;
    let file = OpenFile::new(Arc::new(file), true, true, status);
    outcome::install(thread, file, true)
}

/// `pidfd_open(2)`.
pub fn pidfd_open(call: &mut Call<'_>, pid: i32, flags: u32) -> SysResult {
    if flags & !(PIDFD_NONBLOCK | PIDFD_THREAD) != 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let is_thread = flags & PIDFD_THREAD != 0;
    let pid = Pid(pid.unsigned_abs());
    let file = {
        let table = table::lock();
        match (table.thread(pid), table.process(pid)) {
            (Some(thread), _) if is_thread => PidFd::new(thread, true),
            (_, Some(process)) if !is_thread => PidFd::of_process(&process),
            // Only a thread has the number.
            (Some(_), None) => return Err(Errno::ENOENT),
            _ => return Err(Errno::ESRCH),
        }
    };
    let mut status = StatusFlags::empty();
    status.set(StatusFlags::NONBLOCK, flags & PIDFD_NONBLOCK != 0);
    install(call.thread, file, status)
}

/// `pidfd_send_signal(2)`.
pub fn pidfd_send_signal(
    call: &mut Call<'_>,
    fd: Fd,
    number: i32,
    info: u64,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(TO_THREAD | TO_PROCESS | TO_GROUP) != 0 || flags.count_ones() > 1 {
        return Err(Errno::EINVAL);
    }
    let open = call.file(fd)?;
    let target = open.file().as_any().downcast_ref::<PidFd>();
    let target = target.ok_or(Errno::EBADF)?;
    let whom = match (flags, target.thread()) {
        (0, Some(_)) => TO_THREAD,
        (0, None) => TO_PROCESS,
        (flags, _) => flags,
    };
    let process = target.process();
    let own_uid = call.thread.credentials().uid.real;
    let info = if info == 0 {
        if whom == TO_THREAD {
            Info::tkill(call.process().pid, own_uid)
        } else {
            Info::user(call.process().pid, own_uid)
        }
    } else {
        let number_of_target = target.thread().map_or(process.pid, |thread| thread.tid());
        queued_to(call, number_of_target, whom, number, info)?
    };
    if !is_in_table(target) {
        return Err(Errno::ESRCH);
    }
    let signal = signal_or_none(number)?;
    match whom {
        TO_GROUP => super::signal::kill_process_group(call, process.pid, signal, info),
        TO_PROCESS => signal::signal_from(call.thread, process, signal, info),
        _ => {
            let thread = match target.thread() {
                Some(thread) => Arc::clone(thread),
                None => table::thread(process.pid).ok_or(Errno::ESRCH)?,
            };
            signal::may_signal(call.thread, process, &thread.credentials(), signal)?;
            match signal {
                Some(signal) => signal::send_to_thread(&thread, signal, info),
                None => Ok(()),
            }
        }
    }
}

/// Whether it is of one that was asked after by nobody yet, nor is about to be
/// made by `clone`, which gives the descriptor first.
fn is_in_table(target: &PidFd) -> bool {
    let table = table::lock();
    match target.thread() {
        Some(thread) => table
            .thread(thread.tid())
            .is_some_and(|found| Arc::ptr_eq(found, thread)),
        None => table
            .process(target.process().pid)
            .is_some_and(|found| Arc::ptr_eq(&found, target.process())),
    }
}

/// What a program queues; the structure has to be of the signal that is sent.
fn queued_to(
    call: &Call<'_>,
    target: Pid,
    whom: u32,
    number: i32,
    info: u64,
) -> Result<Info, Errno> {
    let named: i32 = call.space.read_value(Ptr::from_argument(info))?;
    if named != number {
        return Err(Errno::EINVAL);
    }
    // To a group nobody may pretend to be the kernel or kill(2).
    let target = if whom == TO_GROUP { 0 } else { target.0 };
    queued_info(call, target.cast_signed(), number, Ptr::from_argument(info))
}
