//! Mutexes with priority inheritance: the word and the graph in step.
//!
//! The word of such a mutex says who has it (futex(2)): the owner's number,
//! [`HAS_WAITERS`] if the kernel has to be asked to give it up, [`OWNER_DIED`].
//! Who finds it taken sets the waiters' bit and joins the graph; who gives it
//! up with the bit set has the kernel write the next owner's number. So a
//! thread has the mutex when the word says so, and between the two steps of a
//! change nobody else makes one: all are made under the graph's lock.
//!
//! # Lock protocol
//! One lock for the graph, as a chain of owners goes through any number of
//! words. It is taken under a bucket's (so that those who wait otherwise at the
//! word are known), and the run queues' under it. The word is changed under it
//! without faulting; a fault is resolved with both given back.
//!
//! # An owner that ends
//! gives its words to those who wait first. It may not see their memory, so who
//! was given a word so writes its own number in, with [`OWNER_DIED`].

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use super::graph::{Graph, Schedule};
use super::key::Key;
use super::{HAS_WAITERS, OWNER, OWNER_DIED, table, word};
use crate::memory::AddressSpace;
use crate::process::{self, Pid, Thread};
use crate::sched::{self, TaskRef};

/// Still waits.
const WAITING: u32 = 0;
/// Was given the word, which says so.
const GIVEN: u32 = 1;
/// Was given the word by an owner that ended; the word does not say so yet.
const INHERITED: u32 = 2;

/// How one that waits learns that it has the word.
pub(super) struct Grant {
    task: TaskRef,
    state: AtomicU32,
}

impl core::fmt::Debug for Grant {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Grant").field(&self.state).finish()
    }
}

/// A thread of the graph.
#[derive(Clone)]
pub(super) struct Runner(TaskRef);

impl Schedule for Runner {
    fn priority(&self) -> u8 {
        // A nice level is not inherited.
        self.0.attributes().priority
    }

    fn boost(&self, priority: u8) {
        sched::boost(&self.0, Some(priority).filter(|priority| *priority != 0));
    }
}

static GRAPH: SpinLock<Graph<Runner, Arc<Grant>>> = SpinLock::new(Graph::new());

/// Threads that wait in the graph, so that most need not look.
static WAITERS: AtomicUsize = AtomicUsize::new(0);

/// Whether somebody waits for the mutex at a key; who does anything else with
/// such a word made a mistake.
pub(super) fn is_waited_for(key: &Key) -> bool {
    // ORDERING: Relaxed; a program that mixes the two kinds at once is wrong
    // either way.
    WAITERS.load(Ordering::Relaxed) != 0 && GRAPH.lock().owner(key).is_some()
}

/// The word that a thread waits for, and who has it.
pub(super) fn waited_for(tid: Pid) -> Option<(Key, Pid)> {
    GRAPH.lock().waited_for(tid)
}

/// A thread that may take a word.
#[derive(Clone)]
pub(super) struct Candidate {
    thread: Arc<Thread>,
    task: TaskRef,
}

impl core::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Candidate({})", self.tid())
    }
}

impl Candidate {
    pub(super) fn new(thread: &Arc<Thread>) -> Result<Candidate, Errno> {
        Ok(Candidate {
            thread: Arc::clone(thread),
            task: thread.task().ok_or(Errno::ESRCH)?,
        })
    }

    pub(super) fn tid(&self) -> Pid {
        self.thread.tid()
    }

    pub(super) fn thread(&self) -> &Arc<Thread> {
        &self.thread
    }

    pub(super) fn grant(&self) -> Arc<Grant> {
        Arc::new(Grant {
            task: self.task.clone(),
            state: AtomicU32::new(WAITING),
        })
    }
}

/// What came of trying to take a word.
pub(super) enum Taken {
    /// The thread has it.
    Now,
    /// The thread waits for it.
    Later,
}

/// The word as it was, and who owned it then: found with no lock held.
#[derive(Clone)]
pub(super) struct Seen {
    value: u32,
    owner: Option<Arc<Thread>>,
}

impl Seen {
    /// The word after `owner` took it, under the locks.
    pub(super) fn after(mutex: &Mutex<'_>, owner: Option<&Candidate>, before: &Seen) -> Seen {
        Seen {
            value: word::try_load(mutex.space, mutex.address).unwrap_or(before.value),
            owner: match owner {
                Some(owner) => Some(Arc::clone(&owner.thread)),
                None => before.owner.clone(),
            },
        }
    }
}

/// Looks at a word and for its owner.
///
/// # Errors
/// EFAULT; ENOMEM.
pub(super) fn look(space: &AddressSpace, address: u64) -> Result<Seen, Errno> {
    let value = word::load(space, address)?;
    let owner = match value & OWNER {
        0 => None,
        tid => process::table::thread(Pid(tid)),
    };
    Ok(Seen { value, owner })
}

