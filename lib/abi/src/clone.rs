//! Flags and structures of clone(2).

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags! {
    /// `CLONE_*`, without the exit signal in the low byte.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CloneFlags: u64 {
        /// Share the address space.
        const VM = 0x100;
        /// Share root, working directory and umask.
        const FS = 0x200;
        /// Share the descriptor table.
        const FILES = 0x400;
        /// Share the signal actions.
        const SIGHAND = 0x800;
        /// Give the parent a descriptor for the child.
        const PIDFD = 0x1000;
        /// Let a tracer trace the child too.
        const PTRACE = 0x2000;
        /// The parent waits until the child has its own memory or is gone.
        const VFORK = 0x4000;
        /// The child gets the caller's parent.
        const PARENT = 0x8000;
        /// Same thread group.
        const THREAD = 0x10000;
        /// New mount namespace.
        const NEWNS = 0x20000;
        /// Share System V semaphore undo values.
        const SYSVSEM = 0x40000;
        /// Set the thread pointer.
        const SETTLS = 0x80000;
        /// Store the child's number in the parent's memory.
        const PARENT_SETTID = 0x100000;
        /// Clear the child's number in its memory when it ends.
        const CHILD_CLEARTID = 0x200000;
        /// Without effect.
        const DETACHED = 0x400000;
        /// A tracer cannot force tracing on the child.
        const UNTRACED = 0x800000;
        /// Store the child's number in its memory.
        const CHILD_SETTID = 0x1000000;
        /// New cgroup namespace.
        const NEWCGROUP = 0x2000000;
        /// New UTS namespace.
        const NEWUTS = 0x4000000;
        /// New IPC namespace.
        const NEWIPC = 0x8000000;
        /// New user namespace.
        const NEWUSER = 0x10000000;
        /// New process number namespace.
        const NEWPID = 0x20000000;
        /// New network namespace.
        const NEWNET = 0x40000000;
        /// Share the I/O context.
        const IO = 0x80000000;
        /// Caught signals go back to the default action (`clone3` only).
        const CLEAR_SIGHAND = 0x1_0000_0000;
        /// Start in another cgroup (`clone3` only).
        const INTO_CGROUP = 0x2_0000_0000;
    }
}

/// `struct clone_args` (clone(2)), as of Linux 5.7.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CloneArgs {
    /// `CLONE_*`.
    pub flags: u64,
    /// Where to store a descriptor for the child.
    pub pidfd: u64,
    /// Where to store and clear the child's number in its memory.
    pub child_tid: u64,
    /// Where to store the child's number in the parent's memory.
    pub parent_tid: u64,
    /// Signal for the parent when the child ends.
    pub exit_signal: u64,
    /// Lowest byte of the stack.
    pub stack: u64,
    /// Bytes of the stack.
    pub stack_size: u64,
    /// The thread pointer.
    pub tls: u64,
    /// Numbers to give the child.
    pub set_tid: u64,
    /// How many of them.
    pub set_tid_size: u64,
    /// A descriptor of a cgroup.
    pub cgroup: u64,
}

/// The size of `struct clone_args` in Linux 5.3, the least that is taken.
pub const CLONE_ARGS_SIZE_VER0: usize = 64;

const _: () = assert!(size_of::<CloneArgs>() == 88);
