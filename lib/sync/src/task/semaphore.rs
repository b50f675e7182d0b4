//! So many tasks at a time.
//!
//! `permits` are those nobody has. Either there are waiters, and the first of them
//! wants more than there are, or there are none. (So who comes when somebody
//! waits queues up, also if there are enough for it: nobody is overtaken.)

use core::cell::Cell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::queue::{Node, Queue, State, Wakers};
use crate::maybe_const;
use crate::spin::SpinLock;

/// A number of permits, which tasks take, wait for, and give back.
///
/// ```
/// # use core::task::{Context, Poll, Waker};
/// # use core::future::Future;
/// use ochre_sync::task::Semaphore;
///
/// static SLOTS: Semaphore = Semaphore::new(2);
///
/// async fn work() {
///     let _slot = SLOTS.acquire(1).await;
///     // at most two are here
/// }
/// # let mut work = core::pin::pin!(work());
/// # assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// assert_eq!(SLOTS.available(), 2);
/// ```
pub struct Semaphore {
    inner: SpinLock<Inner>,
}

struct Inner {
    permits: usize,
    queue: Queue,
}

impl Semaphore {
    maybe_const! {
        /// A semaphore with so many permits.
        ///
        /// ```
        /// use ochre_sync::task::Semaphore;
        ///
        /// static REQUESTS: Semaphore = Semaphore::new(32); // as many as the disk's queue takes
        /// assert_eq!(REQUESTS.available(), 32);
        /// ```
        #[must_use]
        pub fn new(permits: usize) -> Semaphore {
            Semaphore {
                inner: SpinLock::new(Inner { permits, queue: Queue::new() }),
            }
        }
    }

    /// Takes `count` permits, in turn.
    ///
    /// If there never are that many, it waits for ever, and so does everybody behind.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Waker};
    /// use ochre_sync::task::Semaphore;
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let slots = Semaphore::new(3);
    /// let kept = slots.try_acquire(2);
    /// let mut three = pin!(slots.acquire(3)); // all of them, to be alone
    /// assert!(three.as_mut().poll(&mut context).is_pending());
    /// drop(kept);
    /// assert!(three.as_mut().poll(&mut context).is_ready());
    /// ```
    ///
    /// # Cancel safety
    /// If dropped, it gives up its place, or gives the permits back.
    pub fn acquire(&self, count: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            node: Node::new(count),
            joined: Cell::new(false),
        }
    }

    /// Takes `count` permits if they are there and nobody waits.
    ///
    /// ```
    /// use ochre_sync::task::Semaphore;
    ///
    /// let slots = Semaphore::new(3);
    /// let two = slots.try_acquire(2);
    /// assert!(two.is_some() && slots.try_acquire(2).is_none(), "one is left");
    /// ```
    pub fn try_acquire(&self, count: usize) -> Option<Permit<'_>> {
        let taken = self.inner.lock().take(count);
        // Made only if it was taken: dropping a permit gives it back.
        taken.then(|| Permit {
            semaphore: self,
            count,
        })
    }

    /// How many permits nobody has. It may have changed before the caller knows.
    ///
    /// ```
    /// use ochre_sync::task::Semaphore;
    ///
    /// let slots = Semaphore::new(3);
    /// let _two = slots.try_acquire(2);
    /// assert_eq!(slots.available(), 1);
    /// ```
    #[must_use]
    pub fn available(&self) -> usize {
        self.inner.lock().permits
    }

    /// Adds permits.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Waker};
    /// use ochre_sync::task::Semaphore;
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let packets = Semaphore::new(0);
    /// let mut next = pin!(packets.acquire(1));
    /// assert!(next.as_mut().poll(&mut context).is_pending());
    /// packets.add(1); // one has come
    /// assert!(next.as_mut().poll(&mut context).is_ready());
    /// ```
    ///
    /// # Panics
    /// If there would be more than `usize::MAX`.
    pub fn add(&self, count: usize) {
        self.change(|inner| {
            inner.permits = inner
                .permits
                .checked_add(count)
                .expect("no more permits than a number can count");
        });
    }

    /// Changes something, and then gives permits to those who can go on.
    fn change(&self, f: impl FnOnce(&mut Inner)) {
        let mut wakers = Wakers::new();
        let mut inner = self.inner.lock();
        f(&mut inner);
        loop {
            while !wakers.is_full()
                && let Some(want) = inner.queue.first_wants()
                && want <= inner.permits
            {
                inner.permits -= want;
                wakers.push(inner.queue.take_first(State::Given));
            }
            let full = wakers.is_full();
            drop(inner);
            wakers.wake();
            if !full {
                return;
            }
            inner = self.inner.lock();
        }
    }
}

