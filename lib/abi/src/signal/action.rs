//! What `rt_sigaction(2)` and `sigaltstack(2)` carry.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Do not tell of children that stop or go on.
pub const SA_NOCLDSTOP: u64 = 1;
/// Children leave nothing to wait for.
pub const SA_NOCLDWAIT: u64 = 2;
/// The handler takes three arguments.
pub const SA_SIGINFO: u64 = 4;
/// Addresses keep their tag bits.
pub const SA_EXPOSE_TAGBITS: u64 = 0x800;
/// `sa_restorer` is valid.
pub const SA_RESTORER: u64 = 0x0400_0000;
/// The handler runs on the alternate stack.
pub const SA_ONSTACK: u64 = 0x0800_0000;
/// Interrupted calls are restarted.
pub const SA_RESTART: u64 = 0x1000_0000;
/// The signal is not blocked while its handler runs.
pub const SA_NODEFER: u64 = 0x4000_0000;
/// The action goes back to the default when the handler starts.
pub const SA_RESETHAND: u64 = 0x8000_0000;
/// Flags that are kept; others are cleared on the way in.
pub const SA_KNOWN: u64 = SA_NOCLDSTOP
    | SA_NOCLDWAIT
    | SA_SIGINFO
    | SA_EXPOSE_TAGBITS
    | SA_RESTORER
    | SA_ONSTACK
    | SA_RESTART
    | SA_NODEFER
    | SA_RESETHAND;

/// The default action.
pub const SIG_DFL: u64 = 0;
/// Ignore the signal.
pub const SIG_IGN: u64 = 1;

/// Add to the mask.
pub const SIG_BLOCK: i32 = 0;
/// Take from the mask.
pub const SIG_UNBLOCK: i32 = 1;
/// Replace the mask.
pub const SIG_SETMASK: i32 = 2;

/// The thread runs on the alternate stack.
pub const SS_ONSTACK: u32 = 1;
/// There is no alternate stack.
pub const SS_DISABLE: u32 = 2;
/// The alternate stack is disabled while a handler runs on it.
pub const SS_AUTODISARM: u32 = 1 << 31;

/// The kernel's `struct sigaction`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SigAction {
    /// The handler's address, [`SIG_DFL`] or [`SIG_IGN`].
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: u64,
}

const _: () = assert!(size_of::<SigAction>() == 32);

/// `stack_t`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SigAltStack {
    /// Lowest address.
    pub base: u64,
    /// `SS_*`.
    pub flags: u32,
    /// Padding.
    pub reserved: u32,
    /// Bytes.
    pub size: u64,
}

const _: () = assert!(size_of::<SigAltStack>() == 24);
