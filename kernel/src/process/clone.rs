//! Making processes and threads (clone(2)).
//!
//! Everything that can fail is done before the new process is in the table;
//! then it is inserted and woken, and nothing can fail any more.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::clone::CloneFlags;
use ochre_hal::memory;
use ochre_hal::user::UserContext;

use super::table::{self, Table};
use super::task_limit::{self, Share};
use super::{Capability, Pid, PidFd, Process, Shares, Thread, ThreadState, Work};
use crate::memory::{AddressSpace, Fork};
use crate::sched;
use crate::syscall::{self, Call, FromArgument, Outcome, Ptr, pidfd, tags};
use crate::time::{cpu_limit, rt_limit};
use crate::vfs::StatusFlags;
use crate::wait::{self, Interrupted, PollTable};

/// Frames a new process takes at least: tables, save area, bookkeeping.
const FRAMES_PER_PROCESS: usize = 16;

/// What part of memory a fork leaves to those that run already, which still
/// copy pages they share. Without it a fork bomb lives on by what the death of
/// its own children frees, and the machine does nothing else.
const PART_LEFT: usize = 32;

/// Flags that are understood and carried out, or have no effect here.
const KNOWN: CloneFlags = CloneFlags::VM
    .union(CloneFlags::FS)
    .union(CloneFlags::FILES)
    .union(CloneFlags::SIGHAND)
    .union(CloneFlags::PIDFD)
    .union(CloneFlags::PTRACE)
    .union(CloneFlags::VFORK)
    .union(CloneFlags::PARENT)
    .union(CloneFlags::THREAD)
    .union(CloneFlags::SYSVSEM)
    .union(CloneFlags::SETTLS)
    .union(CloneFlags::PARENT_SETTID)
    .union(CloneFlags::CHILD_CLEARTID)
    .union(CloneFlags::DETACHED)
    .union(CloneFlags::UNTRACED)
    .union(CloneFlags::CHILD_SETTID)
    .union(CloneFlags::IO)
    .union(CloneFlags::CLEAR_SIGHAND);

/// Flags that ask for new namespaces, which there are none of. (Linux lets
/// everybody make a user namespace.)
const NAMESPACES: CloneFlags = CloneFlags::NEWNS
    .union(CloneFlags::NEWCGROUP)
    .union(CloneFlags::NEWUTS)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWPID)
    .union(CloneFlags::NEWNET);

/// What is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What is shared and set.
    pub flags: CloneFlags,
    /// Signal for the parent when the child ends; 0 for none.
    pub exit_signal: u32,
    /// The child's stack pointer; 0 to keep the parent's.
    pub stack: u64,
    /// Where `PARENT_SETTID` stores the number.
    pub parent_tid: Ptr<u32>,
    /// Where `PIDFD` stores the descriptor.
    pub pidfd: Ptr<i32>,
    /// Where `CHILD_SETTID` stores and `CHILD_CLEARTID` clears the number.
    pub child_tid: Ptr<u32>,
    /// The thread pointer for `SETTLS`.
    pub tls: u64,
    /// The number that the child is to have, if that matters.
    pub set_tid: Option<Pid>,
}

impl Request {
    /// What `fork(2)` asks for.
    #[must_use]
    pub fn fork(exit_signal: u32) -> Request {
        Request {
            flags: CloneFlags::empty(),
            exit_signal,
            stack: 0,
            parent_tid: Ptr::from_argument(0),
            pidfd: Ptr::from_argument(0),
            child_tid: Ptr::from_argument(0),
            tls: 0,
            set_tid: None,
        }
    }

