//! Waiting for the first of several operations.
//!
//! An operation is made by [`Sender::sending`](super::Sender::sending) or
//! [`Receiver::receiving`](super::Receiver::receiving), and keeps its result.
//! [`wait`] tries them all, beginning with another one each time; if none is
//! possible it enlists a node for each at its channel, all with one signal, and
//! sleeps. The channel that wins the signal has the next turn: its operation is
//! tried first, so a wake-up is never dropped for another channel's message.
//!
//! ```
//! use core::time::Duration;
//! use ochre_sync::channel::{host, select};
//!
//! let (work, worker) = host::bounded(1);
//! let (stop, stopped) = host::bounded::<()>(0);
//! work.send("a job")?;
//!
//! let mut job = worker.receiving();
//! let mut end = stopped.receiving();
//! match select::wait(&mut [&mut job, &mut end]) {
//!     0 => assert_eq!(job.take(), Some(Ok("a job"))),
//!     _ => unreachable!("nobody said stop"),
//! }
//!
//! // Nothing more happens: not now, and not soon.
//! assert_eq!(select::try_now(&mut [&mut job, &mut end]), None);
//! let soon = Duration::from_millis(1);
//! assert_eq!(select::wait_timeout(&mut [&mut job, &mut end], soon), None);
//!
//! // A closed channel is an event too.
//! drop(stop);
//! assert_eq!(select::wait(&mut [&mut job, &mut end]), 1);
//! assert!(end.take().is_some_and(|result| result.is_err()));
//! # Ok::<(), ochre_sync::channel::SendError<&str>>(())
//! ```

use core::fmt;
use core::time::Duration;

use super::shared::{Half, Side};
use super::wait::{Node, Signal, Ticket};
use super::{RecvError, SendError, TryRecvError, TrySendError};
use crate::blocking::Blocking;
use crate::primitive::UnsafeCell;

mod sealed {
    pub trait Sealed {}
}

/// What a select gives its operations; only this module can make one, so only it
/// can call them.
///
/// ```compile_fail,E0451
/// use ochre_sync::channel::select::Turn;
///
/// let turn = Turn { signal: unimplemented(), case: 0 };
/// # fn unimplemented<T>() -> T { panic!() }
/// ```
pub struct Turn<'a> {
    signal: &'a Signal,
    case: u32,
}

