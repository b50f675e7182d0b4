//! The lock of Craig, Landin and Hagersten: a queue in which each spins at the
//! node of the one before, and goes home with it.
//!
//! `tail` is the last node; there is always one. A node says whether its owner
//! still has the lock, or waits for it. Who goes leaves its node behind, for the
//! next to look at, and takes the node it looked at itself, which nobody else
//! knows any more.
//!
//! | step | tail | nodes | ordering |
//! | --- | --- | --- | --- |
//! | come | swapped for the own node | own.held = true, before that | AcqRel |
//! | wait | | until before.held is false | Acquire |
//! | go | | own.held = false; before is ours now | Release |
//!
//! # What must hold
//! Each node is in one place: a handle, the queue, or a guard (as the one it
//! takes home). Nodes are borrowed exclusively for `'n`, which is part of the
//! lock's type, so a lock never outlives a node that it points to. A forgotten
//! guard leaves its handle empty and the lock held, nothing else.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::maybe_const;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, Ordering};
use crate::primitive::{UnsafeCell, spin_loop};

/// One place in the queue of a [`ClhLock`]. On a cache line of its own, as
/// somebody spins at it.
///
/// ```
/// use ochre_sync::{ClhHandle, ClhLock, ClhNode};
///
/// let (mut first, mut own) = (ClhNode::new(), ClhNode::new());
/// let lock = ClhLock::new(&mut first, 1);
/// let mut handle = ClhHandle::new(&mut own);
/// assert_eq!(*lock.lock(&mut handle), 1);
/// ```
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ClhNode {
    held: AtomicBool,
}

impl ClhNode {
    maybe_const! {
        /// A node in nobody's use.
        ///
        /// ```
        /// use ochre_sync::ClhNode;
        ///
        /// let nodes = [const { ClhNode::new() }; 2];
        /// assert_eq!(size_of_val(&nodes), 128); // no two on one cache line
        /// ```
        #[must_use]
        pub fn new() -> ClhNode {
            ClhNode {
                held: AtomicBool::new(false),
            }
        }
    }
}

/// What a thread takes [`ClhLock`]s with, one at a time: a node, though not
/// always the same.
///
/// ```
/// use ochre_sync::{ClhHandle, ClhLock, ClhNode};
///
/// let [mut one, mut two, mut own] = [const { ClhNode::new() }; 3];
/// let (first, second) = (ClhLock::new(&mut one, 1), ClhLock::new(&mut two, 2));
/// // One handle serves for any number of locks, one after the other.
/// let mut handle = ClhHandle::new(&mut own);
/// let sum = *first.lock(&mut handle);
/// assert_eq!(sum + *second.lock(&mut handle), 3);
/// ```
pub struct ClhHandle<'n> {
    node: Option<NonNull<ClhNode>>,
    /// Neither longer nor shorter than `'n`: nodes go out and others come in.
    nodes: PhantomData<fn(&'n mut ClhNode) -> &'n mut ClhNode>,
}

// SAFETY: the handle is an exclusive reference to a node, which may be used by any thread.
unsafe impl Send for ClhHandle<'_> {}
// SAFETY: through `&ClhHandle` nothing can be done.
unsafe impl Sync for ClhHandle<'_> {}

impl<'n> ClhHandle<'n> {
    /// A handle with this node.
    ///
    /// ```
    /// use ochre_sync::{ClhHandle, ClhLock, ClhNode};
    ///
    /// let (mut first, mut own) = (ClhNode::new(), ClhNode::new());
    /// let lock = ClhLock::new(&mut first, 0);
    /// // Kept by a thread, or a processor, for all the locks it takes.
    /// let mut handle = ClhHandle::new(&mut own);
    /// for _ in 0..3 {
    ///     *lock.lock(&mut handle) += 1;
    /// }
    /// assert_eq!(lock.into_inner(), 3);
    /// ```
    pub fn new(node: &'n mut ClhNode) -> ClhHandle<'n> {
        ClhHandle {
            node: Some(NonNull::from(node)),
            nodes: PhantomData,
        }
    }
}

impl fmt::Debug for ClhHandle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClhHandle")
    }
}

