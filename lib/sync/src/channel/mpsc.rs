//! Channels of many senders and one receiver.
//!
//! The senders are those of any channel. The receiver cannot be cloned, and
//! receives through `&mut self`: so only one receive goes on at a time, and an
//! unbounded channel needs no compare-exchange and no count for it.
//!
//! ```
//! use ochre_sync::channel::host::mpsc;
//!
//! let (sender, mut receiver) = mpsc::unbounded();
//! std::thread::scope(|scope| {
//!     for number in 1..=3 {
//!         let sender = sender.clone();
//!         scope.spawn(move || sender.send(number));
//!     }
//!     drop(sender);
//!     assert_eq!(receiver.iter().sum::<u32>(), 6);
//! });
//! ```
//!
//! There is one receiver:
//! ```compile_fail,E0599
//! let (_sender, receiver) = ochre_sync::channel::host::mpsc::unbounded::<u32>();
//! let _second = receiver.clone();
//! ```
//! and one receive at a time:
//! ```compile_fail,E0499
//! let (_sender, mut receiver) = ochre_sync::channel::host::mpsc::unbounded::<u32>();
//! let first = receiver.recv_async();
//! let second = receiver.recv_async();
//! drop(first);
//! ```

use core::fmt;
use core::time::Duration;

use super::future::RecvFuture;
use super::list::List;
use super::mpmc;
use super::select::Receiving;
use super::shared::Flavor;
use super::{RecvError, RecvTimeoutError, Sender, TryRecvError};
use crate::blocking::Blocking;

/// As [`bounded`](super::bounded), with one receiver.
///
/// ```
/// use ochre_sync::blocking::Spin;
/// use ochre_sync::channel::mpsc;
///
/// let (sender, mut receiver) = mpsc::bounded::<_, Spin>(1);
/// sender.send(1)?;
/// assert_eq!(receiver.recv(), Ok(1));
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
///
/// # Panics
/// If the capacity is beyond a quarter of the address space.
#[must_use]
pub fn bounded<T, B: Blocking>(capacity: usize) -> (Sender<T, B>, Receiver<T, B>) {
    let (sender, receiver) = mpmc::bounded(capacity);
    (sender, Receiver { receiver })
}

/// As [`unbounded`](super::unbounded), with one receiver.
///
/// ```
/// use ochre_sync::blocking::Spin;
/// use ochre_sync::channel::mpsc;
///
/// let (sender, mut receiver) = mpsc::unbounded::<_, Spin>();
/// sender.send(1)?;
/// assert_eq!(receiver.recv(), Ok(1));
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
#[must_use]
pub fn unbounded<T, B: Blocking>() -> (Sender<T, B>, Receiver<T, B>) {
    // SAFETY: all receives are through the only `Receiver`, which has them by
    // `&mut self`, and gives its inner receiver to nobody.
    let list = unsafe { List::new(true) };
    let (sender, receiver) = mpmc::halves(Flavor::List(list));
    (sender, Receiver { receiver })
}

/// The only half that receives.
///
/// When it is dropped the channel closes: what is left in it is dropped, and
/// senders get their messages back with an error.
///
/// ```
/// use ochre_sync::channel::{TryRecvError, host};
///
/// let (sender, mut receiver) = host::mpsc::unbounded();
/// let other = sender.clone();
/// sender.send(1)?;
/// other.send(2)?;
/// assert_eq!((receiver.len(), receiver.recv()), (2, Ok(1)));
/// drop((sender, other));
/// assert_eq!(receiver.try_recv(), Ok(2));
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
pub struct Receiver<T, B: Blocking> {
    receiver: mpmc::Receiver<T, B>,
}

