//! A thread: registers, what interrupts it, and the loop that runs it.
//!
//! # The poll
//! A thread is a task. Its poll first goes on with the system call in flight,
//! if there is one; then, until something has to wait or the time slice is
//! over: do pending work (exit, stop, signals), run user mode, handle why it
//! came back. Entering user mode is never inside a future.
//!
//! # Who may use what when
//! `state` is the poll's alone: it is locked for the whole poll and only
//! `try_lock`ed, so a second user would be found at once. Everything else is
//! shared: atomics, or its own lock.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use bitflags::bitflags;
use ochre_abi::Errno;
use ochre_abi::signal::{SigAction, Signal};
use ochre_hal::cpu::CpuId;
use ochre_hal::irq::{self, Event};
use ochre_hal::user::{Trap, UserContext};
use ochre_hal::{clock, cpu};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::seccomp::Seccomp;
use super::thread_list::{Listed, Slot};
use super::{ExitStatus, Pid, Process, Shares, rseq};
use crate::memory::{AddressSpace, pressure, shortage};
use crate::objects::CountedThread;
use crate::sched::{self, Step, TaskRef, profile};
use crate::signal::{self, Info, ThreadSignals};
use crate::syscall::{self, Call, Outcome, SysResult};

bitflags! {
    /// What a thread has to do before it goes back to user mode.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Work: u32 {
        /// Look for signals to deliver.
        const SIGNAL = 1;
        /// End: the thread or its process is exiting.
        const EXIT = 2;
        /// Stop until continued.
        const STOP = 4;
        /// See to the area of rseq(2). Never set while a call waits, so it
        /// interrupts none.
        const RSEQ = 8;
        /// Enter the handler that there was no memory for. Never set while a call
        /// waits either.
        const FRAME = 16;
    }
}

/// What [`signal::handle_work`] wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Back to user mode.
    Run,
    /// Wait for a wake-up (stopped), then look again.
    Sleep,
    /// Let others run, then look again.
    Again,
    /// The thread is over.
    End,
}

/// What only the thread's own poll touches.
pub struct ThreadState {
    /// The registers.
    pub user: UserContext,
    /// The address space it runs in.
    pub space: Arc<AddressSpace>,
    /// The system call that waits, if one does.
    call: Option<Pin<Box<dyn Future<Output = SysResult> + Send>>>,
    /// The restart code that the last call ended with, until it is decided
    /// whether a handler runs.
    pub restart: Option<Errno>,
    /// The signal whose handler waits for memory to put its frame in: at most
    /// one, in the heap because there hardly ever is one.
    pub delivery: Vec<(Signal, Info, SigAction)>,
    /// It has ended but for its process, whose last thread it was.
    pub is_last: bool,
    /// Address spaces that had been given up when it last found no memory.
    pub gone: u16,
}

/// A thread of a program.
pub struct Thread {
    /// Its number; `execve` gives it the process's.
    tid: AtomicU32,
    /// What it shares with the other threads.
    pub process: Arc<Process>,
    /// What it may share with any thread; `None` once it has ended.
    pub(super) shares: SpinLock<Option<Shares>>,
    /// The task, from creation to the thread's end. The task holds the thread:
    /// the end breaks the circle.
    task: SpinLock<Option<TaskRef>>,
    work: AtomicU32,
    /// What it may ask of the kernel.
    pub seccomp: Seccomp,
    /// Whether `execve` may give privileges no more.
    no_new_privileges: AtomicBool,
    state: SpinLock<ThreadState>,
    /// Signals for this thread alone.
    pub signals: SpinLock<ThreadSignals>,
    /// The name that `prctl(PR_SET_NAME)` sets, NUL-padded.
    pub name: SpinLock<[u8; 16]>,
    /// Where to write zero and wake a futex when the thread ends; 0 for nowhere.
    clear_child_tid: AtomicU64,
    /// `set_robust_list(2)`: head and length; 0 for none.
    pub robust_list: AtomicU64,
    /// Whether it has given up its futexes for good.
    left_futexes: AtomicBool,
    /// What `rseq(2)` registered.
    pub rseq: rseq::Registration,
    /// Cycles in user mode.
    pub user_cycles: AtomicU64,
    /// Cycles in the kernel.
    pub kernel_cycles: AtomicU64,
    /// Cycles it had when it last waited; see [`note_wait`](Thread::note_wait).
    waited_at: AtomicU64,
    /// When it was made, by the monotonic clock.
    pub started_ns: u64,
    /// The status that `exit(2)` gave.
    exit_code: AtomicU32,
    /// What is to fail, and what came of it.
    pub shortage: shortage::Order,
    /// Its place among the threads of the process.
    slot: Slot,
    _counted: CountedThread,
}

