//! Virtual terminals: requests of ioctl(2) and their structures (ioctl_console(2)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The kind of keyboard: one of 101 keys.
pub const KEYBOARD_101: u8 = 2;

/// The screen shows text.
pub const MODE_TEXT: i32 = 0;

/// Keys are read as UTF-8.
pub const KEYS_UNICODE: i32 = 3;

/// Who switches (`struct vt_mode`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Mode {
    /// 0: the kernel; 1: a process.
    pub mode: u8,
    /// Has writes wait while another terminal is shown; without effect.
    pub wait: u8,
    /// Signal that asks the process to let go.
    pub release_signal: u16,
    /// Signal that tells the process that it is shown.
    pub acquire_signal: u16,
    /// Not used.
    pub force_signal: u16,
}

/// Which terminals there are (`struct vt_stat`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Status {
    /// The number of the one that is shown.
    pub active: u16,
    /// Not used.
    pub signal: u16,
    /// A bit for each that is in use; bit 0 always.
    pub in_use: u16,
}

const _: () = assert!(size_of::<Mode>() == 8);
const _: () = assert!(size_of::<Status>() == 6);

/// Requests of ioctl(2).
pub mod request {
    /// Start or stop a tone.
    pub const KIOCSOUND: u32 = 0x4b2f;
    /// A tone of some time.
    pub const KDMKTONE: u32 = 0x4b30;
    /// Get the lights that are on.
    pub const KDGETLED: u32 = 0x4b31;
    /// Set the lights.
    pub const KDSETLED: u32 = 0x4b32;
    /// Get the kind of keyboard.
    pub const KDGKBTYPE: u32 = 0x4b33;
    /// Set text or graphics.
    pub const KDSETMODE: u32 = 0x4b3a;
    /// Get which it is.
    pub const KDGETMODE: u32 = 0x4b3b;
    /// Get what keys are read as.
    pub const KDGKBMODE: u32 = 0x4b44;
    /// Set it.
    pub const KDSKBMODE: u32 = 0x4b45;
    /// Get the locks of the keyboard.
    pub const KDGKBLED: u32 = 0x4b64;
    /// Set them.
    pub const KDSKBLED: u32 = 0x4b65;
    /// Get the first terminal that is not in use.
    pub const VT_OPENQRY: u32 = 0x5600;
    /// Get who switches.
    pub const VT_GETMODE: u32 = 0x5601;
    /// Set it.
    pub const VT_SETMODE: u32 = 0x5602;
    /// Get which terminals there are.
    pub const VT_GETSTATE: u32 = 0x5603;
    /// Show a terminal.
    pub const VT_ACTIVATE: u32 = 0x5606;
    /// Wait until it is shown.
    pub const VT_WAITACTIVE: u32 = 0x5607;
    /// Give up the memory of one that is not in use.
    pub const VT_DISALLOCATE: u32 = 0x5608;
}
