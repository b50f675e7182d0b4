//! Calls that make, end and ask after processes and threads.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::arch::CLONE_TLS_FOURTH;
use ochre_abi::clone::{CLONE_ARGS_SIZE_VER0, CloneArgs, CloneFlags};
use ochre_abi::wait::{P_ALL, P_PGID, P_PID, P_PIDFD, WaitOptions};
use ochre_hal::memory::USER_END;
use zerocopy::IntoBytes;

use super::{Call, Fd, FromArgument, Outcome, Ptr, SysResult, tags};
use crate::memory::AddressSpace;
use crate::process::clone::{self, Request};
use crate::process::reap::{self, ChildEvent, Selector};
use crate::process::{ExitStatus, Pid, PidFd, Thread, table, usage};
use crate::vfs::StatusFlags;
use crate::wait;

/// `getpid(2)`.
pub fn getpid(call: &mut Call<'_>) -> SysResult {
    Ok(call.process().pid.as_usize())
}

// ANCHOR: getppid
/// `getppid(2)`.
pub fn getppid(call: &mut Call<'_>) -> SysResult {
    Ok(call.process().parent_pid().as_usize())
}
// ANCHOR_END: getppid

/// `_exit(2)` of one thread.
pub fn exit(call: &mut Call<'_>, status: i32) -> Outcome {
    call.thread.begin_exit(status);
    Outcome::Resume
}

/// `exit_group(2)`.
pub fn exit_group(call: &mut Call<'_>, status: i32) -> Outcome {
    call.process().begin_group_exit(ExitStatus::exited(status));
    Outcome::Resume
}

/// `fork(2)`.
pub fn fork(call: &mut Call<'_>) -> Result<Outcome, Errno> {
    clone::clone(call, &Request::fork(17))
}

/// `vfork(2)`.
pub fn vfork(call: &mut Call<'_>) -> Result<Outcome, Errno> {
    let mut request = Request::fork(17);
    request.flags = CloneFlags::VFORK | CloneFlags::VM;
    clone::clone(call, &request)
}

/// `clone(2)`. The order of the last two arguments differs between machines.
pub fn clone(
    call: &mut Call<'_>,
    flags: u64,
    stack: u64,
    parent_tid: Ptr<u32>,
    fourth: u64,
    fifth: u64,
) -> Result<Outcome, Errno> {
    let (tls, child_tid) = if CLONE_TLS_FOURTH {
        (fourth, fifth)
    } else {
        (fifth, fourth)
    };
    // The raw call takes 32 bits of flags; the low byte is the exit signal.
    let request = Request {
        flags: CloneFlags::from_bits_retain(flags & 0xffff_ff00),
        exit_signal: flags as u32 & 0xff,
        stack,
        parent_tid,
        pidfd: Ptr::from_argument(parent_tid.address()),
        child_tid: Ptr::from_argument(child_tid),
        tls,
        set_tid: None,
    };
    clone::clone(call, &request)
}

/// `clone3(2)`.
pub fn clone3(call: &mut Call<'_>, args: Ptr<CloneArgs>, size: usize) -> Result<Outcome, Errno> {
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    if size < CLONE_ARGS_SIZE_VER0 {
        return Err(Errno::EINVAL);
    }
    let mut given = CloneArgs::default();
    let known = size.min(size_of::<CloneArgs>());
    call.space
        .read(args.address(), &mut given.as_mut_bytes()[..known])?;
    check_tail_is_zero(call.space, args.address(), known, size)?;
    let set_tid = wanted_number(call.space, &given)?;
    // Both the bits of the exit signal and that of `DETACHED` stay free here.
    if given.exit_signal > 64
        || given.flags & (0xff | CloneFlags::DETACHED.bits()) != 0
        || CloneFlags::from_bits(given.flags).is_none()
    {
        return Err(Errno::EINVAL);
    }
    let flags = CloneFlags::from_bits_retain(given.flags);
    if flags.intersects(CloneFlags::THREAD | CloneFlags::PARENT) && given.exit_signal != 0 {
        return Err(Errno::EINVAL);
    }
    let top = given.stack.checked_add(given.stack_size);
    let (true, Some(stack)) = ((given.stack == 0) == (given.stack_size == 0), top) else {
        return Err(Errno::EINVAL);
    };
    if stack > USER_END {
        return Err(Errno::EINVAL);
    }
    let request = Request {
        flags,
        exit_signal: given.exit_signal as u32,
        stack,
        parent_tid: Ptr::from_argument(given.parent_tid),
        pidfd: Ptr::from_argument(given.pidfd),
        child_tid: Ptr::from_argument(given.child_tid),
        tls: given.tls,
        set_tid,
    };
    clone::clone(call, &request)
}

/// The number that the child is to have. There is one level of numbers, so at
/// most one can be asked for.
fn wanted_number(space: &AddressSpace, given: &CloneArgs) -> Result<Option<Pid>, Errno> {
    /// Levels that Linux knows (`MAX_PID_NS_LEVEL`).
    const LEVELS: u64 = 32;
    if given.set_tid_size > LEVELS || (given.set_tid == 0) != (given.set_tid_size == 0) {
        return Err(Errno::EINVAL);
    }
    if given.set_tid == 0 {
        return Ok(None);
    }
    let number: u32 = space.read_value(Ptr::from_argument(given.set_tid))?;
    if given.set_tid_size > 1 {
        return Err(Errno::EINVAL);
    }
    Ok(Some(Pid(number)))
}

