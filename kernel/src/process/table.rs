//! Every process and thread by number, and how they are related.
//!
//! # Lock protocol
//! One lock for all relations: numbers, parents and children, groups and
//! sessions. It is the outermost lock of the kernel's process side: locks of a
//! process (signals, threads) may be taken under it, never the other way.
//! Nothing under it touches user memory or drops the last handle to a process.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};
use ochre_sync::{SpinLock, SpinLockGuard};

use super::{Pid, Process, Thread};
use crate::memory::MakeRoom;
use crate::sched::account;

/// Highest number plus one, unless [`set_pid_max`] says otherwise.
const PID_MAX: u32 = 32768;

/// What the highest number plus one may be: numbers have to leave room for
/// bits in the words of locks that inherit priorities, and Linux stops here.
const PID_MAX_LIMITS: core::ops::RangeInclusive<u32> = 301..=4_194_304;

/// Where numbers go on after the highest: low ones are left to what started
/// with the machine.
const AFTER_WRAP: u32 = 300;

/// How a process stands to others.
pub struct Relations {
    /// The process.
    pub process: Arc<Process>,
    /// Its children, oldest first.
    pub children: Vec<Pid>,
    /// Its process group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// Whether it, or its parent before, gave up the session's terminal for itself.
    pub gave_up_terminal: bool,
    /// Whether it has called `execve` since its parent made it.
    pub has_executed: bool,
    /// Whether it has ended and waits for its parent to ask.
    pub is_zombie: bool,
}

/// The table; see the module's lock protocol.
pub struct Table {
    processes: BTreeMap<Pid, Relations>,
    threads: BTreeMap<Pid, Arc<Thread>>,
    groups: BTreeMap<Pid, Vec<Pid>>,
    /// How many processes, zombies included, a session has.
    sessions: BTreeMap<Pid, usize>,
    last: u32,
    /// Threads ever made.
    made: u64,
    /// Processes without threads: they end, or have ended.
    ended: usize,
    /// Signals on their way to groups.
    broadcasts: usize,
}

/// A signal goes to several processes, which were found under the table's
/// lock; see [`Table::broadcast`]. Not to be dropped with the lock held.
#[must_use = "it ends when it is dropped"]
#[derive(Debug)]
pub struct Broadcast(());

impl Drop for Broadcast {
    fn drop(&mut self) {
        lock().broadcasts -= 1;
    }
}

static TABLE: SpinLock<Table> = SpinLock::new(Table::new());

/// Highest number plus one; what `/proc/sys/kernel/pid_max` says.
static HIGHEST: AtomicU32 = AtomicU32::new(PID_MAX);

/// The highest number plus one.
#[must_use]
pub fn pid_max() -> u32 {
    // ORDERING: a limit that stands for itself; here and in the other places.
    HIGHEST.load(Ordering::Relaxed)
}

/// Changes the highest number plus one. Those who have higher ones keep them.
///
/// # Errors
/// EINVAL outside of what it may be.
pub fn set_pid_max(max: u32) -> Result<(), Errno> {
    if !PID_MAX_LIMITS.contains(&max) {
        return Err(Errno::EINVAL);
    }
    HIGHEST.store(max, Ordering::Relaxed);
    Ok(())
}

/// Locks the table.
pub fn lock() -> SpinLockGuard<'static, Table> {
    TABLE.lock()
}

/// Locks the table, if nobody has it locked.
#[must_use]
pub fn try_lock() -> Option<SpinLockGuard<'static, Table>> {
    TABLE.try_lock()
}

/// The process with a number, zombies included.
#[must_use]
pub fn process(pid: Pid) -> Option<Arc<Process>> {
    lock().process(pid)
}

/// The thread with a number.
#[must_use]
pub fn thread(tid: Pid) -> Option<Arc<Thread>> {
    lock().threads.get(&tid).cloned()
}

/// The thread that this processor serves, for what is not told whose call it is.
#[must_use]
pub fn current_thread() -> Option<Arc<Thread>> {
    thread(account::current_thread()?)
}

impl Table {
    const fn new() -> Table {
        Table {
            processes: BTreeMap::new(),
            threads: BTreeMap::new(),
            groups: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last: 0,
            made: 0,
            ended: 0,
            broadcasts: 0,
        }
    }

    /// The process with a number, zombies included.
    #[must_use]
    pub fn process(&self, pid: Pid) -> Option<Arc<Process>> {
        self.relations(pid).map(|of| Arc::clone(&of.process))
    }

    /// The thread with a number.
    #[must_use]
    pub fn thread(&self, tid: Pid) -> Option<&Arc<Thread>> {
        self.threads.get(&tid)
    }

    /// How a process stands to others.
    #[must_use]
    pub fn relations(&self, pid: Pid) -> Option<&Relations> {
        self.processes.get(&pid)
    }

