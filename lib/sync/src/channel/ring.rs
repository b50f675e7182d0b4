//! A bounded queue: a ring of slots with sequence numbers.
//!
//! # Positions
//! A position is a lap and an index: the index counts to `capacity`, the lap is
//! above it, so that a slot's numbers of two laps differ for any capacity,
//! including one. Two low bits of `head` and `tail` are flags, so positions step
//! by [`STEP`].
//!
//! # States of a slot, by its sequence number
//!
//! | sequence | means | who goes on |
//! | --- | --- | --- |
//! | position `p` | free for the sender that gets `p` | that sender writes, then stores `p + STEP` (Release) |
//! | `p + STEP` | holds message `p` | the receiver that gets `p` reads, then stores `p + lap` (Release) |
//!
//! A sender gets `p` by moving `tail` from `p` on, a receiver by moving `head`.
//!
//! # Flags
//! `tail`'s `CLOSED`: no sender moves `tail` any more. `tail`'s `AWAITED`: there
//! may be receivers in the queue of those who wait; `head`'s: there may be
//! senders. A waiter sets the flag after it enlisted, under the queue's lock, by
//! a read-modify-write of the very word that the other side has to move. So
//! either it sees that the word was moved and does not sleep, or who moves it
//! sees the flag: no fence and no second word are needed, and when nobody waits
//! the flag costs nothing.
//!
//! Who sees the flag takes the queue's lock, and finds the waiter there, though
//! nothing but Relaxed sets and reads the flag. Had it the lock before the waiter
//! had, then its read-modify-write would happen before the lock's release, that
//! before the waiter's acquisition, and so before the flag was set: what happens
//! before a write cannot have read it.
//!
//! Between moving `tail` and storing the sequence number a sender is *in
//! transit*: the ring is not empty then, and a receiver that finds it so spins
//! (and lets others run) until the message is there, for nobody would wake it.
//! The same goes for a sender that meets a receiver in transit.

use alloc::boxed::Box;

use super::place::Place;
use super::wait::{Node, Queue, Ticket};
use super::{TryRecvError, TrySendError};
use crate::backoff::{Backoff, Padded};
use crate::blocking::Blocking;
use crate::primitive::atomic::{AtomicUsize, Ordering};

const CLOSED: usize = 1;
const AWAITED: usize = 2;
const FLAGS: usize = CLOSED | AWAITED;
const STEP: usize = 4;

struct Slot<T> {
    sequence: AtomicUsize,
    message: Place<T>,
}

/// A bounded queue of many senders and many receivers.
pub(super) struct Ring<T, B> {
    head: Padded<AtomicUsize>,
    tail: Padded<AtomicUsize>,
    slots: Box<[Slot<T>]>,
    /// What a position grows by in a lap; a power of two.
    lap: usize,
    pub(super) senders: Queue<B>,
    pub(super) receivers: Queue<B>,
}

// SAFETY: messages move from thread to thread; nobody shares one.
unsafe impl<T: Send, B> Send for Ring<T, B> {}
// SAFETY: as above; each slot's message belongs to who moved `tail` or `head` over it.
unsafe impl<T: Send, B> Sync for Ring<T, B> {}

