//! Why a message was not sent or not received.
//!
//! Every error of a send gives the message back. None of them asks anything of
//! the message's type, so `expect` works on a channel of anything.

use core::error::Error;
use core::fmt;

/// The channel is closed; here is the message that was not sent.
///
/// ```
/// use ochre_sync::channel::{SendError, host};
///
/// let (sender, receiver) = host::unbounded();
/// drop(receiver);
/// let error = sender.send("lost?").expect_err("nobody receives");
/// assert_eq!(error.into_inner(), "lost?");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a message could not be sent at once.
///
/// ```
/// use ochre_sync::channel::{TrySendError, host};
///
/// let (sender, receiver) = host::bounded(1);
/// assert_eq!(sender.try_send(1), Ok(()));
/// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
/// drop(receiver);
/// assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room for it now (or, in an unbounded channel, no memory).
    Full(T),
    /// The channel is closed: nobody will ever receive it.
    Closed(T),
}

/// Why a message was not sent in time.
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::channel::{SendTimeoutError, host};
///
/// let (sender, receiver) = host::rendezvous();
/// let soon = Duration::from_millis(1);
/// assert_eq!(sender.send_timeout(1, soon), Err(SendTimeoutError::Timeout(1)));
/// drop(receiver);
/// assert_eq!(sender.send_timeout(1, soon), Err(SendTimeoutError::Closed(1)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// There was no room until the time was over.
    Timeout(T),
    /// The channel is closed: nobody will ever receive it.
    Closed(T),
}

/// The channel is closed and empty: no message will ever come.
///
/// ```
/// use ochre_sync::channel::{RecvError, host};
///
/// let (sender, receiver) = host::unbounded();
/// assert!(sender.send(1).is_ok());
/// drop(sender);
/// assert_eq!(receiver.recv(), Ok(1)); // what was sent before is not lost
/// assert_eq!(receiver.recv(), Err(RecvError));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// Why there is no message at once.
///
/// ```
/// use ochre_sync::channel::{TryRecvError, host};
///
/// let (sender, receiver) = host::unbounded::<u32>();
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// drop(sender);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is none now.
    Empty,
    /// The channel is closed and empty: none will ever come.
    Closed,
}

/// Why no message came in time.
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::channel::{RecvTimeoutError, host};
///
/// let (sender, receiver) = host::unbounded::<u32>();
/// let soon = Duration::from_millis(1);
/// assert_eq!(receiver.recv_timeout(soon), Err(RecvTimeoutError::Timeout));
/// drop(sender);
/// assert_eq!(receiver.recv_timeout(soon), Err(RecvTimeoutError::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// None came until the time was over.
    Timeout,
    /// The channel is closed and empty: none will ever come.
    Closed,
}

impl<T> SendError<T> {
    /// The message.
    ///
    /// ```
    /// use ochre_sync::channel::{SendError, host};
    ///
    /// let (sender, receiver) = host::unbounded();
    /// drop(receiver);
    /// let sent = sender.send(vec![1, 2]).map_err(SendError::into_inner);
    /// assert_eq!(sent, Err(vec![1, 2])); // not lost
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The message.
    ///
    /// ```
    /// use ochre_sync::channel::host;
    ///
    /// let (full, _nobody) = host::rendezvous();
    /// let (other, receiver) = host::bounded(1);
    /// if let Err(error) = full.try_send("a job") {
    ///     assert_eq!(other.try_send(error.into_inner()), Ok(()));
    /// }
    /// assert_eq!(receiver.recv(), Ok("a job"));
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(message) | TrySendError::Closed(message) => message,
        }
    }
}

impl<T> SendTimeoutError<T> {
    /// The message.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, _nobody) = host::rendezvous();
    /// let error = sender.send_timeout("a job", Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.into_inner(), "a job");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(message) | SendTimeoutError::Closed(message) => message,
        }
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(message): SendError<T>) -> TrySendError<T> {
        TrySendError::Closed(message)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(RecvError: RecvError) -> TryRecvError {
        TryRecvError::Closed
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendTimeoutError::Timeout(_) => "Timeout(..)",
            SendTimeoutError::Closed(_) => "Closed(..)",
        })
    }
}

const CLOSED_TO_SENDERS: &str = "sending on a closed channel";
const CLOSED_TO_RECEIVERS: &str = "receiving on a closed and empty channel";

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED_TO_SENDERS)
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "sending on a full channel",
            TrySendError::Closed(_) => CLOSED_TO_SENDERS,
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendTimeoutError::Timeout(_) => "timed out waiting for room in a channel",
            SendTimeoutError::Closed(_) => CLOSED_TO_SENDERS,
        })
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED_TO_RECEIVERS)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "receiving on an empty channel",
            TryRecvError::Closed => CLOSED_TO_RECEIVERS,
        })
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecvTimeoutError::Timeout => "timed out waiting for a message",
            RecvTimeoutError::Closed => CLOSED_TO_RECEIVERS,
        })
    }
}

impl<T> Error for SendError<T> {}
impl<T> Error for TrySendError<T> {}
impl<T> Error for SendTimeoutError<T> {}
impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}
