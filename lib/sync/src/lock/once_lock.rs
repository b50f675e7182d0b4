//! A cell filled once, by whoever comes first, while the others wait for it.
//!
//! The states are [`CallOnce`]'s; this file adds the value.
//!
//! # What must hold
//! The value is initialised exactly where the state is complete, and never
//! written again while the cell is shared.

use core::convert::Infallible;
use core::fmt;
use core::mem::MaybeUninit;
use core::panic::{RefUnwindSafe, UnwindSafe};

use super::CallOnce;
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::UnsafeCell;

/// A value made at its first use, by one thread while others wait.
///
/// Where no thread may wait, see [`Once`](crate::Once): there the second to come
/// is told so.
///
/// ```
/// use ochre_sync::host::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
/// assert!(NAME.get().is_none());
/// assert_eq!(NAME.get_or_init(|| "first".to_owned()), "first");
/// assert_eq!(NAME.get_or_init(|| "second".to_owned()), "first");
/// ```
///
/// All threads get the same reference, so the value must allow that:
///
/// ```compile_fail,E0277
/// use ochre_sync::host::OnceLock;
/// static COUNT: OnceLock<core::cell::Cell<u32>> = OnceLock::new();
/// ```
pub struct OnceLock<T, B: Blocking> {
    once: CallOnce<B>,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value moves in on one thread and may be dropped on another.
unsafe impl<T: Send, B: Blocking> Send for OnceLock<T, B> {}
// SAFETY: sharing the cell shares `&T`, and lets another thread move a value in.
unsafe impl<T: Send + Sync, B: Blocking> Sync for OnceLock<T, B> {}

// A panic in an initialiser leaves the cell empty.
impl<T: UnwindSafe, B: Blocking> UnwindSafe for OnceLock<T, B> {}
impl<T: UnwindSafe + RefUnwindSafe, B: Blocking> RefUnwindSafe for OnceLock<T, B> {}

impl<T, B: Blocking> OnceLock<T, B> {
    maybe_const! {
        /// An empty cell.
        ///
        /// ```
        /// use ochre_sync::host::OnceLock;
        ///
        /// static ARGUMENTS: OnceLock<Vec<String>> = OnceLock::new();
        /// assert!(ARGUMENTS.get().is_none());
        /// ```
        #[must_use]
        pub fn new() -> OnceLock<T, B> {
            OnceLock {
                once: CallOnce::new(),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    /// The value, if it is there.
    ///
    /// ```
    /// use ochre_sync::host::OnceLock;
    ///
    /// let level = OnceLock::new();
    /// assert_eq!(level.get().unwrap_or(&1), &1, "not chosen yet");
    /// assert_eq!(level.set(3), Ok(()));
    /// assert_eq!(level.get().unwrap_or(&1), &3);
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: it is complete.
        self.once.is_completed().then(|| unsafe { self.value() })
    }

    /// The value, through an exclusive reference.
    ///
    /// ```
    /// use ochre_sync::host::OnceLock;
    ///
    /// let mut name = OnceLock::from(String::from("och"));
    /// if let Some(name) = name.get_mut() {
    ///     name.push_str("re");
    /// }
    /// assert_eq!(name.get().map(String::as_str), Some("ochre"));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: complete, so it is initialised; `&mut self` excludes others.
        Some(unsafe { self.value.get_mut().assume_init_mut() })
    }

    /// The value; sleeps until another thread has filled the cell.
    ///
    /// ```
    /// use ochre_sync::host::OnceLock;
    ///
    /// let answer = OnceLock::new();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| answer.set(42));
    ///     assert_eq!(*answer.wait(), 42); // and has no way to make it
    /// });
    /// ```
    pub fn wait(&self) -> &T {
        self.once.wait_for(true);
        // SAFETY: it is complete.
        unsafe { self.value() }
    }

    /// Fills the cell; sleeps while another thread does.
    ///
    /// ```
    /// use ochre_sync::host::OnceLock;
    ///
    /// let winner = OnceLock::new();
    /// assert_eq!(winner.set("first"), Ok(()));
    /// assert_eq!(winner.set("second"), Err("second"));
    /// assert_eq!(winner.get(), Some(&"first"));
    /// ```
    ///
    /// # Errors
    /// Gives the value back if the cell was full.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.fill_unless_full(|| value.take());
        match value {
            None => Ok(()),
            Some(value) => Err(value),
        }
    }

    /// The value; made by `init` if there is none yet. If `init` panics, the
    /// cell stays empty. If it uses the same cell, it waits for itself, for ever.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU32, Ordering};
    /// use ochre_sync::host::OnceLock;
    ///
    /// let (table, runs) = (OnceLock::new(), AtomicU32::new(0));
    /// let get = || table.get_or_init(|| runs.fetch_add(1, Ordering::Relaxed));
    /// std::thread::scope(|scope| {
    ///     let threads = [(); 3].map(|()| scope.spawn(get));
    ///     // The others wait for the one that makes it.
    ///     assert_eq!(threads.map(|thread| thread.join().expect("no panic")), [&0; 3]);
    /// });
    /// ```
    #[inline]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<T, Infallible>(init())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value; made by `init` if there is none yet.
    ///
    /// ```
    /// use ochre_sync::host::OnceLock;
    ///
    /// let port = OnceLock::new();
    /// assert!(port.get_or_try_init(|| "x".parse::<u16>()).is_err());
    /// assert_eq!(port.get_or_try_init(|| "80".parse::<u16>()), Ok(&80)); // tried again
    /// assert_eq!(port.get_or_try_init(|| "x".parse::<u16>()), Ok(&80)); // no more
    /// ```
    ///
    /// # Errors
    /// That of `init`; the cell stays empty.
    #[inline]
    pub fn get_or_try_init<E>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let mut failed = None;
        self.fill_unless_full(|| init().map_err(|error| failed = Some(error)).ok());
        match failed {
            Some(error) => Err(error),
            // SAFETY: filled now or before.
            None => Ok(unsafe { self.value() }),
        }
    }

