//! An unbounded queue: a list of blocks of slots.
//!
//! # Positions
//! `head` and `tail` each hold a position and, beside it, the block in which it
//! lies. A lap of [`LAP`] positions is one block: [`SLOTS`] slots, and one
//! position for which there is none and at which the way to the next block is
//! being made. Two low bits of a position are flags, so positions step by [`STEP`].
//!
//! # Transitions
//! - A sender moves `tail` by one with a compare-exchange; the slot is its own
//!   then. It writes the message and stores the slot's `full` (Release). Who gets
//!   a block's last slot first hangs the next block in: `tail.block`, then
//!   `tail.position` past the turn, then the block's `next`. It has that block
//!   at hand before it takes the slot, so nothing can fail between.
//! - A receiver moves `head` by one while it is not `tail`; the slot is its own
//!   then. It waits for `full`, reads the message, and counts itself in the
//!   block's `read`. Who gets the last slot first moves `head` to the next
//!   block. Who counts last frees the block: everybody has read, and no sender
//!   has anything to do there, since each wrote its `full` last.
//! - The only receiver of an MPSC channel (`single`) needs no compare-exchange
//!   and no count: it looks at `full` at once, and frees a block when it leaves it.
//! - A block that is free is kept as the `spare` one, if there is none, and the
//!   sender that needs a block next takes it: while messages are received about
//!   as fast as they come, two blocks go round, and no memory is allocated in
//!   one thread and freed in another, which heaps are slow at.
//!
//! # Flags
//! `tail`'s `CLOSED` and `AWAITED`, as in `ring.rs`. `head`'s `BEYOND`: `tail` has
//! left the block in which `head` is, so all its slots have a sender, and whoever
//! receives in it need not look at `tail`, which senders write all the time.

use alloc::alloc::{alloc, handle_alloc_error};
use alloc::boxed::Box;
use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::place::Place;
use super::wait::{Node, Queue, Ticket};
use super::{TryRecvError, TrySendError};
use crate::backoff::{Backoff, Padded};
use crate::blocking::Blocking;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

const CLOSED: usize = 1;
const AWAITED: usize = 2;
const FLAGS: usize = CLOSED | AWAITED;
const BEYOND: usize = 1;
const STEP: usize = 4;

/// Positions in a block, with its turn.
const LAP: usize = if cfg!(any(loom, miri)) { 4 } else { 32 };

/// Messages in a block.
const SLOTS: usize = LAP - 1;

struct Slot<T> {
    full: AtomicBool,
    message: Place<T>,
}

struct Block<T> {
    next: AtomicPtr<Block<T>>,
    read: AtomicUsize,
    slots: [Slot<T>; SLOTS],
}

impl<T> Block<T> {
    /// An empty block; nothing if there is no memory.
    fn allocate() -> Option<NonNull<Block<T>>> {
        // SAFETY: a block is not of size zero.
        let memory = unsafe { alloc(Layout::new::<Block<T>>()) };
        let block = NonNull::new(memory.cast::<Block<T>>())?;
        let place = block.as_ptr();
        // SAFETY: within the block's memory, of which no reference is made.
        let next = unsafe { &raw mut (*place).next };
        // SAFETY: as above; the block is nobody else's.
        unsafe { next.write(AtomicPtr::new(ptr::null_mut())) };
        // SAFETY: as above.
        let read = unsafe { &raw mut (*place).read };
        // SAFETY: as above.
        unsafe { read.write(AtomicUsize::new(0)) };
        for index in 0..SLOTS {
            // SAFETY: as above.
            let slot = unsafe { &raw mut (*place).slots[index] };
            let empty = Slot {
                full: AtomicBool::new(false),
                message: Place::new(),
            };
            // SAFETY: as above.
            unsafe { slot.write(empty) };
        }
        Some(block)
    }

    /// Frees a block, without what may be in its slots.
    ///
    /// # Safety
    /// The block came from `allocate`, and nobody uses it any more.
    unsafe fn free(block: *mut Block<T>) {
        // SAFETY: allocated from the same heap with the layout of a block, and
        // the caller says that it is the only one who has it.
        let block = unsafe { Box::from_raw(block) };
        block.assert_unused();
    }

