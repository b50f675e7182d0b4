//! Structures of restartable sequences (rseq(2)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of the area as it first was; the least that is taken.
pub const ORIGINAL_SIZE: u32 = 32;

/// How the area is aligned (`AT_RSEQ_ALIGN`).
pub const ALIGNMENT: u64 = 32;

/// Bytes of the area that the kernel knows (`AT_RSEQ_FEATURE_SIZE`).
pub const FEATURE_SIZE: u32 = 28;

/// Unregisters the area (`RSEQ_FLAG_UNREGISTER`).
pub const UNREGISTER: i32 = 1;

/// The processor's number of a thread that is not registered
/// (`RSEQ_CPU_ID_UNINITIALIZED`).
pub const CPU_UNINITIALIZED: u32 = u32::MAX;

/// Where the area names the section that the thread is in.
pub const CRITICAL_SECTION: u64 = 8;

/// What the kernel writes into the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The processor, always a number that there may be.
    pub cpu_start: u32,
    /// The processor.
    pub cpu: u32,
    /// The memory node.
    pub node: u32,
    /// A number that no other running thread of the process has.
    pub concurrency: u32,
}

impl Numbers {
    /// Each number with its offset in the area.
    #[must_use]
    pub fn parts(&self) -> [(u64, u32); 4] {
        [
            (0, self.cpu_start),
            (4, self.cpu),
            (20, self.node),
            (24, self.concurrency),
        ]
    }
}

/// A section (`struct rseq_cs`).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Section {
    /// 0.
    pub version: u32,
    /// None are taken any more.
    pub flags: u32,
    /// The address of its first instruction.
    pub start: u64,
    /// Bytes up to the end of the instruction that commits it.
    pub len: u64,
    /// Where to go on instead.
    pub abort: u64,
}

const _: () = assert!(size_of::<Section>() == 32);