/// Something that a select can wait for: a [`Sending`] or a [`Receiving`].
///
/// The methods are the select's.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::channel::{host, select};
///
/// let (sender, receiver) = host::bounded(1);
/// let (mut send, mut receive) = (sender.sending(1), receiver.receiving());
/// // Of different types, in one list.
/// let operations: &mut [&mut dyn select::Operation<Futex>] = &mut [&mut receive, &mut send];
/// assert_eq!(select::wait(operations), 1);
/// ```
pub trait Operation<B: Blocking>: sealed::Sealed {
    /// Does it if that is possible at once, or has been done.
    #[doc(hidden)]
    fn attempt(&self, turn: &Turn<'_>) -> bool;

    /// Enlists at the channel. True if the select should look again.
    ///
    /// # Safety
    /// The operation stays where it is until `withdraw`.
    #[doc(hidden)]
    unsafe fn enlist(&self, turn: &Turn<'_>) -> bool;

    /// Leaves the channel's queue.
    #[doc(hidden)]
    fn withdraw(&self, turn: &Turn<'_>);
}

/// A receive that a select can choose.
///
/// It can be used again after its result was taken.
///
/// ```
/// use ochre_sync::channel::{host, select};
///
/// let (sender, receiver) = host::unbounded();
/// sender.send(1)?;
/// let mut receive = receiver.receiving();
/// assert_eq!(select::wait(&mut [&mut receive]), 0);
/// assert_eq!(receive.take(), Some(Ok(1)));
/// assert_eq!(receive.take(), None);
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
pub struct Receiving<'a, T, B: Blocking> {
    half: &'a Half<T, B>,
    node: Node,
    packet: UnsafeCell<Option<T>>,
    closed: UnsafeCell<bool>,
}

impl<'a, T, B: Blocking> Receiving<'a, T, B> {
    pub(super) fn new(half: &'a Half<T, B>) -> Receiving<'a, T, B> {
        Receiving {
            half,
            node: Node::new(),
            packet: UnsafeCell::new(None),
            closed: UnsafeCell::new(false),
        }
    }

    /// What was received, if the select chose this.
    ///
    /// ```
    /// use ochre_sync::channel::{host, select};
    ///
    /// let (sender, receiver) = host::unbounded();
    /// let mut receive = receiver.receiving();
    /// assert_eq!(receive.take(), None, "it was not chosen");
    /// assert!(sender.send(1).is_ok() && sender.send(2).is_ok());
    /// for message in [1, 2] {
    ///     assert_eq!(select::wait(&mut [&mut receive]), 0);
    ///     assert_eq!(receive.take(), Some(Ok(message)));
    /// }
    /// ```
    pub fn take(&mut self) -> Option<Result<T, RecvError>> {
        if let Some(message) = self.packet.get_mut().take() {
            return Some(Ok(message));
        }
        core::mem::take(self.closed.get_mut()).then_some(Err(RecvError))
    }
}

impl<T, B: Blocking> sealed::Sealed for Receiving<'_, T, B> {}

impl<T, B: Blocking> Operation<B> for Receiving<'_, T, B> {
    fn attempt(&self, _turn: &Turn<'_>) -> bool {
        // SAFETY: it is not enlisted now, and this type is not `Sync`.
        if self.packet.with(|packet| unsafe { (*packet).is_some() }) {
            return true;
        }
        match self.half.try_recv() {
            Ok(message) => {
                // SAFETY: as above.
                self.packet
                    .with_mut(|packet| unsafe { *packet = Some(message) });
                true
            }
            Err(TryRecvError::Closed) => {
                // SAFETY: only this thread has it: this type is not `Sync`.
                self.closed.with_mut(|closed| unsafe { *closed = true });
                true
            }
            Err(TryRecvError::Empty) => false,
        }
    }

    unsafe fn enlist(&self, turn: &Turn<'_>) -> bool {
        let ticket = Ticket {
            signal: turn.signal,
            case: turn.case,
            waker: None,
            packet: self.packet.with_mut(<*mut _>::cast),
        };
        // SAFETY: the packet is empty, else the attempt had ended the select; both
        // stay here until `withdraw`: the caller's promise.
        unsafe { self.half.enlist(Side::Receive, &self.node, ticket) }
    }

    fn withdraw(&self, _turn: &Turn<'_>) {
        // SAFETY: it was enlisted there, or nowhere.
        unsafe { self.half.withdraw(Side::Receive, &self.node) };
    }
}

/// A send that a select can choose.
///
/// It sends one message once; when that was done it is never chosen again.
///
/// ```
/// use ochre_sync::channel::{host, select};
///
/// let (sender, receiver) = host::bounded(1);
/// let mut send = sender.sending("a message");
/// assert_eq!(select::wait(&mut [&mut send]), 0);
/// assert_eq!(send.take(), Some(Ok(())));
/// assert_eq!(receiver.recv(), Ok("a message"));
/// ```
pub struct Sending<'a, T, B: Blocking> {
    half: &'a Half<T, B>,
    node: Node,
    packet: UnsafeCell<Option<T>>,
    outcome: UnsafeCell<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Not yet chosen.
    Open,
    /// Chosen, and to be told.
    Sent,
    Closed,
    /// Chosen and told.
    Told,
}

impl<'a, T, B: Blocking> Sending<'a, T, B> {
    pub(super) fn new(half: &'a Half<T, B>, message: T) -> Sending<'a, T, B> {
        Sending {
            half,
            node: Node::new(),
            packet: UnsafeCell::new(Some(message)),
            outcome: UnsafeCell::new(Outcome::Open),
        }
    }

    /// How it went, if the select chose this.
    ///
    /// ```
    /// use ochre_sync::channel::{SendError, host, select};
    ///
    /// let (sender, receiver) = host::bounded(1);
    /// drop(receiver);
    /// let mut send = sender.sending("a message");
    /// // That a send fails is an outcome, too.
    /// assert_eq!(select::wait(&mut [&mut send]), 0);
    /// assert_eq!(send.take(), Some(Err(SendError("a message"))));
    /// assert_eq!(send.take(), None);
    /// ```
    pub fn take(&mut self) -> Option<Result<(), SendError<T>>> {
        match *self.outcome.get_mut() {
            Outcome::Open | Outcome::Told => None,
            Outcome::Sent => {
                *self.outcome.get_mut() = Outcome::Told;
                Some(Ok(()))
            }
            Outcome::Closed => {
                *self.outcome.get_mut() = Outcome::Told;
                let message = self.packet.get_mut().take();
                message.map(|message| Err(SendError(message)))
            }
        }
    }

    /// The message, if it was not sent.
    ///
    /// ```
    /// use ochre_sync::channel::{host, select};
    ///
    /// let (sender, _nobody) = host::rendezvous();
    /// let mut send = sender.sending("a message");
    /// assert_eq!(select::try_now(&mut [&mut send]), None);
    /// assert_eq!(send.into_message(), Some("a message")); // for another time
    /// ```
    pub fn into_message(self) -> Option<T> {
        self.packet.into_inner()
    }

    fn outcome(&self) -> Outcome {
        // SAFETY: only this thread has it: this type is not `Sync`.
        self.outcome.with(|outcome| unsafe { *outcome })
    }

    fn set(&self, new: Outcome) -> bool {
        // SAFETY: as above.
        self.outcome.with_mut(|outcome| unsafe { *outcome = new });
        true
    }
}

impl<T, B: Blocking> sealed::Sealed for Sending<'_, T, B> {}

impl<T, B: Blocking> Operation<B> for Sending<'_, T, B> {
    fn attempt(&self, _turn: &Turn<'_>) -> bool {
        match self.outcome() {
            Outcome::Open => {}
            Outcome::Sent | Outcome::Closed => return true,
            Outcome::Told => return false,
        }
        // SAFETY: it is not enlisted now, and this type is not `Sync`.
        let message = self.packet.with_mut(|packet| unsafe { (*packet).take() });
        let Some(message) = message else {
            // A receiver has taken it.
            return self.set(Outcome::Sent);
        };
        let (back, closed) = match self.half.try_send(message) {
            Ok(()) => return self.set(Outcome::Sent),
            Err(TrySendError::Full(back)) => (back, false),
            Err(TrySendError::Closed(back)) => (back, true),
        };
        // SAFETY: as above.
        self.packet
            .with_mut(|packet| unsafe { *packet = Some(back) });
        closed && self.set(Outcome::Closed)
    }

