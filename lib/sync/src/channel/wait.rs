//! Those who wait at a channel: lists of nodes that lie with the waiters.
//!
//! A waiter is a [`Node`] in a [`Queue`] and a [`Signal`]. Both lie on the stack
//! of a thread that blocks, or inside a pinned future, so waiting allocates
//! nothing. Threads and tasks stand in the same list.
//!
//! # States of a signal
//!
//! | value | means | who goes there |
//! | --- | --- | --- |
//! | `WAITING` | nothing happened | its owner, before it enlists |
//! | `case + 1` | the operation of that number has been woken | who took the node off a list |
//! | `ABORTED` | its owner no longer waits | its owner (select and deadlines) |
//!
//! Both steps out of `WAITING` are compare-exchanges, so a select that waits at
//! several channels is woken by one of them, and a channel that comes second
//! wakes somebody else instead.
//!
//! # Lock protocol
//! A node's inside belongs to the lock of the queue that it is enlisted in. A
//! waiter is woken after the lock was released, and its owner passes through the
//! lock once more ([`Queue::withdraw`]) before the node may go: so the node
//! outlives the one who wakes it. What is woken by address only may be gone.

use core::marker::PhantomData;
use core::mem;
use core::ops::DerefMut;
use core::ptr;
use core::task::Waker;

use crate::SpinLock;
use crate::blocking::Blocking;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::wait_list;

const WAITING: u32 = 0;
const ABORTED: u32 = u32::MAX;

/// What a waiter sleeps at; shared by all nodes of a select.
pub(super) struct Signal(AtomicU32);

impl Signal {
    pub(super) fn new() -> Signal {
        Signal(AtomicU32::new(WAITING))
    }

    /// Wakes this waiter for an operation, unless it was woken or gave up before.
    pub(super) fn select(&self, case: u32) -> bool {
        // ORDERING: Relaxed; both sides pass through the queue's lock, which
        // orders what was done before the wake-up with what the woken one does.
        self.0
            .compare_exchange(WAITING, case + 1, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives up; or tells which operation was woken before.
    pub(super) fn abort(&self) -> Option<u32> {
        // ORDERING: Relaxed, as in `select`.
        let was = self
            .0
            .compare_exchange(WAITING, ABORTED, Ordering::Relaxed, Ordering::Relaxed);
        was.err().map(|value| value - 1)
    }

    /// Whether nothing has happened yet.
    pub(super) fn is_waiting(&self) -> bool {
        // ORDERING: Relaxed, as in `select`.
        self.0.load(Ordering::Relaxed) == WAITING
    }

    /// Makes it wait again; it is in no queue.
    pub(super) fn reset(&self) {
        // ORDERING: Relaxed; the queue's lock publishes it with the node.
        self.0.store(WAITING, Ordering::Relaxed);
    }

    /// Sleeps until woken; gives the operation's number, or nothing if the
    /// deadline passed first.
    pub(super) fn wait<B: Blocking>(&self, deadline: Option<B::Instant>) -> Option<u32> {
        loop {
            // ORDERING: Relaxed, as in `select`.
            let value = self.0.load(Ordering::Relaxed);
            if value != WAITING {
                return Some(value - 1);
            }
            match deadline {
                None => B::wait(&self.0, WAITING),
                Some(deadline) => {
                    if !B::wait_until(&self.0, WAITING, deadline) {
                        return self.abort();
                    }
                }
            }
        }
    }
}

/// One waiter's place in one queue.
pub(super) struct Node(Link);

type Link = wait_list::Node<UnsafeCell<Inner>>;

struct Inner {
    signal: *const Signal,
    case: u32,
    waker: Option<Waker>,
    packet: *mut (),
}

// SAFETY: the inside is reached under the lock of the node's queue only, and
// what it points to is made to be reached from other threads.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(super) fn new() -> Node {
        Node(Link::new(UnsafeCell::new(Inner {
            signal: ptr::null(),
            case: 0,
            waker: None,
            packet: ptr::null_mut(),
        })))
    }
}

/// How a waiter enlists.
pub(super) struct Ticket<'a> {
    /// Its signal.
    pub(super) signal: &'a Signal,
    /// The number that its signal shall show.
    pub(super) case: u32,
    /// The task to wake; a thread otherwise.
    pub(super) waker: Option<Waker>,
    /// What it offers, or where it takes a message (rendezvous only).
    pub(super) packet: *mut (),
}

