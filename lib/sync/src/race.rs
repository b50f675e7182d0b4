//! Values made when they are first asked for, by whoever asks; the first one made
//! is everybody's. Nobody waits.
//!
//! Several threads may make the value at once; all but one throw theirs away. So
//! making it must be harmless to do twice. Where it is slow, or must happen
//! once, use a cell whose waiters sleep.
//!
//! States: empty (null, 0) to full (the pointer, the word); nothing else ever.

#[cfg(feature = "alloc")]
use core::fmt;
#[cfg(feature = "alloc")]
use core::marker::PhantomData;
use core::num::NonZero;

use crate::maybe_const;
#[cfg(feature = "alloc")]
use crate::primitive::atomic::AtomicPtr;
use crate::primitive::atomic::{AtomicU64, Ordering};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;

/// A word that is not 0, made by whoever asks first.
///
/// ```
/// use core::num::NonZero;
/// use ochre_sync::RaceWord;
///
/// static KEY: RaceWord = RaceWord::new();
///
/// let key = KEY.get_or_init(|| NonZero::new(7).unwrap());
/// assert_eq!(KEY.get_or_init(|| unreachable!()), key);
/// ```
#[derive(Debug, Default)]
pub struct RaceWord {
    word: AtomicU64,
}

impl RaceWord {
    maybe_const! {
        /// An empty cell.
        ///
        /// ```
        /// use ochre_sync::RaceWord;
        ///
        /// static SEED: RaceWord = RaceWord::new();
        /// assert_eq!(SEED.get(), None);
        /// ```
        #[must_use]
        pub fn new() -> RaceWord {
            RaceWord { word: AtomicU64::new(0) }
        }
    }

    /// The word, if it is there.
    ///
    /// ```
    /// use core::num::NonZero;
    /// use ochre_sync::RaceWord;
    ///
    /// let frequency = RaceWord::new();
    /// assert_eq!(frequency.get(), None, "not measured yet");
    /// frequency.get_or_init(|| NonZero::new(1_000).unwrap());
    /// assert_eq!(frequency.get().map(NonZero::get), Some(1_000));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<NonZero<u64>> {
        // ORDERING: Relaxed; the word is all there is to know.
        NonZero::new(self.word.load(Ordering::Relaxed))
    }

    /// The word; made by `make` if there is none. What it returns is the same
    /// everywhere, which need not be what this call's `make` returned.
    ///
    /// ```
    /// use core::num::NonZero;
    /// use ochre_sync::RaceWord;
    ///
    /// let key = RaceWord::new();
    /// std::thread::scope(|scope| {
    ///     let threads = [1, 2].map(|own| {
    ///         let key = &key;
    ///         scope.spawn(move || key.get_or_init(|| NonZero::new(own).unwrap()))
    ///     });
    ///     let [one, other] = threads.map(|thread| thread.join().expect("no panic"));
    ///     assert_eq!(one, other, "whosever it is");
    /// });
    /// ```
    pub fn get_or_init(&self, make: impl FnOnce() -> NonZero<u64>) -> NonZero<u64> {
        self.get().unwrap_or_else(|| {
            let made = make();
            // Not the weak form: it may fail and tell 0.
            // ORDERING: Relaxed, both; as in `get`.
            let first =
                self.word
                    .compare_exchange(0, made.get(), Ordering::Relaxed, Ordering::Relaxed);
            match first {
                Ok(_) => made,
                Err(word) => NonZero::new(word).expect("0 would have been replaced"),
            }
        })
    }
}

/// A value in a box, made by whoever asks first.
///
/// ```
/// use ochre_sync::RaceBox;
///
/// static NAMES: RaceBox<Vec<String>> = RaceBox::new();
///
/// assert!(NAMES.get().is_none());
/// let names = NAMES.get_or_init(|| Box::new(vec!["ochre".into()]));
/// assert_eq!(names[0], "ochre");
/// ```
#[cfg(feature = "alloc")]
pub struct RaceBox<T> {
    value: AtomicPtr<T>,
    owns: PhantomData<Box<T>>,
}

