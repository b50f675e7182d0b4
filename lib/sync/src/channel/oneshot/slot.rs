//! The state of a one-shot channel with two halves.
//!
//! # States
//!
//! | state | message | waker | next |
//! | --- | --- | --- | --- |
//! | `EMPTY` | sender's | receiver's | sender: `READY`, `CLOSED`; receiver: `SLEEPING`, `TASK`, `GONE` |
//! | `SLEEPING` | sender's | receiver's | sender as above, and it wakes the word; receiver: `EMPTY`, `GONE` |
//! | `TASK` | sender's | nobody's; one is there | sender: `BUSY`; receiver: `EMPTY` |
//! | `BUSY` | sender's | sender's | sender: `READY`, `CLOSED`; a receiver waits for that |
//! | `READY` | receiver's; one is there | receiver's | receiver: `TAKEN` |
//! | `TAKEN`, `CLOSED` | receiver's | receiver's | - |
//! | `GONE` | sender's | sender's | - |
//!
//! After `READY` and `CLOSED` the sender touches nothing any more (it wakes by an
//! address, or with a waker that it has moved out), after `GONE` the receiver. So
//! the half that finds the other done frees a channel on the heap, without a count.
//! A half's last call gets a pointer, because a reference as an argument would
//! say that the slot stays until the call returns.

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::task::{Context, Poll, Waker};

use crate::backoff::Backoff;
use crate::blocking::Blocking;
use crate::channel::place::Place;
use crate::channel::{RecvError, RecvTimeoutError, TryRecvError};
use crate::maybe_const;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicU32, Ordering};

const EMPTY: u32 = 0;
const SLEEPING: u32 = 1;
const TASK: u32 = 2;
const BUSY: u32 = 3;
const READY: u32 = 4;
const TAKEN: u32 = 5;
const CLOSED: u32 = 6;
const GONE: u32 = 7;

/// What the two halves share.
pub(super) struct Slot<T, B> {
    state: AtomicU32,
    message: Place<T>,
    waker: UnsafeCell<Option<Waker>>,
    blocking: PhantomData<fn() -> B>,
}

// SAFETY: the message moves from one thread to another: `T: Send`.
unsafe impl<T: Send, B> Send for Slot<T, B> {}
// SAFETY: as above; the state says whose the message and the waker are.
unsafe impl<T: Send, B> Sync for Slot<T, B> {}

impl<T, B> Slot<T, B> {
    maybe_const! {
        pub(super) fn new() -> Slot<T, B> {
            Slot {
                state: AtomicU32::new(EMPTY),
                message: Place::new(),
                waker: UnsafeCell::new(None),
                blocking: PhantomData,
            }
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        // ORDERING: Relaxed; who takes the message synchronises.
        self.state.load(Ordering::Relaxed) == READY
    }

    pub(super) fn is_gone(&self) -> bool {
        // ORDERING: Relaxed; only a hint to the sender.
        self.state.load(Ordering::Relaxed) == GONE
    }
}

/// One step of the protocol, with the ordering that its caller needs.
#[track_caller]
fn step(state: &AtomicU32, from: u32, to: u32, ordering: Ordering) -> bool {
    state
        .compare_exchange(from, to, ordering, Ordering::Relaxed)
        .is_ok()
}

/// The sender's side. All of it is called by the only sender.
impl<T, B: Blocking> Slot<T, B> {
    /// Sends; gives the message back if the receiver is gone.
    ///
    /// # Safety
    /// This is the sender's last call.
    pub(super) unsafe fn send(slot: NonNull<Self>, message: T) -> Result<(), T> {
        // SAFETY: the slot is there until the last step.
        let place = unsafe { &slot.as_ref().message };
        // SAFETY: the message's place is the sender's until it says READY.
        unsafe { place.put(message) };
        // SAFETY: the caller's promise.
        if unsafe { Self::finish(slot, READY) } {
            return Ok(());
        }
        // SAFETY: nobody was told of the message, and the receiver is gone.
        Err(unsafe { place.take() })
    }

    /// Tells the receiver that no message will come; false if it is gone.
    ///
    /// # Safety
    /// This is the sender's last call.
    pub(super) unsafe fn close(slot: NonNull<Self>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Self::finish(slot, CLOSED) }
    }

    /// # Safety
    /// This is the sender's last call.
    unsafe fn finish(slot: NonNull<Self>, last: u32) -> bool {
        // SAFETY: the slot is there until the last step.
        let this = unsafe { slot.as_ref() };
        let word = &raw const this.state;
        loop {
            // ORDERING: Acquire pairs with the Release of the step to GONE: the
            // receiver has done with the channel when it is freed.
            match this.state.load(Ordering::Acquire) {
                GONE => return false,
                TASK => {
                    // ORDERING: Acquire pairs with the Release of the step to TASK.
                    if step(&this.state, TASK, BUSY, Ordering::Acquire) {
                        // SAFETY: in BUSY the waker is the sender's.
                        let waker = this.waker.with_mut(|waker| unsafe { (*waker).take() });
                        // ORDERING: Release publishes the message.
                        this.state.store(last, Ordering::Release);
                        if let Some(waker) = waker {
                            waker.wake();
                        }
                        return true;
                    }
                }
                state => {
                    // ORDERING: Release publishes the message.
                    if step(&this.state, state, last, Ordering::Release) {
                        if state == SLEEPING {
                            B::wake_one(word);
                        }
                        return true;
                    }
                }
            }
        }
    }
}

