//! Policies and flags of the scheduling calls.

/// `SCHED_OTHER`: a fair share by nice level.
pub const OTHER: i32 = 0;
/// `SCHED_FIFO`: real time.
pub const FIFO: i32 = 1;
/// `SCHED_RR`: real time, in turns.
pub const RR: i32 = 2;
/// `SCHED_BATCH`: a fair share, never in a hurry.
pub const BATCH: i32 = 3;
/// `SCHED_IDLE`: what others leave.
pub const IDLE: i32 = 5;
/// `SCHED_DEADLINE`: a runtime in each period.
pub const DEADLINE: i32 = 6;
/// `SCHED_RESET_ON_FORK`, added to the policy of sched_setscheduler(2).
pub const RESET_ON_FORK: i32 = 0x4000_0000;

/// `SCHED_FLAG_RESET_ON_FORK` of sched_setattr(2).
pub const FLAG_RESET_ON_FORK: u64 = 0x01;
/// `SCHED_FLAG_RECLAIM`.
pub const FLAG_RECLAIM: u64 = 0x02;
/// `SCHED_FLAG_DL_OVERRUN`.
pub const FLAG_DL_OVERRUN: u64 = 0x04;
/// `SCHED_FLAG_KEEP_POLICY`.
pub const FLAG_KEEP_POLICY: u64 = 0x08;
/// `SCHED_FLAG_KEEP_PARAMS`.
pub const FLAG_KEEP_PARAMS: u64 = 0x10;
/// `SCHED_FLAG_UTIL_CLAMP_MIN` and `_MAX`.
pub const FLAG_UTIL_CLAMP: u64 = 0x60;

/// The size of `struct sched_attr` in its first version.
pub const ATTR_SIZE_FIRST: u32 = 48;
