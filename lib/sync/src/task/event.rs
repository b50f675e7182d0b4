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
        ///
        /// ```
        /// use ochre_sync::task::Event;
        ///
        /// static DISK_READY: Event = Event::new();
        /// assert!(!DISK_READY.is_set());
        /// ```
        #[must_use]
        pub fn new() -> Event {
            Event {
                set: AtomicBool::new(false),
                queue: WaitQueue::new(),
            }
        }
    }

    /// It has happened: whoever waits goes on, and whoever comes need not wait.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Waker};
    /// use ochre_sync::task::Event;
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let stop = Event::new();
    /// let (mut one, mut two) = (pin!(stop.happened()), pin!(stop.happened()));
    /// assert!(one.as_mut().poll(&mut context).is_pending());
    /// assert!(two.as_mut().poll(&mut context).is_pending());
    /// stop.set(); // tells both, and whoever asks later
    /// assert!(one.poll(&mut context).is_ready() && two.poll(&mut context).is_ready());
    /// assert!(pin!(stop.happened()).poll(&mut context).is_ready());
    /// ```
    pub fn set(&self) {
        // ORDERING: Release pairs with the Acquire of `is_set`.
        self.set.store(true, Ordering::Release);
        self.queue.wake_all();
    }

    /// It has not happened, from now on. Who was waiting when it had, and has not
    /// been polled since, goes on waiting.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Waker};
    /// use ochre_sync::task::Event;
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let carrier = Event::new();
    /// carrier.set();
    /// assert!(pin!(carrier.happened()).poll(&mut context).is_ready());
    /// carrier.reset(); // the cable is out
    /// assert!(pin!(carrier.happened()).poll(&mut context).is_pending());
    /// ```
    pub fn reset(&self) {
        // ORDERING: Relaxed; nothing follows from its not having happened.
        self.set.store(false, Ordering::Relaxed);
    }

    /// Whether it has happened.
    ///
    /// ```
    /// use ochre_sync::task::Event;
    ///
    /// let event = Event::new();
    /// event.set();
    /// event.set();
    /// assert!(event.is_set(), "it has happened, however often");
    /// event.reset();
    /// assert!(!event.is_set());
    /// ```
    #[must_use]
    pub fn is_set(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `set`.
        self.set.load(Ordering::Acquire)
    }

    /// Waits until it has happened.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Waker};
    /// use ochre_sync::task::Event;
    ///
    /// async fn serve(stop: &Event) -> &'static str {
    ///     stop.happened().await;
    ///     "stopped"
    /// }
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let stop = Event::new();
    /// let mut server = pin!(serve(&stop));
    /// assert!(server.as_mut().poll(&mut context).is_pending());
    /// stop.set();
    /// assert!(server.as_mut().poll(&mut context).is_ready());
    /// ```
    ///
    /// # Cancel safety
    /// It may be dropped at any time.
    pub async fn happened(&self) {
        self.queue.wait_until(|| self.is_set().then_some(())).await;
    }
}