    unsafe fn enlist(&self, turn: &Turn<'_>) -> bool {
        if self.outcome() == Outcome::Told {
            return false;
        }
        let ticket = Ticket {
            signal: turn.signal,
            case: turn.case,
            waker: None,
            packet: self.packet.with_mut(<*mut _>::cast),
        };
        // SAFETY: the packet is full, else the attempt had ended the select; both
        // stay here until `withdraw`: the caller's promise.
        unsafe { self.half.enlist(Side::Send, &self.node, ticket) }
    }

    fn withdraw(&self, _turn: &Turn<'_>) {
        // SAFETY: it was enlisted there, or nowhere.
        unsafe { self.half.withdraw(Side::Send, &self.node) };
    }
}

/// Waits until one of the operations is done; gives its index.
///
/// ```
/// use ochre_sync::channel::{host, select};
///
/// let (sender, receiver) = host::unbounded::<u32>();
/// let (_other, quiet) = host::unbounded::<u32>();
/// sender.send(1)?;
/// let (mut one, mut two) = (quiet.receiving(), receiver.receiving());
/// assert_eq!(select::wait(&mut [&mut one, &mut two]), 1);
/// assert_eq!(two.take(), Some(Ok(1)));
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
///
/// # Panics
/// If there is no operation, or more than `u32` can count.
pub fn wait<B: Blocking>(operations: &mut [&mut dyn Operation<B>]) -> usize {
    loop {
        if let Some(chosen) = run(operations, Patience::Endless) {
            return chosen;
        }
    }
}

/// As [`wait`], but not longer than `timeout`.
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::channel::{host, select};
///
/// let (_sender, receiver) = host::unbounded::<u32>();
/// let mut receive = receiver.receiving();
/// let soon = Duration::from_millis(1);
/// assert_eq!(select::wait_timeout(&mut [&mut receive], soon), None);
/// ```
///
/// # Panics
/// As [`wait`].
pub fn wait_timeout<B: Blocking>(
    operations: &mut [&mut dyn Operation<B>],
    timeout: Duration,
) -> Option<usize> {
    match B::after(timeout) {
        Some(deadline) => run(operations, Patience::Until(deadline)),
        None => Some(wait(operations)),
    }
}

/// Does one of the operations if one is possible now.
///
/// ```
/// use ochre_sync::channel::{host, select};
///
/// let (sender, receiver) = host::unbounded();
/// let mut receive = receiver.receiving();
/// assert_eq!(select::try_now(&mut [&mut receive]), None);
/// sender.send(1)?;
/// assert_eq!(select::try_now(&mut [&mut receive]), Some(0));
/// assert_eq!(receive.take(), Some(Ok(1)));
/// # Ok::<(), ochre_sync::channel::SendError<u32>>(())
/// ```
///
/// # Panics
/// As [`wait`].
pub fn try_now<B: Blocking>(operations: &mut [&mut dyn Operation<B>]) -> Option<usize> {
    run(operations, Patience::None)
}

enum Patience<I> {
    None,
    Until(I),
    Endless,
}

/// Where to begin: another place each time, so that no operation is always
/// second.
fn start(count: usize) -> usize {
    #[cfg(not(loom))]
    {
        use crate::primitive::atomic::{AtomicUsize, Ordering};
        static TURN: AtomicUsize = AtomicUsize::new(0);
        // ORDERING: Relaxed, and not even one step: any number will do.
        let turn = TURN.load(Ordering::Relaxed);
        TURN.store(turn.wrapping_add(1), Ordering::Relaxed);
        turn % count
    }
    #[cfg(loom)]
    {
        0 % count
    }
}

/// Operations that are withdrawn when this is dropped, be it by a panic.
struct Enlisted<'a, 'b, B: Blocking> {
    operations: &'a [&'b mut dyn Operation<B>],
    signal: &'a Signal,
}