/// A longer structure than the kernel knows is taken if the rest is zero.
fn check_tail_is_zero(
    space: &AddressSpace,
    address: u64,
    known: usize,
    size: usize,
) -> Result<(), Errno> {
    let mut at = known;
    while at < size {
        let mut part = [0; 64];
        let len = part.len().min(size - at);
        space.read(address.wrapping_add(at as u64), &mut part[..len])?;
        if part[..len].iter().any(|byte| *byte != 0) {
            return Err(Errno::E2BIG);
        }
        at += len;
    }
    Ok(())
}

/// `set_tid_address(2)`.
pub fn set_tid_address(call: &mut Call<'_>, address: u64) -> SysResult {
    call.thread.set_clear_child_tid(tags::meant(address));
    Ok(call.thread.tid().as_usize())
}

/// `gettid(2)`.
pub fn gettid(call: &mut Call<'_>) -> SysResult {
    Ok(call.thread.tid().as_usize())
}

/// `wait4(2)`.
pub fn wait4(
    call: &mut Call<'_>,
    pid: i32,
    status: Ptr<u32>,
    options: u32,
    rusage: u64,
) -> Result<Outcome, Errno> {
    let allowed = WaitOptions::NOHANG
        | WaitOptions::UNTRACED
        | WaitOptions::CONTINUED
        | WaitOptions::NOTHREAD
        | WaitOptions::ALL
        | WaitOptions::CLONE;
    let options = WaitOptions::from_bits(options)
        .filter(|options| allowed.contains(*options))
        .ok_or(Errno::EINVAL)?
        | WaitOptions::EXITED;
    let selector = match pid {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Selector::Any,
        0 => Selector::Group(own_group(call.thread)?),
        pid if pid < 0 => Selector::Group(Pid(pid.unsigned_abs())),
        pid => Selector::Process(Pid(pid.unsigned_abs())),
    };
    wait_for(call, selector, options, move |space, event| {
        let Some(event) = event else {
            return Ok(0);
        };
        if !status.is_null() {
            space.write_value(status, &event.change.raw())?;
        }
        if rusage != 0 {
            usage::write(space, rusage, &event.child)?;
        }
        Ok(event.child.pid.as_usize())
    })
}

/// `waitid(2)`.
pub fn waitid(
    call: &mut Call<'_>,
    kind: u32,
    id: i32,
    info: u64,
    options: u32,
    rusage: u64,
) -> Result<Outcome, Errno> {
    let mut options = WaitOptions::from_bits(options).ok_or(Errno::EINVAL)?;
    if !options.intersects(WaitOptions::EXITED | WaitOptions::UNTRACED | WaitOptions::CONTINUED) {
        return Err(Errno::EINVAL);
    }
    let mut never_waits = false;
    let selector = match (kind, id) {
        (P_PIDFD, 0..) => {
            let open = call.file(Fd(id))?;
            let file = open.file().as_any().downcast_ref::<PidFd>();
            never_waits = open.flags().contains(StatusFlags::NONBLOCK);
            Selector::Process(file.ok_or(Errno::EBADF)?.process().pid)
        }
        (P_ALL, _) => Selector::Any,
        (P_PID, 1..) => Selector::Process(Pid(id.unsigned_abs())),
        (P_PGID, 0) => Selector::Group(own_group(call.thread)?),
        (P_PGID, 1..) => Selector::Group(Pid(id.unsigned_abs())),
        _ => return Err(Errno::EINVAL),
    };
    let must_say_so = never_waits && !options.contains(WaitOptions::NOHANG);
    if never_waits {
        options |= WaitOptions::NOHANG;
    }
    wait_for(call, selector, options, move |space, event| {
        if event.is_none() && must_say_so {
            return Err(Errno::EAGAIN);
        }
        if let Some(event) = event
            && rusage != 0
        {
            usage::write(space, rusage, &event.child)?;
        }
        if info != 0 {
            let bytes = match event {
                Some(event) => {
                    let (code, status) = event.change.info();
                    crate::signal::child_info(&event.child, code, status)
                }
                None => [0; 128],
            };
            // si_signo, si_errno, si_code, si_pid, si_uid, si_status.
            space.write(info, &bytes[..28])?;
        }
        Ok(0)
    })
}

fn own_group(thread: &Thread) -> Result<Pid, Errno> {
    let table = table::lock();
    let of = table.relations(thread.process.pid).ok_or(Errno::ESRCH)?;
    Ok(of.group)
}

/// Looks, and waits if that is wanted; `tell` writes what was found.
fn wait_for(
    call: &mut Call<'_>,
    selector: Selector,
    options: WaitOptions,
    tell: impl Fn(&AddressSpace, Option<&ChildEvent>) -> SysResult + Send + 'static,
) -> Result<Outcome, Errno> {
    let found = reap::look(call.process(), selector, options)?;
    if found.is_some() || options.contains(WaitOptions::NOHANG) {
        return Ok(Outcome::Done(tell(call.space, found.as_ref())));
    }
    let thread = Arc::clone(call.thread);
    let space = Arc::clone(call.space);
    Ok(Outcome::wait(async move {
        let process = Arc::clone(&thread.process);
        let event = wait::until(thread, None, |table| {
            if let Some(table) = table {
                table.add(&process.child_changed);
            }
            reap::look(&process, selector, options).transpose()
        })
        .await
        .map_err(wait::Interrupted::restart)??;
        tell(&space, Some(&event))
    }))
}
