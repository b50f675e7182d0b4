//! The two halves of a one-shot channel, which borrow it or own it together.

#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};
use core::time::Duration;

use super::slot::Slot;
use crate::blocking::Blocking;
use crate::channel::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use crate::maybe_const;

/// A channel for one message in a place of one's own: on a stack, in a struct.
///
/// Nothing is allocated. It can be split again when the halves are gone.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::channel::oneshot;
///
/// let mut channel = oneshot::Channel::<_, Futex>::new();
/// for round in 0..3 {
///     let (sender, receiver) = channel.split();
///     std::thread::scope(|scope| {
///         scope.spawn(move || sender.send(round));
///         assert_eq!(receiver.recv(), Ok(round));
///     });
/// }
/// ```
pub struct Channel<T, B: Blocking> {
    slot: Slot<T, B>,
}

impl<T, B: Blocking> Channel<T, B> {
    maybe_const! {
        /// A channel that is not split.
        ///
        /// ```
        /// use ochre_sync::blocking::Futex;
        /// use ochre_sync::channel::oneshot::Channel;
        ///
        /// let mut channel: Channel<u32, Futex> = Channel::new(); // all of it, on this stack
        /// let (sender, receiver) = channel.split();
        /// assert_eq!(sender.send(1), Ok(()));
        /// assert_eq!(receiver.recv(), Ok(1));
        /// ```
        #[must_use]
        pub fn new() -> Channel<T, B> {
            Channel { slot: Slot::new() }
        }
    }

    /// Two halves. What former halves left is dropped, even if they were forgotten.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::channel::oneshot::Channel;
    ///
    /// let mut channel = Channel::<_, Futex>::new();
    /// {
    ///     let (sender, _receiver) = channel.split();
    ///     assert!(sender.send("nobody reads it").is_ok());
    /// }
    /// let (_sender, receiver) = channel.split();
    /// assert!(!receiver.is_ready(), "it begins again");
    /// ```
    pub fn split(&mut self) -> (Sender<'_, T, B>, Receiver<'_, T, B>) {
        *self = Channel::new();
        let slot = NonNull::from(&self.slot);
        (
            Sender {
                slot,
                on_heap: false,
                borrow: PhantomData,
            },
            Receiver {
                slot,
                on_heap: false,
                borrow: PhantomData,
            },
        )
    }
}

/// A channel for one message whose halves own it together, in one allocation.
///
/// ```
/// use ochre_sync::blocking::Spin;
/// use ochre_sync::channel::oneshot;
///
/// let (sender, mut receiver) = oneshot::channel::<_, Spin>();
/// assert!(!receiver.is_ready());
/// sender.send(7)?;
/// assert_eq!(receiver.try_recv(), Ok(7));
/// # Ok::<(), ochre_sync::channel::SendError<i32>>(())
/// ```
#[cfg(feature = "alloc")]
#[must_use]
pub fn channel<T, B: Blocking>() -> (Sender<'static, T, B>, Receiver<'static, T, B>) {
    let slot = NonNull::from(Box::leak(Box::new(Slot::new())));
    (
        Sender {
            slot,
            on_heap: true,
            borrow: PhantomData,
        },
        Receiver {
            slot,
            on_heap: true,
            borrow: PhantomData,
        },
    )
}

/// Frees a channel that is on the heap.
///
/// # Safety
/// If it is on the heap it came from `channel`, and neither half uses it any more.
unsafe fn free<T, B>(slot: NonNull<Slot<T, B>>, on_heap: bool) {
    #[cfg(feature = "alloc")]
    if on_heap {
        // SAFETY: the caller says that it came from a box and is unused.
        drop(unsafe { Box::from_raw(slot.as_ptr()) });
    }
    #[cfg(not(feature = "alloc"))]
    let _ = (slot, on_heap);
}

/// The half that sends, once.
///
/// Dropped without having sent, it tells the receiver that nothing will come.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::channel::{RecvError, SendError, oneshot};
///
/// let (sender, receiver) = oneshot::channel::<u32, Futex>();
/// drop(receiver);
/// assert_eq!(sender.send(1), Err(SendError(1)));
///
/// let (sender, receiver) = oneshot::channel::<u32, Futex>();
/// drop(sender);
/// assert_eq!(receiver.recv(), Err(RecvError));
/// ```
pub struct Sender<'a, T, B: Blocking> {
    slot: NonNull<Slot<T, B>>,
    on_heap: bool,
    borrow: PhantomData<&'a ()>,
}

// SAFETY: the halves share the slot, through which a `Send` message moves.
unsafe impl<T: Send, B: Blocking> Send for Sender<'_, T, B> {}
// SAFETY: through a reference it only looks at the state.
unsafe impl<T: Send, B: Blocking> Sync for Sender<'_, T, B> {}

impl<T, B: Blocking> Sender<'_, T, B> {
    fn slot(&self) -> &Slot<T, B> {
        // SAFETY: borrowed for longer than this half, or freed by the last half.
        unsafe { self.slot.as_ref() }
    }

    /// Sends the message. It happens before the receive.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::channel::{SendError, oneshot};
    ///
    /// let (sender, receiver) = oneshot::channel::<_, Futex>();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || sender.send("an answer"));
    ///     assert_eq!(receiver.recv(), Ok("an answer"));
    /// });
    ///
    /// let (sender, receiver) = oneshot::channel::<_, Futex>();
    /// drop(receiver);
    /// assert_eq!(sender.send("too late"), Err(SendError("too late")));
    /// ```
    ///
    /// # Errors
    /// Gives the message back if the receiver is gone.
    pub fn send(self, message: T) -> Result<(), SendError<T>> {
        let (slot, on_heap) = (self.slot, self.on_heap);
        core::mem::forget(self);
        // SAFETY: the only sender is used up by this.
        let sent = unsafe { Slot::send(slot, message) };
        sent.map_err(|message| {
            // SAFETY: the receiver is gone, and the sender has done.
            unsafe { free(slot, on_heap) };
            SendError(message)
        })
    }

    /// Whether the receiver is gone, so that sending is of no use.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::channel::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel::<u32, Futex>();
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed(), "there is no need to work it out");
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.slot().is_gone()
    }
}

