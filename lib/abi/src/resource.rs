//! What getrlimit(2), getrusage(2) and times(2) carry.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::time::TimeVal;

/// No limit.
pub const RLIM_INFINITY: u64 = u64::MAX;

/// `RUSAGE_SELF`: the whole process.
pub const RUSAGE_SELF: i32 = 0;
/// `RUSAGE_CHILDREN`: children that ended and were asked after.
pub const RUSAGE_CHILDREN: i32 = -1;
/// `RUSAGE_THREAD`: the calling thread.
pub const RUSAGE_THREAD: i32 = 1;

/// `struct rlimit64`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RLimit {
    /// The limit that counts.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

const _: () = assert!(size_of::<RLimit>() == 16);

/// `struct rusage`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RUsage {
    /// Time in user mode.
    pub user: TimeVal,
    /// Time in the kernel.
    pub system: TimeVal,
    /// Most resident memory, in KiB.
    pub max_rss: i64,
    /// Unused on Linux.
    pub unused_sizes: [i64; 3],
    /// Page faults without input or output.
    pub minor_faults: i64,
    /// Page faults with.
    pub major_faults: i64,
    /// Unused on Linux.
    pub swaps: i64,
    /// Blocks read.
    pub blocks_in: i64,
    /// Blocks written.
    pub blocks_out: i64,
    /// Unused on Linux.
    pub unused_counts: [i64; 3],
    /// Times the thread gave the processor up.
    pub voluntary_switches: i64,
    /// Times it was taken.
    pub involuntary_switches: i64,
}

const _: () = assert!(size_of::<RUsage>() == 144);

/// `struct tms`, in clock ticks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Tms {
    /// In user mode.
    pub user: i64,
    /// In the kernel.
    pub system: i64,
    /// Ended children in user mode.
    pub children_user: i64,
    /// Ended children in the kernel.
    pub children_system: i64,
}

const _: () = assert!(size_of::<Tms>() == 32);
