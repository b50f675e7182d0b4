//! What both halves of a channel hold: its queue, and the counts of halves.
//!
//! # Life
//! `senders` and `receivers` count halves. The last half of a side closes the
//! channel, and the last receiver throws away what is left in it (a message may
//! own what somebody waits for). Then the side sets `half_gone`; the side that
//! finds it set frees the whole.
//!
//! # How one waits, whatever the queue
//! Try; enlist; if that says so, withdraw and try again; else sleep until woken,
//! withdraw, and try again. A rendezvous may have done the operation in the
//! meantime: then the packet is empty (send) or full (receive). Who withdraws
//! and finds that it had been woken has to try once more, or wake another in
//! its place: the wake-up was for the message or the room that is there.

use alloc::boxed::Box;
use core::ops::Deref;
use core::ptr::NonNull;
use core::task::Waker;

use super::list::List;
use super::ring::Ring;
use super::wait::{Node, Signal, Ticket};
use super::zero::Zero;
use super::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use crate::backoff::Backoff;
use crate::blocking::Blocking;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A channel's queue.
pub(super) enum Flavor<T, B> {
    Ring(Ring<T, B>),
    List(List<T, B>),
    Zero(Zero<T, B>),
}

/// Which side of the channel an operation is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Send,
    Receive,
}