impl Inner {
    fn take(&mut self, count: usize) -> bool {
        let enough = self.queue.is_empty() && count <= self.permits;
        if enough {
            self.permits -= count;
        }
        enough
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Semaphore").field(&self.available()).finish()
    }
}

/// The future of [`Semaphore::acquire`].
///
/// ```
/// use core::future::Future;
/// use core::pin::pin;
/// use core::task::{Context, Poll, Waker};
/// use ochre_sync::task::Semaphore;
///
/// let mut context = Context::from_waker(Waker::noop());
/// let semaphore = Semaphore::new(1);
/// let mut two = pin!(semaphore.acquire(2));
/// assert!(two.as_mut().poll(&mut context).is_pending());
/// // Somebody waits, so nobody is faster, though one would be enough.
/// assert!(semaphore.try_acquire(1).is_none());
/// semaphore.add(1);
/// assert!(two.as_mut().poll(&mut context).is_ready());
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    node: Node,
    /// Whether the node has been in the queue, and may have something.
    joined: Cell<bool>,
}

impl<'a> Acquire<'a> {
    /// One poll; the count that was taken.
    pub(super) fn poll_count(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        let this = self.into_ref().get_ref();
        // Cloned before the lock is taken; whichever is not kept is dropped after.
        let mut spare = Some(context.waker().clone());
        let mut inner = this.semaphore.inner.lock();
        let node = &raw const this.node;
        // SAFETY: the node is ours, and used with this queue only.
        let (state, want) = unsafe { inner.queue.entry(node, |entry| (entry.state, entry.want)) };
        let ready = match state {
            State::Given | State::Told => true,
            State::Idle => inner.take(want),
            State::Waiting => false,
        };
        this.joined.set(!ready);
        if !ready {
            if state == State::Idle {
                // SAFETY: not in the queue, pinned, and taken out by drop.
                unsafe { inner.queue.push_last(node) };
            }
            // SAFETY: as above.
            unsafe {
                inner
                    .queue
                    .entry(node, |entry| core::mem::swap(&mut entry.waker, &mut spare));
            }
        } else {
            // Polling again would take again; nothing of it is left for drop.
            // SAFETY: as above.
            unsafe { inner.queue.entry(node, |entry| entry.state = State::Idle) };
        }
        drop(inner);
        drop(spare);
        if ready {
            Poll::Ready(want)
        } else {
            Poll::Pending
        }
    }

    pub(super) fn semaphore(&self) -> &'a Semaphore {
        self.semaphore
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Permit<'a>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit<'a>> {
        let semaphore = self.semaphore();
        self.poll_count(context)
            .map(|count| Permit { semaphore, count })
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if !self.joined.get() {
            return;
        }
        let mut waker = None;
        self.semaphore.change(|inner| {
            let node = &raw const self.node;
            // SAFETY: the node is ours, and used with this queue only.
            let (state, want) = unsafe {
                inner.queue.entry(node, |entry| {
                    waker = entry.waker.take();
                    (entry.state, entry.want)
                })
            };
            match state {
                State::Idle => {}
                // SAFETY: it is in the queue.
                State::Waiting => unsafe { inner.queue.remove(node) },
                // Taken and not handed out: for the next.
                State::Given | State::Told => inner.permits += want,
            }
        });
        drop(waker);
    }
}

/// Permits of a [`Semaphore`]; given back when dropped.
///
/// ```
/// use ochre_sync::task::Semaphore;
///
/// let semaphore = Semaphore::new(2);
/// let permit = semaphore.try_acquire(2).expect("both are there");
/// assert_eq!(semaphore.available(), 0);
/// drop(permit);
/// assert_eq!(semaphore.available(), 2);
/// ```
#[must_use = "the permits are given back at once if this is not kept"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// Keeps the permits for ever: the semaphore has that many less.
    ///
    /// ```
    /// use ochre_sync::task::Semaphore;
    ///
    /// let packets = Semaphore::new(2);
    /// if let Some(permit) = packets.try_acquire(1) {
    ///     permit.forget(); // a packet was taken, and does not come back
    /// }
    /// assert_eq!(packets.available(), 1);
    /// ```
    pub fn forget(self) {
        core::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.add(self.count);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.count).finish()
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acquire")
    }
}
