//! Read, copy, update: readers that nobody waits for, and memory that is freed
//! when the last of them has gone.
//!
//! A writer makes a new value, puts the pointer to it where the old one was, and
//! frees the old one, but not before every reader that may have found it is done.
//! Who frees has to know that; readers say it in one of two ways:
//!
//! | | a read costs | who has to do something | when |
//! | --- | --- | --- | --- |
//! | [`Participant`] | nothing | each processor says now and then that it reads nothing ([`quiescent`](Participant::quiescent)) | kernels, event loops: there is such a moment anyway |
//! | [`Epoch`] | a store and a fence | nobody | threads that may be anywhere: the host |
//!
//! # How it works
//! Grace periods are numbered. `current` is the last one begun; each reader has a
//! slot, `seen`, with the last one that it knows of.
//!
//! | `seen` | means |
//! | --- | --- |
//! | n | may be reading; read nothing when it last looked, and `current` was n |
//! | OFFLINE | reads nothing, and says so when it begins |
//! | FREE | belongs to nobody |
//!
//! What is taken out of reach is put on a list (`pending`; no memory is needed).
//! To free the list, a collector takes it, begins a period, `current` = g, and
//! waits until every slot is at g or beyond (OFFLINE and FREE are).
//!
//! | step | does | ordering |
//! | --- | --- | --- |
//! | take out of reach | swap the pointer, push on `pending` | AcqRel; Release |
//! | begin a period | take `pending`; `current` + 1 | Acquire; Release |
//! | say that nothing is read | `seen` = `current` | Release; Acquire |
//! | is it over? | look at every `seen` | fence SeqCst; Acquire |
//! | begin to read after OFFLINE | `seen` = `current` | Acquire, Release; fence SeqCst |
//! | end | `seen` = OFFLINE | Release |
//!
//! A reader that has seen g has seen all that was taken out of reach before, so
//! it will not find it any more; what it read earlier happens before the
//! collector's look, so before the freeing. For one that comes back from OFFLINE
//! the two fences decide: either the collector sees it is back (and at what
//! number), or it sees what the collector took out.
//!
//! # One domain
//! Readers, cells and collectors have to be of one [`Domain`], a type, and are
//! kept apart by it.
//!
//! ```
//! use ochre_sync::rcu::{Host, RcuBox, RcuCell, pinned};
//!
//! let limit: RcuCell<u32, Host> = RcuCell::new(RcuBox::new(10));
//! pinned(|guard| {
//!     let before = limit.read(guard); // nobody waits for whom
//!     limit.update(guard, |old| RcuBox::new(old * 2));
//!     assert_eq!((*before, *limit.read(guard)), (10, 20));
//! });
//! ```

mod cell;
mod epoch;
mod participant;
mod state;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub use cell::{RcuBox, RcuCell};
pub use epoch::{Epoch, Pinned};
#[cfg(all(feature = "std", not(loom)))]
pub use epoch::{Host, pinned};
pub use participant::{Participant, ReadGuard};
pub use state::{Domain, GracePeriod, Protects, State, collect};

pub(crate) use state::{Node, retire};
