//! Sending and receiving in tasks.
//!
//! Each future holds the node with which it waits, so polling allocates nothing,
//! and a future that waits is pinned. Its states:
//!
//! | `enlisted` | node in the queue | then |
//! | --- | --- | --- |
//! | no | no | a poll tries, and enlists if it has to wait |
//! | yes | yes | nothing happened: a poll leaves its waker |
//! | yes | no | woken: a poll tries again; a drop passes the wake-up on |
//!
//! # Cancel safety
//! A message is taken by the poll that returns it and by nothing else, so a
//! dropped receive loses none. A dropped send has either not begun to send, and
//! then the message is dropped with the future (or taken out before, see
//! [`SendFuture::cancel`]), or a receiver of a rendezvous has it already.

use core::fmt;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll};

use super::shared::{Half, Side};
use super::wait::{Node, Signal, Ticket};
use super::{RecvError, SendError, TryRecvError, TrySendError};
use crate::blocking::Blocking;
use crate::primitive::UnsafeCell;

/// A task's place in a queue.
struct Waiter {
    signal: Signal,
    node: Node,
    enlisted: bool,
    _pinned: PhantomPinned,
}

impl Waiter {
    fn new() -> Waiter {
        Waiter {
            signal: Signal::new(),
            node: Node::new(),
            enlisted: false,
            _pinned: PhantomPinned,
        }
    }

    /// Whether it waits, and nothing has happened.
    fn still_waits<T, B: Blocking>(
        &mut self,
        half: &Half<T, B>,
        side: Side,
        context: &Context<'_>,
    ) -> bool {
        // SAFETY: the node is enlisted there, or nowhere.
        self.enlisted = self.enlisted && unsafe { half.refresh(side, &self.node, context.waker()) };
        self.enlisted
    }

    /// Enlists. False if the operation should be tried again.
    ///
    /// # Safety
    /// It is pinned, as the packet is, which is as [`Flavor::enlist`] wants it;
    /// its owner calls `leave` before it goes.
    ///
    /// [`Flavor::enlist`]: super::shared::Flavor::enlist
    unsafe fn enlist<T, B: Blocking>(
        &mut self,
        half: &Half<T, B>,
        side: Side,
        context: &Context<'_>,
        packet: *mut (),
    ) -> bool {
        self.signal.reset();
        self.enlisted = true;
        let ticket = Ticket {
            signal: &self.signal,
            case: 0,
            waker: Some(context.waker().clone()),
            packet,
        };
        // SAFETY: the node was in no queue; the rest is the caller's promise.
        if unsafe { half.enlist(side, &self.node, ticket) } {
            self.leave(half, side);
        }
        self.enlisted
    }

    /// Leaves the queue; true if it had been woken.
    fn leave<T, B: Blocking>(&mut self, half: &Half<T, B>, side: Side) -> bool {
        let enlisted = core::mem::replace(&mut self.enlisted, false);
        // SAFETY: the node was enlisted there.
        enlisted && !unsafe { half.withdraw(side, &self.node) }
    }
}

/// Waits for room and sends; made by [`Sender::send_async`](super::Sender::send_async).
///
/// # Cancel safety
/// See [`cancel`](SendFuture::cancel): dropped before it is ready, it has not
/// sent its message, except by a rendezvous in which the receiver has it.
///
/// ```
/// use core::future::Future;
/// use core::pin::pin;
/// use core::task::{Context, Poll, Waker};
/// use ochre_sync::channel::{SendError, host};
///
/// let (sender, receiver) = host::bounded::<u32>(1);
/// let mut future = pin!(sender.send_async(1));
/// let mut context = Context::from_waker(Waker::noop());
/// assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok(())));
/// # drop(receiver.try_recv());
/// # Ok::<(), SendError<u32>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, T, B: Blocking> {
    half: &'a Half<T, B>,
    message: UnsafeCell<Option<T>>,
    waiter: Waiter,
}

impl<'a, T, B: Blocking> SendFuture<'a, T, B> {
    pub(super) fn new(half: &'a Half<T, B>, message: T) -> SendFuture<'a, T, B> {
        SendFuture {
            half,
            message: UnsafeCell::new(Some(message)),
            waiter: Waiter::new(),
        }
    }

    /// Stops sending and gives the message back; nothing if it was sent.
    ///
    /// ```
    /// use core::pin::pin;
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::bounded(1);
    /// let mut sending = pin!(sender.send_async("news"));
    /// assert_eq!(sending.as_mut().cancel(), Some("news"));
    /// assert!(receiver.is_empty());
    /// ```
    pub fn cancel(self: Pin<&mut Self>) -> Option<T> {
        // SAFETY: the waiter stays where it is; the message is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        this.withdraw();
        this.message.get_mut().take()
    }

    fn withdraw(&mut self) {
        if self.waiter.leave(self.half, Side::Send) {
            // The room that we were woken for is for another.
            self.half.pass_on(Side::Send);
        }
    }
}

impl<T, B: Blocking> Future for SendFuture<'_, T, B> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    /// If it is polled after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the waiter stays where it is; the message is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let waited = this.waiter.enlisted;
        if this.waiter.still_waits(this.half, Side::Send, context) {
            return Poll::Pending;
        }
        let message = this.message.get_mut().take();
        let Some(mut message) = message else {
            // A receiver has taken it out of the future.
            assert!(waited, "a future was polled after it was ready");
            return Poll::Ready(Ok(()));
        };
        loop {
            match this.half.try_send(message) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(TrySendError::Closed(back)) => return Poll::Ready(Err(SendError(back))),
                Err(TrySendError::Full(back)) => *this.message.get_mut() = Some(back),
            }
            let packet = this.message.with_mut(<*mut _>::cast);
            // SAFETY: the future is pinned, and leaves the queue when it is dropped;
            // the message is there and is left alone while the waiter is enlisted.
            if unsafe { this.waiter.enlist(this.half, Side::Send, context, packet) } {
                return Poll::Pending;
            }
            match this.message.get_mut().take() {
                None => return Poll::Ready(Ok(())),
                Some(back) => message = back,
            }
        }
    }
}

