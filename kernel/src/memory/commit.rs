//! What memory is promised to whom.
//!
//! Promised is what could be asked for without a fault that says no: private
//! memory that may be written, and shared memory without a file. What could never
//! be kept is refused at once; the rest is a promise that may be broken, as
//! with Linux's heuristic.

use ochre_hal::memory;

/// Whether so many more pages may be promised.
#[must_use]
pub fn may_promise(pages: u64) -> bool {
    pages <= memory::stats().total as u64
}
