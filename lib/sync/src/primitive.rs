//! The seam: every atomic, cell and spin hint of this crate, and of the crates
//! above, comes through here.
//!
//! Ordinarily these are `core`'s. Under `--cfg loom` they are loom's, wrapped so
//! that an environment variable weakens one ordering at one place
//! (`primitive/model.rs`): that is how it is shown that the models would notice.
//!
//! Under `--cfg shuttle` the atomics and hints are shuttle's: it tries fewer
//! orderings (none but sequential consistency) in far larger programs, so it is
//! for locks put together (`tests/shuttle.rs`).
//!
//! Two things differ between loom's world and the others, and code above keeps to what both
//! have:
//! - loom's constructors are not `const`: [`maybe_const!`](crate::maybe_const)
//!   writes a function that is `const` where it can be.
//! - [`UnsafeCell`] is reached through `with` and `with_mut`, which loom checks
//!   against all others; atomics are read with a `Relaxed` load where `core`
//!   would offer `get_mut`.
//!
//! ```
//! use ochre_sync::primitive::atomic::{AtomicU32, Ordering};
//!
//! static TICKS: AtomicU32 = AtomicU32::new(0);
//! assert_eq!(TICKS.fetch_add(1, Ordering::Relaxed), 0);
//! ```

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(loom)]
mod model;
#[cfg(not(loom))]
mod native;

#[cfg(loom)]
pub use model::{UnsafeCell, atomic, spin_loop};
#[cfg(not(loom))]
pub use native::{UnsafeCell, atomic, spin_loop};

/// Writes a function that is `const`, except under loom, whose atomics and
/// cells have no `const` constructors.
///
/// ```
/// use ochre_sync::maybe_const;
/// use ochre_sync::primitive::atomic::AtomicU32;
///
/// struct Flag(AtomicU32);
///
/// impl Flag {
///     maybe_const! {
///         /// A flag that is down.
///         pub fn new() -> Flag {
///             Flag(AtomicU32::new(0))
///         }
///     }
/// }
///
/// static FLAG: Flag = Flag::new();
/// # let _ = &FLAG.0;
/// ```
#[macro_export]
macro_rules! maybe_const {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arguments:tt)*) -> $result:ty $body:block) => {
        $(#[$meta])*
        #[cfg(not(loom))]
        $vis const fn $name($($arguments)*) -> $result $body

        $(#[$meta])*
        #[cfg(loom)]
        $vis fn $name($($arguments)*) -> $result $body
    };
}
