//! A value that is replaced as a whole, under its readers.

use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::state::{Domain, Node, Protects, retire};
use crate::primitive::atomic::{AtomicPtr, Ordering};

/// A value ready to be put into an [`RcuCell`].
///
/// ```
/// use ochre_sync::rcu::RcuBox;
///
/// assert_eq!(RcuBox::new(1).into_inner(), 1);
/// ```
pub struct RcuBox<T>(Box<Node<T>>);

impl<T> RcuBox<T> {
    /// Makes room for the value, and for what freeing it later takes.
    ///
    /// ```
    /// use ochre_sync::rcu::RcuBox;
    ///
    /// let mut limits = RcuBox::new(vec![1, 2]);
    /// limits.push(3); // nobody reads it before it is in a cell
    /// assert_eq!(limits.len(), 3);
    /// ```
    #[must_use]
    pub fn new(value: T) -> RcuBox<T> {
        RcuBox(Node::new(value))
    }

    /// The value.
    ///
    /// ```
    /// use ochre_sync::rcu::RcuBox;
    ///
    /// let unused = RcuBox::new(String::from("not put anywhere"));
    /// assert_eq!(unused.into_inner(), "not put anywhere");
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0.into_value()
    }
}

impl<T> Deref for RcuBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.value()
    }
}

impl<T> DerefMut for RcuBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.value_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for RcuBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A value that many read and few replace: a table of routes, of mounts, a
/// configuration.
///
/// ```
/// use ochre_sync::rcu::{self, Domain, Participant, RcuBox, RcuCell, State};
/// # struct Kernel;
/// # unsafe impl Domain for Kernel {
/// #     fn state() -> &'static State {
/// #         static STATE: State = State::new();
/// #         &STATE
/// #     }
/// # }
///
/// let limits: RcuCell<Vec<u32>, Kernel> = RcuCell::new(RcuBox::new(vec![1, 2]));
/// let mut processor = Participant::<Kernel>::register();
///
/// let guard = processor.read();
/// let before = limits.read(&guard);
/// limits.update(&guard, |old| RcuBox::new(old.iter().map(|limit| limit * 2).collect()));
/// assert_eq!((&before[..], &limits.read(&guard)[..]), (&[1, 2][..], &[2, 4][..]));
///
/// // `before` goes when the processor says that it reads nothing.
/// assert!(!rcu::collect::<Kernel>());
/// processor.quiescent();
/// assert!(rcu::collect::<Kernel>());
/// ```
///
/// What was read goes with the guard:
///
/// ```compile_fail,E0505
/// use ochre_sync::rcu::{Epoch, Host, RcuBox, RcuCell};
/// let cell: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(1));
/// let epoch = Epoch::register();
/// let guard = epoch.pin();
/// let value = cell.read(&guard);
/// drop(guard);
/// println!("{value}");
/// ```
pub struct RcuCell<T: 'static, D: Domain> {
    value: AtomicPtr<Node<T>>,
    owns: PhantomData<Box<T>>,
    domain: PhantomData<fn() -> D>,
}

// SAFETY: the cell owns a value that other threads read and drop.
unsafe impl<T: Send + Sync, D: Domain> Send for RcuCell<T, D> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, D: Domain> Sync for RcuCell<T, D> {}

