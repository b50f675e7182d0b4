//! Physical frames and user address spaces.
//!
//! Two kinds of frames exist. *Typed* ones hold kernel data (heap, page
//! tables, stacks) and never leave this crate. *Untyped* ones, [`UserFrame`],
//! hold what programs see; a program may write them at any moment, so their
//! content is only ever copied in and out, never viewed through a reference.

use bitflags::bitflags;

/// Bytes in a page and a frame.
pub const PAGE_SIZE: usize = 4096;

/// One past the highest address a program may use.
pub const USER_END: u64 = 0x7fff_ffff_f000;

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

/// The state of physical memory.
#[must_use]
pub fn stats() -> Stats {
    unimplemented!()
}

/// Whether `frames` more frames may be had without touching the reserve.
/// System calls that create kernel objects ask first and answer ENOMEM.
#[must_use]
pub fn has_headroom(frames: usize) -> bool {
    let _ = frames;
    unimplemented!()
}

/// A counted handle to an untyped frame. Cloning shares the frame.
#[derive(Debug)]
pub struct UserFrame {
    _private: (),
}

impl UserFrame {
    /// A fresh frame of zeroes.
    ///
    /// # Errors
    /// [`OutOfMemory`] when only the kernel's reserve is left.
    pub fn zeroed() -> Result<UserFrame, OutOfMemory> {
        unimplemented!()
    }

    /// The one shared frame of zeroes, for read-only mappings.
    #[must_use]
    pub fn shared_zero() -> UserFrame {
        unimplemented!()
    }

    /// A fresh frame with this one's content.
    ///
    /// # Errors
    /// [`OutOfMemory`] when only the kernel's reserve is left.
    pub fn duplicate(&self) -> Result<UserFrame, OutOfMemory> {
        unimplemented!()
    }

    /// Whether this is the only handle (mappings count as handles).
    #[must_use]
    pub fn is_unique(&self) -> bool {
        unimplemented!()
    }

    /// Handles, mappings included.
    #[must_use]
    pub fn handles(&self) -> usize {
        unimplemented!()
    }

    /// Whether both are the same frame.
    #[must_use]
    pub fn same_as(&self, other: &UserFrame) -> bool {
        let _ = other;
        unimplemented!()
    }

    /// A number that identifies the frame (for shared futexes, `/proc`).
    #[must_use]
    pub fn number(&self) -> u64 {
        unimplemented!()
    }

    /// Copies bytes out, starting `offset` bytes into the frame.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        let _ = (offset, to);
        unimplemented!()
    }

    /// Copies bytes in, starting `offset` bytes into the frame.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    pub fn write(&self, offset: usize, from: &[u8]) {
        let _ = (offset, from);
        unimplemented!()
    }

    /// Writes zeroes over a range.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    pub fn zero(&self, range: core::ops::Range<usize>) {
        let _ = range;
        unimplemented!()
    }
}

impl Clone for UserFrame {
    fn clone(&self) -> UserFrame {
        unimplemented!()
    }
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
    }
}

/// A mapped page, as [`PageTable::query`] finds it.
#[derive(Debug)]
pub struct Mapping {
    /// The frame (a new handle).
    pub frame: UserFrame,
    /// What the program may do.
    pub rights: Rights,
    /// Whether the processor recorded an access.
    pub accessed: bool,
    /// Whether the processor recorded a store.
    pub dirty: bool,
}

/// The user half of an address space: owns its tables and a handle to every
/// frame mapped. Addresses are page-aligned and below [`USER_END`]; a method
/// given another address panics (the kernel checks user values first).
#[derive(Debug)]
pub struct PageTable {
    _private: (),
}

/// A cheap handle to an address space's root, with which programs are run and
/// user memory is copied. It can outlive the [`PageTable`]: then nothing is
/// mapped any more.
#[derive(Clone, Debug)]
pub struct SpaceRef {
    _private: (),
}

/// A change that the processors may not know yet.
///
/// Call [`flush`](Flush::flush). Dropping it flushes too (a frame must never be
/// reused while a stale translation may exist), but only after a warning in
/// checked builds.
#[must_use = "processors may still use the old translation: call flush()"]
#[derive(Debug)]
pub struct Flush {
    _private: (),
}

impl Flush {
    /// Makes every processor forget the old translations, then releases the frames that were unmapped.
    pub fn flush(self) {
        unimplemented!()
    }

    /// Joins another change of the same address space, to be flushed together.
    pub fn join(&mut self, other: Flush) {
        let _ = other;
        unimplemented!()
    }
}

impl PageTable {
    /// An empty user half.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the root table.
    pub fn new() -> Result<PageTable, OutOfMemory> {
        unimplemented!()
    }

    /// The handle with which programs are run and memory is copied.
    #[must_use]
    pub fn space(&self) -> &SpaceRef {
        unimplemented!()
    }

