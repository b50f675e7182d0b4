//! The halves of a channel of many senders and many receivers, and their iterators.

use core::fmt;
use core::time::Duration;

use super::future::{RecvFuture, SendFuture};
use super::list::List;
use super::ring::Ring;
use super::select::{Receiving, Sending};
use super::shared::{Flavor, Half};
use super::zero::Zero;
use super::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use crate::blocking::Blocking;

/// A channel with room for `capacity` messages; of capacity 0, a rendezvous.
///
/// `B` says how a half sleeps that has to wait: see
/// [`host::bounded`](super::host::bounded) for threads of the host.
///
/// ```
/// use ochre_sync::blocking::Spin;
/// use ochre_sync::channel::{self, TrySendError};
///
/// let (sender, receiver) = channel::bounded::<_, Spin>(1);
/// sender.try_send('a')?;
/// assert_eq!(sender.try_send('b'), Err(TrySendError::Full('b')));
/// assert_eq!(receiver.try_recv(), Ok('a'));
/// # Ok::<(), TrySendError<char>>(())
/// ```
///
/// # Panics
/// If the capacity is beyond a quarter of the address space.
#[must_use]
pub fn bounded<T, B: Blocking>(capacity: usize) -> (Sender<T, B>, Receiver<T, B>) {
    halves(if capacity == 0 {
        Flavor::Zero(Zero::new())
    } else {
        Flavor::Ring(Ring::new(capacity))
    })
}

/// A channel in which a message hands itself over: a send ends when a receive
/// has taken its message. The same as [`bounded`] of 0.
///
/// ```
/// use ochre_sync::channel::host::{self, TrySendError};
///
/// let (sender, receiver) = host::rendezvous();
/// assert_eq!(sender.try_send("nobody is there"), Err(TrySendError::Full("nobody is there")));
/// std::thread::scope(|scope| {
///     scope.spawn(|| sender.send("hello"));
///     assert_eq!(receiver.recv(), Ok("hello"));
/// });
/// ```
#[must_use]
pub fn rendezvous<T, B: Blocking>() -> (Sender<T, B>, Receiver<T, B>) {
    halves(Flavor::Zero(Zero::new()))
}

/// A channel with room for every message, as long as there is memory.
///
/// ```
/// use ochre_sync::blocking::Spin;
/// use ochre_sync::channel;
///
/// let (sender, receiver) = channel::unbounded::<_, Spin>();
/// for number in 0..1_000 {
///     sender.send(number)?;
/// }
/// drop(sender);
/// assert_eq!(receiver.iter().sum::<u32>(), 499_500);
/// # Ok::<(), channel::SendError<u32>>(())
/// ```
#[must_use]
pub fn unbounded<T, B: Blocking>() -> (Sender<T, B>, Receiver<T, B>) {
    // SAFETY: this list is not single.
    halves(Flavor::List(unsafe { List::new(false) }))
}

/// The two halves around a queue.
pub(super) fn halves<T, B: Blocking>(flavor: Flavor<T, B>) -> (Sender<T, B>, Receiver<T, B>) {
    let (sender, receiver) = Half::pair(flavor);
    (Sender { half: sender }, Receiver { half: receiver })
}

/// The half that sends. Clones send to the same channel.
///
/// When the last one is dropped the channel closes: receivers get what is left
/// in it, and then an error.
///
/// ```
/// use ochre_sync::channel::{SendError, host};
///
/// let (sender, receiver) = host::bounded(2);
/// let other = sender.clone();
/// assert!(sender.send(1).is_ok() && other.send(2).is_ok());
/// drop(receiver);
/// assert_eq!(sender.send(3), Err(SendError(3)));
/// ```
pub struct Sender<T, B: Blocking> {
    pub(super) half: Half<T, B>,
}

/// The half that receives. Clones receive from the same channel: each message
/// goes to one of them.
///
/// When the last one is dropped the channel closes: what is left in it is
/// dropped, and senders get their messages back with an error.
///
/// ```
/// use ochre_sync::channel::{RecvError, host};
///
/// let (sender, receiver) = host::unbounded();
/// let other = receiver.clone();
/// assert!(sender.send(1).is_ok() && sender.send(2).is_ok());
/// drop(sender);
/// assert_eq!((receiver.recv(), other.recv()), (Ok(1), Ok(2)));
/// assert_eq!(receiver.recv(), Err(RecvError));
/// ```
pub struct Receiver<T, B: Blocking> {
    pub(super) half: Half<T, B>,
}