/// What is behind a node's link.
///
/// # Safety
/// The link is alive, the lock of its queue is held (or it is in no queue and
/// the caller is its owner), and no other reference to its inside is in use.
unsafe fn inside<'a>(link: *const Link) -> &'a mut Inner {
    // SAFETY: the caller says that the link is alive.
    let link = unsafe { &*link };
    // SAFETY: the caller says that nobody else reaches the inside.
    link.data.with_mut(|inner| unsafe { &mut *inner })
}

/// The link behind this one, or null.
///
/// # Safety
/// The link is in a list whose lock is held.
unsafe fn behind(link: *const Link) -> *const Link {
    // SAFETY: what is in a list is alive.
    let link = unsafe { &*link };
    // SAFETY: the caller's promise.
    unsafe { link.next() }
}

/// A list of nodes, first come first.
pub(super) struct List(wait_list::List<UnsafeCell<Inner>>);

// SAFETY: the nodes may be reached from any thread that holds the lock.
unsafe impl Send for List {}

/// A waiter that was taken off a list: what to do about it when the lock is free.
#[must_use]
pub(super) enum Wake {
    /// A thread sleeps at this word.
    Thread(*const AtomicU32),
    /// A task.
    Task(Waker),
}

impl Wake {
    pub(super) fn wake<B: Blocking>(self) {
        match self {
            Wake::Thread(word) => {
                B::wake_one(word);
            }
            Wake::Task(waker) => waker.wake(),
        }
    }
}

impl List {
    pub(super) const fn new() -> List {
        List(wait_list::List::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.front().is_null()
    }

    /// Puts a node at the end.
    ///
    /// # Safety
    /// The lock of this list is held. The node is in no list, belongs to the
    /// caller, and stays where it is until `remove` was called for it here.
    pub(super) unsafe fn push(&mut self, node: &Node, ticket: Ticket<'_>) {
        // SAFETY: the node is the caller's and in no list.
        let inner = unsafe { inside(&node.0) };
        *inner = Inner {
            signal: ticket.signal,
            case: ticket.case,
            waker: ticket.waker,
            packet: ticket.packet,
        };
        // SAFETY: as above; it stays, says the caller.
        unsafe { self.0.push_back(&node.0) };
    }

    /// Takes a node out; false if it was taken out before.
    ///
    /// # Safety
    /// The lock of this list is held; the node is in this list or in none.
    pub(super) unsafe fn remove(&mut self, node: &Node) -> bool {
        // SAFETY: the lock is held.
        let linked = unsafe { node.0.is_linked() };
        if linked {
            // SAFETY: it is in a list, which is this one.
            unsafe { self.0.remove(&node.0) };
        }
        linked
    }

    /// Takes out the first waiter that `wanted` takes, asked in their order, and
    /// tells its signal; gives its packet, and how to wake it. Waiters that have
    /// been woken elsewhere meanwhile are taken out on the way.
    ///
    /// # Safety
    /// The lock of this list is held.
    pub(super) unsafe fn take(
        &mut self,
        mut wanted: impl FnMut(&Waiter) -> bool,
    ) -> Option<(*mut (), Wake)> {
        let mut link = self.0.front();
        while !link.is_null() {
            // SAFETY: what is in the list is alive, and the lock is held.
            let inner = unsafe { inside(link) };
            // SAFETY: as above.
            let next = unsafe { behind(link) };
            let waiter = Waiter {
                signal: inner.signal,
                packet: inner.packet,
            };
            if wanted(&waiter) {
                let (case, packet) = (inner.case, inner.packet);
                let waker = inner.waker.take();
                // SAFETY: the lock is held and the link is in this list.
                unsafe { self.0.remove(link) };
                // SAFETY: a signal lives as long as its nodes, and the owner
                // of the node has yet to come through the lock.
                let signal = unsafe { &*waiter.signal };
                if signal.select(case) {
                    let wake = waker.map_or(Wake::Thread(&raw const signal.0), Wake::Task);
                    return Some((packet, wake));
                }
            }
            link = next;
        }
        None
    }

    /// Whether some waiter is one that `wanted` takes.
    ///
    /// # Safety
    /// The lock of this list is held.
    pub(super) unsafe fn any(&self, mut wanted: impl FnMut(&Waiter) -> bool) -> bool {
        let mut link = self.0.front();
        while !link.is_null() {
            // SAFETY: what is in the list is alive, and the lock is held.
            let inner = unsafe { inside(link) };
            let waiter = Waiter {
                signal: inner.signal,
                packet: inner.packet,
            };
            if wanted(&waiter) {
                return true;
            }
            // SAFETY: as above.
            link = unsafe { behind(link) };
        }
        false
    }
}

/// What may be asked about a waiter in a list.
pub(super) struct Waiter {
    /// Its signal: two nodes with one signal belong to one select.
    pub(super) signal: *const Signal,
    /// See [`Ticket`].
    pub(super) packet: *mut (),
}

/// Takes a node out of a list if it is in it; false if it was taken out before.
/// What it kept of its task is dropped when the lock is free again.
///
/// # Safety
/// The node is in the list that `list` locks, or in none.
pub(super) unsafe fn withdraw<G: DerefMut<Target = L>, L: ?Sized>(
    mut guard: G,
    list: impl FnOnce(&mut L) -> &mut List,
    node: &Node,
) -> bool {
    // SAFETY: the guard is the lock of the node's list.
    let removed = unsafe { list(&mut guard).remove(node) };
    // SAFETY: as above.
    let waker = unsafe { inside(&node.0) }.waker.take();
    drop(guard);
    drop(waker);
    removed
}

/// Whether a task's node is in a list; from now on with this waker.
///
/// # Safety
/// The guard is of the lock of the node's list.
pub(super) unsafe fn refresh<G>(guard: G, node: &Node, mut waker: Waker) -> bool {
    // SAFETY: the lock is held.
    let queued = unsafe { node.0.is_linked() };
    // SAFETY: as above.
    let inner = unsafe { inside(&node.0) };
    if queued && let Some(old) = &mut inner.waker {
        mem::swap(old, &mut waker);
    }
    // Dropping a waker may run anything, so the lock goes first.
    drop(guard);
    drop(waker);
    queued
}

/// Waiters of one kind (senders or receivers) at a channel with room for messages.
pub(super) struct Queue<B> {
    list: SpinLock<List>,
    blocking: PhantomData<fn() -> B>,
}

impl<B: Blocking> Queue<B> {
    pub(super) fn new() -> Queue<B> {
        Queue {
            list: SpinLock::new(List::new()),
            blocking: PhantomData,
        }
    }