impl<T, B: Blocking> Flavor<T, B> {
    #[inline]
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self {
            Flavor::Ring(ring) => ring.try_send(message),
            Flavor::List(list) => list.try_send(message),
            Flavor::Zero(zero) => zero.try_send(message),
        }
    }

    #[inline]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self {
            Flavor::Ring(ring) => ring.try_recv(),
            Flavor::List(list) => list.try_recv(),
            Flavor::Zero(zero) => zero.try_recv(),
        }
    }

    /// Enlists a waiter. True if it should look again instead of sleeping.
    ///
    /// # Safety
    /// The node is in no queue, belongs to the caller, and stays where it is
    /// until `withdraw` for it. So does the ticket's packet: an `Option<T>`, full
    /// to send, and empty (or null) to receive.
    pub(super) unsafe fn enlist(&self, side: Side, node: &Node, ticket: Ticket<'_>) -> bool {
        match (self, side) {
            // SAFETY: the caller's promise is what it asks for.
            (Flavor::Ring(ring), Side::Send) => unsafe { ring.await_room(node, ticket) },
            // SAFETY: as above.
            (Flavor::Ring(ring), Side::Receive) => unsafe { ring.await_message(node, ticket) },
            (Flavor::List(list), Side::Send) => list.await_room(),
            // SAFETY: as above.
            (Flavor::List(list), Side::Receive) => unsafe { list.await_message(node, ticket) },
            // SAFETY: as above.
            (Flavor::Zero(zero), Side::Send) => unsafe { zero.await_room(node, ticket) },
            // SAFETY: as above.
            (Flavor::Zero(zero), Side::Receive) => unsafe { zero.await_message(node, ticket) },
        }
    }

    /// Takes a waiter out; false if it had been woken before.
    ///
    /// # Safety
    /// The node was enlisted here on this side, if anywhere.
    pub(super) unsafe fn withdraw(&self, side: Side, node: &Node) -> bool {
        match (self, side) {
            // SAFETY: the caller's promise is what it asks for.
            (Flavor::Ring(ring), Side::Send) => unsafe { ring.senders.withdraw(node) },
            // SAFETY: as above.
            (Flavor::Ring(ring), Side::Receive) => unsafe { ring.receivers.withdraw(node) },
            (Flavor::List(_), Side::Send) => true,
            // SAFETY: as above.
            (Flavor::List(list), Side::Receive) => unsafe { list.receivers.withdraw(node) },
            // SAFETY: as above.
            (Flavor::Zero(zero), Side::Send) => unsafe { zero.withdraw_sender(node) },
            // SAFETY: as above.
            (Flavor::Zero(zero), Side::Receive) => unsafe { zero.withdraw_receiver(node) },
        }
    }

    /// Whether a task still waits; from now on with this waker.
    ///
    /// # Safety
    /// The node was enlisted here on this side.
    pub(super) unsafe fn refresh(&self, side: Side, node: &Node, waker: &Waker) -> bool {
        match (self, side) {
            // SAFETY: the caller's promise is what it asks for.
            (Flavor::Ring(ring), Side::Send) => unsafe { ring.senders.refresh(node, waker) },
            // SAFETY: as above.
            (Flavor::Ring(ring), Side::Receive) => unsafe { ring.receivers.refresh(node, waker) },
            (Flavor::List(_), Side::Send) => false,
            // SAFETY: as above.
            (Flavor::List(list), Side::Receive) => unsafe { list.receivers.refresh(node, waker) },
            // SAFETY: as above.
            (Flavor::Zero(zero), _) => unsafe { zero.refresh(node, waker) },
        }
    }

    /// Wakes another in the place of one that was woken and goes away.
    pub(super) fn pass_on(&self, side: Side) {
        match (self, side) {
            (Flavor::Ring(ring), Side::Send) => ring.wake_sender(),
            (Flavor::Ring(ring), Side::Receive) => ring.wake_receiver(),
            (Flavor::List(list), Side::Receive) => list.wake_receiver(),
            (Flavor::Zero(zero), Side::Receive) => zero.wake_receiver(),
            // A sender that was woken here has handed its message over.
            (Flavor::List(_) | Flavor::Zero(_), Side::Send) => {}
        }
    }

    pub(super) fn close(&self) -> bool {
        match self {
            Flavor::Ring(ring) => ring.close(),
            Flavor::List(list) => list.close(),
            Flavor::Zero(zero) => zero.close(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Flavor::Ring(ring) => ring.is_closed(),
            Flavor::List(list) => list.is_closed(),
            Flavor::Zero(zero) => zero.is_closed(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Flavor::Ring(ring) => ring.len(),
            Flavor::List(list) => list.len(),
            Flavor::Zero(_) => 0,
        }
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        match self {
            Flavor::Ring(ring) => Some(ring.capacity()),
            Flavor::List(_) => None,
            Flavor::Zero(_) => Some(0),
        }
    }

    /// Whether messages are stored: then one side can go on without the other,
    /// and looking again may find a change. Otherwise both have to meet, and
    /// who looks without being enlisted is found by nobody.
    fn has_room(&self) -> bool {
        !matches!(self, Flavor::Zero(_))
    }

    /// Sends, sleeping while there is no room.
    pub(super) fn send(
        &self,
        message: T,
        deadline: Option<B::Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        let mut message = message;
        let mut backoff = Backoff::<B>::for_messages();
        loop {
            match self.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(back)) => return Err(SendTimeoutError::Closed(back)),
                Err(TrySendError::Full(back)) => message = back,
            }
            if self.has_room() && !backoff.is_over() {
                backoff.between();
                continue;
            }
            let packet = UnsafeCell::new(Some(message));
            let in_time = self.sleep(Side::Send, packet.with_mut(<*mut _>::cast), deadline);
            match packet.into_inner() {
                None => return Ok(()),
                Some(back) => message = back,
            }
            // Somebody else may have been faster, and may be as fast again.
            backoff = Backoff::for_messages();
            if !in_time {
                return self.try_send(message).map_err(|error| match error {
                    TrySendError::Full(back) => SendTimeoutError::Timeout(back),
                    TrySendError::Closed(back) => SendTimeoutError::Closed(back),
                });
            }
        }
    }

    /// Receives, sleeping while there is no message.
    pub(super) fn recv(&self, deadline: Option<B::Instant>) -> Result<T, RecvTimeoutError> {
        let mut backoff = Backoff::<B>::for_messages();
        loop {
            match self.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Closed) => return Err(RecvTimeoutError::Closed),
                Err(TryRecvError::Empty) => {}
            }
            if self.has_room() && !backoff.is_over() {
                backoff.between();
                continue;
            }
            let packet = UnsafeCell::new(None::<T>);
            let in_time = self.sleep(Side::Receive, packet.with_mut(<*mut _>::cast), deadline);
            if let Some(message) = packet.into_inner() {
                return Ok(message);
            }
            // As in `send`.
            backoff = Backoff::for_messages();
            if !in_time {
                return self.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Closed => RecvTimeoutError::Closed,
                });
            }
        }
    }

    /// Sleeps until there is a reason to look again; false if the deadline
    /// passed first. Nobody but the caller uses the packet afterwards.
    fn sleep(&self, side: Side, packet: *mut (), deadline: Option<B::Instant>) -> bool {
        let signal = Signal::new();
        let node = Node::new();
        let enlisted = Enlisted {
            flavor: self,
            side,
            node: &node,
        };
        let ticket = Ticket {
            signal: &signal,
            case: 0,
            waker: None,
            packet,
        };
        // SAFETY: the node is new, and stays here until `enlisted` is dropped, which
        // withdraws it; our callers pass an `Option<T>` that they leave alone meanwhile.
        let again = unsafe { self.enlist(side, &node, ticket) };
        if !self.has_room() && !again {
            // The other side may be about to come; it finds who is enlisted.
            let mut backoff = Backoff::<B>::new();
            while signal.is_waiting() && !backoff.is_over() {
                backoff.between();
            }
        }
        let woken = again || signal.wait::<B>(deadline).is_some();
        drop(enlisted);
        woken
    }
}

