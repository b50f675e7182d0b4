//! Channels for threads and tasks of a Linux program: those that sleep in futexes.
//!
//! ```
//! use ochre_sync::channel::host;
//!
//! let (sender, receiver) = host::unbounded();
//! assert!(sender.send("hello").is_ok());
//! assert_eq!(receiver.recv(), Ok("hello"));
//! ```

use crate::blocking::Futex;

pub use super::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

/// The half that sends.
///
/// ```
/// use ochre_sync::channel::host::{self, Sender};
///
/// fn work(results: Sender<u32>) {
///     let _ = results.send(1); // nobody may be waiting any more
/// }
///
/// let (sender, receiver) = host::unbounded();
/// work(sender);
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
pub type Sender<T> = super::Sender<T, Futex>;

/// The half that receives.
///
/// ```
/// use ochre_sync::channel::host::{self, Receiver};
///
/// fn sum(numbers: Receiver<u32>) -> u32 {
///     numbers.into_iter().sum()
/// }
///
/// let (sender, receiver) = host::unbounded();
/// assert!(sender.send(1).is_ok() && sender.send(2).is_ok());
/// drop(sender);
/// assert_eq!(sum(receiver), 3);
/// ```
pub type Receiver<T> = super::Receiver<T, Futex>;

/// See [`bounded`](super::bounded).
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, receiver) = host::bounded(1);
/// assert!(sender.send(1).is_ok());
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
///
/// # Panics
/// If the capacity is beyond a quarter of the address space.
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    super::bounded(capacity)
}

/// See [`rendezvous`](super::rendezvous).
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, receiver) = host::rendezvous();
/// std::thread::scope(|scope| {
///     scope.spawn(|| sender.send(1));
///     assert_eq!(receiver.recv(), Ok(1));
/// });
/// ```
#[must_use]
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    super::rendezvous()
}

/// See [`unbounded`](super::unbounded).
///
/// ```
/// use ochre_sync::channel::host;
///
/// let (sender, receiver) = host::unbounded();
/// assert!(sender.send(1).is_ok());
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    super::unbounded()
}

/// Channels with one receiver.
pub mod mpsc {
    use super::{Futex, Sender};

    /// The only half that receives.
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc::{self, Receiver};
    ///
    /// fn sum(mut numbers: Receiver<u32>) -> u32 {
    ///     numbers.iter().sum()
    /// }
    ///
    /// let (sender, receiver) = mpsc::unbounded();
    /// assert!(sender.send(1).is_ok() && sender.send(2).is_ok());
    /// drop(sender);
    /// assert_eq!(sum(receiver), 3);
    /// ```
    pub type Receiver<T> = crate::channel::mpsc::Receiver<T, Futex>;

    /// See [`mpsc::bounded`](crate::channel::mpsc::bounded).
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::bounded(1);
    /// assert!(sender.send(1).is_ok());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    ///
    /// # Panics
    /// If the capacity is beyond a quarter of the address space.
    #[must_use]
    pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        crate::channel::mpsc::bounded(capacity)
    }

    /// See [`mpsc::unbounded`](crate::channel::mpsc::unbounded).
    ///
    /// ```
    /// use ochre_sync::channel::host::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// assert!(sender.send(1).is_ok());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    #[must_use]
    pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        crate::channel::mpsc::unbounded()
    }
}
