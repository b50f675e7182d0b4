//! Locks and queues for tasks: who waits is a future that is not polled.
//!
//! | | what |
//! | --- | --- |
//! | [`Mutex`] | one task at a time, also across awaits |
//! | [`Semaphore`] | so many at a time |
//! | [`WaitQueue`] | until a condition holds that others change and announce |
//! | [`Event`] | until something has happened |
//!
//! # No memory
//! A waiter's place in the queue is a node inside its own future, which is pinned
//! while it waits and takes itself out when it is dropped. So waiting never fails
//! and never allocates, and neither does waking.
//!
//! # Fair
//! First come, first served, and what is given back is given to the first waiter
//! directly: nobody who comes later is faster.
//!
//! # Cancel safety
//! Every future here may be dropped at any time. If it has been given something
//! that it has not yet handed out (a permit, a wake-up that was meant for one),
//! it passes that on.
//!
//! # Nodes
//! | state | in the queue | changed by |
//! | --- | --- | --- |
//! | `Idle` | no | the future: first poll, to `Waiting` |
//! | `Waiting` | yes | who gives, to `Given`; the future's drop |
//! | `Given` | no | the future: it is ready, or waits again |
//! | `Told` | no | as `Given`, but all were told: there is nothing to pass on |
//!
//! All of it under the spin lock of the queue. Wakers are called, cloned and
//! dropped without it: they may do anything, also come back here.
//!
//! ```
//! use core::future::Future;
//! use core::pin::pin;
//! use core::task::{Context, Waker};
//! use ochre_sync::task::{Event, Mutex};
//!
//! static LOG: Mutex<Vec<&str>> = Mutex::new(Vec::new());
//! static READY: Event = Event::new();
//!
//! let mut task = pin!(async {
//!     READY.happened().await;
//!     LOG.lock().await.push("it was ready");
//! });
//! let mut context = Context::from_waker(Waker::noop()); // of an executor
//! assert!(task.as_mut().poll(&mut context).is_pending());
//! READY.set();
//! assert!(task.as_mut().poll(&mut context).is_ready());
//! ```

mod event;
mod mutex;
mod queue;
mod semaphore;
mod wait_queue;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub use event::Event;
pub use mutex::{Lock, Mutex, MutexGuard};
pub use semaphore::{Acquire, Permit, Semaphore};
pub use wait_queue::{WaitQueue, WaitUntil};
