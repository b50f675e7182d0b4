//! Shared ownership: [`Arc`] and [`Weak`].
//!
//! A value lives as long as one `Arc` of it does, its memory as long as one
//! `Arc` or `Weak`. What sets these apart from the standard library's: they go
//! through [`primitive`](crate::primitive), so that loom sees every count and
//! every access to the value; they are made without a panic when memory is
//! short ([`Arc::try_new`]); they need no `std`.
//!
//! # Two counts
//! | count | counts | the last one |
//! | --- | --- | --- |
//! | `strong` | the `Arc`s | drops the value, then gives up one `weak` |
//! | `weak` | the `Weak`s, and one more for all `Arc`s together | frees the memory |
//!
//! That the `Arc`s have one `weak` between them is what makes a clone or a drop
//! of an `Arc` one read-modify-write instead of two.
//!
//! `weak == LOCKED` means that [`Arc::get_mut`] is reading both counts and wants
//! no [`Arc::downgrade`] in between: read one after the other, two counts do not
//! tell that nobody else is there, for a thread that turns its `Arc` into a
//! `Weak` and back is missed by both looks.
//!
//! # Transitions
//! | function | strong | weak | ordering |
//! | --- | --- | --- | --- |
//! | `Arc::clone` | n to n + 1 | | Relaxed: who clones has one already |
//! | `Arc::drop` | n to n - 1 | | Release; the last one then fences with Acquire |
//! | `Weak::upgrade` | n > 0 to n + 1 | | Acquire, see there |
//! | `Arc::downgrade` | | n to n + 1, not from LOCKED | Acquire, see there |
//! | `Weak::clone` | | n to n + 1 | Relaxed |
//! | `Weak::drop` | | n to n - 1 | Release; the last one then fences with Acquire |
//! | `Arc::get_mut` | is it 1? | 1 to LOCKED to 1 | Acquire; Release |
//! | `Arc::make_mut` | 1 to 0 (to 1) | | Acquire |
//! | `Arc::try_unwrap` | 1 to 0 | | Relaxed, then a fence with Acquire |
//!
//! # No count overflows
//! A forgotten clone never takes its count back, so a loop can reach any count.
//! A count that wrapped to 0 would free what is in use. Counts are therefore
//! held below `usize::MAX`: an addition that finds more than half of it ends the
//! program at once (no unwinding, which would let it go on). The distance between
//! the two is how many threads may be between adding and ending; more threads
//! than that do not fit into memory. Where the count is raised by a
//! compare-exchange (`upgrade`, `downgrade`) the bound is checked before and the
//! call panics, with nothing changed.

mod inner;
mod slice;
mod strong;
mod traits;
mod weak;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub use inner::Shared;
pub use strong::Arc;
pub use weak::Weak;
