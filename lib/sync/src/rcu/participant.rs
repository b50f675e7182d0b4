//! Readers whose reads cost nothing, because they say when they do not read.

use core::fmt;
use core::marker::PhantomData;

use super::state::{Domain, GracePeriod, Protects, Slot, State};
use crate::primitive::spin_loop;

/// A processor, or whatever else comes by a place now and then where it reads
/// nothing: between two tasks, on the way back to user mode.
///
/// That it reads nothing there is checked by the compiler:
///
/// ```compile_fail,E0502
/// # use ochre_sync::rcu::{Domain, Participant, RcuBox, RcuCell, State};
/// # struct Kernel;
/// # unsafe impl Domain for Kernel {
/// #     fn state() -> &'static State {
/// #         static STATE: State = State::new();
/// #         &STATE
/// #     }
/// # }
/// let cell: RcuCell<u32, Kernel> = RcuCell::new(RcuBox::new(1));
/// let mut processor = Participant::<Kernel>::register();
/// let guard = processor.read();
/// let value = cell.read(&guard);
/// processor.quiescent(); // `value` may go now
/// println!("{value}");
/// ```
pub struct Participant<D: Domain> {
    slot: &'static Slot,
    domain: PhantomData<fn() -> D>,
}

impl<D: Domain> Participant<D> {
    /// One more reader of the domain. From now on nothing is freed unless it
    /// says now and then that it reads nothing. Needs memory, the first time.
    ///
    /// ```
    /// use ochre_sync::rcu::{GracePeriod, Host, Participant};
    ///
    /// let processor = Participant::<Host>::register();
    /// let period = GracePeriod::<Host>::begin();
    /// assert!(!period.is_over(), "one that might be reading");
    /// drop(processor);
    /// assert!(period.is_over());
    /// ```
    #[must_use]
    pub fn register() -> Participant<D> {
        let slot = D::state().register();
        D::state().online(slot);
        Participant {
            slot,
            domain: PhantomData,
        }
    }

    /// Begins to read. Costs nothing.
    ///
    /// ```
    /// use ochre_sync::rcu::{Host, Participant, RcuBox, RcuCell};
    ///
    /// let cell: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(1));
    /// let processor = Participant::<Host>::register();
    /// let (guard, other) = (processor.read(), processor.read());
    /// assert_eq!(cell.read(&guard), cell.read(&other));
    /// assert_eq!(size_of_val(&guard), 0);
    /// ```
    #[inline]
    pub fn read(&self) -> ReadGuard<'_, D> {
        ReadGuard {
            reader: PhantomData,
        }
    }

    /// Says that it reads nothing now. One load and one store.
    ///
    /// ```
    /// use ochre_sync::rcu::{self, Host, Participant, RcuBox, RcuCell};
    ///
    /// let cell: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(1));
    /// let mut processor = Participant::<Host>::register();
    /// assert_eq!(*cell.read(&processor.read()), 1);
    /// cell.replace(RcuBox::new(2));
    /// assert!(!rcu::collect::<Host>(), "it might look at the first still");
    /// processor.quiescent(); // once a round, where nothing of it is used any more
    /// assert!(rcu::collect::<Host>());
    /// ```
    #[inline]
    pub fn quiescent(&mut self) {
        D::state().quiescent(self.slot);
    }

    /// Reads nothing for as long as `f` takes, so that nobody waits for it: for
    /// the idle loop.
    ///
    /// ```
    /// use ochre_sync::rcu::{self, Host, Participant, RcuBox, RcuCell};
    ///
    /// let cell: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(1));
    /// let mut processor = Participant::<Host>::register();
    /// cell.replace(RcuBox::new(2));
    /// // Asleep, and nobody has to wake it to free something.
    /// assert!(processor.offline(rcu::collect::<Host>));
    /// ```
    pub fn offline<R>(&mut self, f: impl FnOnce() -> R) -> R {
        struct Back<'a, D: Domain>(&'a mut Participant<D>);
        impl<D: Domain> Drop for Back<'_, D> {
            fn drop(&mut self) {
                D::state().online(self.0.slot);
            }
        }
        let back = Back(self);
        State::offline(back.0.slot);
        f()
    }

    /// Spins until all who are reading now are done. A kernel rather begins a
    /// [`GracePeriod`] and looks again later.
    ///
    /// ```
    /// use ochre_sync::rcu::{self, Epoch, Host, Participant, RcuBox, RcuCell};
    ///
    /// let cell: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(1));
    /// let mut writer = Participant::<Host>::register();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let epoch = Epoch::<Host>::register();
    ///         assert!([1, 2].contains(cell.read(&epoch.pin())));
    ///     });
    ///     cell.replace(RcuBox::new(2));
    ///     writer.synchronize(); // nobody reads the first any more
    /// });
    /// drop(writer);
    /// assert!(rcu::collect::<Host>());
    /// ```
    pub fn synchronize(&mut self) {
        self.offline(|| {
            let period = GracePeriod::<D>::begin();
            while !period.is_over() {
                spin_loop();
            }
        });
    }
}

impl<D: Domain> Drop for Participant<D> {
    fn drop(&mut self) {
        State::free(self.slot);
    }
}

impl<D: Domain> fmt::Debug for Participant<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Participant")
    }
}

/// A [`Participant`] that reads. It is nothing but a borrow.
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
/// let cell: RcuCell<u32, Kernel> = RcuCell::new(RcuBox::new(1));
/// let participant = Participant::<Kernel>::register();
/// let guard = participant.read();
/// assert_eq!(*cell.read(&guard), 1);
/// # rcu::collect::<Kernel>();
/// ```
#[must_use = "what is read lives as long as the guard"]
pub struct ReadGuard<'a, D: Domain> {
    reader: PhantomData<&'a Participant<D>>,
}

// SAFETY: the participant is borrowed, so it cannot report or go offline: its
// slot stays at a number below every period that begins.
unsafe impl<D: Domain> Protects<D> for ReadGuard<'_, D> {}

impl<D: Domain> fmt::Debug for ReadGuard<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadGuard")
    }
}