impl Listed for Thread {
    fn slot(&self) -> &Slot {
        &self.slot
    }
}

impl ThreadState {
    /// Registers and memory to start with.
    #[must_use]
    pub fn new(user: UserContext, space: Arc<AddressSpace>) -> ThreadState {
        ThreadState {
            user,
            space,
            call: None,
            restart: None,
            delivery: Vec::new(),
            is_last: false,
            gone: 0,
        }
    }
}

/// Many may be blocked at once: with its counts it fits the heap's size of 448
/// bytes, behind which the next one is 496.
const _: () = assert!(shortage::AVAILABLE || size_of::<Thread>() + 16 <= 448);

impl Thread {
    /// A thread that starts with its first [`wake`](Thread::wake), scheduled as
    /// a child of the task `parent`. It is in no list yet.
    pub fn new(
        tid: Pid,
        process: Arc<Process>,
        shares: Shares,
        signals: ThreadSignals,
        name: [u8; 16],
        state: ThreadState,
        parent: Option<&TaskRef>,
    ) -> Arc<Thread> {
        let thread = Arc::new(Thread {
            tid: AtomicU32::new(tid.0),
            process,
            shares: SpinLock::new(Some(shares)),
            task: SpinLock::new(None),
            work: AtomicU32::new(0),
            seccomp: Seccomp::default(),
            no_new_privileges: AtomicBool::new(false),
            state: SpinLock::new(state),
            signals: SpinLock::new(signals),
            name: SpinLock::new(name),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            left_futexes: AtomicBool::new(false),
            rseq: rseq::Registration::default(),
            user_cycles: AtomicU64::new(0),
            kernel_cycles: AtomicU64::new(0),
            waited_at: AtomicU64::new(0),
            started_ns: clock::now_ns(),
            exit_code: AtomicU32::new(0),
            shortage: shortage::Order::default(),
            slot: Slot::default(),
            _counted: CountedThread::new(),
        });
        let (attributes, allowed) = match parent {
            Some(parent) => (parent.attributes().of_child(), parent.allowed()),
            None => (sched::Attributes::default(), u64::MAX),
        };
        let task = sched::spawn_thread(Arc::clone(&thread), attributes, allowed);
        *thread.task.lock() = Some(task);
        thread
    }

    /// Its number.
    #[inline]
    #[must_use]
    pub fn tid(&self) -> Pid {
        // ORDERING: Relaxed; the number stands alone.
        Pid(self.tid.load(Ordering::Relaxed))
    }

    /// Gives the thread another number; the caller holds the process table.
    pub(super) fn set_tid(&self, tid: Pid) {
        self.tid.store(tid.0, Ordering::Relaxed);
    }

    /// Takes the thread from its task, which breaks the circle between them.
    pub(super) fn part_from_task(&self) {
        let task = self.task.lock().take();
        drop(task);
    }

    /// The signals that a child of this thread starts with: its mask; its
    /// alternate stack unless the memory is shared.
    pub(super) fn child_signals(&self, shares_memory: bool) -> ThreadSignals {
        self.signals.lock().for_child(shares_memory)
    }

    /// Where to write zero and wake a futex when the thread ends; 0 for nowhere.
    pub fn set_clear_child_tid(&self, address: u64) {
        self.clear_child_tid.store(address, Ordering::Relaxed);
    }

    /// Takes the address given to [`set_clear_child_tid`](Thread::set_clear_child_tid).
    pub fn take_clear_child_tid(&self) -> u64 {
        self.clear_child_tid.swap(0, Ordering::Relaxed)
    }

    /// The status that `exit(2)` of this thread gave.
    #[must_use]
    pub fn own_exit_status(&self) -> ExitStatus {
        ExitStatus::from_raw(self.exit_code.load(Ordering::Relaxed))
    }

    /// Whether something is to be done before user mode; ends interruptible waits.
    #[inline]
    #[must_use]
    pub fn has_work(&self) -> bool {
        // ORDERING: Acquire pairs with `add_work`'s Release: what the work is
        // about is visible.
        self.work.load(Ordering::Acquire) != 0
    }

    /// The work to do.
    #[must_use]
    pub fn work(&self) -> Work {
        Work::from_bits_retain(self.work.load(Ordering::Acquire))
    }

    /// Adds work; the caller wakes the thread.
    pub fn add_work(&self, work: Work) {
        // ORDERING: Release; see `has_work`.
        self.work.fetch_or(work.bits(), Ordering::Release);
    }

    /// Takes work off the list, before looking at what it is about.
    pub fn clear_work(&self, work: Work) {
        // ORDERING: AcqRel: what is looked at after this cannot be older.
        self.work.fetch_and(!work.bits(), Ordering::AcqRel);
    }