impl<T, B: Blocking> Drop for SendFuture<'_, T, B> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Waits for messages; made by [`Receiver::recv_async`](super::Receiver::recv_async).
///
/// It is a future for one message, and can be asked for more: as a future after
/// it was ready, or with [`poll_recv`](RecvFuture::poll_recv) and
/// [`next`](RecvFuture::next), it goes on with the next message.
///
/// # Cancel safety
/// Dropped at any time, it loses no message, and a wake-up that came to it goes
/// to another receiver.
///
/// ```
/// use core::future::Future;
/// use core::pin::pin;
/// use core::task::{Context, Poll, Waker};
/// use ochre_sync::channel::{SendError, host};
///
/// let (sender, receiver) = host::bounded::<u32>(1);
/// sender.send(1)?;
/// let mut future = pin!(receiver.recv_async());
/// let mut context = Context::from_waker(Waker::noop());
/// assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok(1)));
/// # Ok::<(), SendError<u32>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, T, B: Blocking> {
    half: &'a Half<T, B>,
    waiter: Waiter,
}

impl<'a, T, B: Blocking> RecvFuture<'a, T, B> {
    pub(super) fn new(half: &'a Half<T, B>) -> RecvFuture<'a, T, B> {
        RecvFuture {
            half,
            waiter: Waiter::new(),
        }
    }

    /// The next message if there is one; else the task is woken when there is.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Poll, Waker};
    /// use ochre_sync::channel::{RecvError, host};
    ///
    /// let (sender, receiver) = host::unbounded();
    /// let mut messages = pin!(receiver.recv_async());
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert_eq!(messages.as_mut().poll_recv(&mut context), Poll::Pending);
    /// assert_eq!(sender.send(1), Ok(()));
    /// assert_eq!(messages.as_mut().poll_recv(&mut context), Poll::Ready(Ok(1)));
    /// drop(sender);
    /// assert_eq!(messages.as_mut().poll_recv(&mut context), Poll::Ready(Err(RecvError)));
    /// ```
    pub fn poll_recv(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        // SAFETY: the waiter stays where it is.
        let this = unsafe { self.get_unchecked_mut() };
        if this.waiter.still_waits(this.half, Side::Receive, context) {
            return Poll::Pending;
        }
        loop {
            match this.half.try_recv() {
                Ok(message) => return Poll::Ready(Ok(message)),
                Err(TryRecvError::Closed) => return Poll::Ready(Err(RecvError)),
                Err(TryRecvError::Empty) => {}
            }
            let packet = ptr::null_mut();
            // SAFETY: the future is pinned, and leaves the queue when it is dropped.
            if unsafe {
                this.waiter
                    .enlist(this.half, Side::Receive, context, packet)
            } {
                return Poll::Pending;
            }
        }
    }

    /// The next message, as a stream gives it: nothing when the channel is
    /// closed and empty.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Poll, Waker};
    /// use ochre_sync::channel::host;
    ///
    /// let (sender, receiver) = host::unbounded();
    /// let mut messages = pin!(receiver.recv_async());
    /// assert!(sender.send(1).is_ok());
    /// drop(sender);
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert_eq!(messages.as_mut().poll_next(&mut context), Poll::Ready(Some(1)));
    /// assert_eq!(messages.as_mut().poll_next(&mut context), Poll::Ready(None));
    /// ```
    pub fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(context).map(Result::ok)
    }

    /// Waits for the next message without making a new future.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Poll, Waker};
    /// use ochre_sync::channel::{RecvError, host};
    ///
    /// async fn sum_of_two(receiver: host::Receiver<u32>) -> Result<u32, RecvError> {
    ///     let mut messages = pin!(receiver.recv_async());
    ///     Ok(messages.as_mut().next().await? + messages.as_mut().next().await?)
    /// }
    ///
    /// let (sender, receiver) = host::unbounded();
    /// assert!(sender.send(1).is_ok() && sender.send(2).is_ok());
    /// let sum = pin!(sum_of_two(receiver));
    /// assert_eq!(sum.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(3)));
    /// ```
    ///
    /// # Errors
    /// If the channel is closed and empty.
    pub async fn next(mut self: Pin<&mut Self>) -> Result<T, RecvError> {
        core::future::poll_fn(|context| self.as_mut().poll_recv(context)).await
    }
}

impl<T, B: Blocking> Future for RecvFuture<'_, T, B> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_recv(context)
    }
}

impl<T, B: Blocking> Drop for RecvFuture<'_, T, B> {
    fn drop(&mut self) {
        if self.waiter.leave(self.half, Side::Receive) {
            // The message that we were woken for is for another.
            self.half.pass_on(Side::Receive);
        }
    }
}

impl<T, B: Blocking> fmt::Debug for SendFuture<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendFuture")
    }
}

impl<T, B: Blocking> fmt::Debug for RecvFuture<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecvFuture")
    }
}