impl<T, B: Blocking> Sender<T, B> {
    /// Sends, sleeping while the channel is full.
    ///
    /// What was done before happens before the receive of the message.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::bounded(1);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         for number in 0..3 {
    ///             // Sleeps while there is one that nobody has received.
    ///             sender.send(number).expect("somebody receives");
    ///         }
    ///     });
    ///     assert_eq!([(); 3].map(|()| receiver.recv()), [Ok(0), Ok(1), Ok(2)]);
    /// });
    /// ```
    ///
    /// # Errors
    /// Gives the message back if the channel is closed.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.half
            .send(message, None)
            .map_err(|error| SendError(error.into_inner()))
    }

    /// Sends if there is room now.
    ///
    /// It may spin for as long as another thread needs to finish an operation
    /// that it has begun, but never sleeps.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (log, reader) = host::bounded(1);
    /// let mut lost = 0;
    /// for line in ["one", "two", "three"] {
    ///     // Who logs does not wait for who reads.
    ///     lost += usize::from(log.try_send(line).is_err());
    /// }
    /// assert_eq!((reader.recv(), lost), (Ok("one"), 2));
    /// ```
    ///
    /// # Errors
    /// Gives the message back if there is no room, or the channel is closed.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.half.try_send(message)
    }

    /// Sends, sleeping while the channel is full, but not longer than `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::channel::host::{self, SendTimeoutError};
    ///
    /// let (sender, receiver) = host::bounded(1);
    /// let patience = Duration::from_millis(1);
    /// assert_eq!(sender.send_timeout(1, patience), Ok(()));
    /// assert_eq!(sender.send_timeout(2, patience), Err(SendTimeoutError::Timeout(2)));
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    ///
    /// # Errors
    /// Gives the message back if there was no room, or the channel is closed.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.half.send(message, B::after(timeout))
    }

    /// Sends in a task: `sender.send_async(message).await`.
    ///
    /// ```
    /// # use ochre_sync::channel::{SendError, host};
    /// async fn twice(sender: host::Sender<u32>) -> Result<(), SendError<u32>> {
    ///     sender.send_async(1).await?;
    ///     sender.send_async(2).await
    /// }
    /// ```
    pub fn send_async(&self, message: T) -> SendFuture<'_, T, B> {
        SendFuture::new(&self.half, message)
    }

    /// A send that a [`select`](super::select) can choose.
    ///
    /// ```
    /// use ochre_sync::channel::{host, select};
    ///
    /// let (busy, _nobody) = host::rendezvous();
    /// let (idle, receiver) = host::bounded(1);
    /// let (mut one, mut two) = (busy.sending(1), idle.sending(2));
    /// // To whoever can take it.
    /// assert_eq!(select::wait(&mut [&mut one, &mut two]), 1);
    /// assert_eq!((two.take(), receiver.recv()), (Some(Ok(())), Ok(2)));
    /// ```
    pub fn sending(&self, message: T) -> Sending<'_, T, B> {
        Sending::new(&self.half, message)
    }

    /// Closes the channel for all: sends fail, receives get what is in it.
    /// False if it was closed.
    ///
    /// ```
    /// use ochre_sync::channel::{SendError, host};
    ///
    /// let (sender, receiver) = host::unbounded();
    /// assert_eq!(sender.send("the last"), Ok(()));
    /// assert!(sender.close() && !sender.close());
    /// assert_eq!(sender.send("too late"), Err(SendError("too late")));
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), ["the last"]);
    /// ```
    pub fn close(&self) -> bool {
        self.half.close()
    }

    /// Whether it is closed.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::unbounded::<u32>();
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed(), "nobody would receive");
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.half.is_closed()
    }

    /// How many messages are in it, at some moment.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, _receiver) = host::bounded(8);
    /// assert!((0..3).all(|job| sender.send(job).is_ok()));
    /// assert_eq!(sender.len(), 3); // so far are the receivers behind
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.half.len()
    }

    /// Whether no message is in it, at some moment.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::bounded(8);
    /// assert!(sender.send(1).is_ok() && !sender.is_empty());
    /// assert!(receiver.recv().is_ok() && sender.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages it has room for; nothing if there is no limit.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// assert_eq!(host::bounded::<u32>(8).0.capacity(), Some(8));
    /// assert_eq!(host::rendezvous::<u32>().0.capacity(), Some(0));
    /// assert_eq!(host::unbounded::<u32>().0.capacity(), None);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.half.capacity()
    }

    /// Whether both send to the same channel.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let ((one, _to_one), (other, _to_other)) = (host::bounded::<u32>(1), host::bounded::<u32>(1));
    /// assert!(one.same_channel(&one.clone()) && !one.same_channel(&other));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T, B>) -> bool {
        self.half.same_channel(&other.half)
    }
}