    /// Whether the flags go together, as Linux sees it.
    fn check(&self, thread: &Thread) -> Result<(), Errno> {
        let flags = self.flags;
        let needs = |flag, other| !flags.contains(flag) || flags.contains(other);
        let excludes = |flag, other| !flags.contains(flag) || !flags.contains(other);
        let consistent = excludes(CloneFlags::NEWNS, CloneFlags::FS)
            && excludes(CloneFlags::NEWUSER, CloneFlags::FS)
            && needs(CloneFlags::THREAD, CloneFlags::SIGHAND)
            && needs(CloneFlags::SIGHAND, CloneFlags::VM)
            && excludes(CloneFlags::SIGHAND, CloneFlags::CLEAR_SIGHAND)
            // Two children of one parent's number would not be its to wait for.
            && !(flags.contains(CloneFlags::PARENT) && thread.process.pid == Pid::INIT)
            // One word cannot hold both.
            && !(flags.contains(CloneFlags::PIDFD | CloneFlags::PARENT_SETTID)
                && self.pidfd.address() == self.parent_tid.address())
            && excludes(CloneFlags::PIDFD, CloneFlags::DETACHED)
            && excludes(CloneFlags::THREAD, CloneFlags::NEWUSER)
            && excludes(CloneFlags::THREAD, CloneFlags::NEWPID);
        if !consistent {
            return Err(Errno::EINVAL);
        }
        if flags.intersects(NAMESPACES) && !thread.has(Capability::SysAdmin) {
            return Err(Errno::EPERM);
        }
        if KNOWN.contains(flags) {
            Ok(())
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// A number for the child.
    fn allocate(&self, maker: &Thread) -> Result<Pid, Errno> {
        let mut table = table::lock();
        let Some(pid) = self.set_tid else {
            return table.allocate();
        };
        match table.allocate_exactly(pid) {
            Err(Errno::EINVAL) => Err(Errno::EINVAL),
            _ if !maker.has(Capability::SysAdmin) => Err(Errno::EPERM),
            answer => answer,
        }
    }

    /// Whether the number is still nobody's. Where any will do, the call is made
    /// again if it is not: the numbers had all been given once more meanwhile.
    fn check_free(&self, table: &Table, pid: Pid) -> Result<(), Errno> {
        table.check_free(pid).map_err(|taken| match self.set_tid {
            Some(_) => taken,
            None => Errno::ERESTARTNOINTR,
        })
    }
}

/// Makes a process or a thread; answers its number, for `VFORK` once the child
/// has its own memory or is gone.
///
/// # Errors
/// EINVAL for flags that contradict each other or are not known, EAGAIN,
/// ENOMEM.
pub fn clone(call: &mut Call<'_>, request: &Request) -> Result<Outcome, Errno> {
    request.check(call.thread)?;
    let share = Share::of(call.thread)?;
    let total = memory::total();
    if !memory::has_headroom(FRAMES_PER_PROCESS.max(total / PART_LEFT)) {
        return Err(Errno::ENOMEM);
    }
    task_limit::check_all(&table::lock())?;
    let mut user = call.user.duplicate().map_err(|_| Errno::ENOMEM)?;
    user.set_syscall_result(0);
    if request.stack != 0 {
        user.set_stack_pointer(request.stack);
    }
    if request.flags.contains(CloneFlags::SETTLS) && !user.set_thread_pointer(request.tls) {
        return Err(Errno::EPERM);
    }
    let maker = Maker {
        thread: call.thread,
        space: call.space,
        share,
    };
    let space = if request.flags.contains(CloneFlags::VM) {
        Arc::clone(call.space)
    } else {
        let (fork, is_over) = call.space.start_fork()?;
        if !is_over {
            return Ok(clone_by_parts(&maker, *request, user, fork));
        }
        fork.into_child()
    };
    if request.flags.contains(CloneFlags::VFORK) {
        return Ok(clone_and_wait(&maker, *request, user, space));
    }
    let child = maker.make(request, user, space)?;
    Ok(Outcome::Done(Ok(child.tid().as_usize())))
}

/// Makes a child and waits for its memory. That there is memory for the wait
/// must be known before there is a child.
fn clone_and_wait(
    maker: &Maker<'_>,
    request: Request,
    user: UserContext,
    space: Arc<AddressSpace>,
) -> Outcome {
    let (thread, own) = (Arc::clone(maker.thread), Arc::clone(maker.space));
    let share = maker.share;
    Outcome::wait(async move {
        let maker = Maker {
            thread: &thread,
            space: &own,
            share,
        };
        let child = maker.make(&request, user, space)?;
        let tid = child.tid().as_usize();
        let child = Arc::clone(&child.process);
        wait_for_vfork(thread, &child).await;
        Ok(tid)
    })
}

/// Goes on with the copy of an address space so large that others have to run
/// meanwhile; then makes the process.
fn clone_by_parts(
    maker: &Maker<'_>,
    request: Request,
    user: UserContext,
    mut fork: Fork,
) -> Outcome {
    let (thread, space) = (Arc::clone(maker.thread), Arc::clone(maker.space));
    let share = maker.share;
    Outcome::wait(async move {
        let copied = loop {
            sched::yield_now().await;
            // Who is told to end needs no child.
            if thread.work().contains(Work::EXIT) {
                break Err(Errno::EINTR);
            }
            match fork.step(&space) {
                Ok(false) => {}
                Ok(true) => break Ok(()),
                Err(errno) => break Err(errno),
            }
        };
        if let Err(errno) = copied {
            while !fork.wind_down() {
                sched::yield_now().await;
            }
            return Err(errno);
        }
        let maker = Maker {
            thread: &thread,
            space: &space,
            share,
        };
        let child = maker.make(&request, user, fork.into_child())?;
        let tid = child.tid().as_usize();
        let child = Arc::clone(&child.process);
        if request.flags.contains(CloneFlags::VFORK) {
            wait_for_vfork(thread, &child).await;
        }
        Ok(tid)
    })
}

/// Who makes a process or a thread.
struct Maker<'a> {
    thread: &'a Arc<Thread>,
    space: &'a Arc<AddressSpace>,
    /// What its user may have.
    share: Share,
}

impl Maker<'_> {
    /// Makes it, in this address space, and lets it run.
    fn make(
        &self,
        request: &Request,
        user: UserContext,
        space: Arc<AddressSpace>,
    ) -> Result<Arc<Thread>, Errno> {
        let child = if request.flags.contains(CloneFlags::THREAD) {
            new_thread(self, request, user, space)?
        } else {
            new_process(self, request, user, space)?
        };
        if request.flags.contains(CloneFlags::PARENT_SETTID) {
            // Like Linux: a bad address is the program's loss, the child exists.
            let _ = self.space.write_value(request.parent_tid, &child.tid().0);
        }
        child.wake();
        Ok(child)
    }
}

