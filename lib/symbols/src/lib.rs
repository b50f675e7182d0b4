//! A kernel's table of its functions' names: where the address of a report lies.
//!
//! The host makes the table of a kernel's file (`write`, feature `std`), the
//! kernel keeps it and looks addresses up when it dies. [`Table::check`] reads
//! every byte as hostile input; [`Table::find`] allocates nothing, takes no
//! lock, ends after a number of steps that the length bounds, and checks again
//! what it uses: by then anything may have been overwritten. The worst that a
//! table can do is to lack a name, or to have a wrong one.
//!
//! ```
//! use ochre_symbols::{Table, write};
//!
//! let functions = [(0, "boot"), (0x40, "core::fmt::write")];
//! let bytes = write(*b"build-id", functions).expect("in order");
//! let table = Table::check(&bytes).expect("just written");
//! let place = table.find(0x52).expect("behind the first");
//! assert_eq!((place.name, place.offset), ("core::fmt::write", 0x12));
//! ```
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

mod table;
#[cfg(feature = "std")]
mod write;

#[cfg(test)]
mod tests;

pub use table::{ID_BYTES, MAX_BYTES, MAX_NAME, Place, Table, Wrong};
#[cfg(feature = "std")]
pub use write::{Refused, write};
