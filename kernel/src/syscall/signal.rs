//! Calls about signals.

use alloc::sync::Arc;
use core::mem::size_of;

use ochre_abi::Errno;
use ochre_abi::signal::{
    SI_TKILL, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGINFO_SIZE, SIGSET_SIZE, SigAction,
    SigAltStack, Signal, SignalSet,
};
use ochre_abi::time::TimeSpec;
use ochre_hal::clock;
use zerocopy::IntoBytes;

use super::{Call, Outcome, Ptr};
use crate::process::table;
use crate::process::{Pid, Process, Thread};
use crate::signal::{self, Info};
use crate::wait::{self, Interrupted};

/// `sigset_t` as the kernel has it.
type Set = u64;

/// `siginfo_t` as bytes.
type SigInfo = [u8; SIGINFO_SIZE];

fn check_set_size(size: usize) -> Result<(), Errno> {
    if size == SIGSET_SIZE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn signal_number(number: i32) -> Result<Signal, Errno> {
    u32::try_from(number)
        .ok()
        .and_then(Signal::new)
        .ok_or(Errno::EINVAL)
}

/// A signal that may be 0, which asks whether one could be sent.
pub(super) fn signal_or_none(number: i32) -> Result<Option<Signal>, Errno> {
    match number {
        0 => Ok(None),
        number => signal_number(number).map(Some),
    }
}

/// `rt_sigaction(2)`.
pub fn rt_sigaction(
    call: &mut Call<'_>,
    number: i32,
    new: Ptr<SigAction>,
    old: Ptr<SigAction>,
    set_size: usize,
) -> Result<(), Errno> {
    check_set_size(set_size)?;
    let mut action = SigAction::default();
    let has_new = !new.is_null();
    if has_new {
        call.space
            .read(new.address(), IntoBytes::as_mut_bytes(&mut action))?;
    }
    let signal = signal_number(number)?;
    let mut before = SigAction::default();
    let wanted = (!old.is_null()).then_some(&mut before);
    signal::exchange_action(call.process(), signal, has_new.then_some(&action), wanted)?;
    if !old.is_null() {
        call.space.write_value(old, &before)?;
    }
    Ok(())
}

/// `rt_sigprocmask(2)`.
pub fn rt_sigprocmask(
    call: &mut Call<'_>,
    how: i32,
    new: Ptr<Set>,
    old: Ptr<Set>,
    set_size: usize,
) -> Result<(), Errno> {
    check_set_size(set_size)?;
    let before = signal::mask_of(call.thread);
    if !new.is_null() {
        let set = SignalSet(call.space.read_value(new)?);
        signal::set_mask(call.thread, change_mask(how, before, set)?);
    }
    if !old.is_null() {
        call.space.write_value(old, &before.0)?;
    }
    Ok(())
}

fn change_mask(how: i32, mask: SignalSet, set: SignalSet) -> Result<SignalSet, Errno> {
    match how {
        SIG_BLOCK => Ok(mask.union(set)),
        SIG_UNBLOCK => Ok(mask.without(set)),
        SIG_SETMASK => Ok(set),
        _ => Err(Errno::EINVAL),
    }
}

/// `rt_sigpending(2)`.
pub fn rt_sigpending(call: &mut Call<'_>, to: Ptr<Set>, set_size: usize) -> Result<(), Errno> {
    if set_size > SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let shared = call.process().signals.pending_set();
    let own = call.thread.signals.lock();
    let blocked = own.pending_set().union(shared).intersection(own.mask());
    drop(own);
    call.space
        .write(to.address(), &blocked.0.to_ne_bytes()[..set_size])
}

/// `rt_sigreturn(2)`.
pub fn rt_sigreturn(call: &mut Call<'_>) -> Outcome {
    signal::restore_context(call);
    Outcome::Resume
}

/// `restart_syscall(2)`.
pub fn restart_syscall(call: &mut Call<'_>) -> Outcome {
    match signal::take_restart(call.thread) {
        Some(restart) => restart(call),
        None => Outcome::error(Errno::EINTR),
    }
}

/// `sigaltstack(2)`.
pub fn sigaltstack(
    call: &mut Call<'_>,
    new: Ptr<SigAltStack>,
    old: Ptr<SigAltStack>,
) -> Result<(), Errno> {
    let stack = if new.is_null() {
        None
    } else {
        Some(call.space.read_value(new)?)
    };
    let before = signal::exchange_stack(call.thread, stack.as_ref(), call.user.stack_pointer())?;
    if !old.is_null() {
        call.space.write_value(old, &before)?;
    }
    Ok(())
}

/// Waits until a signal is to be delivered.
fn wait_for_signal(call: &Call<'_>) -> Outcome {
    let thread = Arc::clone(call.thread);
    Outcome::wait(async move {
        let never = wait::until(thread, None, |_| None::<usize>).await;
        match never {
            Ok(value) => Ok(value),
            Err(Interrupted::NoMemory) => Err(Errno::ENOMEM),
            Err(_) => Err(Errno::ERESTARTNOHAND),
        }
    })
}

/// `pause(2)`.
pub fn pause(call: &mut Call<'_>) -> Outcome {
    wait_for_signal(call)
}

/// `rt_sigsuspend(2)`.
pub fn rt_sigsuspend(
    call: &mut Call<'_>,
    mask: Ptr<Set>,
    set_size: usize,
) -> Result<Outcome, Errno> {
    check_set_size(set_size)?;
    let mask = SignalSet(call.space.read_value(mask)?);
    signal::set_temporary_mask(call.thread, mask);
    let thread = Arc::clone(call.thread);
    Ok(match wait_for_signal(call) {
        Outcome::Wait(waiting) => Outcome::wait(async move {
            let result = waiting.await;
            signal::end_temporary_mask(&thread, &result);
            result
        }),
        other => other,
    })
}

/// `rt_sigtimedwait(2)`.
pub fn rt_sigtimedwait(
    call: &mut Call<'_>,
    set: Ptr<Set>,
    info: Ptr<SigInfo>,
    timeout: Ptr<TimeSpec>,
    set_size: usize,
) -> Result<Outcome, Errno> {
    check_set_size(set_size)?;
    let wanted = SignalSet(call.space.read_value(set)?).without(SignalSet::UNBLOCKABLE);
    let deadline = if timeout.is_null() {
        None
    } else {
        let ns = call.space.read_value(timeout)?.to_ns()?;
        Some(clock::now_ns().saturating_add(ns))
    };
    let space = Arc::clone(call.space);
    let tell = move |(signal, told): (Signal, Info)| {
        if !info.is_null() {
            space.write_value(info, &told.to_bytes(signal))?;
        }
        Ok(signal.number() as usize)
    };
    if let Some(taken) = signal::take_from_set(call.thread, wanted) {
        return Ok(Outcome::Done(tell(taken)));
    }
    if deadline.is_some_and(|deadline| clock::now_ns() >= deadline) {
        return Err(Errno::EAGAIN);
    }
    let thread = Arc::clone(call.thread);
    Ok(Outcome::wait(async move {
        signal::set_awaited(&thread, wanted);
        let taken = wait::until(Arc::clone(&thread), deadline, |_| {
            signal::take_from_set(&thread, wanted)
        })
        .await;
        signal::set_awaited(&thread, SignalSet::EMPTY);
        match taken {
            Ok(taken) => tell(taken),
            Err(Interrupted::Timeout) => Err(Errno::EAGAIN),
            Err(Interrupted::Signal) => Err(Errno::EINTR),
            Err(Interrupted::NoMemory) => Err(Errno::ENOMEM),
        }
    }))
}

fn own_info(call: &Call<'_>) -> Info {
    Info::user(call.process().pid, call.thread.credentials().uid.real)
}

/// `kill(2)`.
pub fn kill(call: &mut Call<'_>, pid: i32, number: i32) -> Result<(), Errno> {
    let sender = Arc::clone(call.process());
    let thread = call.thread;
    let info = own_info(call);
    // The number is looked at after the target, as on Linux.
    let send =
        |target: &Process| signal::signal_from(thread, target, signal_or_none(number)?, info);
    match pid {
        i32::MIN => Err(Errno::ESRCH),
        -1 => {
            let mut result = Ok(());
            let found = send_to_each(
                |of| of.process.pid != Pid::INIT && of.process.pid != sender.pid && !of.is_zombie,
                |target| {
                    let sent = send(target);
                    if sent != Err(Errno::EPERM) {
                        result = sent;
                    }
                },
            );
            if found { result } else { Err(Errno::ESRCH) }
        }
        0 => {
            let table = table::lock();
            let group = table.relations(sender.pid).map(|of| of.group);
            drop(table);
            kill_group(group.ok_or(Errno::ESRCH)?, send)
        }
        pid if pid < 0 => kill_group(Pid(pid.unsigned_abs()), send),
        pid => {
            let target = process_of(Pid(pid.unsigned_abs())).ok_or(Errno::ESRCH)?;
            send(&target)
        }
    }
}

/// The process that has, or has a thread with, a number.
fn process_of(pid: Pid) -> Option<Arc<Process>> {
    let table = table::lock();
    table
        .process(pid)
        .or_else(|| table.thread(pid).map(|thread| Arc::clone(&thread.process)))
}

/// Sends to the process group that a process is in.
pub(super) fn kill_process_group(
    call: &Call<'_>,
    pid: Pid,
    signal: Option<Signal>,
    info: Info,
) -> Result<(), Errno> {
    let group = table::lock().relations(pid).map(|of| of.group);
    kill_group(group.ok_or(Errno::ESRCH)?, |target| {
        signal::signal_from(call.thread, target, signal, info)
    })
}

/// One success is success; else the last failure counts.
fn kill_group(group: Pid, send: impl Fn(&Process) -> Result<(), Errno>) -> Result<(), Errno> {
    let mut success = false;
    let mut result = Err(Errno::ESRCH);
    send_to_each(
        |of| of.group == group,
        |member| {
            result = send(member);
            success |= result.is_ok();
        },
    );
    if success { Ok(()) } else { result }
}

/// Sends to each process that is wanted; whether there was one. No list is made of
/// them: whoever ends those that have all the memory must not need any. Until the
/// last of them is told, none gets a child that would be missed.
fn send_to_each(
    wanted: impl Fn(&table::Relations) -> bool,
    mut send: impl FnMut(&Process),
) -> bool {
    let _broadcast = table::lock().broadcast();
    let mut found = false;
    let mut from = Pid::INIT;
    while let Some(process) = first_from(from, &wanted) {
        found = true;
        send(&process);
        from = Pid(process.pid.0.saturating_add(1));
    }
    found
}

/// The first process whose number is at least `from` and that is wanted.
fn first_from(from: Pid, wanted: impl Fn(&table::Relations) -> bool) -> Option<Arc<Process>> {
    let table = table::lock();
    let of = table.processes_from(from).find(|of| wanted(of))?;
    Some(Arc::clone(&of.process))
}

/// The thread with a number, in a process with a number if one is given.
fn find_thread(process: Option<Pid>, tid: i32) -> Result<Arc<Thread>, Errno> {
    table::thread(Pid(tid.unsigned_abs()))
        .filter(|thread| process.is_none_or(|pid| thread.process.pid == pid))
        .ok_or(Errno::ESRCH)
}

fn send_to_thread(call: &Call<'_>, thread: &Thread, number: i32, info: Info) -> Result<(), Errno> {
    let signal = signal_or_none(number)?;
    signal::may_signal(call.thread, &thread.process, &thread.credentials(), signal)?;
    match signal {
        Some(signal) => signal::send_to_thread(thread, signal, info),
        None => Ok(()),
    }
}

/// `tkill(2)`.
pub fn tkill(call: &mut Call<'_>, tid: i32, number: i32) -> Result<(), Errno> {
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    let thread = find_thread(None, tid)?;
    let info = Info::tkill(call.process().pid, call.thread.credentials().uid.real);
    send_to_thread(call, &thread, number, info)
}

/// `tgkill(2)`.
pub fn tgkill(call: &mut Call<'_>, pid: i32, tid: i32, number: i32) -> Result<(), Errno> {
    if tid <= 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let thread = find_thread(Some(Pid(pid.unsigned_abs())), tid)?;
    let info = Info::tkill(call.process().pid, call.thread.credentials().uid.real);
    send_to_thread(call, &thread, number, info)
}

/// What a program queues: only to itself may it pretend to be the kernel or kill(2).
pub(super) fn queued_info(
    call: &Call<'_>,
    target: i32,
    number: i32,
    info: Ptr<SigInfo>,
) -> Result<Info, Errno> {
    let bytes = call.space.read_value(info)?;
    // The layout matters only with a signal; one that is none fails later.
    let signal = signal_number(number).unwrap_or(Signal::SIGHUP);
    let info = Info::from_program(signal, &bytes)?;
    let pretends = info.code >= 0 || info.code == SI_TKILL;
    if pretends && target.unsigned_abs() != call.thread.tid().0 {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

/// `rt_sigqueueinfo(2)`.
pub fn rt_sigqueueinfo(
    call: &mut Call<'_>,
    pid: i32,
    number: i32,
    info: Ptr<SigInfo>,
) -> Result<(), Errno> {
    let info = queued_info(call, pid, number, info)?;
    if pid <= 0 {
        return Err(Errno::ESRCH);
    }
    let target = process_of(Pid(pid.unsigned_abs())).ok_or(Errno::ESRCH)?;
    signal::signal_from(call.thread, &target, signal_or_none(number)?, info)
}

/// `rt_tgsigqueueinfo(2)`.
pub fn rt_tgsigqueueinfo(
    call: &mut Call<'_>,
    pid: i32,
    tid: i32,
    number: i32,
    info: Ptr<SigInfo>,
) -> Result<(), Errno> {
    if tid <= 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let info = queued_info(call, tid, number, info)?;
    let thread = find_thread(Some(Pid(pid.unsigned_abs())), tid)?;
    send_to_thread(call, &thread, number, info)
}

const _: () = assert!(size_of::<SigInfo>() == 128);

#[cfg(test)]
mod tests {
    use super::{change_mask, signal_or_none};
    use ochre_abi::Errno;
    use ochre_abi::signal::{Signal, SignalSet};

    #[test]
    fn masks_change_as_sigprocmask_says() {
        let (one, two) = (SignalSet(0b0011), SignalSet(0b0110));
        assert_eq!(change_mask(0, one, two), Ok(SignalSet(0b0111)));
        assert_eq!(change_mask(1, one, two), Ok(SignalSet(0b0001)));
        assert_eq!(change_mask(2, one, two), Ok(two));
        assert_eq!(change_mask(3, one, two), Err(Errno::EINVAL));
    }

    #[test]
    fn signal_zero_only_asks() {
        assert_eq!(signal_or_none(0), Ok(None));
        assert_eq!(signal_or_none(64), Ok(Signal::new(64)));
        assert_eq!(signal_or_none(65), Err(Errno::EINVAL));
        assert_eq!(signal_or_none(-1), Err(Errno::EINVAL));
    }
}
