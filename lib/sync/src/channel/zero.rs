//! A rendezvous: a channel of capacity 0, in which a message goes from hand to hand.
//!
//! Nothing is stored. A sender that waits *offers* its message where it lies (on
//! the sender's stack, in its future), and a receiver takes it from there. A
//! receiver that waits is woken to look at the offers; and one that is a thread
//! says where a message may be put, so that a sender that does not wait can hand
//! it over.
//!
//! A message is never put into a future: that may be dropped before it is polled
//! again, and the message with it. So `try_send` finds threads only.
//!
//! # What must hold
//! All happens under one lock. A packet is an `Option<T>`: full while its node
//! is an offer, empty while its node is a receiver's place. It changes only by
//! who has taken the node off the list and won its signal, and its owner looks
//! at it after it came through the lock. No receiver waits unwoken while
//! there is an offer of somebody else.

use core::marker::PhantomData;
use core::ptr;

use super::wait::{self, List, Node, Ticket};
use super::{TryRecvError, TrySendError};
use crate::blocking::Blocking;
use crate::{SpinLock, SpinLockGuard};

struct State {
    senders: List,
    receivers: List,
    closed: bool,
}

/// Who waits at a rendezvous.
pub(super) struct Zero<T, B> {
    state: SpinLock<State>,
    owns: PhantomData<fn(T) -> (T, B)>,
}

impl<T, B: Blocking> Zero<T, B> {
    pub(super) fn new() -> Zero<T, B> {
        Zero {
            state: SpinLock::new(State {
                senders: List::new(),
                receivers: List::new(),
                closed: false,
            }),
            owns: PhantomData,
        }
    }

    /// Hands the message to a thread that waits for one.
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(TrySendError::Closed(message));
        }
        // SAFETY: the lock is held.
        let taken = unsafe { state.receivers.take(|waiter| !waiter.packet.is_null()) };
        let Some((packet, wake)) = taken else {
            return Err(TrySendError::Full(message));
        };
        // SAFETY: the packet of a receiver is an empty `Option<T>`, alive and ours
        // until its owner comes through the lock.
        unsafe { packet.cast::<Option<T>>().write(Some(message)) };
        drop(state);
        wake.wake::<B>();
        Ok(())
    }

    /// Takes the first offer.
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.state.lock();
        // SAFETY: the lock is held.
        let Some((packet, wake)) = (unsafe { state.senders.take(|_| true) }) else {
            return Err(if state.closed {
                TryRecvError::Closed
            } else {
                TryRecvError::Empty
            });
        };
        // SAFETY: the packet of an offer is a full `Option<T>`, alive and ours
        // until its owner comes through the lock.
        let message = unsafe { packet.cast::<Option<T>>().replace(None) };
        drop(state);
        wake.wake::<B>();
        Ok(message.expect("an offer holds its message"))
    }

    /// Enlists an offer. True if it should look again instead of sleeping.
    ///
    /// # Safety
    /// As [`Queue::enlist`](super::wait::Queue::enlist); and the packet is a full
    /// `Option<T>` that its owner leaves alone as long as the node is enlisted.
    pub(super) unsafe fn await_room(&self, node: &Node, ticket: Ticket<'_>) -> bool {
        let signal = ptr::from_ref(ticket.signal);
        let mut state = self.state.lock();
        // SAFETY: the lock is held; the rest is the caller's promise.
        unsafe { state.senders.push(node, ticket) };
        if state.closed {
            return true;
        }
        // SAFETY: the lock is held.
        let taken = unsafe { state.receivers.take(|waiter| waiter.signal != signal) };
        drop(state);
        if let Some((_, wake)) = taken {
            wake.wake::<B>();
        }
        false
    }

    /// Enlists a receiver. True if it should look again instead of sleeping.
    ///
    /// # Safety
    /// As [`Queue::enlist`](super::wait::Queue::enlist); and the packet is null or
    /// an empty `Option<T>` that its owner leaves alone as long as the node is
    /// enlisted.
    pub(super) unsafe fn await_message(&self, node: &Node, ticket: Ticket<'_>) -> bool {
        let signal = ptr::from_ref(ticket.signal);
        let mut state = self.state.lock();
        // SAFETY: the lock is held; the rest is the caller's promise.
        unsafe { state.receivers.push(node, ticket) };
        // SAFETY: the lock is held.
        state.closed || unsafe { state.senders.any(|waiter| waiter.signal != signal) }
    }

    /// Takes a sender out; false if it had been woken before.
    ///
    /// # Safety
    /// The node was enlisted by `await_room` here if anywhere.
    pub(super) unsafe fn withdraw_sender(&self, node: &Node) -> bool {
        // SAFETY: the caller's promise.
        unsafe { wait::withdraw(self.state.lock(), |state| &mut state.senders, node) }
    }

    /// Takes a receiver out; false if it had been woken before.
    ///
    /// # Safety
    /// The node was enlisted by `await_message` here if anywhere.
    pub(super) unsafe fn withdraw_receiver(&self, node: &Node) -> bool {
        // SAFETY: the caller's promise.
        unsafe { wait::withdraw(self.state.lock(), |state| &mut state.receivers, node) }
    }

    /// Whether a task still waits; from now on with this waker.
    ///
    /// # Safety
    /// The node was enlisted here if anywhere.
    pub(super) unsafe fn refresh(&self, node: &Node, waker: &core::task::Waker) -> bool {
        let waker = waker.clone();
        // SAFETY: the caller's promise.
        unsafe { wait::refresh(self.state.lock(), node, waker) }
    }

    /// Wakes a receiver if there is an offer: one that was woken before went away.
    pub(super) fn wake_receiver(&self) {
        let mut state = self.state.lock();
        if state.senders.is_empty() {
            return;
        }
        // SAFETY: the lock is held.
        let taken = unsafe { state.receivers.take(|_| true) };
        drop(state);
        if let Some((_, wake)) = taken {
            wake.wake::<B>();
        }
    }

    /// Ends the sending. False if it had ended.
    pub(super) fn close(&self) -> bool {
        if core::mem::replace(&mut self.state.lock().closed, true) {
            return false;
        }
        let next = |mut state: SpinLockGuard<'_, State>| {
            // SAFETY: the lock is held.
            let sender = unsafe { state.senders.take(|_| true) };
            // SAFETY: as above.
            sender.or_else(|| unsafe { state.receivers.take(|_| true) })
        };
        while let Some((_, wake)) = next(self.state.lock()) {
            wake.wake::<B>();
        }
        true
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}