impl<B: Blocking> Drop for Enlisted<'_, '_, B> {
    fn drop(&mut self) {
        let turn = Turn {
            signal: self.signal,
            case: 0,
        };
        for operation in self.operations {
            operation.withdraw(&turn);
        }
    }
}

fn run<B: Blocking>(
    operations: &mut [&mut dyn Operation<B>],
    patience: Patience<B::Instant>,
) -> Option<usize> {
    assert!(!operations.is_empty(), "a select needs an operation");
    let count = u32::try_from(operations.len()).expect("a select has at most 2^32 operations");
    let operations: &[&mut dyn Operation<B>] = operations;
    let first = start(operations.len());
    loop {
        let signal = Signal::new();
        let turn = |index: usize| Turn {
            signal: &signal,
            // In range: `count` was checked.
            case: u32::try_from(index).unwrap_or(count),
        };
        let order = (first..operations.len()).chain(0..first);
        for index in order.clone() {
            if operations[index].attempt(&turn(index)) {
                return Some(index);
            }
        }
        let deadline = match patience {
            Patience::None => return None,
            Patience::Until(deadline) => Some(deadline),
            Patience::Endless => None,
        };
        let enlisted = Enlisted {
            operations,
            signal: &signal,
        };
        let again = order.into_iter().any(|index| {
            // SAFETY: the operations are borrowed until `enlisted` withdraws them.
            unsafe { operations[index].enlist(&turn(index)) }
        });
        let woken = if again {
            signal.abort()
        } else {
            signal.wait::<B>(deadline)
        };
        drop(enlisted);
        match woken {
            // It has the first turn: the wake-up is for it alone.
            Some(case) => {
                let index = usize::try_from(case).unwrap_or(usize::MAX);
                let operation = operations.get(index)?;
                if operation.attempt(&turn(index)) {
                    return Some(index);
                }
            }
            None if again => {}
            None => {
                let mut all = 0..operations.len();
                return all.find(|index| operations[*index].attempt(&turn(*index)));
            }
        }
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

impl<T, B: Blocking> fmt::Debug for Receiving<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiving")
    }
}

impl<T, B: Blocking> fmt::Debug for Sending<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}
