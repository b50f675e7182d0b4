//! A process: the resources that its threads share.
//!
//! # Who may use what when
//! Relations between processes (parent, children, group, session) live in the
//! process table under its lock ([`table`](super::table)); `parent` here mirrors
//! one of them for `getppid`. Everything else has its own lock; none is held
//! while another of a process is taken, and none across a user copy.

use alloc::sync::Arc;

use ochre_abi::clone::CloneFlags;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU32, Ordering};

use super::thread::Work;
use super::{Control, Credentials, ExitStatus, LimitTable, Pid, Shares, Thread, ThreadList};
use crate::memory::{AddressSpace, MemoryAccount, pressure};
use crate::objects::CountedProcess;
use crate::signal::ProcessSignals;
use crate::time::{CpuAccount, CpuLimit, IntervalTimers, PosixTimers, RtLimit};
use crate::vfs::{FdTable, FsContext, lock};
use crate::wait::WaitQueue;

/// A thread group.
pub struct Process {
    /// Its number, that of its first thread.
    pub pid: Pid,
    parent: AtomicU32,
    /// When it was made, by the monotonic clock.
    pub started_ns: u64,
    /// The name that its first thread had at its end.
    pub last_name: SpinLock<[u8; 16]>,
    /// Threads that have not ended, the first one included until it ended.
    pub threads: SpinLock<ThreadList>,
    /// The address space, replaced by `execve`. Each thread's poll has its own
    /// handle; this one is for others (`/proc`, `process_vm_readv`).
    pub space: SpinLock<Arc<AddressSpace>>,
    /// The file descriptors of its first thread, as others see them.
    pub files: SpinLock<Arc<FdTable>>,
    /// What its first thread resolves paths with.
    pub fs: SpinLock<Arc<FsContext>>,
    /// Signals for the process, and what it does about each.
    pub signals: ProcessSignals,
    /// Who its first thread is, or was at its end.
    pub(super) credentials: SpinLock<Arc<Credentials>>,
    /// What it may use.
    pub limits: LimitTable,
    /// Processor time of ended threads and children.
    pub account: CpuAccount,
    /// Memory of address spaces given up, and of children.
    pub memory: MemoryAccount,
    /// What `prctl(2)` set.
    pub control: Control,
    /// `setitimer(2)`.
    pub interval_timers: IntervalTimers,
    /// The watch over `RLIMIT_CPU`.
    pub cpu_limit: CpuLimit,
    /// The watch over `RLIMIT_RTTIME`.
    pub rt_limit: RtLimit,
    /// `timer_create(2)`.
    pub posix_timers: PosixTimers,
    /// Whether it lost the parent that made it.
    adopted: AtomicBool,
    /// Woken when a child changes state.
    pub child_changed: WaitQueue,
    /// Woken when a thread of the process ends, and when the process has.
    pub threads_changed: WaitQueue,
    /// What `wait` may still report of a process that lives.
    pub report: SpinLock<Report>,
    /// Set when the parent that called `vfork` may go on, and the queue it waits on.
    pub vfork: VforkGate,
    /// Whether the parent was told of the end, so that it may ask after it.
    pub end_told: AtomicBool,
    /// Whether it is out of the table: nobody can ask after it any more.
    pub is_reaped: AtomicBool,
    /// Signal for the parent when the process ends; 0 for none.
    exit_signal: u32,
    /// How it ends, once that is settled.
    exit: SpinLock<Option<ExitStatus>>,
    _counted: CountedProcess,
}

/// Stops and continuations that the parent has not asked after yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// The signal that stopped the process, until it was reported or continued.
    pub stopped: Option<u32>,
    /// Whether the stop has been reported.
    pub stop_told: bool,
    /// Whether it was continued since the last report.
    pub continued: bool,
}

/// Where a parent waits until its `vfork` child has its own memory or is gone.
#[derive(Debug, Default)]
pub struct VforkGate {
    open: AtomicBool,
    queue: WaitQueue,
}

impl VforkGate {
    /// Lets the parent go on.
    pub fn open(&self) {
        // ORDERING: Release; the parent sees what the child did before.
        self.open.store(true, Ordering::Release);
        self.queue.wake();
    }

    /// Whether the parent may go on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Woken when the gate opens.
    #[must_use]
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

/// What a process has from the one that made it, beside what they may share.
struct Inherited {
    signals: ProcessSignals,
    limits: LimitTable,
    control: Control,
}

impl Process {
    /// Process 1.
    #[must_use]
    pub fn first(space: Arc<AddressSpace>, shares: Shares) -> Process {
        let inherited = Inherited {
            signals: ProcessSignals::default(),
            limits: LimitTable::first(tasks_for_memory()),
            control: Control::default(),
        };
        Process::new(Pid::INIT, Pid::NONE, space, shares, inherited, 17)
    }