/// A node that is withdrawn when this is dropped, be it by a panic.
struct Enlisted<'a, T, B: Blocking> {
    flavor: &'a Flavor<T, B>,
    side: Side,
    node: &'a Node,
}

impl<T, B: Blocking> Drop for Enlisted<'_, T, B> {
    fn drop(&mut self) {
        // SAFETY: the node was enlisted there, or nowhere.
        unsafe { self.flavor.withdraw(self.side, self.node) };
    }
}

/// A channel on the heap.
struct Channel<T, B> {
    senders: AtomicUsize,
    receivers: AtomicUsize,
    half_gone: AtomicBool,
    flavor: Flavor<T, B>,
}

/// One half's hold on its channel.
pub(super) struct Half<T, B: Blocking> {
    channel: NonNull<Channel<T, B>>,
    side: Side,
}

// SAFETY: halves share the channel, through which messages move between threads.
unsafe impl<T: Send, B: Blocking> Send for Half<T, B> {}
// SAFETY: as above; a channel hands out no reference to a message.
unsafe impl<T: Send, B: Blocking> Sync for Half<T, B> {}

/// Counts beyond this mean that halves are being leaked.
const MOST_HALVES: usize = usize::MAX / 2;

impl<T, B: Blocking> Half<T, B> {
    /// The two halves of a new channel.
    pub(super) fn pair(flavor: Flavor<T, B>) -> (Half<T, B>, Half<T, B>) {
        let channel = Box::new(Channel {
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            half_gone: AtomicBool::new(false),
            flavor,
        });
        let channel = NonNull::from(Box::leak(channel));
        let half = |side| Half { channel, side };
        (half(Side::Send), half(Side::Receive))
    }

    fn channel(&self) -> &Channel<T, B> {
        // SAFETY: the channel lives as long as one half does.
        unsafe { self.channel.as_ref() }
    }

    fn count(&self) -> &AtomicUsize {
        match self.side {
            Side::Send => &self.channel().senders,
            Side::Receive => &self.channel().receivers,
        }
    }

    pub(super) fn same_channel(&self, other: &Half<T, B>) -> bool {
        self.channel == other.channel
    }
}

impl<T, B: Blocking> Deref for Half<T, B> {
    type Target = Flavor<T, B>;
    #[inline]
    fn deref(&self) -> &Flavor<T, B> {
        &self.channel().flavor
    }
}

impl<T, B: Blocking> Clone for Half<T, B> {
    fn clone(&self) -> Half<T, B> {
        // ORDERING: Relaxed; this half keeps the count from falling to 0.
        let before = self.count().fetch_add(1, Ordering::Relaxed);
        // Halves are forgotten faster than this only on purpose; going on would
        // let the count wrap and free a channel in use.
        if before > MOST_HALVES {
            self.count().fetch_sub(1, Ordering::Relaxed);
            panic!("too many halves of a channel");
        }
        Half {
            channel: self.channel,
            side: self.side,
        }
    }
}

impl<T, B: Blocking> Drop for Half<T, B> {
    fn drop(&mut self) {
        // ORDERING: Release: what was done with this half comes before the last
        // one's close; Acquire: so it does, for the last one.
        if self.count().fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        self.close();
        if self.side == Side::Receive {
            while self.try_recv().is_ok() {}
        }
        // ORDERING: Release: this side is done with the channel; Acquire: so is
        // the other, for who frees it.
        if self.channel().half_gone.swap(true, Ordering::AcqRel) {
            // SAFETY: it came from a box, and no half of either side is left.
            drop(unsafe { Box::from_raw(self.channel.as_ptr()) });
        }
    }
}
