//! Memory mapping: the numbers of mmap(2), mprotect(2), mremap(2), madvise(2)
//! and their family, the same on x86_64 and AArch64 but for `MAP_32BIT`.

use bitflags::bitflags;

bitflags! {
    /// What a program may do with mapped pages.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Protection: u32 {
        /// `PROT_READ`.
        const READ = 1;
        /// `PROT_WRITE`.
        const WRITE = 2;
        /// `PROT_EXEC`.
        const EXECUTE = 4;
        /// `PROT_BTI`: jumps through registers lead to landing pads only. Of
        /// AArch64, and only where the processor has it: a call that takes a
        /// program's bits has to look.
        const GUARDED = 0x10;
    }
}

impl Protection {
    /// Whether the program may do anything at all: no machine here has pages
    /// that can be written or run but not read.
    #[must_use]
    pub const fn allows_access(self) -> bool {
        self.intersects(
            Protection::READ
                .union(Protection::WRITE)
                .union(Protection::EXECUTE),
        )
    }
}

/// `PROT_SEM`: accepted by mprotect(2), without meaning here.
pub const PROT_SEM: u32 = 8;
/// `PROT_GROWSDOWN`: mprotect(2) extends the change down to the area's start.
pub const PROT_GROWSDOWN: u32 = 0x0100_0000;
/// `PROT_GROWSUP`: for stacks that grow upwards, which no machine here has.
pub const PROT_GROWSUP: u32 = 0x0200_0000;

/// The bits of mmap(2)'s flags that say who sees changes.
pub const MAP_TYPE: u32 = 0x0f;
/// Changes go to the object mapped.
pub const MAP_SHARED: u32 = 1;
/// Changes stay here.
pub const MAP_PRIVATE: u32 = 2;
/// [`MAP_SHARED`], and unknown flags are an error.
pub const MAP_SHARED_VALIDATE: u32 = 3;
/// [`MAP_PRIVATE`], and pages may be given up when memory is short.
pub const MAP_DROPPABLE: u32 = 8;

bitflags! {
    /// Flags of mmap(2), the type bits left out.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MapFlags: u32 {
        /// Exactly at the address, in place of what is there.
        const FIXED = 0x10;
        /// Of no file.
        const ANONYMOUS = 0x20;
        /// Below 2 GiB (x86_64 only).
        const BELOW_2G = 0x40;
        /// Grows downwards like a stack.
        const GROWSDOWN = 0x100;
        /// Ignored, as on Linux.
        const DENYWRITE = 0x800;
        /// Ignored, as on Linux.
        const EXECUTABLE = 0x1000;
        /// Locked in memory.
        const LOCKED = 0x2000;
        /// Not counted against what memory there is.
        const NORESERVE = 0x4000;
        /// Faulted in at once.
        const POPULATE = 0x8000;
        /// Do not wait for I/O when populating.
        const NONBLOCK = 0x1_0000;
        /// A thread's stack; a hint only.
        const STACK = 0x2_0000;
        /// Of huge pages.
        const HUGETLB = 0x4_0000;
        /// Synchronous page faults (persistent memory).
        const SYNC = 0x8_0000;
        /// Exactly at the address, but not in place of anything.
        const FIXED_NOREPLACE = 0x10_0000;
    }
}

bitflags! {
    /// Flags of mremap(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct RemapFlags: u32 {
        /// The mapping may move.
        const MAYMOVE = 1;
        /// It moves to the address given.
        const FIXED = 2;
        /// The old range stays mapped, empty.
        const DONTUNMAP = 4;
    }
}

bitflags! {
    /// Flags of msync(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SyncFlags: u32 {
        /// Write out some time.
        const ASYNC = 1;
        /// Make other mappings see it.
        const INVALIDATE = 2;
        /// Write out and wait.
        const SYNC = 4;
    }
}

bitflags! {
    /// Flags of mlockall(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct LockAllFlags: u32 {
        /// What is mapped now.
        const CURRENT = 1;
        /// What will be mapped.
        const FUTURE = 2;
        /// Lock pages when they are touched instead of faulting them in.
        const ONFAULT = 4;
    }
}

/// mlock2(2)'s only flag: lock pages when they are touched.
pub const MLOCK_ONFAULT: u32 = 1;

/// Advice of madvise(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// No particular pattern.
    Normal,
    /// In no order.
    Random,
    /// In order.
    Sequential,
    /// Soon.
    WillNeed,
    /// Not any more: the next access finds zeroes or the file's content.
    DontNeed,
    /// The content may be thrown away.
    Free,
    /// The object's pages become a hole.
    Remove,
    /// Not for children.
    DontFork,
    /// For children after all.
    DoFork,
    /// Children find zeroes.
    WipeOnFork,
    /// Children find the content.
    KeepOnFork,
    /// Candidates for merging.
    Mergeable,
    /// No candidates for merging.
    Unmergeable,
    /// Huge pages wanted.
    HugePage,
    /// Huge pages not wanted.
    NoHugePage,
    /// Not in core dumps.
    DontDump,
    /// In core dumps.
    DoDump,
    /// Cold.
    Cold,
    /// Reclaim now.
    PageOut,
    /// Fault in for reading.
    PopulateRead,
    /// Fault in for writing.
    PopulateWrite,
    /// [`DontNeed`](Advice::DontNeed), of locked memory too.
    DontNeedLocked,
    /// Gather pages to huge ones now.
    Collapse,
}

impl Advice {
    /// The advice of a number, `None` for one that is not known.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Advice> {
        Some(match number {
            0 => Advice::Normal,
            1 => Advice::Random,
            2 => Advice::Sequential,
            3 => Advice::WillNeed,
            4 => Advice::DontNeed,
            8 => Advice::Free,
            9 => Advice::Remove,
            10 => Advice::DontFork,
            11 => Advice::DoFork,
            12 => Advice::Mergeable,
            13 => Advice::Unmergeable,
            14 => Advice::HugePage,
            15 => Advice::NoHugePage,
            16 => Advice::DontDump,
            17 => Advice::DoDump,
            18 => Advice::WipeOnFork,
            19 => Advice::KeepOnFork,
            20 => Advice::Cold,
            21 => Advice::PageOut,
            22 => Advice::PopulateRead,
            23 => Advice::PopulateWrite,
            24 => Advice::DontNeedLocked,
            25 => Advice::Collapse,
            _ => return None,
        })
    }
}