/// Waits for the child's memory; only the thread's own end cuts it short.
async fn wait_for_vfork(thread: Arc<Thread>, child: &Process) {
    let killed = Arc::clone(&thread);
    let look = |table: Option<&mut PollTable>| {
        if let Some(table) = table {
            table.add(child.vfork.queue());
        }
        (child.vfork.is_open() || killed.work().contains(Work::EXIT)).then_some(())
    };
    while let Err(Interrupted::NoMemory) = wait::until_killed(Arc::clone(&thread), look).await {
        sched::yield_now().await;
    }
}

/// What the child writes and remembers about its own number.
fn prepare_tid(thread: &Thread, request: &Request, space: &AddressSpace) {
    if request.flags.contains(CloneFlags::CHILD_SETTID) {
        let _ = space.write_value(request.child_tid, &thread.tid().0);
    }
    if request.flags.contains(CloneFlags::CHILD_CLEARTID) {
        thread.set_clear_child_tid(tags::meant(request.child_tid.address()));
    }
}

fn new_thread(
    maker: &Maker<'_>,
    request: &Request,
    user: UserContext,
    space: Arc<AddressSpace>,
) -> Result<Arc<Thread>, Errno> {
    let process = Arc::clone(&maker.thread.process);
    process.threads.lock().make_room(1)?;
    let shares = maker.thread.child_shares(request.flags)?;
    let tid = request.allocate(maker.thread)?;
    let thread = Thread::new(
        tid,
        Arc::clone(&process),
        shares,
        maker.thread.child_signals(true),
        *maker.thread.name.lock(),
        ThreadState::new(user, Arc::clone(&space)),
        maker.thread.task().as_ref(),
    );
    prepare_tid(&thread, request, &space);
    match insert_with_pidfd(maker, request, &thread, || {
        join_group(maker, request, &thread)
    }) {
        Ok(()) => Ok(thread),
        Err(errno) => {
            // The thread and its task hold each other; part them.
            thread.part_from_task();
            Err(errno)
        }
    }
}

