//! The end of threads and processes.
//!
//! A thread ends in its own poll. The last one takes the process down: its
//! files, memory and timers go at once, its children get another parent, and
//! what is left is a number and a status for the parent to ask after.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ochre_abi::Errno;
use ochre_abi::signal::Signal;
use ochre_hal::power;
use ochre_hal::user::Access;
use ochre_sync::primitive::atomic::{Ordering, fence};

use super::table::{self, Table};
use super::{ExitStatus, Next, Pid, Process, Thread, ThreadState};
use crate::audit::{self, Ordered};
use crate::device;
use crate::ipc::futex::{self, Key, Scope};
use crate::memory::AddressSpace;
use crate::memory::MakeRoom;
use crate::signal;
use crate::syscall::trace;
use crate::tty;

/// Ends the calling thread, and its process if it is the last. The memory of a
/// large one goes by parts, before anybody is told of the end.
pub fn end_thread(thread: &Arc<Thread>, state: &mut ThreadState) -> Next {
    let process = &thread.process;
    if state.is_last {
        return end_process_by_parts(thread);
    }
    // Whoever has several threads end tells them under this lock. The word
    // cleared below may be a lock of those that still run (musl's list of
    // threads has such a one): what comes of that must find all of them told,
    // or the fault of one is the end of the process.
    drop(process.threads.lock());
    release_tid(thread, &state.space, true);
    // The address space goes with the last handle.
    state.space = AddressSpace::empty();
    if thread.tid() == process.pid {
        *process.last_name.lock() = *thread.name.lock();
    }
    thread.give_up_shares();
    table::lock().remove_thread(thread.tid());
    process.add_ended(thread);
    thread.part_from_task();
    let last = {
        let mut threads = process.threads.lock();
        threads.remove(thread);
        threads.is_empty()
    };
    if last {
        table::lock().note_end();
        state.is_last = true;
        return end_process_by_parts(thread);
    }
    process.threads_changed.wake();
    Next::End
}

/// Ends the process of its last thread, or gives up a part of what it has.
fn end_process_by_parts(thread: &Thread) -> Next {
    let process = &thread.process;
    let status = process
        .exit_status()
        .unwrap_or_else(|| thread.own_exit_status());
    // From here on it is known to whoever looks for memory that some comes.
    process.begin_group_exit(status);
    if !process.wind_down() {
        return Next::Again;
    }
    let ends_in_order = !process.signals.is_of_init() || audit::ordered().is_some();
    if process.pid == Pid::INIT && ends_in_order {
        process.release_resources();
        if !audit::is_over() {
            return Next::Again;
        }
    }
    end_process(process, status);
    Next::End
}

/// Clears the word that `CLONE_CHILD_CLEARTID` or `set_tid_address` named, and
/// wakes who joins the thread.
pub(super) fn release_tid(thread: &Thread, space: &Arc<AddressSpace>, for_good: bool) {
    futex::release_owned(thread, space, for_good);
    let address = thread.take_clear_child_tid();
    // Nobody else can look at memory that nobody shares.
    if address == 0 || Arc::strong_count(space) <= 2 {
        return;
    }
    // ORDERING: Release: who finds the word empty finds all that the thread did,
    // whether it waits in the kernel for that or looks by itself. Neither the
    // way into the kernel nor the copy orders one store behind another.
    fence(Ordering::Release);
    // As on Linux, who joins has to wait at the word as a shared one.
    let _: Result<(), Errno> = space.write(address, &0_u32.to_ne_bytes());
    if let Ok(key) = Key::new(space, address, Scope::Shared, Access::Read) {
        let _: Result<usize, Errno> = futex::wake(&key, 1, u32::MAX);
    }
}

fn end_process(process: &Arc<Process>, status: ExitStatus) {
    trace::end(process.pid, status);
    process.release_resources();
    process.vfork.open();
    if process.pid == Pid::INIT {
        end_machine(status, process.signals.is_of_init());
    }
    signal::leave_session(process);
    let mut table = table::lock();
    let Some(of) = table.relations(process.pid) else {
        return;
    };
    let was_looked_after = table.is_looked_after(of);
    let reaper = reaper_of(&table, process);
    let mut children = table.reparent(process.pid, reaper);
    let orphaned = newly_orphaned(&table, process.pid, &children, was_looked_after);
    // Those that have ended first. They are looked up again below, by their
    // numbers: lists of them would need memory, and an end cannot fail.
    let has_ended = |pid: &Pid| table.relations(*pid).is_some_and(|of| of.is_zombie);
    children.sort_unstable_by_key(|pid| !has_ended(pid));
    let ended = children.partition_point(has_ended);
    if let Some(of) = table.relations_mut(process.pid) {
        of.is_zombie = true;
    }
    let parent = table.process(process.parent_pid());
    drop(table);
    for member in orphaned {
        signal::hang_up(&member);
    }
    let mourners = children.iter().filter_map(|pid| {
        let child = table::process(*pid)?;
        let signal = child.control.parent_death_signal.load(Ordering::Relaxed);
        Signal::new(signal).map(|signal| (child, signal))
    });
    for (child, signal) in mourners {
        let info = signal::Info::user(process.pid, process.credentials().uid.real);
        // A signal of PR_SET_PDEATHSIG over its limit is lost, as on Linux.
        let _ = signal::send_to_process(&child, signal, info);
    }
    let ended_children = children.iter().take(ended);
    for child in ended_children.filter_map(|pid| table::process(*pid)) {
        tell_parent(&child, table::process(reaper), child.final_status());
    }
    tell_parent(process, parent, status);
}