    /// Takes the spare block, if there is one, and makes it as a new one is.
    fn take(spare: &AtomicPtr<Block<T>>) -> Option<NonNull<Block<T>>> {
        // ORDERING: Relaxed; a hint, which keeps the line shared while there is
        // none.
        if spare.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // ORDERING: Acquire pairs with the Release of `keep`: nobody uses the
        // block any more.
        let found = NonNull::new(spare.swap(ptr::null_mut(), Ordering::Acquire))?;
        // SAFETY: blocks that are kept are alive, and nobody has this one now.
        let block = unsafe { found.as_ref() };
        block.assert_unused();
        // ORDERING: Relaxed throughout; who shows the block publishes it.
        block.next.store(ptr::null_mut(), Ordering::Relaxed);
        block.read.store(0, Ordering::Relaxed);
        for slot in &block.slots {
            slot.full.store(false, Ordering::Relaxed);
        }
        Some(found)
    }

    /// Keeps a block as the spare one; frees it if there is one already.
    ///
    /// # Safety
    /// As [`free`](Block::free).
    unsafe fn keep(block: *mut Block<T>, spare: &AtomicPtr<Block<T>>) {
        // SAFETY: the caller is the only one who has it.
        unsafe { &*block }.assert_unused();
        // ORDERING: Relaxed; a hint, as in `take`. Release: all uses of the block
        // happen before it is taken.
        let kept = spare.load(Ordering::Relaxed).is_null()
            && spare
                .compare_exchange(ptr::null_mut(), block, Ordering::Release, Ordering::Relaxed)
                .is_ok();
        if !kept {
            // SAFETY: the caller's promise.
            unsafe { Block::free(block) };
        }
    }

    /// Nothing; but under loom, notices if somebody uses a place still.
    fn assert_unused(&self) {
        for slot in &self.slots {
            slot.message.assert_unused();
        }
    }
}

/// A block made before it is needed; kept for another if it is not.
struct Ready<'a, T> {
    block: Option<NonNull<Block<T>>>,
    spare: &'a AtomicPtr<Block<T>>,
}

impl<T> Ready<'_, T> {
    /// Makes sure that there is one; false if there is no memory.
    fn fill(&mut self) -> bool {
        if self.block.is_none() {
            self.block = Block::take(self.spare).or_else(Block::allocate);
        }
        self.block.is_some()
    }
}

impl<T> Drop for Ready<'_, T> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            // SAFETY: it is ours and nobody else's.
            unsafe { Block::keep(block.as_ptr(), self.spare) };
        }
    }
}

/// One end of the list.
struct End<T> {
    position: AtomicUsize,
    block: AtomicPtr<Block<T>>,
}

/// An unbounded queue of many senders, and of many receivers or one.
pub(super) struct List<T, B> {
    head: Padded<End<T>>,
    tail: Padded<End<T>>,
    /// Whether there is one receiver, which never receives twice at a time.
    single: bool,
    /// A block that was read to its end, or null.
    spare: AtomicPtr<Block<T>>,
    pub(super) receivers: Queue<B>,
}

// SAFETY: messages move from thread to thread; nobody shares one.
unsafe impl<T: Send, B> Send for List<T, B> {}
// SAFETY: as above; each slot's message belongs to who moved `tail` or `head` over it.
unsafe impl<T: Send, B> Sync for List<T, B> {}

/// The place in its block of a position.
const fn offset(position: usize) -> usize {
    position / STEP % LAP
}

