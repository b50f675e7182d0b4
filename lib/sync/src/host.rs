//! The locks of this crate for programs on Linux: those that sleep do so in
//! its futexes.
//!
//! ```
//! use ochre_sync::host::Mutex;
//!
//! static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
//! NAMES.lock().expect("nobody panics").push("first".to_owned());
//! ```

use crate::blocking::Futex;
use crate::lock;

/// A [`lock::Mutex`] that sleeps in Linux's futexes.
pub type Mutex<T> = lock::Mutex<T, Futex>;
/// A guard of a [`Mutex`].
pub type MutexGuard<'a, T> = lock::MutexGuard<'a, T, Futex>;