impl<T, B: Blocking> Receiver<T, B> {
    /// Receives, sleeping while the channel is empty.
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// std::thread::scope(|scope| {
    ///     for number in 1..4 {
    ///         let sender = sender.clone();
    ///         scope.spawn(move || sender.send(number));
    ///     }
    ///     let sum: Result<u32, _> = (1..4).map(|_| receiver.recv()).sum();
    ///     assert_eq!(sum, Ok(6));
    /// });
    /// ```
    ///
    /// # Errors
    /// If the channel is closed and empty.
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.receiver.recv()
    }

    /// Receives if there is a message now.
    ///
    /// ```
    /// use ochre_sync::channel::{TryRecvError, host::mpsc};
    ///
    /// let (sender, mut receiver) = mpsc::bounded(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// assert!(sender.send("a packet").is_ok());
    /// assert_eq!(receiver.try_recv(), Ok("a packet"));
    /// ```
    ///
    /// # Errors
    /// If there is no message, or the channel is closed and empty.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.receiver.try_recv()
    }

    /// Receives, sleeping while the channel is empty, but not longer than `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::channel::{RecvTimeoutError, host::mpsc};
    ///
    /// let (sender, mut receiver) = mpsc::bounded::<u32>(1);
    /// let patience = Duration::from_millis(1);
    /// assert_eq!(receiver.recv_timeout(patience), Err(RecvTimeoutError::Timeout));
    /// drop(sender);
    /// assert_eq!(receiver.recv_timeout(patience), Err(RecvTimeoutError::Closed));
    /// ```
    ///
    /// # Errors
    /// If no message came, or the channel is closed and empty.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.receiver.recv_timeout(timeout)
    }

    /// Receives in a task, once or as a stream.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Poll, Waker};
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// let mut message = pin!(receiver.recv_async());
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(message.as_mut().poll(&mut context).is_pending());
    /// assert!(sender.send(1).is_ok());
    /// assert_eq!(message.as_mut().poll(&mut context), Poll::Ready(Ok(1)));
    /// ```
    pub fn recv_async(&mut self) -> RecvFuture<'_, T, B> {
        self.receiver.recv_async()
    }

    /// A receive that a [`select`](super::select) can choose.
    ///
    /// ```
    /// use ochre_sync::channel::{host::mpsc, select};
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// let (stop, mut stopped) = mpsc::unbounded::<()>();
    /// drop(stop);
    /// let (mut message, mut end) = (receiver.receiving(), stopped.receiving());
    /// // That a channel is closed is something to choose, too.
    /// assert_eq!(select::wait(&mut [&mut message, &mut end]), 1);
    /// assert!(end.take().is_some_and(|result| result.is_err()));
    /// # drop(sender.send(1));
    /// ```
    pub fn receiving(&mut self) -> Receiving<'_, T, B> {
        self.receiver.receiving()
    }

    /// Receives until the channel is closed and empty.
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// std::thread::scope(|scope| {
    ///     for part in ["a", "b"] {
    ///         let sender = sender.clone();
    ///         scope.spawn(move || sender.send(part));
    ///     }
    ///     drop(sender); // the threads have theirs
    ///     assert_eq!(receiver.iter().count(), 2);
    /// });
    /// ```
    pub fn iter(&mut self) -> Iter<'_, T, B> {
        Iter { receiver: self }
    }

    /// Receives until there is no message.
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// assert!((0..3).all(|number| sender.send(number).is_ok()));
    /// // All that has come meanwhile, in one go.
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    /// ```
    pub fn try_iter(&mut self) -> TryIter<'_, T, B> {
        TryIter { receiver: self }
    }

    /// Closes the channel: sends fail, receives get what is in it. False if it
    /// was closed.
    ///
    /// ```
    /// use ochre_sync::channel::{SendError, host::mpsc};
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// assert!(sender.send(1).is_ok() && receiver.close());
    /// assert_eq!(sender.send(2), Err(SendError(2)));
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    pub fn close(&self) -> bool {
        self.receiver.close()
    }

    /// Whether it is closed; messages may be in it still.
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, receiver) = mpsc::unbounded::<u32>();
    /// let other = sender.clone();
    /// drop(sender);
    /// assert!(!receiver.is_closed());
    /// drop(other);
    /// assert!(receiver.is_closed(), "the last one is gone");
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.receiver.is_closed()
    }

    /// How many messages are in it, at some moment.
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, receiver) = mpsc::bounded(4);
    /// assert!(sender.send(1).is_ok() && sender.send(2).is_ok());
    /// assert_eq!(receiver.len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Whether no message is in it, at some moment.
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, receiver) = mpsc::bounded(4);
    /// assert!(receiver.is_empty() && sender.send(1).is_ok());
    /// assert!(!receiver.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// How many messages it has room for; nothing if there is no limit.
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// assert_eq!(mpsc::bounded::<u32>(4).1.capacity(), Some(4));
    /// assert_eq!(mpsc::unbounded::<u32>().1.capacity(), None);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.receiver.capacity()
    }
}

/// The messages of a channel until it is closed; see [`Receiver::iter`].
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, mut receiver) = host::mpsc::unbounded();
/// sender.send(1)?;
/// sender.send(2)?;
/// drop(sender); // else it waits for more
/// assert_eq!(receiver.iter().sum::<u32>(), 3);
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
pub struct Iter<'a, T, B: Blocking> {
    receiver: &'a mut Receiver<T, B>,
}

/// The messages that are in a channel; see [`Receiver::try_iter`].
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, mut receiver) = host::mpsc::unbounded();
/// sender.send(1)?;
/// sender.send(2)?;
/// assert_eq!(receiver.try_iter().sum::<u32>(), 3);
/// assert_eq!(receiver.try_iter().next(), None); // and does not wait for more
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
pub struct TryIter<'a, T, B: Blocking> {
    receiver: &'a mut Receiver<T, B>,
}

/// The messages of a channel until it is closed, with the receiver in it.
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, receiver) = host::mpsc::unbounded();
/// sender.send(1)?;
/// sender.send(2)?;
/// drop(sender); // else it waits for more
/// let numbers: Vec<u32> = receiver.into_iter().collect();
/// assert_eq!(numbers, [1, 2]);
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
pub struct IntoIter<T, B: Blocking> {
    receiver: Receiver<T, B>,
}

impl<T, B: Blocking> Iterator for Iter<'_, T, B> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T, B: Blocking> Iterator for TryIter<'_, T, B> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T, B: Blocking> Iterator for IntoIter<T, B> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<'a, T, B: Blocking> IntoIterator for &'a mut Receiver<T, B> {
    type Item = T;
    type IntoIter = Iter<'a, T, B>;
    fn into_iter(self) -> Iter<'a, T, B> {
        self.iter()
    }
}

impl<T, B: Blocking> IntoIterator for Receiver<T, B> {
    type Item = T;
    type IntoIter = IntoIter<T, B>;
    fn into_iter(self) -> IntoIter<T, B> {
        IntoIter { receiver: self }
    }
}

impl<T, B: Blocking> fmt::Debug for Receiver<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

impl<T, B: Blocking> fmt::Debug for Iter<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter")
    }
}

impl<T, B: Blocking> fmt::Debug for TryIter<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryIter")
    }
}

impl<T, B: Blocking> fmt::Debug for IntoIter<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntoIter")
    }
}