impl<T, B: Blocking> List<T, B> {
    /// An empty list.
    ///
    /// # Safety
    /// If it is to be `single`, calls of `try_recv` never overlap, and each
    /// happens before the next.
    pub(super) unsafe fn new(single: bool) -> List<T, B> {
        let Some(block) = Block::allocate() else {
            no_memory::<T>()
        };
        let end = || {
            Padded(End {
                position: AtomicUsize::new(0),
                block: AtomicPtr::new(block.as_ptr()),
            })
        };
        List {
            head: end(),
            tail: end(),
            single,
            spare: AtomicPtr::new(ptr::null_mut()),
            receivers: Queue::new(),
        }
    }

    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut backoff = Backoff::<B>::for_messages();
        let mut ready = Ready {
            block: None,
            spare: &self.spare,
        };
        loop {
            // ORDERING: Acquire pairs with the Release of the turn: the block read
            // next is not older than the position.
            let tail = self.tail.position.load(Ordering::Acquire);
            // ORDERING: Acquire pairs with the Release of the turn: if the block
            // is newer than the position, the compare-exchange fails.
            // UNMODELLED: without it the compare-exchange could come before this
            // load; loom lets no load see what a later step of its thread leads to.
            let block = self.tail.block.load(Ordering::Acquire);
            if tail & CLOSED != 0 {
                return Err(TrySendError::Closed(message));
            }
            let offset = offset(tail);
            if offset == SLOTS {
                backoff.between();
                continue;
            }
            let last = offset + 1 == SLOTS;
            if last && !ready.fill() {
                return Err(TrySendError::Full(message));
            }
            // ORDERING: Relaxed; the slot orders the message, the queue's lock those
            // who wait (`ring.rs`, "Flags").
            if self
                .tail
                .position
                .compare_exchange_weak(
                    tail,
                    tail.wrapping_add(STEP),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_err()
            {
                backoff.lost();
                continue;
            }
            // SAFETY: a block is freed when all its slots were read, and ours was not.
            let block = unsafe { &*block };
            if last && let Some(next) = ready.block.take() {
                self.turn_tail(block, next);
            }
            let slot = &block.slots[offset];
            // SAFETY: this thread alone moved `tail` over the slot, and receivers
            // wait until it is full.
            unsafe { slot.message.put(message) };
            // ORDERING: Release publishes the message, and the next block before it.
            slot.full.store(true, Ordering::Release);
            if tail & AWAITED != 0 {
                self.wake_receiver();
            }
            return Ok(());
        }
    }

