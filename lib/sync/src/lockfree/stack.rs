//! Treiber's stack.
//!
//! `top` is the node pushed last; each node knows the one `below`, which is
//! written before the node is published and never after.

use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use crate::maybe_const;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicPtr, Ordering};
use crate::rcu::{Domain, Node, Protects, retire};

/// A stack that never blocks.
///
/// ```
/// use ochre_sync::lockfree::Stack;
/// use ochre_sync::rcu::{Host, pinned};
///
/// let stack: Stack<u32, Host> = Stack::new();
/// stack.push(1);
/// stack.push(2);
/// pinned(|guard| {
///     assert_eq!(stack.pop(guard), Some(2));
///     assert_eq!(stack.pop(guard), Some(1));
///     assert_eq!(stack.pop(guard), None);
/// });
/// ```
pub struct Stack<T, D> {
    top: AtomicPtr<Node<Entry<T>>>,
    owns: PhantomData<Box<T>>,
    domain: PhantomData<fn() -> D>,
}

struct Entry<T> {
    /// Moved out by who pops the node; never dropped with it.
    value: UnsafeCell<ManuallyDrop<T>>,
    below: *mut Node<Entry<T>>,
}

// SAFETY: values move through the stack from thread to thread (`T: Send`); none
// is ever shared.
unsafe impl<T: Send, D> Send for Stack<T, D> {}
// SAFETY: as above.
unsafe impl<T: Send, D> Sync for Stack<T, D> {}

impl<T, D> Stack<T, D> {
    maybe_const! {
        /// An empty stack.
        ///
        /// ```
        /// use ochre_sync::lockfree::Stack;
        /// use ochre_sync::rcu::Host;
        ///
        /// let free_buffers: Stack<Box<[u8; 64]>, Host> = Stack::new();
        /// assert!(free_buffers.is_empty());
        /// ```
        #[must_use]
        pub fn new() -> Stack<T, D> {
            Stack {
                top: AtomicPtr::new(ptr::null_mut()),
                owns: PhantomData,
                domain: PhantomData,
            }
        }
    }

    /// Whether there is nothing in it. It may have changed before the caller knows.
    ///
    /// ```
    /// use ochre_sync::lockfree::Stack;
    /// use ochre_sync::rcu::Host;
    ///
    /// let stack: Stack<u32, Host> = Stack::new();
    /// stack.push(1);
    /// assert!(!stack.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        // ORDERING: Relaxed; a thing to look at.
        self.top.load(Ordering::Relaxed).is_null()
    }

    /// Puts a value on top. Needs memory.
    ///
    /// ```
    /// use ochre_sync::lockfree::Stack;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let found: Stack<u32, Host> = Stack::new();
    /// std::thread::scope(|scope| {
    ///     for number in 0..4 {
    ///         let found = &found;
    ///         scope.spawn(move || found.push(number)); // without a guard: it reads nothing
    ///     }
    /// });
    /// let sum: u32 = core::iter::from_fn(|| pinned(|guard| found.pop(guard))).sum();
    /// assert_eq!(sum, 6);
    /// ```
    pub fn push(&self, value: T) {
        let node = Box::into_raw(Node::new(Entry {
            value: UnsafeCell::new(ManuallyDrop::new(value)),
            below: ptr::null_mut(),
        }));
        // ORDERING: Relaxed; the compare-exchange looks again. What is below is
        // not looked at, so it does not matter whether it is still what it was.
        let mut below = self.top.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is ours until it is on the stack.
            let own = unsafe { &mut *node };
            own.value_mut().below = below;
            // ORDERING: Release publishes the node. Those below were published by
            // their own, and go on being: this is a read-modify-write.
            match self
                .top
                .compare_exchange_weak(below, node, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(seen) => below = seen,
            }
        }
    }
}

impl<T: Send, D: Domain> Stack<T, D> {
    /// Takes the value on top.
    ///
    /// ```
    /// use ochre_sync::lockfree::Stack;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let free: Stack<u32, Host> = Stack::new();
    /// free.push(1);
    /// free.push(2);
    /// // What was used last is in a cache still.
    /// assert_eq!(pinned(|guard| free.pop(guard)), Some(2));
    /// ```
    pub fn pop(&self, _guard: &impl Protects<D>) -> Option<T> {
        loop {
            // ORDERING: Acquire pairs with the Release of `push`.
            let top = NonNull::new(self.top.load(Ordering::Acquire))?;
            // SAFETY: it was on the stack while the guard was there, so it is not
            // freed before the guard goes.
            let entry = unsafe { top.as_ref() }.value();
            // ORDERING: Relaxed; the node was acquired above, and the guard makes
            // sure that the same address is the same node.
            let taken = self.top.compare_exchange_weak(
                top.as_ptr(),
                entry.below,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if taken.is_err() {
                continue;
            }
            // SAFETY: we alone took the node off, so the value is ours; nobody
            // reads it after this, and the node's drop leaves it alone.
            let value = entry.value.with_mut(|value| unsafe { value.read() });
            // SAFETY: from `Box::into_raw`, out of reach by our doing; its drop frees memory only.
            unsafe { retire::<D, Entry<T>>(top) };
            return Some(ManuallyDrop::into_inner(value));
        }
    }
}

impl<T, D> Drop for Stack<T, D> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self` means that no other thread is here.
        let mut next = self.top.load(Ordering::Relaxed);
        while !next.is_null() {
            // SAFETY: the nodes on the stack are the stack's, from `Box::into_raw`.
            let node = unsafe { Box::from_raw(next) };
            let entry = node.into_value();
            next = entry.below;
            drop(ManuallyDrop::into_inner(entry.value.into_inner()));
        }
    }
}

impl<T, D> Default for Stack<T, D> {
    fn default() -> Stack<T, D> {
        Stack::new()
    }
}

impl<T, D> fmt::Debug for Stack<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stack(..)")
    }
}