    /// Takes the value out, through an exclusive reference; the cell is empty then.
    ///
    /// ```
    /// use ochre_sync::host::OnceLock;
    ///
    /// let mut cache = OnceLock::from(1);
    /// assert_eq!(cache.take(), Some(1));
    /// assert_eq!(*cache.get_or_init(|| 2), 2, "it can be filled again");
    /// ```
    pub fn take(&mut self) -> Option<T> {
        if !self.once.is_completed() {
            return None;
        }
        self.once = CallOnce::new();
        // SAFETY: it was complete, so it is initialised; as the state says
        // otherwise now, nobody reads this again.
        Some(unsafe { self.value.get_mut().assume_init_read() })
    }

    /// The value, if it is there.
    ///
    /// ```
    /// use ochre_sync::host::OnceLock;
    ///
    /// let result = OnceLock::new();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| result.set(vec![1, 2]));
    /// });
    /// assert_eq!(result.into_inner(), Some(vec![1, 2]));
    /// ```
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    /// Moves in what `make` gives, if it gives something and the cell is empty.
    fn fill_unless_full(&self, make: impl FnOnce() -> Option<T>) {
        self.once.try_call(|| match make() {
            Some(value) => {
                self.value.with_mut(|place| {
                    // SAFETY: the state is running, for this thread: nobody
                    // else reads or writes the value.
                    let place = unsafe { &mut *place };
                    place.write(value);
                });
                true
            }
            None => false,
        });
    }

    /// # Safety
    /// The state was seen complete.
    unsafe fn value(&self) -> &T {
        // SAFETY: complete, so nobody writes while the cell is shared.
        let value = self.value.with(|value| unsafe { &*value });
        // SAFETY: complete, so it is initialised.
        unsafe { value.assume_init_ref() }
    }
}

impl<T, B: Blocking> Drop for OnceLock<T, B> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T, B: Blocking> Default for OnceLock<T, B> {
    fn default() -> OnceLock<T, B> {
        OnceLock::new()
    }
}

impl<T, B: Blocking> From<T> for OnceLock<T, B> {
    fn from(value: T) -> OnceLock<T, B> {
        let cell = OnceLock::new();
        cell.fill_unless_full(|| Some(value));
        cell
    }
}

impl<T: fmt::Debug, B: Blocking> fmt::Debug for OnceLock<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::OnceLock;
    use crate::blocking::Futex;
    use core::panic::AssertUnwindSafe;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::rc::Rc;
    use std::{panic, thread};

    #[test]
    fn is_filled_once() {
        let mut cell = OnceLock::<_, Futex>::new();
        assert_eq!(cell.get_or_try_init(|| Err::<u32, _>("no")), Err("no"));
        assert!(
            panic::catch_unwind(AssertUnwindSafe(|| cell.get_or_init(|| panic!("no")))).is_err()
        );
        assert!(cell.get().is_none() && cell.get_mut().is_none());
        assert_eq!(cell.set(1), Ok(()));
        assert_eq!(cell.set(2), Err(2));
        assert_eq!((*cell.wait(), cell.get_or_init(|| 3)), (1, &1));
        *cell.get_mut().unwrap() = 4;
        assert_eq!(cell.take(), Some(4));
        assert_eq!((cell.take(), cell.into_inner()), (None, None));
        assert_eq!(OnceLock::<_, Futex>::from(5).into_inner(), Some(5));
    }

    #[test]
    fn drops_what_it_holds() {
        let value = Rc::new(());
        drop(OnceLock::<_, Futex>::from(Rc::clone(&value)));
        drop(OnceLock::<Rc<()>, Futex>::new());
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn all_see_the_same_value() {
        for _ in 0..if cfg!(miri) { 3 } else { 300 } {
            let (cell, runs) = (OnceLock::<String, Futex>::new(), AtomicU32::new(0));
            thread::scope(|scope| {
                for number in 0..3 {
                    let (cell, runs) = (&cell, &runs);
                    scope.spawn(move || {
                        let value = cell.get_or_init(|| {
                            runs.fetch_add(1, Ordering::Relaxed);
                            format!("{number}")
                        });
                        assert_eq!(cell.get(), Some(value));
                    });
                }
                scope.spawn(|| assert_eq!(cell.wait().len(), 1));
            });
            assert_eq!(runs.into_inner(), 1);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::OnceLock;
    use crate::blocking::Model;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn a_reader_sees_all_or_nothing() {
        loom::model(|| {
            let cell = Arc::new(OnceLock::<_, Model>::new());
            let threads = [7_u32, 8].map(|number| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || *cell.get_or_init(|| (number, number)))
            });
            if let Some((one, other)) = cell.get() {
                assert_eq!(one, other);
            }
            let mut seen = threads.map(|thread| thread.join().expect("it finishes"));
            assert_eq!(seen[0], seen[1]);
            seen[0] = *cell.wait();
            assert_eq!(seen[0], seen[1]);
        });
    }
}