    /// What `clone` makes of `model`: shared or copied as the flags say.
    pub(super) fn child_of(
        model: &Process,
        shares: Shares,
        pid: Pid,
        parent: Pid,
        space: Arc<AddressSpace>,
        flags: CloneFlags,
        exit_signal: u32,
    ) -> Process {
        let inherited = Inherited {
            signals: model.signals.for_child(flags),
            limits: model.limits.for_child(),
            control: model.control.for_child(),
        };
        Process::new(pid, parent, space, shares, inherited, exit_signal)
    }

    fn new(
        pid: Pid,
        parent: Pid,
        space: Arc<AddressSpace>,
        shares: Shares,
        inherited: Inherited,
        exit_signal: u32,
    ) -> Process {
        Process {
            pid,
            parent: AtomicU32::new(parent.0),
            started_ns: ochre_hal::clock::now_ns(),
            last_name: SpinLock::default(),
            threads: SpinLock::default(),
            space: SpinLock::new(space),
            files: SpinLock::new(shares.files),
            fs: SpinLock::new(shares.fs),
            signals: inherited.signals,
            credentials: SpinLock::new(shares.credentials),
            limits: inherited.limits,
            account: CpuAccount::default(),
            memory: MemoryAccount::default(),
            control: inherited.control,
            interval_timers: IntervalTimers::default(),
            cpu_limit: CpuLimit::default(),
            rt_limit: RtLimit::default(),
            posix_timers: PosixTimers::default(),
            adopted: AtomicBool::new(false),
            child_changed: WaitQueue::new(),
            threads_changed: WaitQueue::new(),
            report: SpinLock::default(),
            vfork: VforkGate::default(),
            end_told: AtomicBool::new(false),
            is_reaped: AtomicBool::new(false),
            exit_signal,
            exit: SpinLock::default(),
            _counted: CountedProcess::new(),
        }
    }

    /// Gives back memory and timers: the process has no thread left. Its files
    /// went with the first one.
    pub(super) fn release_resources(&self) {
        lock::process_ended(self.pid.0);
        self.interval_timers.clear();
        self.posix_timers.clear();
        self.cpu_limit.clear();
        self.rt_limit.clear();
        pressure::giving_up(|| {
            let space = core::mem::replace(&mut *self.space.lock(), AddressSpace::empty());
            self.memory.add_space(&space);
        });
    }

    /// Gives up a part of its memory, which nobody runs in any more; whether what
    /// is left is little enough to go with the rest.
    pub(super) fn wind_down(&self) -> bool {
        let space = Arc::clone(&self.space.lock());
        // This handle and the process's: others, of a parent that called vfork
        // or of who looks, use it still.
        Arc::strong_count(&space) > 2 || space.wind_down()
    }

    /// Takes over what is counted of a thread that ends.
    pub(super) fn add_ended(&self, thread: &Thread) {
        self.account.add_ended(thread);
    }

    /// Takes over what is counted of a child that was asked after.
    pub(super) fn add_child_usage(&self, child: &Process) {
        self.account.add_child(child);
        self.memory.add_child(&child.memory);
    }

    /// Signal for the parent when the process ends; 0 for none.
    #[must_use]
    pub fn exit_signal(&self) -> u32 {
        self.exit_signal
    }

    /// How the process ended; exit code 0 while it lives.
    #[must_use]
    pub fn final_status(&self) -> ExitStatus {
        self.exit_status().unwrap_or(ExitStatus::exited(0))
    }

    /// The parent's number.
    #[must_use]
    pub fn parent_pid(&self) -> Pid {
        // ORDERING: Relaxed; the number stands alone.
        Pid(self.parent.load(Ordering::Relaxed))
    }

    /// Gives the process another parent; the caller holds the process table.
    pub(super) fn set_parent(&self, parent: Pid) {
        self.parent.store(parent.0, Ordering::Relaxed);
        self.adopted.store(true, Ordering::Relaxed);
    }

    /// Whether the process lost the parent that made it and has another now.
    #[must_use]
    pub fn is_adopted(&self) -> bool {
        self.adopted.load(Ordering::Relaxed)
    }

    /// The name of its first thread, as it is or was at its end.
    #[must_use]
    pub fn name(&self) -> [u8; 16] {
        let threads = self.threads.lock();
        let first = threads.iter().find(|thread| thread.tid() == self.pid);
        match first {
            Some(thread) => *thread.name.lock(),
            None => *self.last_name.lock(),
        }
    }

    /// Settles how the process ends (the first call wins) and tells every thread.
    pub fn begin_group_exit(&self, status: ExitStatus) {
        let mut exit = self.exit.lock();
        if exit.is_none() {
            *exit = Some(status);
        }
        drop(exit);
        for thread in self.threads.lock().iter() {
            thread.add_work(Work::EXIT);
            thread.wake();
        }
    }

    /// How the process ends, once that is settled.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.lock()
    }
}

/// How many tasks a user may have: an eighth of memory, at 16 KiB each, as
/// Linux reckons.
fn tasks_for_memory() -> u64 {
    let frames = ochre_hal::memory::total() as u64;
    (frames / 64).max(64)
}
