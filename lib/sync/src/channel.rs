//! Channels: messages from thread to thread and from task to task.
//!
//! | channel | room | senders, receivers |
//! | --- | --- | --- |
//! | [`bounded`] | a fixed number | many, many |
//! | [`unbounded`] | as much as there is memory | many, many |
//! | [`rendezvous`] | none: from hand to hand | many, many |
//! | [`mpsc::bounded`], [`mpsc::unbounded`] | as above | many, one |
//! | [`oneshot`] | one message, once | one, one |
//!
//! A half blocks (`send`, `recv`), does not (`try_send`, `try_recv`), waits for a
//! while (`send_timeout`, `recv_timeout`) or waits in a task (`send_async`,
//! `recv_async`); halves of one channel may do so differently. [`select`]
//! waits for several channels.
//!
//! A send happens before the receive of its message, and whatever was done
//! before a channel was closed happens before a receive that finds it closed.
//! Messages of one sender to one receiver come in their order.
//!
//! ```
//! use ochre_sync::channel::host; // those that sleep in Linux's futexes
//!
//! let (sender, receiver) = host::bounded(2);
//! std::thread::scope(|scope| {
//!     scope.spawn(move || {
//!         for number in 0..10 {
//!             sender.send(number).expect("somebody receives");
//!         }
//!     });
//!     assert_eq!(receiver.iter().sum::<u32>(), 45);
//! });
//! ```

mod error;
#[cfg(feature = "alloc")]
mod future;
#[cfg(feature = "alloc")]
mod list;
#[cfg(feature = "alloc")]
mod mpmc;
#[cfg(feature = "alloc")]
pub mod mpsc;
pub mod oneshot;
mod place;
#[cfg(feature = "alloc")]
mod ring;
#[cfg(feature = "alloc")]
pub mod select;
#[cfg(feature = "alloc")]
mod shared;
#[cfg(feature = "alloc")]
mod wait;
#[cfg(feature = "alloc")]
mod zero;

#[cfg(all(feature = "std", target_os = "linux", not(loom), not(shuttle)))]
pub mod host;

pub use error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
#[cfg(feature = "alloc")]
pub use future::{RecvFuture, SendFuture};
#[cfg(feature = "alloc")]
pub use mpmc::{IntoIter, Iter, Receiver, Sender, TryIter, bounded, rendezvous, unbounded};

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom), not(shuttle)))]
mod tests;
