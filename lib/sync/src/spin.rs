//! Locks that wait by spinning, for code that cannot sleep.
//!
//! A spin lock is for a few instructions: who waits does nothing else, and on one
//! processor a holder that is interrupted by somebody who wants the lock never
//! gives it back. For anything longer, use a lock that sleeps.
//!
//! | lock | waits at | order | when |
//! | --- | --- | --- | --- |
//! | [`SpinLock`] | one word, all of them | whoever comes first | rarely contended: the usual case, and the smallest |
//! | [`TicketLock`] | one word, all of them | first come, first served | contended by a few, none of which may starve |
//! | [`McsLock`] | a word of its own | first come, first served | contended by many |
//! | [`ClhLock`] | its predecessor's word | first come, first served | as `McsLock`, with nodes from the caller and a guard |
//!
//! [`SpinLock`] and [`TicketLock`] are [`Lock`] with one of two ways to wait, a
//! [`RawSpin`]. [`IrqSafe`] around either keeps interrupts out while the lock is
//! held, if handlers take it too.
//!
//! The guards are `!Send`: a future that holds one across an await is not `Send`,
//! and an executor that wants `Send` futures refuses it. None of these locks is
//! poisoned by a panic.
//!
//! ```
//! use ochre_sync::{McsLock, SpinLock, TicketLock};
//!
//! static USUAL: SpinLock<u32> = SpinLock::new(1);
//! static FAIR: TicketLock<u32> = TicketLock::new(2);
//! static CROWDED: McsLock<u32> = McsLock::new(3);
//! assert_eq!(*USUAL.lock() + *FAIR.lock() + CROWDED.with(|value| *value), 6);
//! ```

mod clh;
mod interrupts;
mod lock;
mod mcs;
mod test_and_set;
mod ticket;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub use clh::{ClhGuard, ClhHandle, ClhLock, ClhNode};
pub use interrupts::{Depth, Interrupts, IrqSafe, without};
pub use lock::{Guard, Lock, RawSpin};
pub use mcs::McsLock;
pub use test_and_set::{SpinLock, SpinLockGuard, TestAndSet};
pub use ticket::{Ticket, TicketLock, TicketLockGuard};