/// Gives the caller a descriptor of what is made, if it wants one, and has it
/// inserted where others see it. If that fails there is no descriptor.
fn insert_with_pidfd(
    maker: &Maker<'_>,
    request: &Request,
    thread: &Arc<Thread>,
    insert: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Errno> {
    if !request.flags.contains(CloneFlags::PIDFD) {
        return insert();
    }
    let file = PidFd::new(thread, request.flags.contains(CloneFlags::THREAD));
    let fd = pidfd::install(maker.thread, file, StatusFlags::empty())?;
    // CAST: a descriptor's number.
    let told = maker.space.write_value(request.pidfd, &(fd as i32));
    told.and_then(|()| insert())
        .inspect_err(|_| syscall::uninstall(maker.thread, fd))
}

/// Puts a new thread into its process and the table. Whoever ends all threads
/// of a process, or all but one, tells them under the lock of their list: here
/// the maker has been told, or the new thread will be.
fn join_group(maker: &Maker<'_>, request: &Request, thread: &Arc<Thread>) -> Result<(), Errno> {
    let mut table = table::lock();
    maker.share.check(&table)?;
    let mut threads = thread.process.threads.lock();
    if maker.thread.work().contains(Work::EXIT) {
        // The maker ends before it could see the answer.
        return Err(Errno::ERESTARTNOINTR);
    }
    request.check_free(&table, thread.tid())?;
    threads.make_room(1)?;
    // Under the lock: whoever restricts all threads finds it restricted.
    thread.take_over_restrictions(maker.thread);
    threads.push(Arc::clone(thread));
    table.insert_thread(Arc::clone(thread));
    Ok(())
}

fn new_process(
    maker: &Maker<'_>,
    request: &Request,
    user: UserContext,
    space: Arc<AddressSpace>,
) -> Result<Arc<Thread>, Errno> {
    let parent = &maker.thread.process;
    let shares = maker.thread.child_shares(request.flags)?;
    let pid = request.allocate(maker.thread)?;
    let parent_pid = if request.flags.contains(CloneFlags::PARENT) {
        parent.parent_pid()
    } else {
        parent.pid
    };
    let process = Arc::new(Process::child_of(
        parent,
        shares.clone(),
        pid,
        parent_pid,
        Arc::clone(&space),
        request.flags,
        request.exit_signal,
    ));
    process.threads.lock().make_room(1)?;
    let thread = Thread::new(
        pid,
        Arc::clone(&process),
        shares,
        maker
            .thread
            .child_signals(request.flags.contains(CloneFlags::VM)),
        *maker.thread.name.lock(),
        ThreadState::new(user, Arc::clone(&space)),
        maker.thread.task().as_ref(),
    );
    process.threads.lock().push(Arc::clone(&thread));
    thread.take_over_restrictions(maker.thread);
    if !request.flags.contains(CloneFlags::VM) {
        thread.rseq.set(maker.thread.rseq.get());
        thread.add_work(Work::RSEQ);
    }
    prepare_tid(&thread, request, &space);
    let inserted = insert_with_pidfd(maker, request, &thread, || {
        let mut table = table::lock();
        maker.share.check(&table)?;
        request.check_free(&table, pid)?;
        insert(&mut table, maker.thread, &process)?;
        table.insert_thread(Arc::clone(&thread));
        Ok(())
    });
    if let Err(errno) = inserted {
        // The thread holds its process and its task, and they hold it; part them.
        process.threads.lock().clear();
        thread.part_from_task();
        return Err(errno);
    }
    cpu_limit::watch(&process);
    rt_limit::watch(&process);
    Ok(thread)
}

/// Puts a child into the table, in its parent's group. A parent that has a
/// signal to take, or is about to get one with its group, takes it first and
/// makes the call again: the child would get neither.
fn insert(table: &mut Table, thread: &Thread, child: &Arc<Process>) -> Result<(), Errno> {
    let is_called = thread.work().intersects(Work::SIGNAL | Work::EXIT);
    if is_called || table.is_broadcasting() {
        return Err(Errno::ERESTARTNOINTR);
    }
    let of = table.relations(thread.process.pid).ok_or(Errno::ESRCH)?;
    let (group, session) = (of.group, of.session);
    table.insert(Arc::clone(child), group, session)
}

/// Makes process 1, whose only thread is not yet awake.
///
/// # Errors
/// ENOMEM.
pub fn first_process(state: ThreadState) -> Result<Arc<Thread>, Errno> {
    let shares = Shares::first();
    let process = Process::first(Arc::clone(&state.space), shares.clone());
    let process = Arc::new(process);
    let pid = process.pid;
    let thread = Thread::new(
        pid,
        Arc::clone(&process),
        shares,
        crate::signal::ThreadSignals::default(),
        [0; 16],
        state,
        None,
    );
    process.threads.lock().push(Arc::clone(&thread));
    let mut table = table::lock();
    table.insert(process, pid, pid)?;
    table.insert_thread(Arc::clone(&thread));
    Ok(thread)
}

/// The number of process 1, taken from the table.
///
/// # Errors
/// EAGAIN if a process exists already.
pub fn first_pid() -> Result<Pid, Errno> {
    match table::lock().allocate()? {
        Pid::INIT => Ok(Pid::INIT),
        _ => Err(Errno::EAGAIN),
    }
}