/// Who gets the children of a process that ends: the nearest ancestor that
/// asked for them (`PR_SET_CHILD_SUBREAPER`), else process 1.
fn reaper_of(table: &Table, process: &Process) -> Pid {
    let mut ancestor = table.process(process.parent_pid());
    while let Some(candidate) = ancestor {
        let is_alive = table
            .relations(candidate.pid)
            .is_some_and(|of| !of.is_zombie);
        if is_alive && candidate.control.is_subreaper.load(Ordering::Relaxed) {
            return candidate.pid;
        }
        ancestor = table.process(candidate.parent_pid());
    }
    Pid::INIT
}

/// The members of process groups that nobody looks after any more with the end
/// of process `pid`, where some are stopped: a child's group that it looked
/// after, or its own, if its parent did (setpgid(2)).
fn newly_orphaned(
    table: &Table,
    pid: Pid,
    children: &[Pid],
    was_looked_after: bool,
) -> Vec<Arc<Process>> {
    let Some(own) = table.relations(pid) else {
        return Vec::new();
    };
    let of_children = children
        .iter()
        .filter_map(|child| table.relations(*child))
        .filter(|child| child.session == own.session && child.group != own.group)
        .map(|child| child.group);
    // Without memory for the lists nobody is hung up: an end cannot fail.
    let mut groups: Vec<Pid> = Vec::new();
    if groups.make_room(children.len() + 1).is_err() {
        return Vec::new();
    }
    groups.extend(of_children.chain(was_looked_after.then_some(own.group)));
    groups.sort_unstable();
    groups.dedup();
    let mut members = Vec::new();
    let found = groups
        .into_iter()
        .filter(|group| table.is_orphaned(*group, Some(pid)))
        .filter(|group| {
            table
                .group_processes(*group)
                .any(|member| member.report.lock().stopped.is_some())
        })
        .flat_map(|group| table.group_processes(group));
    for member in found {
        if members.make_room(1).is_ok() {
            members.push(Arc::clone(member));
        }
    }
    members
}

/// Tells the parent of an end, or takes the process out of the table at once
/// if the parent does not want to know.
fn tell_parent(process: &Arc<Process>, parent: Option<Arc<Process>>, status: ExitStatus) {
    let wants = parent
        .as_ref()
        .is_some_and(|parent| signal::notify_exit(process, parent, status));
    if !wants {
        let removed = table::lock().remove(process.pid);
        drop(removed);
    }
    // ORDERING: Release pairs with the Acquire in `reap::look` and in
    // `PidFd::poll`: the parent has its signal, or the process is out of the
    // table.
    process.end_told.store(true, Ordering::Release);
    process.threads_changed.wake();
    if let Some(parent) = parent {
        parent.child_changed.wake();
    }
}

/// Process 1 is gone: so is the machine.
fn end_machine(status: ExitStatus, is_system: bool) -> ! {
    let how = fmt::from_fn(|f| match status.signal() {
        Some(signal) => write!(f, "was killed by signal {signal}"),
        None => write!(f, "exited with {}", status.as_shell()),
    });
    if let Some(ordered) = audit::ordered() {
        device::flush();
        match ordered {
            Ordered::Off => power::power_off(0),
            Ordered::Restart => power::reboot(),
        }
    }
    if !is_system {
        log::info!("process 1 {how}: power off");
        device::flush();
        power::power_off(status.as_shell());
    }
    audit::leave_out();
    // A system ends by `reboot(2)`; an init that just ends has failed.
    log::error!("init is gone: process 1 {how}");
    if let Some(console) = tty::console() {
        console.print(format_args!("\nochre: init is gone: process 1 {how}\n"));
    }
    device::flush();
    power::power_off(status.as_shell().max(1))
}
