//! A value made at its first use.
//!
//! The states are [`CallOnce`]'s; the place holds what makes the value until
//! the state is complete, and the value from then on.

use core::fmt;
use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};

use super::CallOnce;
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::UnsafeCell;

/// A value made at its first use, by one thread while others wait.
///
/// ```
/// use ochre_sync::host::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u32>> = LazyLock::new(|| (0..4).map(|n| n * n).collect());
/// assert_eq!(SQUARES[3], 9);
/// ```
pub struct LazyLock<T, B: Blocking, F = fn() -> T> {
    once: CallOnce<B>,
    place: UnsafeCell<Place<T, F>>,
}

enum Place<T, F> {
    /// What makes the value; none while it runs, or if it panicked.
    Maker(Option<F>),
    Value(T),
}

// SAFETY: the maker and the value move between threads with the cell.
unsafe impl<T: Send, B: Blocking, F: Send> Send for LazyLock<T, B, F> {}
// SAFETY: sharing the cell shares `&T`; the maker is called, and its value moved
// in, by whichever thread comes first. Nobody gets `&F`.
unsafe impl<T: Send + Sync, B: Blocking, F: Send> Sync for LazyLock<T, B, F> {}

impl<T: UnwindSafe, B: Blocking, F: UnwindSafe> UnwindSafe for LazyLock<T, B, F> {}
impl<T: UnwindSafe + RefUnwindSafe, B: Blocking, F: UnwindSafe> RefUnwindSafe
    for LazyLock<T, B, F>
{
}

impl<T, B: Blocking, F: FnOnce() -> T> LazyLock<T, B, F> {
    maybe_const! {
        /// A value to be made by `maker`.
        ///
        /// ```
        /// use ochre_sync::host::LazyLock;
        ///
        /// let base = 10;
        /// let squares = LazyLock::new(|| [1, 2, 3].map(|number| base + number * number));
        /// assert_eq!(squares[2], 19);
        /// ```
        pub fn new(maker: F) -> LazyLock<T, B, F> {
            LazyLock {
                once: CallOnce::new(),
                place: UnsafeCell::new(Place::Maker(Some(maker))),
            }
        }
    }

    /// The value, made now if it was not before.
    ///
    /// ```
    /// use core::cell::Cell;
    /// use ochre_sync::host::LazyLock;
    ///
    /// let runs = Cell::new(0);
    /// let table = LazyLock::new(|| runs.replace(1));
    /// LazyLock::force(&table); // now, so that no later use has to wait
    /// assert_eq!((*table, runs.get()), (0, 1));
    /// ```
    ///
    /// # Panics
    /// If its making panicked, now or before.
    #[inline]
    pub fn force(this: &LazyLock<T, B, F>) -> &T {
        this.once.call_once(|| {
            let maker = this.place.with_mut(|place| {
                // SAFETY: the state is running, for this thread: nobody else
                // reads or writes the place.
                match unsafe { &mut *place } {
                    Place::Maker(maker) => maker.take(),
                    Place::Value(_) => None,
                }
            });
            let maker = maker.expect("it is taken in the only run there is");
            let value = maker();
            this.place.with_mut(|place| {
                // SAFETY: as above; no reference was kept while the maker ran.
                *unsafe { &mut *place } = Place::Value(value);
            });
        });
        // SAFETY: the state is complete, so nobody writes any more.
        match this.place.with(|place| unsafe { &*place }) {
            Place::Value(value) => value,
            Place::Maker(_) => unreachable!("the run that completed left a value"),
        }
    }
}

impl<T, B: Blocking, F: FnOnce() -> T> Deref for LazyLock<T, B, F> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, B: Blocking, F> fmt::Debug for LazyLock<T, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyLock").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::LazyLock;
    use crate::blocking::Futex;
    use core::panic::AssertUnwindSafe;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::{panic, thread};

    #[test]
    fn is_made_once_at_its_first_use() {
        let runs = AtomicU32::new(0);
        let lazy = LazyLock::<_, Futex, _>::new(|| runs.fetch_add(1, Ordering::Relaxed) + 7);
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(*lazy, 7));
            }
        });
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn one_that_could_not_be_made_stays_so() {
        let lazy = LazyLock::<u32, Futex>::new(|| panic!("no value"));
        for _ in 0..2 {
            assert!(panic::catch_unwind(AssertUnwindSafe(|| *lazy)).is_err());
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::LazyLock;
    use crate::blocking::Model;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn all_see_the_value() {
        loom::model(|| {
            let lazy = Arc::new(LazyLock::<_, Model>::new(|| (7_u32, 9_u32)));
            let other = Arc::clone(&lazy);
            let thread = thread::spawn(move || assert_eq!(**other, (7, 9)));
            assert_eq!(**lazy, (7, 9));
            thread.join().expect("it finishes");
        });
    }
}
