//! The futures of threads that wait at futexes.
//!
//! A wait is settled by the bucket: who leaves it unwoken gave up, for a signal
//! or for the time; who was woken says so, whatever else happened meanwhile.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use ochre_abi::Errno;

use super::key::Key;
use super::table::{self, Place};
use crate::memory::AddressSpace;
use crate::memory::MakeRoom;
use crate::process::Thread;
use crate::sched::Timer;
use crate::time::{self, SettingListener};

/// Until when a wait lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// A time on the monotonic clock.
    Monotonic(u64),
    /// A time on the wall clock, which may be set meanwhile.
    Wall(u64),
}

impl Deadline {
    fn monotonic_ns(self) -> u64 {
        match self {
            Deadline::Monotonic(at) => at,
            Deadline::Wall(at) => at.saturating_sub(time::offset_ns()),
        }
    }
}

/// A deadline and what makes the waiter look at it.
#[derive(Debug)]
pub(super) struct Limit {
    deadline: Deadline,
    timer: Option<Timer>,
    listener: Option<SettingListener>,
}

impl Limit {
    pub(super) fn new(deadline: Deadline) -> Limit {
        Limit {
            deadline,
            timer: None,
            listener: None,
        }
    }

    /// Whether the time has come; if not, `waker` is woken when it may have.
    pub(super) fn is_over(&mut self, waker: &Waker) -> bool {
        if matches!(self.deadline, Deadline::Wall(_)) && self.listener.is_none() {
            self.listener = Some(SettingListener::new(waker.clone()));
        }
        let deadline = self.deadline.monotonic_ns();
        if time::monotonic_ns() >= deadline {
            return true;
        }
        let is_right = |timer: &Timer| timer.deadline_ns() == deadline;
        if !self.timer.as_ref().is_some_and(is_right) {
            self.timer = Some(Timer::arm(deadline, waker.clone()));
        }
        false
    }
}

/// How a wait ended without a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A signal is to be delivered, or the thread is to end.
    Signal,
    /// The deadline passed.
    Timeout,
}

/// A thread waiting at one word. Dropping it gives the wait up.
#[derive(Debug)]
#[must_use = "dropping the wait gives it up"]
pub struct Wait {
    thread: ThreadRef,
    /// Held so that the key stays this address space's.
    _space: Arc<AddressSpace>,
    place: Arc<Place>,
    limit: Option<Box<Limit>>,
}

/// A thread that says nothing of itself when it is asked.
struct ThreadRef(Arc<Thread>);

impl core::fmt::Debug for ThreadRef {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Thread({})", self.0.tid())
    }
}

/// A word to wait at.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Where it is.
    pub address: u64,
    /// What it is known by.
    pub key: Key,
    /// What it must hold.
    pub expected: u32,
    /// What a wake's bits must meet.
    pub bits: u32,
}

impl Wait {
    /// Joins those who wait at a word, if it holds what is expected.
    ///
    /// # Errors
    /// EAGAIN if it does not; EFAULT; ENOMEM.
    pub fn join(
        thread: &Arc<Thread>,
        space: &Arc<AddressSpace>,
        target: &Target,
        deadline: Option<Deadline>,
    ) -> Result<Wait, Errno> {
        let place = table::place(thread.task().ok_or(Errno::ESRCH)?, None);
        table::join(space, target, &place)?;
        Ok(Wait {
            thread: ThreadRef(Arc::clone(thread)),
            _space: Arc::clone(space),
            place,
            limit: deadline.map(|deadline| Box::new(Limit::new(deadline))),
        })
    }
}

impl Future for Wait {
    type Output = Result<(), Ended>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let this = self.get_mut();
        if table::is_woken(&this.place) {
            return Poll::Ready(Ok(()));
        }
        let ended = if this.thread.0.has_work() {
            Ended::Signal
        } else if let Some(limit) = &mut this.limit
            && limit.is_over(context.waker())
        {
            Ended::Timeout
        } else {
            return Poll::Pending;
        };
        Poll::Ready(if table::leave(&this.place) {
            Err(ended)
        } else {
            Ok(())
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        table::leave(&self.place);
    }
}

/// A thread waiting at several words (futex_waitv(2)). Dropping it gives the
/// wait up.
#[derive(Debug)]
#[must_use = "dropping the wait gives it up"]
pub struct WaitMany {
    thread: ThreadRef,
    _space: Arc<AddressSpace>,
    places: Vec<Arc<Place>>,
    limit: Option<Box<Limit>>,
}

impl WaitMany {
    /// Joins those who wait at each word, in order, if each holds what is
    /// expected. A word that was woken before a later one did not hold it
    /// counts as woken, as on Linux.
    ///
    /// # Errors
    /// EAGAIN if one does not; EFAULT; ENOMEM.
    pub fn join(
        thread: &Arc<Thread>,
        space: &Arc<AddressSpace>,
        targets: &[Target],
        deadline: Option<Deadline>,
    ) -> Result<WaitMany, Errno> {
        let task = thread.task().ok_or(Errno::ESRCH)?;
        let mut wait = WaitMany {
            thread: ThreadRef(Arc::clone(thread)),
            _space: Arc::clone(space),
            places: Vec::new(),
            limit: deadline.map(|deadline| Box::new(Limit::new(deadline))),
        };
        wait.places.make_room_exact(targets.len())?;
        for target in targets {
            let place = table::place(Arc::clone(&task), None);
            match table::join(space, target, &place) {
                Ok(()) => wait.places.push(place),
                Err(_) if wait.leave().is_some() => return Ok(wait),
                Err(errno) => return Err(errno),
            }
        }
        Ok(wait)
    }

    /// Leaves every word; the last that had been woken, if one had.
    fn leave(&self) -> Option<usize> {
        let mut woken = None;
        for (at, place) in self.places.iter().enumerate() {
            if !table::leave(place) {
                woken = Some(at);
            }
        }
        woken
    }
}

impl Future for WaitMany {
    /// The word that was woken, by its place in the list.
    type Output = Result<usize, Ended>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<usize, Ended>> {
        let this = self.get_mut();
        let is_woken = this.places.iter().any(|place| table::is_woken(place));
        let ended = if is_woken || this.thread.0.has_work() {
            Ended::Signal
        } else if let Some(limit) = &mut this.limit
            && limit.is_over(context.waker())
        {
            Ended::Timeout
        } else {
            return Poll::Pending;
        };
        Poll::Ready(this.leave().ok_or(ended))
    }
}

impl Drop for WaitMany {
    fn drop(&mut self) {
        self.leave();
    }
}
