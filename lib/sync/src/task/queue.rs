//! The queue under all of them: nodes in futures, linked to each other.
//!
//! # What must hold
//! A node is only ever used with one queue, under that queue's lock (whoever has
//! `&mut Queue` has it). A node in the queue stays where it is and is alive: its
//! future is pinned, and takes it out before it goes.

use core::marker::PhantomPinned;
use core::task::Waker;

use crate::primitive::UnsafeCell;
use crate::wait_list;

/// Where a waiter is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not in the queue; has been given nothing.
    Idle,
    /// In the queue.
    Waiting,
    /// Not in the queue; has been given what it waited for, and nobody else has.
    Given,
    /// Not in the queue; has been told, as all others were.
    Told,
}

/// What a waiter's future holds.
pub(super) struct Node {
    link: Link,
    _pinned: PhantomPinned,
}

type Link = wait_list::Node<UnsafeCell<Entry>>;

/// What is in a node.
pub(super) struct Entry {
    pub(super) state: State,
    /// How much it waits for; where nothing is counted, when it came.
    pub(super) want: usize,
    pub(super) waker: Option<Waker>,
}

// SAFETY: what is in a node is reached under the queue's lock only, from any thread.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(super) fn new(want: usize) -> Node {
        Node {
            link: Link::new(UnsafeCell::new(Entry {
                state: State::Idle,
                want,
                waker: None,
            })),
            _pinned: PhantomPinned,
        }
    }
}

/// Those who wait, in order.
pub(super) struct Queue(wait_list::List<UnsafeCell<Entry>>);

// SAFETY: nodes may be used by any thread that has the queue.
unsafe impl Send for Queue {}

impl Queue {
    pub(super) const fn new() -> Queue {
        Queue(wait_list::List::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.front().is_null()
    }

    /// What is in the node.
    ///
    /// # Safety
    /// The node must be alive, and be of this queue.
    pub(super) unsafe fn entry<R>(
        &mut self,
        node: *const Node,
        f: impl FnOnce(&mut Entry) -> R,
    ) -> R {
        // SAFETY: alive, says the caller.
        let node = unsafe { &*node };
        // SAFETY: as above.
        unsafe { self.inside(&node.link, f) }
    }

    /// What is behind the link.
    ///
    /// # Safety
    /// The link must be that of a node that is alive, and be of this queue.
    unsafe fn inside<R>(&mut self, link: *const Link, f: impl FnOnce(&mut Entry) -> R) -> R {
        // SAFETY: alive, says the caller.
        let link = unsafe { &*link };
        // SAFETY: `&mut self` means that the lock of the node's queue is ours.
        link.data.with_mut(|entry| f(unsafe { &mut *entry }))
    }

    /// The first one's link.
    fn first(&self) -> Option<*const Link> {
        let first = self.0.front();
        (!first.is_null()).then_some(first)
    }

    /// What the first one wants.
    pub(super) fn first_wants(&mut self) -> Option<usize> {
        let first = self.first()?;
        // SAFETY: a node in the queue is alive, and of this queue.
        Some(unsafe { self.inside(first, |entry| entry.want) })
    }

    /// Puts a node behind all others, `Waiting`.
    ///
    /// # Safety
    /// The node must be of this queue, not in it, and stay where it is until it
    /// has been taken out or given something.
    pub(super) unsafe fn push_last(&mut self, node: *const Node) {
        // SAFETY: alive, says the caller.
        let link = unsafe { self.waiting(node) };
        // SAFETY: the caller's promise.
        unsafe { self.0.push_back(link) };
    }

    /// Puts a node before all others, `Waiting`.
    ///
    /// # Safety
    /// As for [`push_last`](Queue::push_last).
    pub(super) unsafe fn push_first(&mut self, node: *const Node) {
        // SAFETY: alive, says the caller.
        let link = unsafe { self.waiting(node) };
        // SAFETY: the caller's promise.
        unsafe { self.0.push_front(link) };
    }

    /// The link of a node that is about to wait.
    ///
    /// # Safety
    /// The node must be alive, and be of this queue.
    unsafe fn waiting(&mut self, node: *const Node) -> *const Link {
        // SAFETY: alive, says the caller.
        let link = unsafe { &raw const (*node).link };
        // SAFETY: as above.
        unsafe { self.inside(link, |entry| entry.state = State::Waiting) };
        link
    }

    /// Takes a node out, `Idle`.
    ///
    /// # Safety
    /// The node must be in this queue.
    pub(super) unsafe fn remove(&mut self, node: *const Node) {
        // SAFETY: a node in the queue is alive.
        let link = unsafe { &raw const (*node).link };
        // SAFETY: it is in the queue.
        unsafe { self.0.remove(link) };
        // SAFETY: as above.
        unsafe { self.inside(link, |entry| entry.state = State::Idle) };
    }

    /// Takes the first node out, to be `state` then; its waker, to be called
    /// without the lock.
    pub(super) fn take_first(&mut self, state: State) -> Option<Waker> {
        let first = self.first()?;
        // SAFETY: it is in the queue.
        unsafe { self.0.remove(first) };
        // SAFETY: it is alive: its future needs the lock to go, and that is ours.
        unsafe {
            self.inside(first, |entry| {
                entry.state = state;
                entry.waker.take()
            })
        }
    }
}

/// How many wakers are collected under the lock before they are called.
const BATCH: usize = 8;

/// Wakers to be called when the lock is not held.
pub(super) struct Wakers {
    wakers: [Option<Waker>; BATCH],
    count: usize,
}

impl Wakers {
    pub(super) const fn new() -> Wakers {
        Wakers {
            wakers: [const { None }; BATCH],
            count: 0,
        }
    }

    /// Whether no more fit.
    pub(super) fn is_full(&self) -> bool {
        self.count == BATCH
    }

    pub(super) fn push(&mut self, waker: Option<Waker>) {
        if waker.is_some() {
            self.wakers[self.count] = waker;
            self.count += 1;
        }
    }

    /// Calls them. Not under the lock!
    pub(super) fn wake(&mut self) {
        for waker in &mut self.wakers[..self.count] {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
        self.count = 0;
    }
}