impl<T, B: Blocking> Receiver<T, B> {
    /// Receives, sleeping while the channel is empty.
    ///
    /// ```
    /// use ochre_sync::channel::{RecvError, host};
    ///
    /// let (sender, receiver) = host::unbounded();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || sender.send("done"));
    ///     assert_eq!(receiver.recv(), Ok("done"));
    ///     assert_eq!(receiver.recv(), Err(RecvError), "the sender went with its thread");
    /// });
    /// ```
    ///
    /// # Errors
    /// If the channel is closed and empty.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.half.recv(None).map_err(|_| RecvError)
    }

    /// Receives if there is a message now.
    ///
    /// It may spin for as long as another thread needs to finish an operation
    /// that it has begun, but never sleeps.
    ///
    /// ```
    /// use ochre_sync::channel::{TryRecvError, host};
    ///
    /// let (keyboard, keys) = host::unbounded();
    /// // A game goes on whether or not a key is pressed.
    /// assert_eq!(keys.try_recv(), Err(TryRecvError::Empty));
    /// assert!(keyboard.send('q').is_ok());
    /// assert_eq!(keys.try_recv(), Ok('q'));
    /// ```
    ///
    /// # Errors
    /// If there is no message, or the channel is closed and empty.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.half.try_recv()
    }

    /// Receives, sleeping while the channel is empty, but not longer than `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::channel::{RecvTimeoutError, host};
    ///
    /// let (sender, receiver) = host::unbounded();
    /// let patience = Duration::from_millis(1);
    /// assert_eq!(receiver.recv_timeout(patience), Err(RecvTimeoutError::Timeout));
    /// assert!(sender.send("an answer").is_ok());
    /// assert_eq!(receiver.recv_timeout(patience), Ok("an answer"));
    /// ```
    ///
    /// # Errors
    /// If no message came, or the channel is closed and empty.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.half.recv(B::after(timeout))
    }

    /// Receives in a task: `receiver.recv_async().await`. The future can also be
    /// polled for one message after another, as a stream.
    ///
    /// ```
    /// # use core::pin::pin;
    /// # use ochre_sync::channel::host;
    /// async fn sum(receiver: host::Receiver<u32>) -> u32 {
    ///     let mut messages = pin!(receiver.recv_async());
    ///     let mut sum = 0;
    ///     while let Ok(number) = messages.as_mut().next().await {
    ///         sum += number;
    ///     }
    ///     sum
    /// }
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T, B> {
        RecvFuture::new(&self.half)
    }

    /// A receive that a [`select`](super::select) can choose.
    ///
    /// ```
    /// use ochre_sync::channel::{host, select};
    ///
    /// let (_quit, quits) = host::unbounded::<()>();
    /// let (key, keys) = host::unbounded();
    /// assert!(key.send('x').is_ok());
    /// let (mut quits, mut keys) = (quits.receiving(), keys.receiving());
    /// // Whichever comes first.
    /// assert_eq!(select::wait(&mut [&mut quits, &mut keys]), 1);
    /// assert_eq!(keys.take(), Some(Ok('x')));
    /// ```
    pub fn receiving(&self) -> Receiving<'_, T, B> {
        Receiving::new(&self.half)
    }

    /// Receives until the channel is closed and empty.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::unbounded();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || (1..4).all(|number| sender.send(number).is_ok()));
    ///     // Ends when the sender is gone.
    ///     assert_eq!(receiver.iter().product::<u32>(), 6);
    /// });
    /// ```
    pub fn iter(&self) -> Iter<'_, T, B> {
        Iter { receiver: self }
    }

    /// Receives until there is no message.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::unbounded();
    /// assert!(sender.send(1).is_ok() && sender.send(2).is_ok());
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// assert!(sender.send(3).is_ok(), "it is open still");
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T, B> {
        TryIter { receiver: self }
    }

    /// Closes the channel for all: sends fail, receives get what is in it.
    /// False if it was closed.
    ///
    /// ```
    /// use ochre_sync::channel::{SendError, host};
    ///
    /// let (sender, receiver) = host::unbounded();
    /// assert_eq!(sender.send(1), Ok(()));
    /// // No more work, but what was begun is done.
    /// assert!(receiver.close());
    /// assert_eq!(sender.send(2), Err(SendError(2)));
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
    /// ```
    pub fn close(&self) -> bool {
        self.half.close()
    }

    /// Whether it is closed; messages may be in it still.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::unbounded();
    /// assert!(sender.send(1).is_ok());
    /// drop(sender);
    /// assert!(receiver.is_closed() && !receiver.is_empty());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.half.is_closed()
    }

    /// How many messages are in it, at some moment.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::unbounded();
    /// assert!((0..100).all(|job| sender.send(job).is_ok()));
    /// assert_eq!(receiver.len(), 100);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.half.len()
    }

    /// Whether no message is in it, at some moment.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::unbounded();
    /// assert!(receiver.is_empty());
    /// assert!(sender.send(1).is_ok() && !receiver.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages it has room for; nothing if there is no limit.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::bounded(2);
    /// while sender.try_send(0).is_ok() {}
    /// assert_eq!(Some(receiver.len()), receiver.capacity());
    /// ```
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.half.capacity()
    }

    /// Whether both receive from the same channel.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let ((_to_one, one), (_to_other, other)) = (host::bounded::<u32>(1), host::bounded::<u32>(1));
    /// assert!(one.same_channel(&one.clone()) && !one.same_channel(&other));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T, B>) -> bool {
        self.half.same_channel(&other.half)
    }
}

