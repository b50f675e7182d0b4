//! Resource limits that an address space has to know.

/// No limit.
pub const UNLIMITED: u64 = u64::MAX;

/// Soft limits, in bytes. They are kept here, beside what they limit, because a
/// fault that grows a stack has no process at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `RLIMIT_STACK`.
    pub stack: u64,
    /// `RLIMIT_DATA`, as brk(2) counts it.
    pub data: u64,
    /// The same for all private memory that can be written. With a soft limit of
    /// nothing the hard one counts, as on Linux: such programs mean their heap.
    pub mapped_data: u64,
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
            mapped_data: UNLIMITED,
            address_space: UNLIMITED,
            locked: 8 << 20,
        }
    }
}