// SAFETY: the value moves in on one thread and may be dropped on another: `T: Send`.
#[cfg(feature = "alloc")]
unsafe impl<T: Send> Send for RaceBox<T> {}
// SAFETY: shared access hands out `&T` (`T: Sync`) and lets another thread move a value in (`T: Send`).
#[cfg(feature = "alloc")]
unsafe impl<T: Send + Sync> Sync for RaceBox<T> {}

#[cfg(feature = "alloc")]
impl<T> RaceBox<T> {
    maybe_const! {
        /// An empty cell.
        ///
        /// ```
        /// use ochre_sync::RaceBox;
        ///
        /// static TABLE: RaceBox<[u32; 256]> = RaceBox::new(); // one word until it is needed
        /// assert!(TABLE.get().is_none());
        /// ```
        #[must_use]
        pub fn new() -> RaceBox<T> {
            RaceBox {
                value: AtomicPtr::new(core::ptr::null_mut()),
                owns: PhantomData,
            }
        }
    }

    /// The value, if it is there.
    ///
    /// ```
    /// use ochre_sync::RaceBox;
    ///
    /// let names: RaceBox<Vec<&str>> = RaceBox::new();
    /// assert_eq!(names.get().map_or(0, Vec::len), 0);
    /// names.get_or_init(|| Box::new(vec!["one"]));
    /// assert_eq!(names.get().map_or(0, Vec::len), 1);
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // ORDERING: Acquire pairs with the Release of the one who put it there.
        let value = self.value.load(Ordering::Acquire);
        // SAFETY: null, or from a box which is ours until drop; it is never replaced.
        unsafe { value.as_ref() }
    }

    /// The value; made by `make` if there is none.
    ///
    /// ```
    /// use ochre_sync::RaceBox;
    ///
    /// let table = RaceBox::new();
    /// std::thread::scope(|scope| {
    ///     let make = || table.get_or_init(|| Box::new([1, 2, 3])); // both may make one
    ///     let threads = [(); 2].map(|()| scope.spawn(make));
    ///     let [one, other] = threads.map(|thread| thread.join().expect("no panic"));
    ///     assert!(core::ptr::eq(one, other), "and one of them stays");
    /// });
    /// ```
    pub fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        match self.get_or_try_init::<core::convert::Infallible>(|| Ok(make())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value; made by `make` if there is none. While it fails, the cell
    /// stays empty.
    ///
    /// ```
    /// use ochre_sync::RaceBox;
    ///
    /// let page: RaceBox<u32> = RaceBox::new();
    /// assert_eq!(page.get_or_try_init(|| Err("no memory")), Err("no memory"));
    /// assert_eq!(page.get_or_try_init(|| Ok::<_, &str>(Box::new(1))), Ok(&1)); // tried again
    /// ```
    ///
    /// # Errors
    /// What `make` failed with.
    pub fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<Box<T>, E>) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let made = Box::into_raw(make()?);
        // ORDERING: Release publishes the value to everybody's Acquire. On failure
        // Acquire: another's value is used, through the pointer it published.
        let first = self.value.compare_exchange(
            core::ptr::null_mut(),
            made,
            Ordering::Release,
            Ordering::Acquire,
        );
        let value = match first {
            Ok(_) => made,
            Err(value) => {
                // SAFETY: from `into_raw` above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
                value
            }
        };
        // SAFETY: as in `get`; it is not null.
        Ok(unsafe { &*value })
    }
}

#[cfg(feature = "alloc")]
impl<T> Default for RaceBox<T> {
    fn default() -> RaceBox<T> {
        RaceBox::new()
    }
}

