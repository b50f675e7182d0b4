//! The queue of Michael and Scott.
//!
//! A chain of nodes from `head` to `tail`. The node at the head has no value (its
//! value has been taken, or it is the one the queue was made with); the next one's
//! is the first in the queue.
//!
//! | step | changes | ordering |
//! | --- | --- | --- |
//! | push | last.next from null to the node | Release |
//! | then, by anybody | tail to last.next | Release |
//! | pop | head to head.next, whose value is ours | Release |
//!
//! `tail` may be one behind; whoever finds it so moves it on. It never is behind
//! `head`: pop moves it on first.

use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicPtr, Ordering};
use crate::rcu::{Domain, Node, Protects, retire};

/// A queue that never blocks, and has no end.
///
/// ```
/// use ochre_sync::lockfree::Queue;
/// use ochre_sync::rcu::{Host, pinned};
///
/// let queue: Queue<u32, Host> = Queue::new();
/// pinned(|guard| {
///     queue.push(1, guard);
///     queue.push(2, guard);
///     assert_eq!(queue.pop(guard), Some(1));
///     assert_eq!(queue.pop(guard), Some(2));
///     assert_eq!(queue.pop(guard), None);
/// });
/// ```
pub struct Queue<T, D> {
    head: AtomicPtr<Node<Entry<T>>>,
    tail: AtomicPtr<Node<Entry<T>>>,
    owns: PhantomData<Box<T>>,
    domain: PhantomData<fn() -> D>,
}

struct Entry<T> {
    /// There from when the node is made until it becomes the head.
    value: UnsafeCell<MaybeUninit<T>>,
    next: AtomicPtr<Node<Entry<T>>>,
}

// SAFETY: values move through the queue from thread to thread (`T: Send`); none
// is ever shared.
unsafe impl<T: Send, D> Send for Queue<T, D> {}
// SAFETY: as above.
unsafe impl<T: Send, D> Sync for Queue<T, D> {}

impl<T, D> Queue<T, D> {
    /// An empty queue. Needs memory for its first node.
    ///
    /// ```
    /// use ochre_sync::lockfree::Queue;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let queue: Queue<u32, Host> = Queue::new();
    /// assert_eq!(pinned(|guard| queue.pop(guard)), None);
    /// ```
    #[must_use]
    pub fn new() -> Queue<T, D> {
        let first = node(MaybeUninit::uninit());
        Queue {
            head: AtomicPtr::new(first),
            tail: AtomicPtr::new(first),
            owns: PhantomData,
            domain: PhantomData,
        }
    }
}

fn node<T>(value: MaybeUninit<T>) -> *mut Node<Entry<T>> {
    Box::into_raw(Node::new(Entry {
        value: UnsafeCell::new(value),
        next: AtomicPtr::new(ptr::null_mut()),
    }))
}

impl<T: Send, D: Domain> Queue<T, D> {
    /// Puts a value at the end. Needs memory.
    ///
    /// ```
    /// use ochre_sync::lockfree::Queue;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let jobs: Queue<u32, Host> = Queue::new();
    /// std::thread::scope(|scope| {
    ///     for base in [10, 20] {
    ///         let jobs = &jobs;
    ///         scope.spawn(move || pinned(|guard| (base..base + 3).for_each(|job| jobs.push(job, guard))));
    ///     }
    /// });
    /// // Each thread's come in its order, whatever is between them.
    /// let all: Vec<u32> = core::iter::from_fn(|| pinned(|guard| jobs.pop(guard))).collect();
    /// assert!(all.iter().filter(|job| **job < 20).eq(&[10, 11, 12]) && all.len() == 6);
    /// ```
    pub fn push(&self, value: T, _guard: &impl Protects<D>) {
        let node = node(MaybeUninit::new(value));
        loop {
            // ORDERING: Acquire pairs with the Release of who moved it there.
            let tail = self.tail.load(Ordering::Acquire);
            // SAFETY: the tail is in the chain, or was a moment ago while the guard was there.
            let last = unsafe { &*tail }.value();
            // ORDERING: Release publishes our node; Acquire, if somebody's is
            // there, makes that one fit for being the tail.
            match last.next.compare_exchange(
                ptr::null_mut(),
                node,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    self.advance(tail, node);
                    return;
                }
                Err(next) => self.advance(tail, next),
            }
        }
    }

    /// Moves the tail on, unless somebody has.
    fn advance(&self, tail: *mut Node<Entry<T>>, next: *mut Node<Entry<T>>) {
        // ORDERING: Release passes on what we know of `next` to who finds it here.
        let _ = self
            .tail
            .compare_exchange(tail, next, Ordering::Release, Ordering::Relaxed);
    }

    /// Takes the first value.
    ///
    /// ```
    /// use ochre_sync::lockfree::Queue;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let events: Queue<&str, Host> = Queue::new();
    /// pinned(|guard| {
    ///     events.push("down", guard);
    ///     events.push("up", guard);
    ///     assert_eq!((events.pop(guard), events.pop(guard)), (Some("down"), Some("up")));
    /// });
    /// ```
    pub fn pop(&self, _guard: &impl Protects<D>) -> Option<T> {
        loop {
            // ORDERING: Acquire pairs with the Release of who moved it there.
            let head = self.head.load(Ordering::Acquire);
            // SAFETY: it was the head while the guard was there.
            let first = unsafe { &*head }.value();
            // ORDERING: Acquire pairs with the Release of `push`.
            let next = NonNull::new(first.next.load(Ordering::Acquire))?;
            // The tail must not stay behind at a node that is to be freed. If it
            // is elsewhere now, it has moved on for good.
            self.advance(head, next.as_ptr());
            // ORDERING: Release passes on what we know of `next`.
            let taken = self.head.compare_exchange_weak(
                head,
                next.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            if taken.is_err() {
                continue;
            }
            // SAFETY: in the chain a moment ago, while the guard was there.
            let entry = unsafe { next.as_ref() }.value();
            // SAFETY: we alone made it the head, so the value is ours.
            let value = entry.value.with_mut(|value| unsafe { value.read() });
            // SAFETY: the head's pointer is never null.
            let head = unsafe { NonNull::new_unchecked(head) };
            // SAFETY: from `Box::into_raw`, out of reach by our doing: neither head
            // nor tail. Its drop frees memory only.
            unsafe { retire::<D, Entry<T>>(head) };
            // SAFETY: every node but the first has been made with a value.
            return Some(unsafe { value.assume_init() });
        }
    }
}

impl<T, D> Drop for Queue<T, D> {
    fn drop(&mut self) {
        // ORDERING: Relaxed, all of them; `&mut self` means that no other thread is here.
        let head = self.head.load(Ordering::Relaxed);
        // SAFETY: the nodes in the chain are the queue's, from `Box::into_raw`.
        let first = unsafe { Box::from_raw(head) }.into_value();
        let mut next = first.next.load(Ordering::Relaxed);
        while !next.is_null() {
            // SAFETY: as above.
            let entry = unsafe { Box::from_raw(next) }.into_value();
            next = entry.next.load(Ordering::Relaxed);
            // SAFETY: behind the head every node has its value.
            drop(unsafe { entry.value.into_inner().assume_init() });
        }
    }
}

impl<T, D> Default for Queue<T, D> {
    fn default() -> Queue<T, D> {
        Queue::new()
    }
}

impl<T, D> fmt::Debug for Queue<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue(..)")
    }
}