    /// Whether nobody can wait any more for what the thread owns.
    #[must_use]
    pub fn has_left_futexes(&self) -> bool {
        // ORDERING: Relaxed; set and asked under one lock.
        self.left_futexes.load(Ordering::Relaxed)
    }

    /// The thread ends: see [`has_left_futexes`](Thread::has_left_futexes).
    pub fn leave_futexes(&self) {
        self.left_futexes.store(true, Ordering::Relaxed);
    }

    /// Makes the thread look at its work.
    pub fn wake(&self) {
        if let Some(task) = self.task() {
            task.wake();
            // In user mode on another processor it would look when it is
            // interrupted next, which may be never.
            if task.is_running()
                && let Some(cpu) = CpuId::from_index(task.processor())
                && cpu != cpu::current()
            {
                irq::kick(cpu);
            }
        }
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.task.lock().is_none()
    }

    /// The thread's task, while it lives.
    #[must_use]
    pub fn task(&self) -> Option<TaskRef> {
        self.task.lock().clone()
    }

    /// Ends this thread alone.
    pub fn begin_exit(&self, status: i32) {
        self.exit_code
            .store(ExitStatus::exited(status).raw(), Ordering::Relaxed);
        self.add_work(Work::EXIT);
    }

    /// Ends this thread alone, as if by a signal.
    pub(super) fn begin_exit_by(&self, signal: Signal) {
        let status = ExitStatus::signaled(signal.number(), false);
        self.exit_code.store(status.raw(), Ordering::Relaxed);
        self.add_work(Work::EXIT);
    }

    /// Whether `execve` may give it privileges no more (`PR_SET_NO_NEW_PRIVS`).
    #[must_use]
    pub fn has_no_new_privileges(&self) -> bool {
        // ORDERING: Relaxed, here and below; it stands alone.
        self.no_new_privileges.load(Ordering::Relaxed)
    }

    /// See [`has_no_new_privileges`](Thread::has_no_new_privileges); for good.
    pub fn set_no_new_privileges(&self) {
        self.no_new_privileges.store(true, Ordering::Relaxed);
    }

    /// Takes over what its maker must not do; before it runs.
    pub(super) fn take_over_restrictions(&self, maker: &Thread) {
        if maker.has_no_new_privileges() {
            self.set_no_new_privileges();
        }
        self.seccomp.take_over(&maker.seccomp);
    }

    /// It waits, or did so by now: what it works from here on counts for
    /// `RLIMIT_RTTIME`. Said only while somebody watches.
    pub fn note_wait(&self) {
        // ORDERING: Relaxed; statistics.
        self.waited_at.store(self.cycles(), Ordering::Relaxed);
    }

    /// Cycles since the last [`note_wait`](Thread::note_wait).
    #[must_use]
    pub fn cycles_since_wait(&self) -> u64 {
        let waited_at = self.waited_at.load(Ordering::Relaxed);
        self.cycles().saturating_sub(waited_at)
    }

    fn cycles(&self) -> u64 {
        let user = self.user_cycles.load(Ordering::Relaxed);
        user.wrapping_add(self.kernel_cycles.load(Ordering::Relaxed))
    }

    /// One poll of the thread's task, by a processor whose time is the thread's
    /// since its cycle counter was at `since`.
    #[inline]
    pub fn poll(self: &Arc<Self>, task: &TaskRef, since: u64) -> Step {
        let mut state = self
            .state
            .try_lock()
            .expect("a thread is polled by one processor at a time");
        let step = self.advance(&mut state, task, since);
        if step != Step::End && state.user.leave().is_err() {
            // What the program computed is lost, so it ends before it goes on.
            log::warn!(
                "out of memory: killed process {} for registers that cannot be kept",
                self.process.pid
            );
            let status = ExitStatus::signaled(Signal::SIGKILL.number(), false);
            self.process.begin_group_exit(status);
        }
        step
    }

