//! Resource limits that an address space has to know.

/// No limit.
pub const UNLIMITED: u64 = u64::MAX;

/// Soft limits, in bytes. They are kept here, beside what they limit, because a
/// fault that grows a stack has no process at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `RLIMIT_STACK`.
    pub stack: u64,
    /// `RLIMIT_DATA`.
    pub data: u64,
    /// `RLIMIT_AS`.
    pub address_space: u64,
    /// `RLIMIT_MEMLOCK`.
    pub locked: u64,
}

impl Default for Limits {
    /// What process 1 starts with.
    fn default() -> Limits {
        Limits {
            stack: 8 << 20,
            data: UNLIMITED,
            address_space: UNLIMITED,
            locked: 8 << 20,
        }
    }
}
