//! The seam's side for loom: its atomics, its cells, and the negative control.
//!
//! A model that passes says little until it has been seen to fail. With
//! `OCHRE_WEAKEN=FILE:LINE:COLUMN:PART` in the environment, the ordering written
//! at that place loses one part: `acquire` or `release` (of the operation, or of
//! the success of a compare-exchange), `failure` (its failure's Acquire) or
//! `sequence` (SeqCst becomes Acquire and Release). Some model must then fail;
//! `cargo xtask loom --weaken` tries every place. With `OCHRE_SITES=FILE` each
//! place and part that a test reaches is appended to FILE, one line for each
//! test: the test's name, a tab, the place.

use core::fmt;
use core::panic::Location;
use std::collections::HashSet;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};

pub use loom::hint::spin_loop;

/// See [`OCHRE_WEAKEN`](self).
fn weakened(place: &'static Location<'static>, part: &str) -> bool {
    static WEAKEN: OnceLock<Option<String>> = OnceLock::new();
    static SITES: OnceLock<Option<String>> = OnceLock::new();
    let name = || {
        let (file, line, column) = (place.file(), place.line(), place.column());
        format!("{file}:{line}:{column}:{part}")
    };
    if let Some(path) = SITES.get_or_init(|| std::env::var("OCHRE_SITES").ok()) {
        record(path, name());
    }
    WEAKEN
        .get_or_init(|| std::env::var("OCHRE_WEAKEN").ok())
        .as_ref()
        .is_some_and(|wanted| *wanted == name())
}

/// Appends a place to the list, once for each test.
fn record(path: &str, name: String) {
    static SEEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let test = std::thread::current()
        .name()
        .unwrap_or("unnamed")
        .to_owned();
    let line = format!("{test}\t{name}\n");
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.get_or_insert_default().insert(line.clone()) {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("the list of places can be written");
    }
}

/// Atomics that can be weakened.
pub mod atomic {
    use super::{Location, fmt, weakened};
    pub use loom::sync::atomic::Ordering;

    /// The ordering to use where `ordering` is written.
    fn chosen(ordering: Ordering, place: &'static Location<'static>) -> Ordering {
        let drops = |part| weakened(place, part);
        match ordering {
            Ordering::Acquire if drops("acquire") => Ordering::Relaxed,
            Ordering::Release if drops("release") => Ordering::Relaxed,
            Ordering::AcqRel if drops("acquire") => Ordering::Release,
            Ordering::AcqRel if drops("release") => Ordering::Acquire,
            other => other,
        }
    }

    /// The ordering of a failed compare-exchange.
    fn chosen_failure(ordering: Ordering, place: &'static Location<'static>) -> Ordering {
        match ordering {
            Ordering::Acquire if weakened(place, "failure") => Ordering::Relaxed,
            other => other,
        }
    }

    /// A fence; `std::sync::atomic::fence`.
    #[track_caller]
    pub fn fence(ordering: Ordering) {
        let place = Location::caller();
        let chosen = match ordering {
            Ordering::SeqCst if weakened(place, "sequence") => Ordering::AcqRel,
            other => chosen(other, place),
        };
        if chosen != Ordering::Relaxed {
            loom::sync::atomic::fence(chosen);
        }
    }

    /// A fence for the compiler, which loom has no need of.
    pub fn compiler_fence(_ordering: Ordering) {}

    /// The operations that all atomics have.
    macro_rules! atomic {
        ($(#[$meta:meta])* [$($generic:ident)?] $name:ident of $value:ty { $($more:tt)* }) => {
            $(#[$meta])*
            pub struct $name$(<$generic>)?(loom::sync::atomic::$name$(<$generic>)?);

            impl$(<$generic>)? $name$(<$generic>)? {
                /// An atomic that holds `value`.
                #[track_caller]
                pub fn new(value: $value) -> Self {
                    $name(loom::sync::atomic::$name::new(value))
                }

                /// Reads the value.
                #[track_caller]
                pub fn load(&self, ordering: Ordering) -> $value {
                    self.0.load(chosen(ordering, Location::caller()))
                }

                /// Writes the value.
                #[track_caller]
                pub fn store(&self, value: $value, ordering: Ordering) {
                    self.0.store(value, chosen(ordering, Location::caller()));
                }

                /// Replaces the value; gives the old one.
                #[track_caller]
                pub fn swap(&self, value: $value, ordering: Ordering) -> $value {
                    self.0.swap(value, chosen(ordering, Location::caller()))
                }

                /// Replaces the value if it is `current`; gives the old one.
                ///
                /// # Errors
                /// The value, if it is another.
                #[track_caller]
                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    let place = Location::caller();
                    let (success, failure) = (chosen(success, place), chosen_failure(failure, place));
                    self.0.compare_exchange(current, new, success, failure)
                }

                /// As `compare_exchange`; may fail for no reason elsewhere.
                ///
                /// # Errors
                /// The value, if it is another.
                #[track_caller]
                pub fn compare_exchange_weak(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    let place = Location::caller();
                    let (success, failure) = (chosen(success, place), chosen_failure(failure, place));
                    self.0.compare_exchange(current, new, success, failure)
                }

                $($more)*
            }

            impl$(<$generic>)? fmt::Debug for $name$(<$generic>)? {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(stringify!($name))
                }
            }
        };
    }

    /// Operations that read, change and write at once.
    macro_rules! read_modify_write {
        ($value:ty: $($operation:ident)*) => {
            $(
                #[doc = concat!("`", stringify!($operation), "`; gives the old value.")]
                #[track_caller]
                pub fn $operation(&self, value: $value, ordering: Ordering) -> $value {
                    self.0.$operation(value, chosen(ordering, Location::caller()))
                }
            )*
        };
    }

    macro_rules! integers {
        ($($name:ident $value:ident)*) => {
            $(
                atomic! {
                    #[doc = concat!("loom's `", stringify!($name), "`.")]
                    [] $name of $value {
                        read_modify_write! {
                            $value: fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min
                        }
                    }
                }

                impl Default for $name {
                    fn default() -> $name {
                        $name::new(0)
                    }
                }
            )*
        };
    }

    integers! {
        AtomicU8 u8 AtomicU16 u16 AtomicU32 u32 AtomicU64 u64 AtomicUsize usize
        AtomicI8 i8 AtomicI16 i16 AtomicI32 i32 AtomicI64 i64 AtomicIsize isize
    }

    atomic! {
        /// loom's `AtomicBool`.
        [] AtomicBool of bool {
            read_modify_write! { bool: fetch_and fetch_or fetch_xor }
        }
    }

    impl Default for AtomicBool {
        fn default() -> AtomicBool {
            AtomicBool::new(false)
        }
    }

    atomic! {
        /// loom's `AtomicPtr`.
        [T] AtomicPtr of *mut T {}
    }
}

/// loom's cell, which notices accesses that are not ordered.
pub struct UnsafeCell<T: ?Sized>(loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    #[track_caller]
    pub fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(loom::cell::UnsafeCell::new(value))
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Shared access to the value through a pointer.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        self.0.with(f)
    }

    /// Exclusive access to the value through a pointer.
    #[track_caller]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(f)
    }

    /// The value, through an exclusive reference to the cell.
    #[track_caller]
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` means that nobody else reaches the value while
        // the reference, which borrows from it, is alive.
        self.0.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnsafeCell")
    }
}
