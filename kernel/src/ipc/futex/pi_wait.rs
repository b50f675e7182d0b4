//! The futures of threads that wait for mutexes with priority inheritance.
//!
//! A wait is settled by the graph: who leaves it without the word gave up; who
//! was given the word has it, whatever else happened meanwhile.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use ochre_abi::Errno;

use super::OWNER;
use super::key::Key;
use super::pi::{self, Candidate, Grant, Mutex, Taken};
use super::table::{self, Onward, Place};
use super::wait::{Deadline, Ended, Limit, Target};
use crate::memory::AddressSpace;
use crate::process::Thread;

/// A thread that waits for a word's owner to give it up, or is to.
#[derive(Debug)]
struct Claim {
    space: Arc<AddressSpace>,
    address: u64,
    key: Key,
    candidate: Candidate,
    grant: Arc<Grant>,
    limit: Option<Box<Limit>>,
}

impl Claim {
    fn new(
        thread: &Arc<Thread>,
        space: &Arc<AddressSpace>,
        (address, key): (u64, Key),
        deadline: Option<Deadline>,
    ) -> Result<Claim, Errno> {
        let candidate = Candidate::new(thread)?;
        Ok(Claim {
            space: Arc::clone(space),
            address,
            key,
            grant: candidate.grant(),
            candidate,
            limit: deadline.map(|deadline| Box::new(Limit::new(deadline))),
        })
    }

    fn mutex(&self) -> Mutex<'_> {
        Mutex {
            space: &self.space,
            address: self.address,
            key: self.key,
        }
    }

    /// The end of the wait, if it is over.
    fn ended(&mut self, context: &mut Context<'_>) -> Option<Ended> {
        if self.candidate.thread().has_work() {
            return Some(Ended::Signal);
        }
        let limit = self.limit.as_mut()?;
        limit.is_over(context.waker()).then_some(Ended::Timeout)
    }

    /// The word was given to the thread.
    fn settle(&self) -> Result<(), Errno> {
        pi::settle(&self.mutex(), self.candidate.tid(), &self.grant)
    }

    /// Gives up waiting in the graph; false if the thread has the word.
    fn give_up(&self) -> bool {
        pi::give_up(&self.key, self.candidate.tid(), &self.grant)
    }
}

/// What came of [`lock`].
#[derive(Debug)]
pub enum Locked {
    /// The thread has the mutex.
    Now,
    /// It waits for it.
    Later(Lock),
}

/// Takes a mutex (`FUTEX_LOCK_PI`), or has the thread wait for it.
///
/// # Errors
/// EDEADLK, EINVAL, ESRCH, EFAULT, ENOMEM.
pub fn lock(
    thread: &Arc<Thread>,
    space: &Arc<AddressSpace>,
    word: (u64, Key),
    deadline: Option<Deadline>,
) -> Result<Locked, Errno> {
    let claim = Claim::new(thread, space, word, deadline)?;
    match pi::take(&claim.mutex(), &claim.candidate, Some(&claim.grant))? {
        Taken::Now => Ok(Locked::Now),
        Taken::Later => Ok(Locked::Later(Lock(claim))),
    }
}

/// Takes a mutex that nobody has (`FUTEX_TRYLOCK_PI`).
///
/// # Errors
/// EAGAIN if somebody has it; as [`lock`].
pub fn try_lock(
    thread: &Arc<Thread>,
    space: &Arc<AddressSpace>,
    word: (u64, Key),
) -> Result<(), Errno> {
    let claim = Claim::new(thread, space, word, None)?;
    match pi::take(&claim.mutex(), &claim.candidate, None)? {
        Taken::Now | Taken::Later => Ok(()),
    }
}

/// Whether a thread has the mutex that it is about to give up, before anything
/// else is asked about it.
///
/// # Errors
/// EPERM if not; EFAULT; ENOMEM.
pub fn check_owner(thread: &Thread, space: &AddressSpace, address: u64) -> Result<(), Errno> {
    let mut bytes = [0; 4];
    // Linux looks at the owner first, and then at how the word is aligned.
    space.read(address, &mut bytes)?;
    if u32::from_ne_bytes(bytes) & OWNER == thread.tid().0 {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Gives a mutex up (`FUTEX_UNLOCK_PI`).
///
/// # Errors
/// EPERM, EINVAL, EFAULT, ENOMEM.
pub fn unlock(
    thread: &Thread,
    space: &Arc<AddressSpace>,
    (address, key): (u64, Key),
) -> Result<(), Errno> {
    let mutex = Mutex {
        space,
        address,
        key,
    };
    pi::release(&mutex, thread.tid())
}

/// A thread that waits for a mutex. Dropping it gives the wait up.
#[derive(Debug)]
#[must_use = "dropping the wait gives it up"]
pub struct Lock(Claim);

impl Future for Lock {
    type Output = Result<(), Errno>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Errno>> {
        let claim = &mut self.get_mut().0;
        if !pi::has(&claim.grant) {
            let Some(ended) = claim.ended(context) else {
                return Poll::Pending;
            };
            if claim.give_up() {
                return Poll::Ready(Err(match ended {
                    Ended::Timeout => Errno::ETIMEDOUT,
                    Ended::Signal => Errno::ERESTARTNOINTR,
                }));
            }
        }
        Poll::Ready(claim.settle())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// A thread that waits at a word to be moved to a mutex
/// (`FUTEX_WAIT_REQUEUE_PI`). Dropping it gives the wait up.
#[derive(Debug)]
#[must_use = "dropping the wait gives it up"]
pub struct WaitOnward {
    place: Arc<Place>,
    claim: Claim,
}

impl WaitOnward {
    /// Joins those who wait at a word, if it holds what is expected.
    ///
    /// # Errors
    /// EAGAIN if it does not; EFAULT; ENOMEM.
    pub fn join(
        thread: &Arc<Thread>,
        space: &Arc<AddressSpace>,
        target: &Target,
        mutex: (u64, Key),
        deadline: Option<Deadline>,
    ) -> Result<WaitOnward, Errno> {
        let claim = Claim::new(thread, space, mutex, deadline)?;
        let onward = Onward {
            target: claim.key,
            candidate: claim.candidate.clone(),
            grant: Arc::clone(&claim.grant),
        };
        let task = thread.task().ok_or(Errno::ESRCH)?;
        let place = table::place(task, Some(Box::new(onward)));
        table::join(space, target, &place)?;
        Ok(WaitOnward { place, claim })
    }
}

impl Future for WaitOnward {
    type Output = Result<(), Errno>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Errno>> {
        let this = self.get_mut();
        if !pi::has(&this.claim.grant) {
            let Some(ended) = this.claim.ended(context) else {
                return Poll::Pending;
            };
            // Not moved yet; or moved, and then it waits in the graph.
            let early = table::leave(&this.place);
            if early || this.claim.give_up() {
                return Poll::Ready(Err(match ended {
                    Ended::Timeout => Errno::ETIMEDOUT,
                    Ended::Signal if early => Errno::ERESTARTNOINTR,
                    Ended::Signal => Errno::EAGAIN,
                }));
            }
        }
        Poll::Ready(this.claim.settle())
    }
}

impl Drop for WaitOnward {
    fn drop(&mut self) {
        if !table::leave(&self.place) {
            self.claim.give_up();
        }
    }
}