/// A spin lock for many processors: first come, first served, and each waits at
/// a cache line that nobody else looks at. Nodes come from the caller.
///
/// Against [`McsLock`](super::McsLock): giving it back is one store and never
/// waits, and there is a guard; but somebody has to keep the nodes, one for each
/// thread and one for the lock.
///
/// ```
/// use ochre_sync::{ClhHandle, ClhLock, ClhNode};
///
/// let mut nodes = [const { ClhNode::new() }; 3];
/// let [first, own, other] = &mut nodes;
/// let lock = ClhLock::new(first, 0);
/// std::thread::scope(|scope| {
///     for node in [own, other] {
///         let lock = &lock;
///         scope.spawn(move || {
///             let mut handle = ClhHandle::new(node);
///             *lock.lock(&mut handle) += 1;
///         });
///     }
/// });
/// assert_eq!(lock.into_inner(), 2);
/// ```
///
/// A node serves one handle:
///
/// ```compile_fail,E0499
/// # use ochre_sync::{ClhHandle, ClhNode};
/// let mut node = ClhNode::new();
/// let one = ClhHandle::new(&mut node);
/// let two = ClhHandle::new(&mut node);
/// drop(one);
/// ```
///
/// And it outlives the locks that it comes to:
///
/// ```compile_fail,E0597
/// # use ochre_sync::{ClhHandle, ClhLock, ClhNode};
/// let mut first = ClhNode::new();
/// let lock = ClhLock::new(&mut first, 0);
/// {
///     let mut node = ClhNode::new();
///     *lock.lock(&mut ClhHandle::new(&mut node)) += 1;
/// }
/// lock.into_inner();
/// ```
pub struct ClhLock<'n, T: ?Sized> {
    tail: AtomicPtr<ClhNode>,
    /// Neither longer nor shorter than `'n`: nodes go in and come out.
    nodes: PhantomData<fn(&'n mut ClhNode) -> &'n mut ClhNode>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out the value to one thread at a time (`T: Send`); nodes
// may be used by any thread.
unsafe impl<T: ?Sized + Send> Send for ClhLock<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for ClhLock<'_, T> {}

impl<'n, T> ClhLock<'n, T> {
    /// A free lock around `value`, with a node for itself.
    ///
    /// ```
    /// use ochre_sync::{ClhLock, ClhNode};
    ///
    /// let mut node = ClhNode::new();
    /// let lock = ClhLock::new(&mut node, "a value");
    /// assert_eq!(lock.into_inner(), "a value");
    /// ```
    pub fn new(node: &'n mut ClhNode, value: T) -> ClhLock<'n, T> {
        // ORDERING: Relaxed; the node is borrowed exclusively.
        node.held.store(false, Ordering::Relaxed);
        ClhLock {
            tail: AtomicPtr::new(node),
            nodes: PhantomData,
            value: UnsafeCell::new(value),
        }
    }

    /// Gives the value back; nobody else can hold the lock.
    ///
    /// ```
    /// use ochre_sync::{ClhHandle, ClhLock, ClhNode};
    ///
    /// let (mut first, mut own) = (ClhNode::new(), ClhNode::new());
    /// let lock = ClhLock::new(&mut first, Vec::new());
    /// lock.lock(&mut ClhHandle::new(&mut own)).push(1);
    /// assert_eq!(lock.into_inner(), [1]);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<'n, T: ?Sized> ClhLock<'n, T> {
    /// Takes the lock, in turn, spinning while it is not ours.
    ///
    /// ```
    /// use ochre_sync::{ClhHandle, ClhLock, ClhNode};
    ///
    /// let mut nodes = [const { ClhNode::new() }; 4];
    /// let [first, others @ ..] = &mut nodes;
    /// let turns = ClhLock::new(first, Vec::new());
    /// std::thread::scope(|scope| {
    ///     for (number, node) in others.iter_mut().enumerate() {
    ///         let turns = &turns;
    ///         scope.spawn(move || turns.lock(&mut ClhHandle::new(node)).push(number));
    ///     }
    /// });
    /// assert_eq!(turns.into_inner().len(), 3);
    /// ```
    ///
    /// # Panics
    /// If a guard got with this handle was forgotten: its node went with it.
    pub fn lock<'a>(&'a self, handle: &'a mut ClhHandle<'n>) -> ClhGuard<'a, 'n, T> {
        let node = handle
            .node
            .take()
            .expect("the guards of a handle have been dropped");
        // SAFETY: nodes live for 'n, and this one is ours.
        let own = unsafe { node.as_ref() };
        // ORDERING: Relaxed; the swap publishes it.
        own.held.store(true, Ordering::Relaxed);
        // ORDERING: Release publishes `held` (and the node) to the next to come,
        // Acquire makes the one before us usable.
        let before = self.tail.swap(node.as_ptr(), Ordering::AcqRel);
        // SAFETY: there is always a tail.
        let before = unsafe { NonNull::new_unchecked(before) };
        // SAFETY: nodes live for 'n; nobody but us looks at this one or takes it
        // home: there is one who comes after its owner.
        let last = unsafe { before.as_ref() };
        // ORDERING: Acquire pairs with the Release of the one before when it goes.
        while last.held.load(Ordering::Acquire) {
            spin_loop();
        }
        ClhGuard {
            lock: self,
            handle,
            own: node,
            before,
            not_send: PhantomData,
        }
    }

    /// The value, through an exclusive reference to the lock.
    ///
    /// ```
    /// use ochre_sync::{ClhLock, ClhNode};
    ///
    /// let mut node = ClhNode::new();
    /// let mut lock = ClhLock::new(&mut node, 1);
    /// *lock.get_mut() += 1; // nobody else knows it, so no handle is needed
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized> fmt::Debug for ClhLock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whether it is free cannot be asked without a node.
        f.write_str("ClhLock(..)")
    }
}

/// Access to a [`ClhLock`]'s value; gives the lock back when dropped.
///
/// ```
/// use ochre_sync::{ClhHandle, ClhLock, ClhNode};
///
/// let (mut first, mut own) = (ClhNode::new(), ClhNode::new());
/// let lock = ClhLock::new(&mut first, 1);
/// let mut handle = ClhHandle::new(&mut own);
/// let mut guard = lock.lock(&mut handle);
/// *guard += 1;
/// drop(guard);
/// assert_eq!(lock.into_inner(), 2);
/// ```
#[must_use = "the lock is given back at once if the guard is not kept"]
pub struct ClhGuard<'a, 'n, T: ?Sized> {
    lock: &'a ClhLock<'n, T>,
    handle: &'a mut ClhHandle<'n>,
    own: NonNull<ClhNode>,
    before: NonNull<ClhNode>,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: sharing the guard shares `&T` only, which `T: Sync` allows.
unsafe impl<T: ?Sized + Sync> Sync for ClhGuard<'_, '_, T> {}

impl<T: ?Sized> Deref for ClhGuard<'_, '_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard exists, so the lock is held by its owner: no other
        // reference to the value is alive.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for ClhGuard<'_, '_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only use of the guard.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for ClhGuard<'_, '_, T> {
    fn drop(&mut self) {
        self.handle.node = Some(self.before);
        // SAFETY: nodes live for 'n.
        let own = unsafe { self.own.as_ref() };
        // ORDERING: Release publishes the value to the next, who takes the node.
        own.held.store(false, Ordering::Release);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ClhGuard<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