    /// How a process stands to others. Change groups through
    /// [`set_group`](Table::set_group), sessions through
    /// [`begin_session`](Table::begin_session).
    pub fn relations_mut(&mut self, pid: Pid) -> Option<&mut Relations> {
        self.processes.get_mut(&pid)
    }

    /// All processes, zombies included, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Relations> {
        self.processes.values()
    }

    /// All threads alive.
    pub fn threads(&self) -> impl Iterator<Item = &Arc<Thread>> {
        self.threads.values()
    }

    /// The first process whose number is at least `from`, zombies included.
    #[must_use]
    pub fn process_from(&self, from: Pid) -> Option<&Relations> {
        self.processes.range(from..).next().map(|(_, of)| of)
    }

    /// The processes whose number is at least `from`, zombies included, by number.
    pub fn processes_from(&self, from: Pid) -> impl Iterator<Item = &Relations> {
        self.processes.range(from..).map(|(_, of)| of)
    }

    /// The threads alive whose number is at least `from`, by number.
    pub fn threads_from(&self, from: Pid) -> impl Iterator<Item = &Arc<Thread>> {
        self.threads.range(from..).map(|(_, thread)| thread)
    }

    /// Begins to send a signal to the processes that are in the table now: until
    /// it is dropped no child is inserted that would escape, of a parent that
    /// was found and not sent to yet.
    pub fn broadcast(&mut self) -> Broadcast {
        self.broadcasts += 1;
        Broadcast(())
    }

    /// Whether a signal is on its way to a group.
    #[must_use]
    pub fn is_broadcasting(&self) -> bool {
        self.broadcasts > 0
    }

    /// Threads ever made.
    #[must_use]
    pub fn threads_made(&self) -> u64 {
        self.made
    }

    /// Threads alive.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.threads.len()
    }

    /// What there may not be too many of: threads alive, and processes that have
    /// ended and still have their number. (So those that fork wait for those who
    /// have to ask after the children, and cannot leave them behind by thousands.)
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.threads.len() + self.ended
    }

    /// The last thread of a process has ended.
    pub fn note_end(&mut self) {
        self.ended += 1;
    }

    /// The number given last.
    #[must_use]
    pub fn last_pid(&self) -> Pid {
        Pid(self.last)
    }

    /// The members of a process group, zombies included; empty if there is none.
    #[must_use]
    pub fn group(&self, group: Pid) -> &[Pid] {
        self.groups.get(&group).map_or(&[], Vec::as_slice)
    }

    /// The living members of a process group.
    pub fn group_processes(&self, group: Pid) -> impl Iterator<Item = &Arc<Process>> {
        self.group(group)
            .iter()
            .filter_map(|pid| self.processes.get(pid))
            .filter(|of| !of.is_zombie)
            .map(|of| &of.process)
    }

    /// The session of a process group, if the group exists.
    #[must_use]
    pub fn session_of_group(&self, group: Pid) -> Option<Pid> {
        let member = self.group(group).first()?;
        Some(self.relations(*member)?.session)
    }

    /// A number that no process, thread, group or session has.
    ///
    /// # Errors
    /// EAGAIN when all are taken.
    pub fn allocate(&mut self) -> Result<Pid, Errno> {
        let max = pid_max();
        for _ in 1..max {
            self.last = if self.last.saturating_add(1) < max {
                self.last + 1
            } else {
                AFTER_WRAP
            };
            let pid = Pid(self.last);
            if !self.is_taken(pid) {
                return Ok(pid);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Adds a new process to its parent's children, its group and session.
    ///
    /// # Errors
    /// ENOMEM; then nothing was added.
    pub fn insert(&mut self, process: Arc<Process>, group: Pid, session: Pid) -> Result<(), Errno> {
        let pid = process.pid;
        let parent = process.parent_pid();
        self.groups.entry(group).or_default().make_room(1)?;
        let mut gave_up_terminal = false;
        if let Some(parent) = self.processes.get_mut(&parent) {
            gave_up_terminal = parent.gave_up_terminal && parent.session == session;
            if parent.children.make_room(1).is_err() {
                return Err(Errno::ENOMEM);
            }
            parent.children.push(pid);
        }
        self.groups.entry(group).or_default().push(pid);
        *self.sessions.entry(session).or_default() += 1;
        self.processes.insert(
            pid,
            Relations {
                process,
                children: Vec::new(),
                group,
                session,
                gave_up_terminal,
                has_executed: false,
                is_zombie: false,
            },
        );
        Ok(())
    }

    /// Adds a thread.
    pub fn insert_thread(&mut self, thread: Arc<Thread>) {
        self.made += 1;
        self.threads.insert(thread.tid(), thread);
    }

    /// Gives the only thread of a process the process's number, which its first
    /// thread had (execve(2)).
    pub fn make_first(&mut self, thread: &Thread) {
        let pid = thread.process.pid;
        if let Some(entry) = self.threads.remove(&thread.tid()) {
            thread.set_tid(pid);
            self.threads.insert(pid, entry);
        }
    }

    /// A number that is wanted, if no process, thread, group or session has it.
    ///
    /// # Errors
    /// EINVAL for what is no number; EEXIST.
    pub fn allocate_exactly(&mut self, pid: Pid) -> Result<Pid, Errno> {
        if pid == Pid::NONE || pid.0 >= pid_max() {
            return Err(Errno::EINVAL);
        }
        self.check_free(pid)?;
        Ok(pid)
    }

    /// Whether a number that was allocated is still nobody's: until it is
    /// inserted, somebody else may have wanted the same.
    ///
    /// # Errors
    /// EEXIST.
    pub fn check_free(&self, pid: Pid) -> Result<(), Errno> {
        if self.is_taken(pid) {
            return Err(Errno::EEXIST);
        }
        Ok(())
    }

    fn is_taken(&self, pid: Pid) -> bool {
        self.processes.contains_key(&pid)
            || self.threads.contains_key(&pid)
            || self.groups.contains_key(&pid)
            || self.sessions.contains_key(&pid)
    }

    /// Takes a thread out.
    pub fn remove_thread(&mut self, tid: Pid) -> Option<Arc<Thread>> {
        self.threads.remove(&tid)
    }

    /// Moves a process to another group.
    ///
    /// # Errors
    /// ESRCH; ENOMEM, then nothing changed.
    pub fn set_group(&mut self, pid: Pid, group: Pid) -> Result<(), Errno> {
        let old = self.relations(pid).ok_or(Errno::ESRCH)?.group;
        if old == group {
            return Ok(());
        }
        let members = self.groups.entry(group).or_default();
        members.make_room(1)?;
        members.push(pid);
        self.leave_group(pid, old);
        if let Some(of) = self.relations_mut(pid) {
            of.group = group;
        }
        Ok(())
    }

    /// Makes a process the leader of a new group in a new session.
    ///
    /// # Errors
    /// ESRCH; ENOMEM, then nothing changed.
    pub fn begin_session(&mut self, pid: Pid) -> Result<(), Errno> {
        self.set_group(pid, pid)?;
        let of = self.relations_mut(pid).ok_or(Errno::ESRCH)?;
        of.gave_up_terminal = false;
        let old = core::mem::replace(&mut of.session, pid);
        *self.sessions.entry(pid).or_default() += 1;
        self.leave_session(old);
        Ok(())
    }

    fn leave_session(&mut self, session: Pid) {
        if let Some(members) = self.sessions.get_mut(&session) {
            *members -= 1;
            if *members == 0 {
                self.sessions.remove(&session);
            }
        }
    }

    fn leave_group(&mut self, pid: Pid, group: Pid) {
        if let Some(members) = self.groups.get_mut(&group) {
            members.retain(|member| *member != pid);
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
    }

    /// Takes a process that its parent has asked after out of the table. The
    /// caller drops it after giving back the lock.
    pub fn remove(&mut self, pid: Pid) -> Option<Arc<Process>> {
        let of = self.processes.remove(&pid)?;
        self.ended -= 1;
        of.process.is_reaped.store(true, Ordering::Relaxed);
        self.leave_group(pid, of.group);
        self.leave_session(of.session);
        if let Some(parent) = self.processes.get_mut(&of.process.parent_pid()) {
            parent.children.retain(|child| *child != pid);
        }
        Some(of.process)
    }

    /// Gives the children of `from` to `to`; returns them. They keep their
    /// order behind those that `to` has. If memory for the list is short the
    /// children are listed nowhere but still know their parent, so that only
    /// the order of `wait` suffers.
    pub fn reparent(&mut self, from: Pid, to: Pid) -> Vec<Pid> {
        let children = match self.relations_mut(from) {
            Some(of) => core::mem::take(&mut of.children),
            None => return Vec::new(),
        };
        for child in &children {
            if let Some(of) = self.processes.get(child) {
                of.process.set_parent(to);
            }
        }
        if let Some(of) = self.relations_mut(to)
            && of.children.make_room(children.len()).is_ok()
        {
            of.children.extend_from_slice(&children);
        }
        children
    }

    /// Whether a process group is orphaned: no member has a parent that is in
    /// another group of the same session (setpgid(2)). Process 1 looks after
    /// nobody it merely adopted. `without` is a process taken for gone.
    #[must_use]
    pub fn is_orphaned(&self, group: Pid, without: Option<Pid>) -> bool {
        !self
            .group(group)
            .iter()
            .filter(|pid| Some(**pid) != without)
            .filter_map(|pid| self.relations(*pid))
            .filter(|of| !of.is_zombie)
            .any(|of| self.is_looked_after(of))
    }

    /// Whether a process has a parent in another group of its session.
    #[must_use]
    pub fn is_looked_after(&self, of: &Relations) -> bool {
        let parent = of.process.parent_pid();
        if parent == Pid::INIT && of.process.is_adopted() {
            return false;
        }
        self.relations(parent)
            .is_some_and(|parent| parent.session == of.session && parent.group != of.group)
    }
}
