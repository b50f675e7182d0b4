//! Frame and heap allocators that know nothing of the machine.
//!
//! Frames are numbers here. [`Buddy`] hands out power-of-two blocks of them
//! and keeps its lists in an array of [`Record`]s outside the frames, so that
//! it needs no unsafe code and no mapping of what it manages. [`Cached`] puts
//! a small stack of single frames before any [`FrameSource`]: the frame freed
//! last, still in the processor's cache, is handed out first. [`Slab`] cuts
//! pages from a [`PageSource`] into objects.
//!
//! Nothing here panics or aborts when memory runs out: every allocation is an
//! `Option`. A caller's mistake (a frame freed twice) panics in builds with
//! debug assertions.
#![cfg_attr(not(test), no_std)]
#![expect(
    unsafe_code,
    reason = "the slab keeps its lists in the memory it manages; checked by Miri"
)]

mod buddy;
mod cached;
mod record;
mod slab;
mod source;

pub use buddy::Buddy;
pub use cached::Cached;
pub use record::Record;
pub use slab::{LARGEST_OBJECT, Slab};
pub use source::{FrameSource, MAX_ORDER, PAGE_SIZE, PageSource};
