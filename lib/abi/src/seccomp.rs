//! What seccomp(2) is told and answers: modes, operations, actions.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::arch_number;

/// `SECCOMP_MODE_*` of prctl(2).
pub mod mode {
    #![expect(missing_docs, reason = "each is the `SECCOMP_MODE_*` of its name")]
    pub const DISABLED: u64 = 0;
    pub const STRICT: u64 = 1;
    pub const FILTER: u64 = 2;
}

/// `SECCOMP_*`: operations of seccomp(2).
pub mod operation {
    #![expect(missing_docs, reason = "each is the `SECCOMP_*` of its name")]
    pub const SET_MODE_STRICT: u32 = 0;
    pub const SET_MODE_FILTER: u32 = 1;
    pub const GET_ACTION_AVAIL: u32 = 2;
}

/// Every thread of the process gets the filter.
pub const FLAG_TSYNC: u32 = 1;
/// What the filter does not allow is logged.
pub const FLAG_LOG: u32 = 2;
/// The filter does not ask for protection against speculation.
pub const FLAG_SPEC_ALLOW: u32 = 4;
/// With [`FLAG_TSYNC`]: ESRCH instead of the number of a thread that cannot follow.
pub const FLAG_TSYNC_ESRCH: u32 = 16;

/// `SECCOMP_RET_*`: what a filter answers, in the upper half.
pub mod action {
    #![expect(missing_docs, reason = "each is the `SECCOMP_RET_*` of its name")]
    pub const KILL_PROCESS: u32 = 0x8000_0000;
    pub const KILL_THREAD: u32 = 0;
    pub const TRAP: u32 = 0x0003_0000;
    pub const ERRNO: u32 = 0x0005_0000;
    pub const USER_NOTIF: u32 = 0x7fc0_0000;
    pub const TRACE: u32 = 0x7ff0_0000;
    pub const LOG: u32 = 0x7ffc_0000;
    pub const ALLOW: u32 = 0x7fff_0000;
    /// The part that says what to do.
    pub const FULL: u32 = 0xffff_0000;
    /// The part that belongs to it.
    pub const DATA: u32 = 0x0000_ffff;
}

/// `si_code` of a SIGSYS that a filter raised.
pub const SYS_SECCOMP: i32 = 1;

/// Words of `struct seccomp_data`: number, machine, instruction pointer, arguments.
pub const DATA_WORDS: usize = 16;

/// The calls that strict mode leaves: read, write, exit, `rt_sigreturn`.
pub const STRICT_CALLS: [Option<usize>; 4] = [
    arch_number!(0, 63),
    arch_number!(1, 64),
    arch_number!(60, 93),
    arch_number!(15, 139),
];

/// `struct sock_fprog`: where a program's instructions are.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FilterProgram {
    /// Instructions.
    pub len: u16,
    /// Padding.
    pub pad: [u8; 6],
    /// The first one's address.
    pub filter: u64,
}

const _: () = assert!(size_of::<FilterProgram>() == 16);