    /// Hangs in the next block; `tail` is at the turn of `block`.
    fn turn_tail(&self, block: &Block<T>, next: NonNull<Block<T>>) {
        // ORDERING: Release pairs with the load of `try_send`: who sees the block
        // comes after the compare-exchange that led to the turn.
        // UNMODELLED: as there.
        self.tail.block.store(next.as_ptr(), Ordering::Release);
        // An addition, because flags may be set meanwhile.
        // ORDERING: Release: who sees the position sees the block.
        self.tail.position.fetch_add(STEP, Ordering::Release);
        // ORDERING: Release publishes the block's beginning to receivers, and a
        // `tail` that is in it.
        block.next.store(next.as_ptr(), Ordering::Release);
    }

    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        if self.single {
            self.try_recv_single()
        } else {
            self.try_recv_shared()
        }
    }

    /// Why there is nothing at `head`, if `tail` is there too; else whether
    /// `tail` has left the block, as [`BEYOND`].
    fn nothing(&self, head: usize) -> Result<usize, TryRecvError> {
        // ORDERING: Acquire: who learns that the channel is closed sees what was
        // done before it was closed.
        let tail = self.tail.position.load(Ordering::Acquire);
        if tail & !FLAGS != head {
            let lap = |position: usize| position / STEP / LAP;
            return Ok(if lap(tail) == lap(head) { 0 } else { BEYOND });
        }
        Err(if tail & CLOSED != 0 {
            TryRecvError::Closed
        } else {
            TryRecvError::Empty
        })
    }

    fn try_recv_single(&self) -> Result<T, TryRecvError> {
        // ORDERING: Relaxed; only receivers write `head`, and there is one.
        let head = self.head.position.load(Ordering::Relaxed);
        let place = self.head.block.load(Ordering::Relaxed);
        // SAFETY: only this receiver frees blocks, when it leaves them.
        let block = unsafe { &*place };
        let offset = offset(head);
        let slot = &block.slots[offset];
        let mut backoff = Backoff::<B>::for_messages();
        // ORDERING: Acquire pairs with the Release of the message's sender.
        while !slot.full.load(Ordering::Acquire) {
            self.nothing(head)?;
            // The sender is in transit.
            backoff.between();
        }
        // SAFETY: the slot is full, and `head` moves past it before the next call.
        let message = unsafe { slot.message.take() };
        if offset + 1 < SLOTS {
            // ORDERING: Relaxed, as above.
            self.head
                .position
                .store(head.wrapping_add(STEP), Ordering::Relaxed);
        } else {
            // ORDERING: Relaxed; written before the last slot was made full.
            let next = block.next.load(Ordering::Relaxed);
            // ORDERING: Relaxed, as above.
            self.head.block.store(next, Ordering::Relaxed);
            self.head
                .position
                .store(head.wrapping_add(2 * STEP), Ordering::Relaxed);
            // SAFETY: each sender's last step in a block is to make its slot full,
            // and all slots were. This was the only receiver.
            unsafe { Block::keep(place, &self.spare) };
        }
        Ok(message)
    }

    fn try_recv_shared(&self) -> Result<T, TryRecvError> {
        let mut backoff = Backoff::<B>::for_messages();
        loop {
            // ORDERING: Acquire pairs with the Release of who moved `head` here:
            // `tail`, if it is read next, is not behind it.
            let head = self.head.position.load(Ordering::Acquire);
            // ORDERING: Acquire, as for `tail.block`.
            // UNMODELLED: as for `tail.block`.
            let place = self.head.block.load(Ordering::Acquire);
            let offset = offset(head);
            if offset == SLOTS {
                self.nothing(head & !BEYOND)?;
                backoff.between();
                continue;
            }
            let beyond = if head & BEYOND == 0 {
                self.nothing(head)?
            } else {
                0
            };
            // ORDERING: Release: who sees the new `head` sees a `tail` not behind it.
            if self
                .head
                .position
                .compare_exchange_weak(
                    head,
                    head.wrapping_add(STEP) | beyond,
                    Ordering::Release,
                    Ordering::Relaxed,
                )
                .is_err()
            {
                backoff.lost();
                continue;
            }
            // SAFETY: a block is freed when all its slots were read, and ours was not.
            let block = unsafe { &*place };
            if offset + 1 == SLOTS {
                self.turn_head(block, head & !BEYOND);
            }
            let slot = &block.slots[offset];
            let mut backoff = Backoff::<B>::for_messages();
            // ORDERING: Acquire pairs with the Release of the message's sender.
            while !slot.full.load(Ordering::Acquire) {
                backoff.between();
            }
            // SAFETY: the slot is full, and this thread alone moved `head` over it.
            let message = unsafe { slot.message.take() };
            // ORDERING: Release: this slot was read before the block is freed;
            // Acquire: all others were, if we are last.
            if block.read.fetch_add(1, Ordering::AcqRel) + 1 == SLOTS {
                // SAFETY: all slots were read; senders and receivers have nothing
                // to do in the block after that.
                unsafe { Block::keep(place, &self.spare) };
            }
            return Ok(message);
        }
    }

    /// Moves `head`, which is at the turn of `block`, to the next.
    fn turn_head(&self, block: &Block<T>, head: usize) {
        let mut backoff = Backoff::<B>::for_messages();
        let next = loop {
            // ORDERING: Acquire pairs with the Release of `turn_tail`: who sees the
            // new `head` sees a `tail` that is not behind.
            let next = block.next.load(Ordering::Acquire);
            if !next.is_null() {
                break next;
            }
            backoff.between();
        };
        // SAFETY: nobody has received in it yet, so it is not freed.
        let after = unsafe { &(*next).next };
        // ORDERING: Relaxed; `tail` left that block before this was written, and
        // nothing more is concluded from it: who needs `tail` itself reads it.
        let beyond = if after.load(Ordering::Relaxed).is_null() {
            0
        } else {
            BEYOND
        };
        // ORDERING: Release, as in `turn_tail`, for `try_recv_shared`.
        // UNMODELLED: as for `tail.block`.
        self.head.block.store(next, Ordering::Release);
        // ORDERING: Release: who sees the position sees the block, and a `tail`
        // that is not behind.
        self.head
            .position
            .store(head.wrapping_add(2 * STEP) | beyond, Ordering::Release);
    }

    /// Enlists a receiver. True if it should look again instead of sleeping.
    ///
    /// # Safety
    /// As [`Queue::enlist`].
    pub(super) unsafe fn await_message(&self, node: &Node, ticket: Ticket<'_>) -> bool {
        let mark = || {
            // ORDERING: Relaxed, as in `ring.rs`.
            self.tail.position.fetch_or(AWAITED, Ordering::Relaxed)
        };
        // SAFETY: the caller's promise.
        let tail = unsafe { self.receivers.enlist(node, ticket, mark) };
        // ORDERING: Relaxed; `head` never passes `tail`, so if it is equal the
        // list was empty when AWAITED was set.
        let head = self.head.position.load(Ordering::Relaxed);
        tail & CLOSED != 0 || head & !BEYOND != tail & !FLAGS
    }

    /// There is always room, unless there is no memory.
    pub(super) fn await_room(&self) -> ! {
        no_memory::<T>()
    }

    /// Wakes one receiver that waits.
    pub(super) fn wake_receiver(&self) {
        self.receivers.wake_one(|| {
            // ORDERING: Relaxed; under the queue's lock, like the setting.
            self.tail.position.fetch_and(!AWAITED, Ordering::Relaxed);
        });
    }

    /// Ends the sending. False if it had ended.
    pub(super) fn close(&self) -> bool {
        // ORDERING: Release publishes what was done before to who finds it closed.
        let was = self.tail.position.fetch_or(CLOSED, Ordering::Release);
        if was & CLOSED != 0 {
            return false;
        }
        self.receivers.wake_all();
        true
    }

    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `close`.
        self.tail.position.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(super) fn len(&self) -> usize {
        let count = |position: usize| {
            let position = position / STEP;
            position / LAP * SLOTS + (position % LAP).min(SLOTS)
        };
        loop {
            // ORDERING: Relaxed; the answer is of a moment in which `tail` stood
            // still, as far as this thread saw, and is old when it is given.
            let tail = self.tail.position.load(Ordering::Relaxed);
            let head = self.head.position.load(Ordering::Relaxed);
            if self.tail.position.load(Ordering::Relaxed) == tail {
                return count(tail).saturating_sub(count(head));
            }
        }
    }
}

