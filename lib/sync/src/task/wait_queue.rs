//! Waiting for a condition that others change and announce.
//!
//! The dance is always the same: look; stand in the queue; look again; sleep. Who
//! changes something wakes after the change. If that was before the waiter stood
//! in the queue, its second look sees the change: the queue's lock orders them.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::queue::{Node, Queue, State, Wakers};
use crate::maybe_const;
use crate::spin::SpinLock;

/// Those who wait for a condition.
///
/// ```
/// # use core::task::{Context, Poll, Waker};
/// # use core::future::Future;
/// use ochre_sync::SpinLock;
/// use ochre_sync::task::WaitQueue;
///
/// static ITEMS: SpinLock<Vec<u32>> = SpinLock::new(Vec::new());
/// static CHANGED: WaitQueue = WaitQueue::new();
///
/// async fn take() -> u32 {
///     CHANGED.wait_until(|| ITEMS.lock().pop()).await
/// }
///
/// fn put(item: u32) {
///     ITEMS.lock().push(item);
///     CHANGED.wake_one();
/// }
/// # let mut take = core::pin::pin!(take());
/// # let mut context = Context::from_waker(Waker::noop());
/// # assert!(take.as_mut().poll(&mut context).is_pending());
/// # put(5);
/// # assert_eq!(take.as_mut().poll(&mut context), Poll::Ready(5));
/// ```
pub struct WaitQueue {
    inner: SpinLock<Inner>,
}

struct Inner {
    queue: Queue,
    /// When the next one comes: a number that only grows.
    next: usize,
}

impl WaitQueue {
    maybe_const! {
        /// A queue nobody waits in.
        ///
        /// ```
        /// use ochre_sync::task::WaitQueue;
        ///
        /// static READERS: WaitQueue = WaitQueue::new();
        /// assert!(!READERS.wake_one(), "nobody waits");
        /// ```
        #[must_use]
        pub fn new() -> WaitQueue {
            WaitQueue {
                inner: SpinLock::new(Inner { queue: Queue::new(), next: 0 }),
            }
        }
    }