#[cfg(feature = "alloc")]
impl<T> Drop for RaceBox<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self` means that no other thread is here.
        let value = self.value.load(Ordering::Relaxed);
        if !value.is_null() {
            // SAFETY: from `Box::into_raw`, and nobody can reach it after this.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

#[cfg(feature = "alloc")]
impl<T: fmt::Debug> fmt::Debug for RaceBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RaceBox").field(&self.get()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{RaceBox, RaceWord};
    use core::num::NonZero;
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::sync::Barrier;
    use std::thread;

    struct Counted<'a>(&'a AtomicU64);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn everybody_gets_the_first_one_made_and_the_others_go() {
        for _ in 0..if cfg!(miri) { 5 } else { 300 } {
            let (made, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
            let (cell, word, barrier) = (RaceBox::new(), RaceWord::new(), Barrier::new(3));
            let seen = thread::scope(|scope| {
                let threads = [1, 2, 3].map(|number| {
                    let (cell, word, barrier) = (&cell, &word, &barrier);
                    let (made, dropped) = (&made, &dropped);
                    scope.spawn(move || {
                        barrier.wait();
                        let value: &Counted<'_> = cell.get_or_init(|| {
                            made.fetch_add(1, Relaxed);
                            Box::new(Counted(dropped))
                        });
                        let number = NonZero::new(number).expect("not 0");
                        (
                            core::ptr::from_ref(value).addr(),
                            word.get_or_init(|| number),
                        )
                    })
                });
                threads.map(|thread| thread.join().expect("no panic"))
            });
            assert!(seen.iter().all(|one| *one == seen[0]));
            assert_eq!(dropped.load(Relaxed), made.load(Relaxed) - 1);
            drop(cell);
            assert_eq!(dropped.load(Relaxed), made.load(Relaxed));
        }
    }

    /// The weak exchange may fail for no reason, and then tells what was there: 0,
    /// which is no key. Miri fails it often, an x86 never, so elsewhere than under
    /// Miri the control has nothing to show.
    #[test]
    fn a_weak_exchange_would_give_keys_that_are_none() {
        let with_the_weak_form = |word: &AtomicU64| -> u64 {
            match word.compare_exchange_weak(0, 7, Relaxed, Relaxed) {
                Ok(_) => 7,
                Err(found) => found,
            }
        };
        let mut none = 0;
        for _ in 0..100 {
            none += u32::from(with_the_weak_form(&AtomicU64::new(0)) == 0);
            let seven = NonZero::new(7).expect("not 0");
            assert_eq!(RaceWord::new().get_or_init(|| seven), seven);
        }
        assert!(none > 0 || !cfg!(miri));
    }

    #[test]
    fn a_failure_leaves_the_cell_empty() {
        let cell: RaceBox<u32> = RaceBox::default();
        assert_eq!(cell.get_or_try_init(|| Err("no")), Err("no"));
        assert_eq!(format!("{cell:?}"), "RaceBox(None)");
        assert_eq!(cell.get_or_try_init::<()>(|| Ok(Box::new(1))), Ok(&1));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::{RaceBox, RaceWord};
    use core::num::NonZero;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn both_get_the_same_box() {
        loom::model(|| {
            let cell = Arc::new(RaceBox::new());
            let make = |number| {
                move || {
                    let value = loom::cell::UnsafeCell::new(0);
                    // SAFETY: nobody else has it yet; loom checks.
                    value.with_mut(|value| unsafe { *value = number });
                    Box::new(value)
                }
            };
            let read = |value: &loom::cell::UnsafeCell<u32>| {
                // SAFETY: nobody writes any more; loom checks.
                value.with(|value| unsafe { *value })
            };
            let other = Arc::clone(&cell);
            let thread = thread::spawn(move || read(other.get_or_init(make(1))));
            let own = read(cell.get_or_init(make(2)));
            assert_eq!(thread.join().expect("no panic"), own);
        });
    }

    #[test]
    fn both_get_the_same_word() {
        loom::model(|| {
            let cell = Arc::new(RaceWord::new());
            let other = Arc::clone(&cell);
            let one = NonZero::new(1).expect("not 0");
            let two = NonZero::new(2).expect("not 0");
            let thread = thread::spawn(move || other.get_or_init(|| one));
            let own = cell.get_or_init(|| two);
            assert_eq!(thread.join().expect("no panic"), own);
            assert_eq!(cell.get(), Some(own));
        });
    }
}