/// Ends the program: it could not have gone on.
fn no_memory<T>() -> ! {
    handle_alloc_error(Layout::new::<Block<T>>())
}

impl<T, B> Drop for List<T, B> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self` means that no other thread is here, and
        // that no operation is half done.
        let tail = self.tail.position.load(Ordering::Relaxed) & !FLAGS;
        let mut head = self.head.position.load(Ordering::Relaxed) & !BEYOND;
        let mut place = self.head.block.load(Ordering::Relaxed);
        while head != tail {
            // SAFETY: blocks from `head` to `tail` are not freed before this.
            let block = unsafe { &*place };
            let offset = offset(head);
            if offset < SLOTS {
                // SAFETY: slots between `head` and `tail` are full, and nobody
                // else is here.
                drop(unsafe { block.slots[offset].message.take() });
            } else {
                // ORDERING: Relaxed, as above.
                let next = block.next.load(Ordering::Relaxed);
                // SAFETY: it came from `allocate`, and its messages are gone.
                unsafe { Block::free(place) };
                place = next;
            }
            head = head.wrapping_add(STEP);
        }
        // SAFETY: as above; the last block has no next.
        unsafe { Block::free(place) };
        // ORDERING: Relaxed, as above.
        let spare = self.spare.load(Ordering::Relaxed);
        if !spare.is_null() {
            // SAFETY: it came from `allocate`, and it is in no list.
            unsafe { Block::free(spare) };
        }
    }
}
