//! Numbers of wait4(2) and waitid(2).

use bitflags::bitflags;

pub use crate::signal::{CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED};

bitflags! {
    /// Options of the wait calls.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WaitOptions: u32 {
        /// Do not wait.
        const NOHANG = 1;
        /// Report stopped children.
        const UNTRACED = 2;
        /// Report ended children (`waitid`).
        const EXITED = 4;
        /// Report continued children.
        const CONTINUED = 8;
        /// Leave the child as it is (`waitid`).
        const NOWAIT = 0x0100_0000;
        /// Children of this thread only.
        const NOTHREAD = 0x2000_0000;
        /// All children, whatever signal they end with.
        const ALL = 0x4000_0000;
        /// Children that end with another signal than SIGCHLD.
        const CLONE = 0x8000_0000;
    }
}

/// `idtype_t`: any child.
pub const P_ALL: u32 = 0;
/// `idtype_t`: the child with a number.
pub const P_PID: u32 = 1;
/// `idtype_t`: children of a process group.
pub const P_PGID: u32 = 2;
/// `idtype_t`: the child a descriptor stands for.
pub const P_PIDFD: u32 = 3;
