//! The lock of Mellor-Crummey and Scott: a queue whose nodes are on the stacks
//! of those who wait, each spinning at its own.
//!
//! `tail` is the last node, or null if the lock is free. Each node but the last
//! knows the `next`.
//!
//! | step | tail | nodes | ordering |
//! | --- | --- | --- | --- |
//! | come | swapped for the own node | | AcqRel |
//! | queue up, if there was one | | before.next = own | Release |
//! | wait | | until own.waiting is false | Acquire |
//! | go, nobody behind | own to null | | Release |
//! | go, somebody behind | | wait for own.next; next.waiting = false | Acquire; Release |
//!
//! # What must hold
//! A node stays where it is, and alive, from when it becomes the tail until its
//! owner has gone: nobody but its owner points to it after that. So the node is a
//! local of [`McsLock::with`], and the value is lent to a closure; there is no
//! guard that could be forgotten while the node goes.

use core::fmt;
use core::ptr;

use crate::maybe_const;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, Ordering};
use crate::primitive::{UnsafeCell, spin_loop};

/// A spin lock for many processors: first come, first served, and each waits at a
/// cache line of its own, so giving the lock on disturbs one of them, not all.
///
/// ```
/// use ochre_sync::McsLock;
///
/// static TOTAL: McsLock<u32> = McsLock::new(0);
///
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| TOTAL.with(|total| *total += 1));
///     }
/// });
/// assert_eq!(TOTAL.with(|total| *total), 4);
/// ```
pub struct McsLock<T: ?Sized> {
    tail: AtomicPtr<Node>,
    value: UnsafeCell<T>,
}

/// One who waits, or holds. On a cache line of its own, as somebody spins at it.
#[repr(align(64))]
struct Node {
    next: AtomicPtr<Node>,
    waiting: AtomicBool,
}

// SAFETY: the lock hands out the value to one thread at a time (`T: Send`); the
// nodes that `tail` leads to are for any thread to use.
unsafe impl<T: ?Sized + Send> Send for McsLock<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for McsLock<T> {}

impl<T> McsLock<T> {
    maybe_const! {
        /// A free lock around `value`.
        ///
        /// ```
        /// use ochre_sync::McsLock;
        ///
        /// static RUN_QUEUE: McsLock<Vec<u32>> = McsLock::new(Vec::new());
        /// RUN_QUEUE.with(|queue| queue.push(1));
        /// assert_eq!(RUN_QUEUE.with(|queue| queue.pop()), Some(1));
        /// ```
        pub fn new(value: T) -> McsLock<T> {
            McsLock {
                tail: AtomicPtr::new(ptr::null_mut()),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Gives the value back; nobody else can hold the lock.
    ///
    /// ```
    /// use ochre_sync::McsLock;
    ///
    /// let sum = McsLock::new(0);
    /// std::thread::scope(|scope| {
    ///     for number in 1..4 {
    ///         let sum = &sum;
    ///         scope.spawn(move || sum.with(|sum| *sum += number));
    ///     }
    /// });
    /// assert_eq!(sum.into_inner(), 6);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> McsLock<T> {
    /// Takes the lock, in turn, calls `f` with the value, and gives the lock back.
    ///
    /// The value cannot be taken out of the closure:
    ///
    /// ```compile_fail
    /// # use ochre_sync::McsLock;
    /// let lock = McsLock::new(1);
    /// let outside: &mut u32 = lock.with(|value| value);
    /// ```
    ///
    /// ```
    /// use ochre_sync::McsLock;
    ///
    /// let jobs = McsLock::new(vec!["one", "two"]);
    /// // What is wanted goes out as the closure's result.
    /// let job = jobs.with(|jobs| jobs.pop());
    /// assert_eq!((job, jobs.with(|jobs| jobs.len())), (Some("two"), 1));
    /// ```
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let node = Node::new();
        // ORDERING: Acquire, because the lock may be free: it pairs with the
        // Release of the last holder's `go`. It also makes the node before, if
        // there is one, usable; Release makes this one so for the next to come.
        let before = self.tail.swap(node.pointer(), Ordering::AcqRel);
        if !before.is_null() {
            // SAFETY: it was the tail until we came, and its owner does not go
            // before it has seen us as its `next`.
            let before = unsafe { &*before };
            // ORDERING: Release makes our node usable to the one before.
            before.next.store(node.pointer(), Ordering::Release);
            // ORDERING: Acquire pairs with the Release of the one before when it goes.
            while node.waiting.load(Ordering::Acquire) {
                spin_loop();
            }
        }
        self.call(&node, f)
    }

    /// As [`with`](McsLock::with) if the lock is free now, else `None`.
    ///
    /// ```
    /// use ochre_sync::McsLock;
    ///
    /// let lock = McsLock::new(1);
    /// lock.with(|_| assert!(lock.try_with(|_| ()).is_none(), "it is held"));
    /// assert_eq!(lock.try_with(|number| *number), Some(1));
    /// ```
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let node = Node::new();
        // ORDERING: AcqRel as in `with`; a failure tells only that the lock is held.
        let taken = self.tail.compare_exchange(
            ptr::null_mut(),
            node.pointer(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        taken.is_ok().then(|| self.call(&node, f))
    }

    /// Calls `f` and gives the lock back, also if `f` panics.
    fn call<R>(&self, node: &Node, f: impl FnOnce(&mut T) -> R) -> R {
        let _held = Held {
            tail: &self.tail,
            node,
        };
        // SAFETY: the lock is ours until `_held` is dropped, and the reference
        // does not leave `f`.
        self.value.with_mut(|value| f(unsafe { &mut *value }))
    }

    /// The value, through an exclusive reference to the lock.
    ///
    /// ```
    /// use ochre_sync::McsLock;
    ///
    /// let mut lock = McsLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.with(|number| *number), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl Node {
    fn new() -> Node {
        Node {
            next: AtomicPtr::new(ptr::null_mut()),
            waiting: AtomicBool::new(true),
        }
    }

    fn pointer(&self) -> *mut Node {
        ptr::from_ref(self).cast_mut()
    }
}

/// The lock, held; gives it back when dropped.
struct Held<'a> {
    tail: &'a AtomicPtr<Node>,
    node: &'a Node,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // ORDERING: Acquire pairs with the Release of the one behind: its node is usable.
        let mut next = self.node.next.load(Ordering::Acquire);
        if next.is_null() {
            // ORDERING: Release publishes the value to who finds the lock free.
            let gone = self.tail.compare_exchange(
                self.node.pointer(),
                ptr::null_mut(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            if gone.is_ok() {
                return;
            }
            // Somebody has come and will say so.
            loop {
                // ORDERING: Acquire, as above.
                next = self.node.next.load(Ordering::Acquire);
                if !next.is_null() {
                    break;
                }
                spin_loop();
            }
        }
        // SAFETY: the one behind waits for us, its node is on its stack till then.
        let next = unsafe { &*next };
        // ORDERING: Release publishes the value to it. Its node may be gone when
        // this returns.
        next.waiting.store(false, Ordering::Release);
    }
}

impl<T: Default> Default for McsLock<T> {
    fn default() -> McsLock<T> {
        McsLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for McsLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.try_with(|value| f.debug_tuple("McsLock").field(&&*value).finish());
        // The closure had `f`; it is back now.
        shown.unwrap_or_else(|| f.write_str("McsLock(<locked>)"))
    }
}

#[cfg(all(test, not(loom)))]
impl<T> McsLock<T> {
    /// Who came last, as a number that changes when somebody comes.
    pub(super) fn last(&self) -> usize {
        self.tail.load(Ordering::Relaxed).addr()
    }
}
