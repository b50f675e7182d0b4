//! What capget(2) carries, and prctl(2)'s numbers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most supplementary groups.
pub const NGROUPS_MAX: usize = 65536;

/// 32 capabilities.
pub const CAPABILITY_VERSION_1: u32 = 0x1998_0330;
/// 64 capabilities, deprecated.
pub const CAPABILITY_VERSION_2: u32 = 0x2007_1026;
/// 64 capabilities.
pub const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CapabilityHeader {
    /// One of the versions.
    pub version: u32,
    /// Whose; 0 for the caller.
    pub pid: i32,
}

/// `struct __user_cap_data_struct`: 32 capabilities of each set.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CapabilityData {
    /// What counts.
    pub effective: u32,
    /// What may count.
    pub permitted: u32,
    /// What stays over `execve`.
    pub inheritable: u32,
}

const _: () = assert!(size_of::<CapabilityHeader>() == 8 && size_of::<CapabilityData>() == 12);

/// `PR_*`: operations of prctl(2).
pub mod pr {
    #![expect(missing_docs, reason = "each is the `PR_*` of its name")]
    pub const SET_PDEATHSIG: i32 = 1;
    pub const GET_PDEATHSIG: i32 = 2;
    pub const GET_DUMPABLE: i32 = 3;
    pub const SET_DUMPABLE: i32 = 4;
    pub const GET_KEEPCAPS: i32 = 7;
    pub const SET_KEEPCAPS: i32 = 8;
    pub const SET_NAME: i32 = 15;
    pub const GET_NAME: i32 = 16;
    pub const GET_SECCOMP: i32 = 21;
    pub const SET_SECCOMP: i32 = 22;
    pub const CAPBSET_READ: i32 = 23;
    pub const CAPBSET_DROP: i32 = 24;
    pub const GET_SECUREBITS: i32 = 27;
    pub const SET_TIMERSLACK: i32 = 29;
    pub const GET_TIMERSLACK: i32 = 30;
    pub const SET_CHILD_SUBREAPER: i32 = 36;
    pub const GET_CHILD_SUBREAPER: i32 = 37;
    pub const SET_NO_NEW_PRIVS: i32 = 38;
    pub const GET_NO_NEW_PRIVS: i32 = 39;
    pub const SET_THP_DISABLE: i32 = 41;
    pub const GET_THP_DISABLE: i32 = 42;
    pub const CAP_AMBIENT: i32 = 47;
    pub const CAP_AMBIENT_IS_SET: u64 = 1;
    pub const CAP_AMBIENT_RAISE: u64 = 2;
    pub const CAP_AMBIENT_LOWER: u64 = 3;
    pub const CAP_AMBIENT_CLEAR_ALL: u64 = 4;
    pub const PAC_RESET_KEYS: i32 = 54;
    pub const SET_TAGGED_ADDR_CTRL: i32 = 55;
    pub const GET_TAGGED_ADDR_CTRL: i32 = 56;
    pub const TAGGED_ADDR_ENABLE: u64 = 1;
    pub const PAC_SET_ENABLED_KEYS: i32 = 60;
    pub const PAC_GET_ENABLED_KEYS: i32 = 61;
    pub const SET_PTRACER: i32 = 0x5961_6d61;
}