impl<T, B: Blocking> Drop for Sender<'_, T, B> {
    fn drop(&mut self) {
        // SAFETY: the only sender goes.
        let received = unsafe { Slot::close(self.slot) };
        if !received {
            // SAFETY: the receiver is gone, and the sender has done.
            unsafe { free(self.slot, self.on_heap) };
        }
    }
}

/// The half that receives, once: by sleeping, by looking, or as a future.
///
/// # Cancel safety
/// As a future, it can be polled through `&mut`, and asked again later; nothing
/// is lost before it is dropped.
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::channel::{RecvTimeoutError, TryRecvError, oneshot};
///
/// let (sender, mut receiver) = oneshot::channel::<u32, Futex>();
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// let soon = Duration::from_millis(1);
/// assert_eq!(receiver.recv_timeout(soon), Err(RecvTimeoutError::Timeout));
/// assert_eq!(sender.send(1), Ok(()));
/// assert!(receiver.is_ready());
/// assert_eq!(receiver.receive(), 1);
/// ```
pub struct Receiver<'a, T, B: Blocking> {
    slot: NonNull<Slot<T, B>>,
    on_heap: bool,
    borrow: PhantomData<&'a ()>,
}

// SAFETY: the halves share the slot, through which a `Send` message moves.
unsafe impl<T: Send, B: Blocking> Send for Receiver<'_, T, B> {}
// SAFETY: through a reference it only looks at the state.
unsafe impl<T: Send, B: Blocking> Sync for Receiver<'_, T, B> {}

impl<T, B: Blocking> Receiver<'_, T, B> {
    fn slot(&self) -> &Slot<T, B> {
        // SAFETY: borrowed for longer than this half, or freed by the last half.
        unsafe { self.slot.as_ref() }
    }

    /// Whether a message is there: then [`receive`](Receiver::receive) does not panic.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::channel::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel::<_, Futex>();
    /// assert!(!receiver.is_ready());
    /// assert!(sender.send(1).is_ok());
    /// assert!(receiver.is_ready());
    /// ```
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.slot().is_ready()
    }

    /// The message, which is there.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::channel::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel::<_, Futex>();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || sender.send(7));
    /// });
    /// assert_eq!(receiver.receive(), 7); // the thread has ended: it is there
    /// ```
    ///
    /// # Panics
    /// If it is not.
    #[must_use]
    pub fn receive(mut self) -> T {
        let Ok(message) = self.try_recv() else {
            panic!("no message available!");
        };
        message
    }

    /// The message, if it is there.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::channel::{TryRecvError, oneshot};
    ///
    /// let (sender, mut receiver) = oneshot::channel::<_, Futex>();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// assert!(sender.send(1).is_ok());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    ///
    /// # Errors
    /// If it is not there, or will not come, or was taken.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.slot().try_recv()
    }

    /// Sleeps until the message is there.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::channel::{RecvError, oneshot};
    ///
    /// let (sender, receiver) = oneshot::channel::<u32, Futex>();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || drop(sender)); // it has failed
    ///     assert_eq!(receiver.recv(), Err(RecvError));
    /// });
    /// ```
    ///
    /// # Errors
    /// If the sender was dropped instead.
    pub fn recv(self) -> Result<T, RecvError> {
        self.slot().recv(None).map_err(|_| RecvError)
    }

    /// Sleeps until the message is there, but not longer than `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::channel::{RecvTimeoutError, oneshot};
    ///
    /// let (sender, mut receiver) = oneshot::channel::<_, Futex>();
    /// let patience = Duration::from_millis(1);
    /// assert_eq!(receiver.recv_timeout(patience), Err(RecvTimeoutError::Timeout));
    /// assert!(sender.send(1).is_ok());
    /// assert_eq!(receiver.recv_timeout(patience), Ok(1));
    /// ```
    ///
    /// # Errors
    /// If the time was over, or the sender was dropped, or the message was taken.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.slot().recv(B::after(timeout))
    }
}

impl<T, B: Blocking> Future for Receiver<'_, T, B> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.slot().poll(context)
    }
}

impl<T, B: Blocking> Drop for Receiver<'_, T, B> {
    fn drop(&mut self) {
        // SAFETY: the only receiver goes.
        let sender_is_done = unsafe { Slot::leave(self.slot) };
        if sender_is_done {
            // SAFETY: so is the receiver.
            unsafe { free(self.slot, self.on_heap) };
        }
    }
}

impl<T, B: Blocking> Default for Channel<T, B> {
    fn default() -> Channel<T, B> {
        Channel::new()
    }
}

impl<T, B: Blocking> fmt::Debug for Channel<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("oneshot::Channel")
    }
}

impl<T, B: Blocking> fmt::Debug for Sender<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("oneshot::Sender")
    }
}

impl<T, B: Blocking> fmt::Debug for Receiver<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("oneshot::Receiver")
    }
}