impl<T, B: Blocking> Ring<T, B> {
    /// A ring of `capacity` slots.
    ///
    /// # Panics
    /// If `capacity` is 0 or beyond what positions can count.
    pub(super) fn new(capacity: usize) -> Ring<T, B> {
        assert!(capacity > 0, "a ring has a slot");
        let lap = capacity
            .checked_add(1)
            .and_then(usize::checked_next_power_of_two)
            .and_then(|lap| lap.checked_mul(STEP))
            .filter(|lap| *lap < usize::MAX / 2)
            .expect("a channel's capacity is below a quarter of the address space");
        let slots = (0..capacity)
            .map(|index| Slot {
                sequence: AtomicUsize::new(index * STEP),
                message: Place::new(),
            })
            .collect();
        Ring {
            head: Padded(AtomicUsize::new(0)),
            tail: Padded(AtomicUsize::new(0)),
            slots,
            lap,
            senders: Queue::new(),
            receivers: Queue::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The slot at a position.
    #[inline]
    fn slot(&self, position: usize) -> &Slot<T> {
        &self.slots[(position & (self.lap - 1)) / STEP]
    }

    /// The position after this one.
    #[inline]
    fn next(&self, position: usize) -> usize {
        let index = (position & (self.lap - 1)) / STEP;
        if index + 1 < self.slots.len() {
            position + STEP
        } else {
            (position & !(self.lap - 1)).wrapping_add(self.lap)
        }
    }

    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut backoff = Backoff::<B>::for_messages();
        // ORDERING: Relaxed; the slot's sequence number says whether this is of use.
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            if tail & CLOSED != 0 {
                return Err(TrySendError::Closed(message));
            }
            let position = tail & !FLAGS;
            let slot = self.slot(position);
            // ORDERING: Acquire pairs with the Release of the receiver that
            // emptied the slot: it has read the message before we write.
            let sequence = slot.sequence.load(Ordering::Acquire);
            if sequence == position {
                // ORDERING: Relaxed; the sequence number orders the messages, the
                // queue's lock those who wait.
                match self.tail.compare_exchange_weak(
                    tail,
                    self.next(position) | (tail & FLAGS),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: this thread alone moved `tail` over the slot while it
                        // was free, and receivers wait for its sequence number.
                        unsafe { slot.message.put(message) };
                        // ORDERING: Release publishes the message.
                        slot.sequence.store(position + STEP, Ordering::Release);
                        if tail & AWAITED != 0 {
                            self.wake_receiver();
                        }
                        return Ok(());
                    }
                    Err(now) => {
                        tail = now;
                        backoff.lost();
                    }
                }
            } else {
                // ORDERING: Relaxed; that it is full is for now only.
                let head = self.head.load(Ordering::Relaxed);
                if (head & !FLAGS).wrapping_add(self.lap) == position {
                    return Err(TrySendError::Full(message));
                }
                // A receiver is in transit, or our `tail` is old.
                backoff.between();
                // ORDERING: Relaxed, as above.
                tail = self.tail.load(Ordering::Relaxed);
            }
        }
    }

    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut backoff = Backoff::<B>::for_messages();
        // ORDERING: Relaxed; the slot's sequence number says whether this is of use.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let position = head & !FLAGS;
            let slot = self.slot(position);
            // ORDERING: Acquire pairs with the Release of the message's sender.
            let sequence = slot.sequence.load(Ordering::Acquire);
            if sequence == position + STEP {
                // ORDERING: Relaxed, as in `try_send`.
                match self.head.compare_exchange_weak(
                    head,
                    self.next(position) | (head & FLAGS),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: the sequence number says that the slot holds a message,
                        // and this thread alone moved `head` over it.
                        let message = unsafe { slot.message.take() };
                        // ORDERING: Release: the message was read before a sender writes.
                        slot.sequence
                            .store(position.wrapping_add(self.lap), Ordering::Release);
                        if head & AWAITED != 0 {
                            self.wake_sender();
                        }
                        return Ok(message);
                    }
                    Err(now) => {
                        head = now;
                        backoff.lost();
                    }
                }
            } else {
                // ORDERING: Acquire: who learns that the channel is closed sees
                // what was done before it was closed.
                let tail = self.tail.load(Ordering::Acquire);
                if tail & !FLAGS == position {
                    return Err(if tail & CLOSED != 0 {
                        TryRecvError::Closed
                    } else {
                        TryRecvError::Empty
                    });
                }
                // A sender is in transit, or our `head` is old.
                backoff.between();
                // ORDERING: Relaxed, as above.
                head = self.head.load(Ordering::Relaxed);
            }
        }
    }

    /// Enlists a receiver. True if it should look again instead of sleeping.
    ///
    /// # Safety
    /// As [`Queue::enlist`].
    pub(super) unsafe fn await_message(&self, node: &Node, ticket: Ticket<'_>) -> bool {
        let mark = || {
            // ORDERING: Relaxed; see above, "Flags".
            self.tail.fetch_or(AWAITED, Ordering::Relaxed)
        };
        // SAFETY: the caller's promise.
        let tail = unsafe { self.receivers.enlist(node, ticket, mark) };
        // ORDERING: Relaxed; `head` never passes `tail`, so if it is equal the
        // ring was empty when AWAITED was set.
        let head = self.head.load(Ordering::Relaxed);
        tail & CLOSED != 0 || head & !FLAGS != tail & !FLAGS
    }

    /// Enlists a sender. True if it should look again instead of sleeping.
    ///
    /// # Safety
    /// As [`Queue::enlist`].
    pub(super) unsafe fn await_room(&self, node: &Node, ticket: Ticket<'_>) -> bool {
        let mark = || {
            // ORDERING: Relaxed; see above, "Flags".
            self.head.fetch_or(AWAITED, Ordering::Relaxed)
        };
        // SAFETY: the caller's promise.
        let head = unsafe { self.senders.enlist(node, ticket, mark) };
        // ORDERING: Relaxed; `tail` is never more than a lap ahead, so if it is
        // a lap ahead the ring was full when AWAITED was set. If CLOSED is not
        // seen, who closes comes to the queue's lock after us.
        let tail = self.tail.load(Ordering::Relaxed);
        tail & CLOSED != 0 || (head & !FLAGS).wrapping_add(self.lap) != tail & !FLAGS
    }

    /// Wakes one receiver that waits.
    pub(super) fn wake_receiver(&self) {
        self.receivers.wake_one(|| {
            // ORDERING: Relaxed; under the queue's lock, like the setting.
            self.tail.fetch_and(!AWAITED, Ordering::Relaxed);
        });
    }

    /// Wakes one sender that waits.
    pub(super) fn wake_sender(&self) {
        self.senders.wake_one(|| {
            // ORDERING: Relaxed; under the queue's lock, like the setting.
            self.head.fetch_and(!AWAITED, Ordering::Relaxed);
        });
    }

    /// Ends the sending. False if it had ended.
    pub(super) fn close(&self) -> bool {
        // ORDERING: Release publishes what was done before to who finds it closed.
        let was = self.tail.fetch_or(CLOSED, Ordering::Release);
        if was & CLOSED != 0 {
            return false;
        }
        self.senders.wake_all();
        self.receivers.wake_all();
        true
    }

    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `close`.
        self.tail.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(super) fn len(&self) -> usize {
        loop {
            // ORDERING: Relaxed; the answer is of a moment in which `tail` stood
            // still, as far as this thread saw, and is old when it is given.
            let tail = self.tail.load(Ordering::Relaxed) & !FLAGS;
            let head = self.head.load(Ordering::Relaxed) & !FLAGS;
            if self.tail.load(Ordering::Relaxed) & !FLAGS == tail {
                let index = |position| (position & (self.lap - 1)) / STEP;
                let (first, end) = (index(head), index(tail));
                return if head == tail {
                    0
                } else if first < end {
                    end - first
                } else {
                    (self.slots.len() + end).saturating_sub(first)
                };
            }
        }
    }
}

impl<T, B> Drop for Ring<T, B> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self` means that no other thread is here.
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let sequence = slot.sequence.load(Ordering::Relaxed);
            // A free slot's number has the slot's own index, a full one's the next.
            if (sequence & (self.lap - 1)) / STEP != index {
                // SAFETY: its sequence number says that the slot holds a message.
                drop(unsafe { slot.message.take() });
            }
        }
    }
}
