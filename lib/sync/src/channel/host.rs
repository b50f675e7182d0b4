//! Channels for threads and tasks of a Linux program: those that sleep in futexes.

use crate::blocking::Futex;

pub use super::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

/// The half that sends.
pub type Sender<T> = super::Sender<T, Futex>;

/// The half that receives.
pub type Receiver<T> = super::Receiver<T, Futex>;

/// See [`bounded`](super::bounded).
///
/// # Panics
/// If the capacity is beyond a quarter of the address space.
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    super::bounded(capacity)
}

/// See [`rendezvous`](super::rendezvous).
#[must_use]
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    super::rendezvous()
}

/// See [`unbounded`](super::unbounded).
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    super::unbounded()
}

/// Channels with one receiver.
pub mod mpsc {
    use super::{Futex, Sender};

    /// The only half that receives.
    pub type Receiver<T> = crate::channel::mpsc::Receiver<T, Futex>;

    /// See [`mpsc::bounded`](crate::channel::mpsc::bounded).
    ///
    /// # Panics
    /// If the capacity is beyond a quarter of the address space.
    #[must_use]
    pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        crate::channel::mpsc::bounded(capacity)
    }

    /// See [`mpsc::unbounded`](crate::channel::mpsc::unbounded).
    #[must_use]
    pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        crate::channel::mpsc::unbounded()
    }
}