/// A mutex: where its word is and what it is known by.
#[derive(Clone, Copy)]
pub(super) struct Mutex<'a> {
    pub(super) space: &'a AddressSpace,
    pub(super) address: u64,
    pub(super) key: Key,
}

/// Why an attempt has to be made anew, with no lock held.
pub(super) enum Obstacle {
    /// The word changed since it was looked at.
    Changed,
    /// The word's page is not there, or not writable yet.
    Fault,
    /// There is no way.
    Refused(Errno),
}

impl Obstacle {
    /// Does what makes another attempt sensible.
    ///
    /// # Errors
    /// If there is no way; EFAULT; ENOMEM.
    pub(super) fn clear(self, mutex: &Mutex<'_>) -> Result<(), Errno> {
        match self {
            Obstacle::Changed => Ok(()),
            Obstacle::Fault => word::fault_in(mutex.space, mutex.address),
            Obstacle::Refused(errno) => Err(errno),
        }
    }
}

/// Exchanges the word, or says what is in the way.
fn exchange(mutex: &Mutex<'_>, current: u32, new: u32) -> Result<(), Obstacle> {
    match word::try_exchange(mutex.space, mutex.address, current, new) {
        Some(held) if held == current => Ok(()),
        Some(_) => Err(Obstacle::Changed),
        None => Err(Obstacle::Fault),
    }
}

/// One attempt to take a word for a thread, or to have it wait (`grant`; not to,
/// without). Under the lock of the word's bucket; `has_others` is whether
/// somebody waits there otherwise. `marks` has the waiters' bit set also if
/// the word is free.
pub(super) fn attempt(
    mutex: &Mutex<'_>,
    seen: &Seen,
    candidate: &Candidate,
    grant: Option<&Arc<Grant>>,
    (has_others, marks): (bool, bool),
) -> Result<Taken, Obstacle> {
    let refused = |errno| Err(Obstacle::Refused(errno));
    let value = seen.value;
    let mut graph = GRAPH.lock();
    match word::try_load(mutex.space, mutex.address) {
        Some(now) if now == value => {}
        Some(_) => return Err(Obstacle::Changed),
        None => return Err(Obstacle::Fault),
    }
    if value & OWNER == candidate.tid().0 {
        return refused(Errno::EDEADLK);
    }
    if has_others {
        return refused(Errno::EINVAL);
    }
    let known = graph.owner(&mutex.key);
    if let Some(owner) = known
        && value & OWNER != owner.0
        && value & OWNER_DIED == 0
        && (value & OWNER == 0 || seen.owner.is_some())
    {
        // The word was changed by somebody who does not have it, or its memory
        // was given up.
        return refused(Errno::EINVAL);
    }
    if known.is_none() && value & OWNER == 0 {
        let bits = value & OWNER_DIED | if marks { HAS_WAITERS } else { 0 };
        exchange(mutex, value, bits | candidate.tid().0)?;
        return Ok(Taken::Now);
    }
    if value & HAS_WAITERS == 0 {
        exchange(mutex, value, value | HAS_WAITERS)?;
    }
    // The owner that the graph knows is one that lives.
    let owner = match (known, &seen.owner) {
        (Some(owner), _) => (owner, candidate.task.clone()),
        (None, Some(owner)) if !owner.has_left_futexes() => {
            let task = owner.task().ok_or(Obstacle::Changed)?;
            (owner.tid(), task)
        }
        // It ended, and its word was not given up: nobody ever will.
        (None, _) => return refused(Errno::ESRCH),
    };
    let Some(grant) = grant else {
        return refused(Errno::EAGAIN);
    };
    let owner = (owner.0, Runner(owner.1));
    let waiter = (candidate.tid(), Runner(candidate.task.clone()));
    // Before its priority is looked at: see `priority_changed`.
    WAITERS.fetch_add(1, Ordering::Relaxed);
    // ORDERING: SeqCst pairs with the fence there.
    fence(Ordering::SeqCst);
    match graph.wait(mutex.key, owner, waiter, Arc::clone(grant)) {
        Ok(()) => {
            table::announce(&mutex.key);
            Ok(Taken::Later)
        }
        Err(errno) => {
            WAITERS.fetch_sub(1, Ordering::Relaxed);
            refused(errno)
        }
    }
}

/// Takes a word, or joins those who wait for it, or neither without `grant`.
///
/// # Errors
/// EDEADLK, EAGAIN without `grant`, EINVAL for a word that is used otherwise
/// too, ESRCH for an owner that is gone; EFAULT; ENOMEM.
pub(super) fn take(
    mutex: &Mutex<'_>,
    candidate: &Candidate,
    grant: Option<&Arc<Grant>>,
) -> Result<Taken, Errno> {
    loop {
        let seen = look(mutex.space, mutex.address)?;
        let result = table::with_others(&mutex.key, |has_others| {
            attempt(mutex, &seen, candidate, grant, (has_others, false))
        });
        match result {
            Ok(taken) => return Ok(taken),
            // The owner may have given the word up while it ended.
            Err(Obstacle::Refused(Errno::ESRCH))
                if word::load(mutex.space, mutex.address)? & !HAS_WAITERS
                    != seen.value & !HAS_WAITERS => {}
            Err(obstacle) => obstacle.clear(mutex)?,
        }
    }
}

