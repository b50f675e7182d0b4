//! Waiting for something to change.
//!
//! A [`WaitQueue`] holds wakers of those who want to hear of a change. Waiting
//! is always the same dance: register, look, sleep if there is nothing; whoever
//! changes things wakes the queue *after* the change. A registration lives
//! until it is dropped, so no wake-up is lost between two looks, and a waiter
//! that goes away takes nothing with it: [`WaitQueue::wake`] wakes everybody,
//! who then look for themselves.
//!
//! Why this is not `ochre_sync::task::WaitQueue`, `docs/notes/0012-who-sleeps-where.md`
//! has.
//!
//! # Cancel safety
//! Every future here may be dropped at any await; its registration goes with it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use ochre_abi::Errno;
use ochre_sync::SpinLock;

use crate::memory::MakeRoom;
use crate::objects::{self, CountedWaiter, Kind};
use crate::process::{Thread, Work};
use crate::sched;

/// Those who wait for one thing.
#[derive(Clone, Debug, Default)]
pub struct WaitQueue {
    waiters: Arc<SpinLock<Waiters>>,
}

#[derive(Debug, Default)]
struct Waiters {
    next_key: u64,
    list: Vec<(u64, Waker)>,
}

impl WaitQueue {
    /// A queue nobody waits on.
    #[must_use]
    pub fn new() -> WaitQueue {
        WaitQueue::default()
    }

    // ANCHOR: wake
    /// Wakes everybody. Allocates nothing.
    pub fn wake(&self) {
        let waiters = self.waiters.lock();
        for (_, waker) in &waiters.list {
            waker.wake_by_ref();
        }
    }
    // ANCHOR_END: wake

    /// Whether anybody waits.
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        !self.waiters.lock().list.is_empty()
    }

    /// Has `waker` woken at every change until the registration is dropped.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn register(&self, waker: &Waker) -> Result<Registration, Errno> {
        let mut waiters = self.waiters.lock();
        waiters.list.make_room(1)?;
        let key = waiters.next_key;
        waiters.next_key += 1;
        waiters.list.push((key, waker.clone()));
        Ok(Registration {
            waiters: Arc::clone(&self.waiters),
            key,
            _counted: CountedWaiter::new(),
        })
    }

    /// [`register`](WaitQueue::register) of a task of the kernel's, which waits for
    /// ever.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn register_own(&self, waker: &Waker) -> Result<Registration, Errno> {
        let registration = self.register(waker)?;
        objects::is_own(Kind::Waiter);
        Ok(registration)
    }
}

/// A waker's place in a [`WaitQueue`]; dropping it gives the place up.
#[must_use = "dropping the registration ends it"]
#[derive(Debug)]
pub struct Registration {
    waiters: Arc<SpinLock<Waiters>>,
    key: u64,
    _counted: CountedWaiter,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let removed = {
            let mut waiters = self.waiters.lock();
            waiters
                .list
                .iter()
                .position(|(key, _)| *key == self.key)
                .map(|index| waiters.list.swap_remove(index))
        };
        // The waker goes after the lock: it may be the last handle to a task.
        drop(removed);
    }
}

/// Registrations of one waker at several queues: what `poll(2)` and blocking
/// file operations hand to [`File::poll`](crate::vfs::File::poll).
#[derive(Debug)]
pub struct PollTable {
    waker: Waker,
    /// Most calls wait for one thing.
    first: Option<Registration>,
    others: Vec<Registration>,
    failed: bool,
}

impl PollTable {
    /// A table without registrations.
    #[must_use]
    pub fn new(waker: Waker) -> PollTable {
        PollTable {
            waker,
            first: None,
            others: Vec::new(),
            failed: false,
        }
    }

    /// Has the table's waker woken when `queue` changes.
    pub fn add(&mut self, queue: &WaitQueue) {
        if self.first.is_some() && self.others.make_room(1).is_err() {
            self.failed = true;
            return;
        }
        match queue.register(&self.waker) {
            Ok(registration) if self.first.is_none() => self.first = Some(registration),
            Ok(registration) => self.others.push(registration),
            Err(_) => self.failed = true,
        }
    }

    /// Whether every registration was made.
    ///
    /// # Errors
    /// ENOMEM if one could not be.
    pub fn check(&self) -> Result<(), Errno> {
        if self.failed {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// A signal is to be delivered, or the thread is to end.
    Signal,
    /// The deadline passed.
    Timeout,
    /// No memory for the registration.
    NoMemory,
}

impl Interrupted {
    /// The error for calls that are restarted after signals and have no timeout.
    #[must_use]
    pub fn restart(self) -> Errno {
        match self {
            Interrupted::Signal => Errno::ERESTARTSYS,
            Interrupted::Timeout => Errno::ETIMEDOUT,
            Interrupted::NoMemory => Errno::ENOMEM,
        }
    }
}

/// Waits until `condition` gives something, looking again whenever one of the
/// queues it registered at changes.
///
/// `condition` gets a table on the first look only, registers wherever a
/// change would be announced, and looks. It is asked once more after a signal
/// or the deadline before the wait gives up, so that what is ready is never
/// reported as interrupted.
///
/// # Errors
/// See [`Interrupted`].
pub fn until<T, F>(thread: Arc<Thread>, deadline_ns: Option<u64>, condition: F) -> Until<F>
where
    F: FnMut(Option<&mut PollTable>) -> Option<T>,
{
    Until {
        thread,
        deadline_ns,
        interrupted_by: Work::all(),
        timer: None,
        table: None,
        condition,
    }
}

/// Like [`until`], but only the thread's end interrupts it.
///
/// # Errors
/// See [`Interrupted`].
pub fn until_killed<T, F>(thread: Arc<Thread>, condition: F) -> Until<F>
where
    F: FnMut(Option<&mut PollTable>) -> Option<T>,
{
    Until {
        interrupted_by: Work::EXIT,
        ..until(thread, None, condition)
    }
}

/// The future of [`until`].
#[must_use = "futures do nothing unless polled"]
pub struct Until<F> {
    thread: Arc<Thread>,
    deadline_ns: Option<u64>,
    interrupted_by: Work,
    timer: Option<sched::Timer>,
    table: Option<PollTable>,
    condition: F,
}

// The condition is never pinned: it is called through `&mut`.
impl<F> Unpin for Until<F> {}

impl<T, F> Future for Until<F>
where
    F: FnMut(Option<&mut PollTable>) -> Option<T>,
{
    type Output = Result<T, Interrupted>;

    // ANCHOR: until_poll
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let found = if this.table.is_none() {
            let table = this.table.insert(PollTable::new(context.waker().clone()));
            let found = (this.condition)(Some(table));
            if found.is_none() && table.check().is_err() {
                return Poll::Ready(Err(Interrupted::NoMemory));
            }
            found
        } else {
            (this.condition)(None)
        };
        if let Some(value) = found {
            return Poll::Ready(Ok(value));
        }
        if this.thread.work().intersects(this.interrupted_by) {
            return Poll::Ready(Err(Interrupted::Signal));
        }
        if let Some(deadline) = this.deadline_ns {
            if ochre_hal::clock::now_ns() >= deadline {
                return Poll::Ready(Err(Interrupted::Timeout));
            }
            if this.timer.is_none() {
                this.timer = Some(sched::Timer::arm(deadline, context.waker().clone()));
            }
        }
        Poll::Pending
    }
    // ANCHOR_END: until_poll
}