    /// Enlists a waiter; `mark` then makes it known to the other side, under the lock.
    ///
    /// # Safety
    /// The node is in no queue, belongs to the caller, and stays where it is
    /// until `withdraw` was called for it here.
    pub(super) unsafe fn enlist<R>(
        &self,
        node: &Node,
        ticket: Ticket<'_>,
        mark: impl FnOnce() -> R,
    ) -> R {
        let mut list = self.list.lock();
        // SAFETY: the lock is held; the rest is the caller's promise.
        unsafe { list.push(node, ticket) };
        mark()
    }

    /// Takes a waiter out; false if it had been woken before.
    ///
    /// # Safety
    /// The node was enlisted here if anywhere.
    pub(super) unsafe fn withdraw(&self, node: &Node) -> bool {
        // SAFETY: the caller's promise.
        unsafe { withdraw(self.list.lock(), |list| list, node) }
    }

    /// Whether a task still waits; from now on with this waker.
    ///
    /// # Safety
    /// The node was enlisted here if anywhere.
    pub(super) unsafe fn refresh(&self, node: &Node, waker: &Waker) -> bool {
        let waker = waker.clone();
        // SAFETY: the caller's promise.
        unsafe { refresh(self.list.lock(), node, waker) }
    }

    /// Wakes the first; `unmark`, under the lock, when nobody is left. False if
    /// there was nobody.
    #[cold]
    pub(super) fn wake_one(&self, unmark: impl FnOnce()) -> bool {
        let taken = {
            let mut list = self.list.lock();
            // SAFETY: the lock is held.
            let taken = unsafe { list.take(|_| true) };
            if list.is_empty() {
                unmark();
            }
            taken
        };
        match taken {
            Some((_, wake)) => {
                wake.wake::<B>();
                true
            }
            None => false,
        }
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        while self.wake_one(|| ()) {}
    }
}
