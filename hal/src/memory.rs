//! Physical frames and user address spaces.
//!
//! Two kinds of frames exist. *Typed* ones hold kernel data (heap, page
//! tables, stacks) and never leave this crate. *Untyped* ones, [`UserFrame`],
//! hold what programs see; a program may write them at any moment, so their
//! content is only ever copied in and out, never viewed through a reference.
//!
//! | module | what |
//! |---|---|
//! | `boot` | from the loader's memory map to the final tables |
//! | `frames` | who has which frame; handing them out |
//! | `user_frame` | counted handles to programs' frames |
//! | `heap` | the kernel's heap |
//! | `reclaim` | what lies ready is given back, on every processor |
//! | `config` | which allocators these are |
//! | `shortage` | in a kernel for tests: allocations that fail to order |
//! | `page_table`, `table`, `flush`, `space` | programs' address spaces |
//! | `walk` | tables entry by entry, for people who look at them |
//! | `user_view` | what of a space the processor has while a program runs |
//! | `presence`, `quarantine` | what other processors remember of them |
//! | `numbers` | the same where all of them are told by one instruction |
//! | `user_copy` | copies to and from programs |
//! | `kernel_map`, `mmio`, `stacks` | what the kernel maps for itself |
//! | `registers`, `shared_page` | devices' registers, and pages that they have too |
//! | `direct`, `bytes` | the kernel's view of a frame |

use bitflags::bitflags;

pub(crate) mod boot;
mod config;
pub(crate) mod constants;
pub(crate) mod direct;
mod flush;
pub(crate) mod frames;
mod heap;
#[cfg(not(target_os = "none"))]
pub mod host;
pub(crate) mod kernel_map;
#[cfg(feature = "ktest")]
pub(crate) mod ktests;
pub(crate) mod mmio;
pub(crate) mod numbers;
mod page_table;
pub(crate) mod presence;
mod quarantine;
mod reclaim;
pub(crate) mod registers;
pub(crate) mod shared_page;
pub mod shortage;
pub(crate) mod space;
pub(crate) mod stacks;
mod table;
mod user_copy;
mod user_frame;
pub(crate) mod user_view;
mod walk;

pub use flush::{Flush, Forgotten};
pub use page_table::{
    BlockState, HugePages, PageTable, Sharing, TakenSpares, UserBlock, huge_pages,
};
pub use reclaim::{Given, answer, ask_others, give, note_relief, reclaim, spare_with};
pub use space::SpaceRef;
pub use user_copy::CopyFault;
pub use user_frame::UserFrame;
pub use walk::{Block, Step, Target, visit_kernel, walk_kernel};

/// Bytes in a page and a frame.
pub const PAGE_SIZE: usize = 4096;

/// Bytes in a huge page.
pub const HUGE_SIZE: usize = PAGE_SIZE << frames::BLOCK_ORDER;

/// One past the highest address a program may use.
pub const USER_END: u64 = 0x7fff_ffff_f000;

/// The bits of a program's address that do not count when the program uses it,
/// so that it may keep something of its own in them; 0 on machines without.
/// Copies do not pass over them: see [`untagged`].
pub const ADDRESS_TAG: u64 = crate::arch::machine::paging::ADDRESS_TAG;

/// A program's address without its tag; another one as it is.
#[must_use]
#[inline]
pub const fn untagged(address: u64) -> u64 {
    /// Below the tag: whether an address is of the kernel's half.
    const HALF: u64 = 1 << 55;
    if address & HALF == 0 {
        address & !ADDRESS_TAG
    } else {
        address
    }
}

/// No frame is left for the purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// How much memory there is, in frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Frames of usable memory that the machine has, the kernel's own image and tables included.
    pub total: usize,
    /// Free frames.
    pub free: usize,
    /// Frames kept back for the kernel: user frames are refused at or below.
    pub reserve: usize,
    /// Frames in page tables.
    pub page_tables: usize,
    /// Frames in the kernel heap.
    pub heap: usize,
}

/// Frames of memory, whoever has them; what it is stays what it is.
#[must_use]
#[inline]
pub fn total() -> usize {
    frames::total()
}

/// The state of physical memory: looks at what every processor keeps.
#[must_use]
pub fn stats() -> Stats {
    frames::stats()
}

/// Frames of the stacks that processors got when they started; those of the first
/// are in the kernel's image.
#[must_use]
pub fn stack_frames() -> u64 {
    stacks::frames()
}

/// Free blocks of `1 << order` frames, by order; frames that a processor keeps
/// for its next allocation are in none.
#[must_use]
pub fn free_blocks() -> [usize; ochre_alloc::MAX_ORDER as usize + 1] {
    config::blocks()
}

/// What the kernel's heap has of each size of objects: bytes, objects in a
/// page, pages, objects in use. Sizes that it has not are 0 in all.
pub fn object_sizes() -> impl Iterator<Item = [usize; 4]> {
    let sizes = heap::sizes().into_iter();
    sizes.map(|of| [of.size, of.per_page, of.pages, of.in_use])
}

/// Whether `frames` more frames may be had without touching the reserve.
/// System calls that create kernel objects ask first and answer ENOMEM.
#[must_use]
pub fn has_headroom(frames: usize) -> bool {
    let has =
        frames::has_headroom(frames) || reclaim::is_spared(frames) || give(frames) == Given::Enough;
    has && !shortage::strikes()
}

bitflags! {
    /// What a program may do with a mapped page.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rights: u8 {
        /// Loads. (No machine here can map without it; an empty set is `PROT_NONE` and is not mapped.)
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
        /// With `EXECUTE`: jumps through registers lead to landing pads only.
        /// Without a meaning where [`cpu::has_landing_pads`](crate::cpu::has_landing_pads)
        /// says no.
        const GUARDED = 0x10;
    }
}

/// A mapped page, as [`PageTable::query`] and [`PageTable::visit`] find it.
#[derive(Debug)]
pub struct Mapping {
    /// The frame: a new handle, or in a visit the table's own, lent.
    pub frame: UserFrame,
    /// Handles that are counted for `frame` and nobody's mapping: of a new one, 1.
    extra: usize,
    /// What the program may do.
    pub rights: Rights,
    /// Address spaces that have the page by the same table, this one included:
    /// one handle for all of them.
    pub owners: usize,
    /// Whether it is part of a huge page.
    pub is_huge: bool,
    /// Whether the processor recorded an access.
    pub accessed: bool,
    /// Whether the processor recorded a store.
    pub dirty: bool,
    /// Whether the program can spare it ([`PageTable::mark_spare`]).
    pub spare: bool,
}

impl Mapping {
    /// Who has the frame: address spaces that map it, each owner of a shared
    /// table for itself, and the object that it is of, if it is of one. At
    /// least one, which is whose table said so. Others may come and go at once.
    #[must_use]
    pub fn holders(&self) -> usize {
        // The table's handle is its owners'.
        (self.frame.handles() + self.owners)
            .saturating_sub(1 + self.extra)
            .max(1)
    }
}