impl<T, B: Blocking> Clone for Sender<T, B> {
    /// # Panics
    /// If there are more than half of what `usize` can count.
    fn clone(&self) -> Sender<T, B> {
        Sender {
            half: self.half.clone(),
        }
    }
}

impl<T, B: Blocking> Clone for Receiver<T, B> {
    /// # Panics
    /// If there are more than half of what `usize` can count.
    fn clone(&self) -> Receiver<T, B> {
        Receiver {
            half: self.half.clone(),
        }
    }
}

impl<T, B: Blocking> fmt::Debug for Sender<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T, B: Blocking> fmt::Debug for Receiver<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

/// The messages of a channel until it is closed; see [`Receiver::iter`].
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, receiver) = host::unbounded();
/// sender.send(1)?;
/// sender.send(2)?;
/// drop(sender); // else it waits for more
/// assert_eq!(receiver.iter().sum::<u32>(), 3);
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
pub struct Iter<'a, T, B: Blocking> {
    receiver: &'a Receiver<T, B>,
}

/// The messages that are in a channel; see [`Receiver::try_iter`].
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, receiver) = host::unbounded();
/// sender.send(1)?;
/// sender.send(2)?;
/// assert_eq!(receiver.try_iter().sum::<u32>(), 3);
/// assert_eq!(receiver.try_iter().next(), None); // and does not wait for more
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
pub struct TryIter<'a, T, B: Blocking> {
    receiver: &'a Receiver<T, B>,
}

/// The messages of a channel until it is closed, with the receiver in it.
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, receiver) = host::unbounded();
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

impl<'a, T, B: Blocking> IntoIterator for &'a Receiver<T, B> {
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