impl<T: Send + Sync + 'static, D: Domain> RcuCell<T, D> {
    /// A cell with a value.
    ///
    /// ```
    /// use ochre_sync::rcu::{Host, RcuBox, RcuCell, pinned};
    ///
    /// let routes: RcuCell<Vec<u32>, Host> = RcuCell::new(RcuBox::new(vec![1]));
    /// assert_eq!(pinned(|guard| routes.read(guard).len()), 1);
    /// ```
    #[must_use]
    pub fn new(value: RcuBox<T>) -> RcuCell<T, D> {
        RcuCell {
            value: AtomicPtr::new(Box::into_raw(value.0)),
            owns: PhantomData,
            domain: PhantomData,
        }
    }

    /// The value; it stays what it is for as long as the guard is there.
    ///
    /// ```
    /// use ochre_sync::rcu::{Host, RcuBox, RcuCell, pinned};
    ///
    /// let cell: RcuCell<String, Host> = RcuCell::new(RcuBox::new("old".into()));
    /// pinned(|guard| {
    ///     let before = cell.read(guard);
    ///     std::thread::scope(|scope| {
    ///         scope.spawn(|| cell.replace(RcuBox::new("new".into()))); // waits for nobody
    ///     });
    ///     assert_eq!(before, "old", "it is there as long as the guard");
    /// });
    /// ```
    #[inline]
    pub fn read<'g>(&'g self, _guard: &'g impl Protects<D>) -> &'g T {
        // ORDERING: Acquire pairs with the Release of who put it there.
        let node = self.value.load(Ordering::Acquire);
        // SAFETY: the node was in the cell a moment ago, while the guard was there:
        // it is not freed before the guard goes, nor by the cell's drop before then.
        unsafe { &*node }.value()
    }

    /// Puts another value there. The old one goes when nobody can be reading it.
    ///
    /// ```
    /// use ochre_sync::rcu::{Host, RcuBox, RcuCell, pinned};
    ///
    /// let limit: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(1));
    /// limit.replace(RcuBox::new(2));
    /// assert_eq!(pinned(|guard| *limit.read(guard)), 2);
    /// ```
    pub fn replace(&self, value: RcuBox<T>) {
        // ORDERING: Release publishes the value; Acquire makes the old one's node usable.
        let old = self.value.swap(Box::into_raw(value.0), Ordering::AcqRel);
        // SAFETY: the cell's pointer is never null.
        let old = unsafe { NonNull::new_unchecked(old) };
        // SAFETY: from `Box::into_raw`; we took it out of reach, so nobody else does.
        unsafe { retire::<D, T>(old) };
    }

    /// Puts what `f` makes of the value in its place; calls `f` again if somebody
    /// was faster.
    ///
    /// ```
    /// use ochre_sync::rcu::{Host, RcuBox, RcuCell, pinned};
    ///
    /// let count: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(0));
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(|| pinned(|guard| count.update(guard, |old| RcuBox::new(old + 1))));
    ///     }
    /// });
    /// assert_eq!(pinned(|guard| *count.read(guard)), 4); // none is lost
    /// ```
    pub fn update(&self, _guard: &impl Protects<D>, mut f: impl FnMut(&T) -> RcuBox<T>) {
        loop {
            // ORDERING: Acquire as in `read`.
            let old = self.value.load(Ordering::Acquire);
            // SAFETY: as in `read`.
            let new = f(unsafe { &*old }.value());
            let new = Box::into_raw(new.0);
            // While the guard is there the old node is not freed, so no other
            // can be at its address: the same pointer means the same value.
            // ORDERING: Release publishes the value.
            let placed =
                self.value
                    .compare_exchange(old, new, Ordering::Release, Ordering::Relaxed);
            if placed.is_ok() {
                // SAFETY: the cell's pointer is never null.
                let old = unsafe { NonNull::new_unchecked(old) };
                // SAFETY: as in `replace`.
                unsafe { retire::<D, T>(old) };
                return;
            }
            // SAFETY: from `into_raw` above, and nobody has seen it.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}

impl<T: 'static, D: Domain> Drop for RcuCell<T, D> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self` means that nobody reads.
        let node = self.value.load(Ordering::Relaxed);
        // SAFETY: from `Box::into_raw`, and still in the cell.
        drop(unsafe { Box::from_raw(node) });
    }
}

impl<T: 'static, D: Domain> fmt::Debug for RcuCell<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a guard the value cannot be looked at.
        f.write_str("RcuCell(..)")
    }
}