    /// Waits until `condition` gives something. It is asked at each wake-up, by
    /// whoever polls, with no lock held.
    ///
    /// ```
    /// use core::cell::Cell;
    /// use core::pin::pin;
    /// use core::task::{Context, Poll, Waker};
    /// use ochre_sync::task::WaitQueue;
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let (changed, bytes) = (WaitQueue::new(), Cell::new(0));
    /// let mut enough = pin!(changed.wait_until(|| Some(bytes.get()).filter(|bytes| *bytes >= 4)));
    /// for (came, end) in [(3, Poll::Pending), (2, Poll::Ready(5))] {
    ///     bytes.set(bytes.get() + came);
    ///     changed.wake_all();
    ///     assert_eq!(enough.as_mut().poll(&mut context), end);
    /// }
    /// ```
    ///
    /// # Cancel safety
    /// If dropped, it leaves the queue; a wake-up meant for one that it got goes to
    /// the next.
    pub fn wait_until<T, F: FnMut() -> Option<T>>(&self, condition: F) -> WaitUntil<'_, F> {
        WaitUntil {
            queue: self,
            node: Node::new(0),
            joined: false,
            condition,
        }
    }

    /// Wakes the one who has waited longest. Returns whether there was one.
    ///
    /// For a change that one waiter can use up. If it finds the condition false
    /// (somebody came by who did not wait), it is first in the queue again.
    ///
    /// ```
    /// use core::cell::Cell;
    /// use core::pin::pin;
    /// use core::task::{Context, Poll, Waker};
    /// use ochre_sync::task::WaitQueue;
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let (changed, job) = (WaitQueue::new(), Cell::new(None));
    /// let (mut one, mut two) = (
    ///     pin!(changed.wait_until(|| job.take())),
    ///     pin!(changed.wait_until(|| job.take())),
    /// );
    /// assert!(one.as_mut().poll(&mut context).is_pending());
    /// assert!(two.as_mut().poll(&mut context).is_pending());
    /// job.set(Some("a job"));
    /// assert!(changed.wake_one()); // one job, one worker: the first to come
    /// assert_eq!(one.as_mut().poll(&mut context), Poll::Ready("a job"));
    /// assert!(two.as_mut().poll(&mut context).is_pending());
    /// ```
    pub fn wake_one(&self) -> bool {
        let mut inner = self.inner.lock();
        let somebody = !inner.queue.is_empty();
        let waker = inner.queue.take_first(State::Given);
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        somebody
    }

    /// Wakes all who wait now. Those whose condition is still false stand in the
    /// queue again, behind all others.
    ///
    /// ```
    /// use core::cell::Cell;
    /// use core::pin::pin;
    /// use core::task::{Context, Waker};
    /// use ochre_sync::task::WaitQueue;
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let (changed, open) = (WaitQueue::new(), Cell::new(false));
    /// let mut readers = [(); 2].map(|()| Box::pin(changed.wait_until(|| open.get().then_some(()))));
    /// assert!(readers.iter_mut().all(|reader| reader.as_mut().poll(&mut context).is_pending()));
    /// open.set(true);
    /// changed.wake_all(); // it is open for all of them
    /// assert!(readers.iter_mut().all(|reader| reader.as_mut().poll(&mut context).is_ready()));
    /// ```
    pub fn wake_all(&self) {
        let mut wakers = Wakers::new();
        let mut inner = self.inner.lock();
        let now = inner.next;
        loop {
            while !wakers.is_full() && inner.queue.first_wants().is_some_and(|came| came < now) {
                wakers.push(inner.queue.take_first(State::Told));
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

    /// Whether somebody waits. It may have changed before the caller knows.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Waker};
    /// use ochre_sync::task::WaitQueue;
    ///
    /// let queue = WaitQueue::new();
    /// {
    ///     let mut waits = pin!(queue.wait_until(|| None::<()>));
    ///     assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    ///     assert!(queue.has_waiters());
    /// }
    /// assert!(!queue.has_waiters(), "it went with its future");
    /// ```
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        !self.inner.lock().queue.is_empty()
    }

    /// Puts the future's node into the queue if it is not there, and has `waker`
    /// called when something is given to it. Returns whether it was not there.
    ///
    /// # Safety
    /// The node must be of this queue, and stay where it is until `leave`.
    unsafe fn join(&self, node: *const Node, waker: Waker) -> bool {
        let mut spare = Some(waker);
        let mut inner = self.inner.lock();
        let next = inner.next;
        // SAFETY: of this queue, says the caller.
        let state = unsafe {
            inner.queue.entry(node, |entry| {
                core::mem::swap(&mut entry.waker, &mut spare);
                let state = entry.state;
                if matches!(state, State::Idle | State::Told) {
                    entry.want = next;
                }
                state
            })
        };
        match state {
            State::Idle | State::Told => {
                inner.next += 1;
                // SAFETY: not in the queue; the rest is the caller's promise.
                unsafe { inner.queue.push_last(node) };
            }
            // It was its turn; somebody who did not wait was faster.
            // SAFETY: as above.
            State::Given => unsafe { inner.queue.push_first(node) },
            State::Waiting => {}
        }
        drop(inner);
        drop(spare);
        state != State::Waiting
    }

    /// Takes the node out of the queue. If it had been given a wake-up, `keep`
    /// says whether that was of use; else it goes to the next.
    ///
    /// # Safety
    /// The node must be of this queue.
    unsafe fn leave(&self, node: *const Node, keep: bool) {
        let mut inner = self.inner.lock();
        // SAFETY: of this queue, says the caller.
        let (state, waker) = unsafe {
            inner
                .queue
                .entry(node, |entry| (entry.state, entry.waker.take()))
        };
        let mut next = None;
        match state {
            // SAFETY: it is in the queue.
            State::Waiting => unsafe { inner.queue.remove(node) },
            State::Given if !keep => next = inner.queue.take_first(State::Given),
            State::Given | State::Told | State::Idle => {}
        }
        // SAFETY: as above.
        unsafe { inner.queue.entry(node, |entry| entry.state = State::Idle) };
        drop(inner);
        drop(waker);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl Default for WaitQueue {
    fn default() -> WaitQueue {
        WaitQueue::new()
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WaitQueue(..)")
    }
}

/// The future of [`WaitQueue::wait_until`].
///
/// ```
/// use core::cell::Cell;
/// use core::future::Future;
/// use core::pin::pin;
/// use core::task::{Context, Poll, Waker};
/// use ochre_sync::task::WaitQueue;
///
/// let mut context = Context::from_waker(Waker::noop());
/// let (queue, item) = (WaitQueue::new(), Cell::new(None));
/// let mut wait = pin!(queue.wait_until(|| item.take()));
/// assert!(wait.as_mut().poll(&mut context).is_pending());
/// item.set(Some(5));
/// assert!(queue.wake_one());
/// assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(5));
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct WaitUntil<'a, F> {
    queue: &'a WaitQueue,
    node: Node,
    /// Whether the node has been in the queue, and may have something.
    joined: bool,
    condition: F,
}

impl<T, F: FnMut() -> Option<T>> Future for WaitUntil<'_, F> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // SAFETY: the node is not moved; nothing else of it is pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let node = &raw const this.node;
        let mut found = (this.condition)();
        if found.is_none() {
            this.joined = true;
            // SAFETY: the node is ours, used with this queue only, and pinned
            // with the future, whose drop takes it out.
            let fresh = unsafe { this.queue.join(node, context.waker().clone()) };
            if fresh {
                found = (this.condition)();
            }
        }
        let Some(value) = found else {
            return Poll::Pending;
        };
        if this.joined {
            this.joined = false;
            // SAFETY: as above.
            unsafe { this.queue.leave(node, true) };
        }
        Poll::Ready(value)
    }
}

impl<F> Drop for WaitUntil<'_, F> {
    fn drop(&mut self) {
        if self.joined {
            // SAFETY: the node is ours, and used with this queue only.
            unsafe { self.queue.leave(&raw const self.node, false) };
        }
    }
}

impl<F> fmt::Debug for WaitUntil<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WaitUntil")
    }
}
