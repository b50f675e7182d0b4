//! Allocators of every kind for kernels, that know nothing of the machine.
//!
//! Heaps answer layouts with memory. Their cores are [`Heap`]s: [`Bump`],
//! [`FirstFit`], [`FixedBlocks`] and [`BuddyHeap`] live in regions that they
//! are given ([`Growing`] gives them more from a [`PageSource`]), [`Slab`] cuts
//! a source's pages. [`Locked`] makes a `GlobalAlloc` of any of them.
//! [`Magazines`] is the slab for several processors, and is one by itself.
//! [`Guarded`] looks at the edges of what any of those gave.
//!
//! Frames are numbers here. [`Buddy`] hands out power-of-two blocks of them
//! and keeps its lists in an array of [`Record`]s outside the frames, so that
//! it needs no unsafe code and no mapping of what it manages. [`Cached`] puts
//! a small stack of single frames before any [`FrameSource`]; [`Frames`] has a
//! cache for each processor before buddies that are locked range by range.
//! [`Addresses`] is the buddy system for addresses that are not memory.
//!
//! Nothing here panics or aborts when memory runs out: every allocation is a
//! `Result` or an `Option`. A caller's mistake (memory freed twice) panics in
//! builds with debug assertions, as far as the design can notice it.
#![cfg_attr(not(test), no_std)]
#![expect(
    unsafe_code,
    reason = "heaps keep their lists in the memory they manage; checked by Miri"
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod addresses;
#[cfg(feature = "alloc")]
mod boxed;
mod buddy;
mod buddy_heap;
mod bump;
mod cached;
mod class;
mod depot;
#[cfg(test)]
mod everyday;
mod first_fit;
mod fixed_blocks;
mod frames;
mod growing;
mod guarded;
mod heap;
mod magazines;
mod one_lock;
mod record;
mod slab;
mod source;
#[cfg(test)]
mod testing;

pub use addresses::{AddressError, Addresses};
#[cfg(feature = "alloc")]
pub use boxed::try_box;
pub use buddy::Buddy;
pub use buddy_heap::BuddyHeap;
pub use bump::Bump;
pub use cached::Cached;
pub use class::{CLASSES, LARGEST_OBJECT, SizeUse};
pub use first_fit::FirstFit;
pub use fixed_blocks::FixedBlocks;
pub use frames::Frames;
pub use growing::{Growing, LEAST_PAGES};
pub use guarded::{FREED, FRESH, Guarded, Overrun};
pub use heap::{Heap, Locked, OutOfMemory, Region};
pub use magazines::{Magazines, Place};
pub use one_lock::OneLock;
pub use record::Record;
pub use slab::Slab;
pub use source::{FrameSource, MAX_ORDER, PAGE_SIZE, PageSource};