    /// Maps `frame` at `address`, which must not be mapped.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table on the way.
    pub fn map(
        &mut self,
        address: u64,
        frame: UserFrame,
        rights: Rights,
    ) -> Result<(), OutOfMemory> {
        let _ = (address, frame, rights);
        unimplemented!()
    }

    /// Replaces the frame and the rights of a mapped page (copy-on-write), or
    /// maps it if it was not.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table on the way.
    pub fn replace(
        &mut self,
        address: u64,
        frame: UserFrame,
        rights: Rights,
    ) -> Result<Flush, OutOfMemory> {
        let _ = (address, frame, rights);
        unimplemented!()
    }

    /// The mapping of one page.
    #[must_use]
    pub fn query(&self, address: u64) -> Option<Mapping> {
        let _ = address;
        unimplemented!()
    }

    /// Changes the rights of every mapped page of a range; an empty set makes
    /// pages inaccessible but keeps the frames (`query` still finds them).
    pub fn protect(&mut self, range: core::ops::Range<u64>, rights: Rights) -> Flush {
        let _ = (range, rights);
        unimplemented!()
    }

    /// Takes the store right from every mapped page of a range (before sharing it).
    pub fn write_protect(&mut self, range: core::ops::Range<u64>) -> Flush {
        let _ = range;
        unimplemented!()
    }

    /// Unmaps every page of a range and frees tables that became empty.
    pub fn unmap(&mut self, range: core::ops::Range<u64>) -> Flush {
        let _ = range;
        unimplemented!()
    }

    /// Maps into `child` every page of a range that is mapped here, sharing
    /// the frames; with `copy_on_write` neither side keeps the store right.
    /// Walks whole tables, so that a fork costs by pages present.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the child's tables; the child is then incomplete
    /// and is to be dropped. The flush is for this (the parent's) side.
    pub fn share_into(
        &mut self,
        child: &mut PageTable,
        range: core::ops::Range<u64>,
        copy_on_write: bool,
    ) -> Result<Flush, OutOfMemory> {
        let _ = (child, range, copy_on_write);
        unimplemented!()
    }

    /// Moves every mapped page of `from..from + len` to `to..to + len` (`mremap`).
    ///
    /// # Errors
    /// [`OutOfMemory`] for tables at the new place; what was moved stays moved.
    pub fn relocate(&mut self, from: u64, to: u64, len: u64) -> Result<Flush, OutOfMemory> {
        let _ = (from, to, len);
        unimplemented!()
    }

    /// Pages mapped now (resident set).
    #[must_use]
    pub fn resident_pages(&self) -> usize {
        unimplemented!()
    }
}

/// A copy to or from user memory stopped at a page that is not mapped for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFault {
    /// Bytes copied before the fault.
    pub copied: usize,
    /// The user address that faulted.
    pub address: u64,
}

impl SpaceRef {
    /// Makes this the space that the processor sees, if it is not already.
    #[inline]
    pub(crate) fn activate(&self) {}

    /// Copies from user memory. Never waits and never resolves a fault: the
    /// caller faults the page in and goes on from `copied`.
    ///
    /// # Errors
    /// Where the copy stopped. Addresses outside the user half stop it at once.
    pub fn copy_in(&self, from: u64, to: &mut [u8]) -> Result<(), CopyFault> {
        let _ = (from, to);
        unimplemented!()
    }

    /// Copies to user memory; see [`copy_in`](SpaceRef::copy_in).
    ///
    /// # Errors
    /// Where the copy stopped.
    pub fn copy_out(&self, to: u64, from: &[u8]) -> Result<(), CopyFault> {
        let _ = (to, from);
        unimplemented!()
    }

    /// Writes zeroes to user memory.
    ///
    /// # Errors
    /// Where it stopped.
    pub fn zero_out(&self, to: u64, len: usize) -> Result<(), CopyFault> {
        let _ = (to, len);
        unimplemented!()
    }

    /// Copies a NUL-terminated string from user memory up to and without the
    /// NUL; `Ok(None)` when `to` filled up first.
    ///
    /// # Errors
    /// Where it stopped.
    pub fn copy_in_string(&self, from: u64, to: &mut [u8]) -> Result<Option<usize>, CopyFault> {
        let _ = (from, to);
        unimplemented!()
    }

    /// Atomically loads an aligned 32-bit word (sequentially consistent).
    ///
    /// # Errors
    /// A misaligned or unmapped address.
    pub fn load_u32(&self, at: u64) -> Result<u32, CopyFault> {
        let _ = at;
        unimplemented!()
    }

    /// Atomically replaces an aligned 32-bit word if it holds `current`;
    /// returns what it held.
    ///
    /// # Errors
    /// A misaligned or unmapped address, or one without the store right.
    pub fn compare_exchange_u32(&self, at: u64, current: u32, new: u32) -> Result<u32, CopyFault> {
        let _ = (at, current, new);
        unimplemented!()
    }
}
