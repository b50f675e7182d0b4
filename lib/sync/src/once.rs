//! A cell that is set once and read for ever.
//!
//! States: `EMPTY -> BUSY -> FULL`; `set` takes the first step with a
//! compare-exchange and the last with a Release store, `get` reads with
//! Acquire. Nobody waits: a `set` that comes second, or a `get` that comes
//! early, is told so.

use core::fmt;
use core::mem::MaybeUninit;

use crate::maybe_const;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const FULL: u8 = 2;

/// A value set at most once.
///
/// ```
/// use ochre_sync::Once;
///
/// static PORT: Once<u16> = Once::new();
/// assert_eq!(PORT.get(), None);
/// assert_eq!(PORT.set(0x3f8), Ok(()));
/// assert_eq!(PORT.set(1), Err(1)); // the first is the only one
/// assert_eq!(PORT.get(), Some(&0x3f8));
/// ```
///
/// All threads get the same reference, so the value must allow that:
///
/// ```compile_fail,E0277
/// use ochre_sync::Once;
/// static COUNT: Once<core::cell::Cell<u32>> = Once::new();
/// ```
pub struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value moves in on one thread and may be dropped on another: `T: Send`.
unsafe impl<T: Send> Send for Once<T> {}
// SAFETY: shared access hands out `&T` (`T: Sync`) and lets another thread move a value in (`T: Send`).
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    maybe_const! {
        /// An empty cell.
        ///
        /// ```
        /// use ochre_sync::Once;
        ///
        /// static CLOCK: Once<u64> = Once::new();
        /// assert_eq!(CLOCK.get(), None);
        /// ```
        #[must_use]
        pub fn new() -> Once<T> {
            Once {
                state: AtomicU8::new(EMPTY),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    /// Sets the value.
    ///
    /// ```
    /// use ochre_sync::Once;
    ///
    /// let boot_processor = Once::new();
    /// std::thread::scope(|scope| {
    ///     let threads = [1, 2].map(|id| {
    ///         let boot_processor = &boot_processor;
    ///         scope.spawn(move || boot_processor.set(id).is_ok())
    ///     });
    ///     let won = threads.map(|thread| thread.join().expect("no panic"));
    ///     assert!(won[0] ^ won[1], "one of them, and the other is told");
    /// });
    /// ```
    ///
    /// # Errors
    /// Gives the value back if the cell is full, or being filled.
    pub fn set(&self, value: T) -> Result<(), T> {
        // ORDERING: Relaxed is enough to claim: nothing is read before the FULL
        // store, and no other thread touches the value in state BUSY.
        if self
            .state
            .compare_exchange(EMPTY, BUSY, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
        {
            return Err(value);
        }
        // SAFETY: this thread alone moved the state to BUSY, and `get` hands
        // out references in state FULL only.
        self.value
            .with_mut(|cell| unsafe { &mut *cell }.write(value));
        // ORDERING: Release publishes the value to `get`'s Acquire.
        self.state.store(FULL, Ordering::Release);
        Ok(())
    }

    /// The value, if it was set.
    ///
    /// ```
    /// use ochre_sync::Once;
    ///
    /// static CONSOLE: Once<&str> = Once::new();
    ///
    /// fn print(line: &str) -> Option<String> {
    ///     // Until there is one, nothing is printed, and nobody waits.
    ///     CONSOLE.get().map(|console| format!("{console}: {line}"))
    /// }
    ///
    /// assert_eq!(print("early"), None);
    /// CONSOLE.set("serial").expect("once");
    /// assert_eq!(print("late").as_deref(), Some("serial: late"));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // ORDERING: Acquire pairs with `set`'s Release.
        if self.state.load(Ordering::Acquire) != FULL {
            return None;
        }
        // SAFETY: in state FULL the value is initialised and never written again until drop.
        let value = self.value.with(|cell| unsafe { &*cell });
        // SAFETY: FULL means `set` wrote it.
        Some(unsafe { value.assume_init_ref() })
    }
}

impl<T> Default for Once<T> {
    fn default() -> Once<T> {
        Once::new()
    }
}

impl<T> Drop for Once<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self` means that no other thread is here.
        if self.state.load(Ordering::Relaxed) == FULL {
            // SAFETY: FULL means initialised, and nobody can use the cell after this.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Once").field(&self.get()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Once;
    use std::boxed::Box;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::thread;
    use std::vec::Vec;

    #[test]
    fn holds_the_first_value_only() {
        let once = Once::new();
        assert!(once.get().is_none());
        assert_eq!(once.set(1), Ok(()));
        assert_eq!(once.set(2), Err(2));
        assert_eq!(once.get(), Some(&1));
    }

    #[test]
    fn drops_what_it_holds() {
        let value = Rc::new(());
        let once = Once::new();
        assert!(once.set(Rc::clone(&value)).is_ok());
        drop(once);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn of_many_threads_one_sets_and_all_read_the_same() {
        let rounds = if cfg!(miri) { 10 } else { 5_000 };
        let live = Arc::new(());
        let cells: Vec<Once<_>> = (0..rounds).map(|_| Once::new()).collect();
        let set = |own: usize| {
            let mut read = Vec::new();
            for cell in &cells {
                let value = (own, Box::new(own), Arc::clone(&live));
                let won = cell.set(value).is_ok();
                // Who lost may be faster than who won.
                let value = loop {
                    match cell.get() {
                        Some(value) => break value,
                        None => thread::yield_now(),
                    }
                };
                assert_eq!((value.0, value.0 == own), (*value.1, won));
                read.push(value.0);
            }
            read
        };
        let read = thread::scope(|scope| {
            let set = &set;
            let threads = [0, 1, 2].map(|own| scope.spawn(move || set(own)));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        assert!(read[0] == read[1] && read[1] == read[2]);
        assert_eq!(Arc::strong_count(&live), 1 + cells.len());
        drop(cells);
        assert_eq!(Arc::strong_count(&live), 1);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Once;
    use loom::sync::Arc;

    #[test]
    fn a_reader_sees_all_or_nothing() {
        loom::model(|| {
            let once = Arc::new(Once::new());
            let setter = Arc::clone(&once);
            let thread = loom::thread::spawn(move || setter.set((7_u32, 9_u32)).is_ok());
            if let Some(value) = once.get() {
                assert_eq!(*value, (7, 9));
            }
            assert!(thread.join().expect("the setter finishes"));
            assert_eq!(once.get(), Some(&(7, 9)));
        });
    }
}
