//! Readers that say when they read: for threads that may be anywhere.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;

use super::state::{Domain, Protects, Slot, State};

/// A thread that says when it begins and when it ends reading.
///
/// A guard that is forgotten keeps the thread reading, and everything from being
/// freed, until the `Epoch` is dropped.
///
/// ```
/// use ochre_sync::rcu::{self, Domain, Epoch, RcuBox, RcuCell, State};
/// # struct Kernel;
/// # unsafe impl Domain for Kernel {
/// #     fn state() -> &'static State {
/// #         static STATE: State = State::new();
/// #         &STATE
/// #     }
/// # }
///
/// let cell: RcuCell<u32, Kernel> = RcuCell::new(RcuBox::new(1));
/// let epoch = Epoch::<Kernel>::register();
/// let guard = epoch.pin();
/// let value = cell.read(&guard);
/// cell.replace(RcuBox::new(2));
/// assert!(!rcu::collect::<Kernel>(), "the guard is there");
/// assert_eq!(*value, 1);
/// drop(guard);
/// assert!(rcu::collect::<Kernel>());
/// ```
pub struct Epoch<D: Domain> {
    slot: &'static Slot,
    depth: Cell<usize>,
    domain: PhantomData<fn() -> D>,
}

impl<D: Domain> Epoch<D> {
    /// One more reader of the domain. Needs memory, the first time.
    ///
    /// ```
    /// use ochre_sync::rcu::{Epoch, Host, RcuBox, RcuCell};
    ///
    /// let cell: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(1));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let epoch = Epoch::register(); // each thread has its own
    ///         assert_eq!(*cell.read(&epoch.pin()), 1);
    ///     });
    /// });
    /// ```
    #[must_use]
    pub fn register() -> Epoch<D> {
        Epoch {
            slot: D::state().register(),
            depth: Cell::new(0),
            domain: PhantomData,
        }
    }

    /// Begins to read; ends when the guard is dropped. May be nested.
    ///
    /// ```
    /// use ochre_sync::rcu::{Epoch, GracePeriod, Host};
    ///
    /// let epoch = Epoch::<Host>::register();
    /// let (outer, inner) = (epoch.pin(), epoch.pin());
    /// let period = GracePeriod::<Host>::begin();
    /// drop(outer);
    /// assert!(!period.is_over(), "it reads until the last guard goes");
    /// drop(inner);
    /// assert!(period.is_over());
    /// ```
    #[inline]
    pub fn pin(&self) -> Pinned<'_, D> {
        let depth = self.depth.get();
        if depth == 0 {
            D::state().online(self.slot);
        }
        self.depth.set(depth + 1);
        Pinned { epoch: self }
    }
}

impl<D: Domain> Drop for Epoch<D> {
    fn drop(&mut self) {
        State::free(self.slot);
    }
}

impl<D: Domain> fmt::Debug for Epoch<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Epoch").field(&self.depth.get()).finish()
    }
}

/// An [`Epoch`] that reads.
///
/// ```
/// use ochre_sync::rcu::{self, Domain, Epoch, GracePeriod, State};
/// # struct Kernel;
/// # unsafe impl Domain for Kernel {
/// #     fn state() -> &'static State {
/// #         static STATE: State = State::new();
/// #         &STATE
/// #     }
/// # }
///
/// let epoch = Epoch::<Kernel>::register();
/// let guard = epoch.pin();
/// let period = GracePeriod::<Kernel>::begin();
/// assert!(!period.is_over());
/// drop(guard);
/// assert!(period.is_over());
/// # rcu::collect::<Kernel>();
/// ```
#[must_use = "what is read lives as long as the guard"]
pub struct Pinned<'a, D: Domain> {
    epoch: &'a Epoch<D>,
}

// SAFETY: from `online` until the last guard is dropped the slot stays at a
// number below every period that begins.
unsafe impl<D: Domain> Protects<D> for Pinned<'_, D> {}

impl<D: Domain> Drop for Pinned<'_, D> {
    #[inline]
    fn drop(&mut self) {
        let depth = self.epoch.depth.get() - 1;
        self.epoch.depth.set(depth);
        if depth == 0 {
            State::offline(self.epoch.slot);
        }
    }
}

impl<D: Domain> fmt::Debug for Pinned<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}

#[cfg(all(feature = "std", not(loom)))]
mod host {
    use super::{Domain, Epoch, Pinned, State};
    use crate::rcu::collect;
    use core::cell::Cell;

    /// The domain of a program on the host: all its threads.
    ///
    /// ```
    /// use ochre_sync::rcu::{Host, RcuBox, RcuCell, pinned};
    ///
    /// let cell: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(1));
    /// assert_eq!(pinned(|guard| *cell.read(guard)), 1);
    /// ```
    #[derive(Debug)]
    pub struct Host;

    // SAFETY: there is one state, and it is this one.
    unsafe impl Domain for Host {
        fn state() -> &'static State {
            static STATE: State = State::new();
            &STATE
        }
    }

    /// How many times a thread reads before it frees.
    const READS: u32 = 64;

    /// Calls `f` while this thread reads in the domain [`Host`]; frees now and then
    /// what nobody reads any more.
    ///
    /// ```
    /// use ochre_sync::rcu::{Host, RcuBox, RcuCell, pinned};
    ///
    /// let cell: RcuCell<String, Host> = RcuCell::new(RcuBox::new("old".into()));
    /// pinned(|guard| {
    ///     let before = cell.read(guard);
    ///     cell.replace(RcuBox::new("new".into()));
    ///     assert_eq!((before.as_str(), cell.read(guard).as_str()), ("old", "new"));
    /// });
    /// ```
    pub fn pinned<R>(f: impl FnOnce(&Pinned<'_, Host>) -> R) -> R {
        std::thread_local! {
            static READER: (Epoch<Host>, Cell<u32>) = (Epoch::register(), Cell::new(0));
        }
        let (result, count) = READER.with(|(epoch, reads)| {
            let result = f(&epoch.pin());
            let count = reads.get().wrapping_add(1);
            reads.set(count);
            (result, count)
        });
        if count.is_multiple_of(READS) {
            collect::<Host>();
        }
        result
    }
}

#[cfg(all(feature = "std", not(loom)))]
pub use host::{Host, pinned};
