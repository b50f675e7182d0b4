//! Something that happens, once or until it is taken back.
//!
//! A [`WaitQueue`] and a flag. The flag is set before the queue is woken, and read
//! by a waiter after it stands in the queue.

use super::wait_queue::WaitQueue;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicBool, Ordering};

/// A flag that tasks wait for.
///
/// ```
/// # use core::task::{Context, Poll, Waker};
/// # use core::future::Future;
/// use ochre_sync::task::Event;
///
/// static READY: Event = Event::new();
///
/// async fn run() {
///     READY.happened().await;
/// }
/// # let mut run = core::pin::pin!(run());
/// # let mut context = Context::from_waker(Waker::noop());
/// # assert!(run.as_mut().poll(&mut context).is_pending());
///
/// READY.set();
/// # assert!(run.as_mut().poll(&mut context).is_ready());
/// assert!(READY.is_set());
/// ```
#[derive(Debug, Default)]
pub struct Event {
    set: AtomicBool,
    queue: WaitQueue,
}

impl Event {
    maybe_const! {
        /// An event that has not happened.
        #[must_use]
        pub fn new() -> Event {
            Event {
                set: AtomicBool::new(false),
                queue: WaitQueue::new(),
            }
        }
    }

    /// It has happened: whoever waits goes on, and whoever comes need not wait.
    pub fn set(&self) {
        // ORDERING: Release pairs with the Acquire of `is_set`.
        self.set.store(true, Ordering::Release);
        self.queue.wake_all();
    }

    /// It has not happened, from now on. Who was waiting when it had, and has not
    /// been polled since, goes on waiting.
    pub fn reset(&self) {
        // ORDERING: Relaxed; nothing follows from its not having happened.
        self.set.store(false, Ordering::Relaxed);
    }

    /// Whether it has happened.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `set`.
        self.set.load(Ordering::Acquire)
    }

    /// Waits until it has happened.
    ///
    /// # Cancel safety
    /// It may be dropped at any time.
    pub async fn happened(&self) {
        self.queue.wait_until(|| self.is_set().then_some(())).await;
    }
}