/// The receiver's side. All of it is called by the only receiver.
impl<T, B: Blocking> Slot<T, B> {
    /// What there is.
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        // ORDERING: Acquire pairs with the Release of `finish`.
        match self.state.load(Ordering::Acquire) {
            READY => {
                // ORDERING: Relaxed; the sender is done.
                self.state.store(TAKEN, Ordering::Relaxed);
                // SAFETY: READY means that a message is there, for the receiver.
                Ok(unsafe { self.message.take() })
            }
            CLOSED | TAKEN => Err(TryRecvError::Closed),
            _ => Err(TryRecvError::Empty),
        }
    }

    /// Sleeps until there is something, or the deadline has passed.
    pub(super) fn recv(&self, deadline: Option<B::Instant>) -> Result<T, RecvTimeoutError> {
        let mut backoff = Backoff::<B>::new();
        loop {
            match self.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Closed) => return Err(RecvTimeoutError::Closed),
                Err(TryRecvError::Empty) => {}
            }
            if !backoff.is_over() {
                backoff.between();
                continue;
            }
            self.forget_task();
            // ORDERING: Relaxed for both steps; they publish nothing.
            if !step(&self.state, EMPTY, SLEEPING, Ordering::Relaxed) {
                continue;
            }
            let in_time = match deadline {
                None => {
                    B::wait(&self.state, SLEEPING);
                    true
                }
                Some(deadline) => B::wait_until(&self.state, SLEEPING, deadline),
            };
            if step(&self.state, SLEEPING, EMPTY, Ordering::Relaxed) && !in_time {
                return Err(RecvTimeoutError::Timeout);
            }
        }
    }

    /// As a future.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<T, RecvError>> {
        self.forget_task();
        match self.try_recv() {
            Ok(message) => return Poll::Ready(Ok(message)),
            Err(TryRecvError::Closed) => return Poll::Ready(Err(RecvError)),
            Err(TryRecvError::Empty) => {}
        }
        let waker = Some(context.waker().clone());
        // SAFETY: the task was forgotten, so the waker is the receiver's.
        let old = self
            .waker
            .with_mut(|place| core::mem::replace(unsafe { &mut *place }, waker));
        drop(old);
        // ORDERING: Release publishes the waker.
        if step(&self.state, EMPTY, TASK, Ordering::Release) {
            return Poll::Pending;
        }
        // The sender was faster, and never saw the waker.
        match self.try_recv() {
            Ok(message) => Poll::Ready(Ok(message)),
            Err(_) => Poll::Ready(Err(RecvError)),
        }
    }

    /// Takes the waker out, if there is one; afterwards it is the receiver's.
    fn forget_task(&self) {
        loop {
            // ORDERING: Relaxed; this thread set TASK.
            match self.state.load(Ordering::Relaxed) {
                TASK => {
                    if step(&self.state, TASK, EMPTY, Ordering::Relaxed) {
                        // SAFETY: in EMPTY the waker is the receiver's.
                        let old = self.waker.with_mut(|waker| unsafe { (*waker).take() });
                        drop(old);
                        return;
                    }
                }
                // The sender is moving the waker out.
                BUSY => B::relax(),
                _ => return,
            }
        }
    }

    /// Ends the receiver; true if the sender is done too.
    ///
    /// # Safety
    /// This is the receiver's last call.
    pub(super) unsafe fn leave(slot: NonNull<Self>) -> bool {
        // SAFETY: the slot is there until the last step.
        let this = unsafe { slot.as_ref() };
        loop {
            this.forget_task();
            match this.try_recv() {
                Ok(unread) => drop(unread),
                Err(TryRecvError::Closed) => return true,
                Err(TryRecvError::Empty) => {
                    // ORDERING: Release: the receiver has done with the channel.
                    if step(&this.state, EMPTY, GONE, Ordering::Release) {
                        return false;
                    }
                    // A sleep that ended in a panic.
                    // ORDERING: Release, as above.
                    // UNMODELLED: the model's sleeps do not panic.
                    if step(&this.state, SLEEPING, GONE, Ordering::Release) {
                        return false;
                    }
                }
            }
        }
    }
}

impl<T, B> Drop for Slot<T, B> {
    fn drop(&mut self) {
        // Nothing; but under loom, notices if the other half is still here.
        self.waker.with_mut(|_| ());
        // A message that was sent to a half that was forgotten.
        // ORDERING: Relaxed; `&mut self` means that no other thread is here.
        if self.state.load(Ordering::Relaxed) == READY {
            // SAFETY: READY means that a message is there.
            drop(unsafe { self.message.take() });
        }
    }
}