    fn advance(self: &Arc<Self>, state: &mut ThreadState, task: &TaskRef, since: u64) -> Step {
        let mut entered = since;
        if state.call.is_some() {
            if self.process.rt_limit.is_watched() {
                self.note_wait();
            }
            if self.go_on(state, task).is_pending() {
                profile::waits(self, state, entered);
                return Step::Wait;
            }
        }
        if self.rseq.arrive(cpu::current()) {
            self.add_work(Work::RSEQ);
        }
        let mut serving = u64::MAX;
        loop {
            if (self.has_work() || state.restart.is_some())
                && let Some(step) = self.prepare(state)
            {
                return step;
            }
            let left = cpu::cycles();
            self.count(&self.kernel_cycles, left.wrapping_sub(entered));
            if sched::note_kernel_time(left.wrapping_sub(entered), serving) {
                profile::kernel(self, state, entered, serving);
            }
            let ThreadState { user, space, .. } = state;
            let trap = user.run_then(space.root(), || {
                entered = cpu::cycles();
                self.count(&self.user_cycles, entered.wrapping_sub(left));
            });
            if trap != Trap::Syscall {
                serving = u64::MAX;
                if let Some(step) = self.handle(state, trap) {
                    return step;
                }
                continue;
            }
            let number = state.user.syscall().number();
            serving = u64::from(number);
            self.shortage.begin();
            let outcome = syscall::dispatch(
                &mut Call {
                    thread: self,
                    user: &mut state.user,
                    space: &mut state.space,
                },
                number,
            );
            self.shortage.pause();
            if let Outcome::Done(result) = outcome {
                Self::finish(state, result);
                continue;
            }
            match outcome {
                Outcome::Done(_) | Outcome::Resume => {}
                Outcome::Yield => {
                    Self::finish(state, Ok(0));
                    return Step::Again;
                }
                Outcome::Wait(future) => {
                    state.call = Some(future);
                    if self.go_on(state, task).is_pending() {
                        profile::waits(self, state, entered);
                        return Step::Wait;
                    }
                }
            }
        }
    }

    /// Goes on with the call in flight.
    #[inline(never)]
    fn go_on(&self, state: &mut ThreadState, task: &TaskRef) -> Poll<()> {
        let Some(future) = &mut state.call else {
            return Poll::Ready(());
        };
        let waker = task.waker();
        self.shortage.resume();
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        self.shortage.pause();
        let Poll::Ready(result) = polled else {
            return Poll::Pending;
        };
        state.call = None;
        Self::finish(state, result);
        Poll::Ready(())
    }

    /// What is to be done before user mode; how the poll ends, if it does.
    #[inline(never)]
    fn prepare(self: &Arc<Self>, state: &mut ThreadState) -> Option<Step> {
        while self.has_work() {
            let next = match self.work().contains(Work::SIGNAL) {
                true => self.shortage.outside(|| signal::handle_work(self, state)),
                false => signal::handle_work(self, state),
            };
            match next {
                Next::Run => {}
                Next::Sleep => return Some(Step::Wait),
                Next::Again => return Some(Step::Again),
                Next::End => return Some(Step::End),
            }
            if !self.work().contains(Work::RSEQ) {
                break;
            }
            if rseq::settle(self, state).is_err() {
                return Some(Step::Again);
            }
            // It may have brought a signal.
        }
        if let Some(restart) = state.restart.take() {
            signal::restart_without_handler(state, restart);
        }
        None
    }

    /// Handles a trap that is no system call; how the poll ends, if it does.
    #[inline(never)]
    fn handle(self: &Arc<Self>, state: &mut ThreadState, trap: Trap) -> Option<Step> {
        match trap {
            Trap::Syscall => {}
            Trap::PageFault { address, access } => {
                let space = &state.space;
                let fault = || space.fault_of_thread(address, access);
                match self.shortage.outside(fault) {
                    Ok(()) => {}
                    Err(fault) if fault.is_out_of_memory() => {
                        if pressure::is_still_short(&mut state.gone) {
                            pressure::relieve_or_end(&self.process);
                        }
                        self.add_work(Work::RSEQ);
                        // Whoever was killed goes first; then the access is made again.
                        return Some(Step::Again);
                    }
                    Err(fault) => signal::send_fault(self, state, fault),
                }
            }
            Trap::Exception(exception) => signal::send_exception(self, state, exception),
            Trap::Interrupt(event) => {
                if event == Event::Timer {
                    profile::user(self, state);
                }
                if event == Event::Reschedule {
                    // membarrier(2) may have asked for it.
                    self.add_work(Work::RSEQ);
                }
                sched::interrupt::dispatch(event);
                if sched::must_give_way() {
                    self.add_work(Work::RSEQ);
                    return Some(Step::Again);
                }
            }
        }
        None
    }

    // ANCHOR: finish
    #[inline]
    fn finish(state: &mut ThreadState, result: SysResult) {
        match result {
            Ok(value) => state.user.set_syscall_result(value as i64),
            Err(errno) if errno.is_restart() => state.restart = Some(errno),
            Err(errno) => state.user.set_syscall_result(-i64::from(errno.number())),
        }
    }
    // ANCHOR_END: finish

    /// Adds to a counter that only this poll writes: a load and a store are
    /// enough, and cheaper than a locked addition.
    #[inline]
    fn count(&self, counter: &AtomicU64, cycles: u64) {
        // ORDERING: Relaxed; statistics with one writer.
        counter.store(
            counter.load(Ordering::Relaxed).wrapping_add(cycles),
            Ordering::Relaxed,
        );
    }
}