/// Whether one that waits has the word.
pub(super) fn has(grant: &Grant) -> bool {
    // ORDERING: Acquire pairs with the Release of `give`.
    grant.state.load(Ordering::Acquire) != WAITING
}

/// Gives up waiting; false if the word had been given to the thread.
pub(super) fn give_up(key: &Key, tid: Pid, grant: &Grant) -> bool {
    let mut graph = GRAPH.lock();
    if has(grant) {
        return false;
    }
    if graph.give_up(key, tid) {
        left(key);
    }
    true
}

/// One less waits.
fn left(key: &Key) {
    WAITERS.fetch_sub(1, Ordering::Relaxed);
    table::withdraw(key);
}

/// Tells one that took the word as somebody else's candidate.
pub(super) fn give_taken(grant: &Grant) {
    give(grant, GIVEN);
}

/// Tells one that it has the word, with the graph's lock held; it is woken
/// afterwards.
fn give(grant: &Grant, state: u32) {
    // ORDERING: Release; see `has`.
    grant.state.store(state, Ordering::Release);
}

/// What one that was given a word has to do before it goes on: an owner that
/// ended left the word as it was.
///
/// # Errors
/// EFAULT; ENOMEM. Then the word is the next one's.
pub(super) fn settle(mutex: &Mutex<'_>, tid: Pid, grant: &Grant) -> Result<(), Errno> {
    if grant.state.load(Ordering::Acquire) != INHERITED {
        return Ok(());
    }
    let write = || -> Result<(), Errno> {
        let mut value = word::load(mutex.space, mutex.address)?;
        loop {
            let new = tid.0 | HAS_WAITERS | OWNER_DIED;
            match word::try_exchange(mutex.space, mutex.address, value, new) {
                Some(held) if held == value => return Ok(()),
                Some(held) => value = held,
                None => word::fault_in(mutex.space, mutex.address)?,
            }
        }
    };
    let result = write();
    if result.is_err() {
        pass_on(&mutex.key);
    }
    result
}

/// Gives a word whose owner cannot see it to the next.
fn pass_on(key: &Key) {
    let mut graph = GRAPH.lock();
    let next = graph.hand_over(key);
    if let Some(grant) = next {
        left(key);
        give(&grant, INHERITED);
        drop(graph);
        grant.task.wake();
    }
}

/// Gives a word up to the first who waits, or frees it.
///
/// # Errors
/// EPERM for a word that the thread does not have, EINVAL for one that is used
/// otherwise too; EFAULT; ENOMEM.
pub(super) fn release(mutex: &Mutex<'_>, tid: Pid) -> Result<(), Errno> {
    loop {
        let value = word::load(mutex.space, mutex.address)?;
        if value & OWNER != tid.0 {
            return Err(Errno::EPERM);
        }
        let result = table::with_others(&mutex.key, |has_others| {
            let mut graph = GRAPH.lock();
            match (graph.owner(&mutex.key), graph.first(&mutex.key)) {
                (Some(owner), Some(next)) => {
                    if owner != tid {
                        return Err(Obstacle::Refused(Errno::EINVAL));
                    }
                    exchange(mutex, value, next.0 | HAS_WAITERS)?;
                    let grant = graph.hand_over(&mutex.key);
                    if let Some(grant) = &grant {
                        left(&mutex.key);
                        give(grant, GIVEN);
                    }
                    Ok(grant)
                }
                _ if has_others => Err(Obstacle::Refused(Errno::EINVAL)),
                _ => exchange(mutex, value, 0).map(|()| None),
            }
        });
        match result {
            Ok(grant) => {
                if let Some(grant) = grant {
                    grant.task.wake();
                }
                return Ok(());
            }
            Err(obstacle) => obstacle.clear(mutex)?,
        }
    }
}

/// A thread ends, or becomes another program: those who wait first for its
/// words get them. `for_good`, and nobody can wait for it from now on.
pub(super) fn leave(thread: &Thread, for_good: bool) {
    let mut graph = GRAPH.lock();
    if for_good {
        thread.leave_futexes();
    }
    while let Some(key) = graph.owned_by(thread.tid()) {
        let Some(grant) = graph.hand_over(&key) else {
            return;
        };
        left(&key);
        give(&grant, INHERITED);
        // The run queues' locks come after the graph's.
        grant.task.wake();
    }
}

/// A thread's own priority was changed: whoever it waits for is told.
pub fn priority_changed(thread: &Thread) {
    // ORDERING: SeqCst: the change comes before the look. Either it finds who
    // waits, or who begins to wait finds the new priority (`attempt`).
    fence(Ordering::SeqCst);
    if WAITERS.load(Ordering::Relaxed) != 0 {
        GRAPH.lock().priority_changed(thread.tid());
    }
}
