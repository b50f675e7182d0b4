//! Where the two machines' ABIs differ. The only `cfg(target_arch)` of this crate.

/// The number on the machine this is built for, as `Option<usize>`:
/// `arch_number!(39, 172)`.
#[cfg(target_arch = "x86_64")]
#[macro_export]
macro_rules! arch_number {
    (-, $arm:tt) => {
        None
    };
    ($x86:tt, $arm:tt) => {
        Some($x86)
    };
}

/// The number on the machine this is built for, as `Option<usize>`:
/// `arch_number!(39, 172)`.
#[cfg(target_arch = "aarch64")]
#[macro_export]
macro_rules! arch_number {
    ($x86:tt, -) => {
        None
    };
    ($x86:tt, $arm:tt) => {
        Some($arm)
    };
}

/// Bytes of a `struct epoll_event`: packed on x86_64 (epoll_ctl(2)).
#[cfg(target_arch = "x86_64")]
pub const EPOLL_EVENT_SIZE: usize = 12;

/// Bytes of a `struct epoll_event`.
#[cfg(target_arch = "aarch64")]
pub const EPOLL_EVENT_SIZE: usize = 16;

/// Whether `clone(2)` takes the thread pointer as its fourth argument and the
/// child's number's address as its fifth, or the other way round.
#[cfg(target_arch = "x86_64")]
pub const CLONE_TLS_FOURTH: bool = false;

/// Whether `clone(2)` takes the thread pointer as its fourth argument and the
/// child's number's address as its fifth, or the other way round.
#[cfg(target_arch = "aarch64")]
pub const CLONE_TLS_FOURTH: bool = true;

/// `e_machine` of this machine's programs (`EM_X86_64`).
#[cfg(target_arch = "x86_64")]
pub const ELF_MACHINE: u16 = 62;

/// `e_machine` of this machine's programs (`EM_AARCH64`).
#[cfg(target_arch = "aarch64")]
pub const ELF_MACHINE: u16 = 183;

/// The machine's name: `AT_PLATFORM` and uname(2).
#[cfg(target_arch = "x86_64")]
pub const MACHINE_NAME: &str = "x86_64";

/// The machine's name: `AT_PLATFORM` and uname(2).
#[cfg(target_arch = "aarch64")]
pub const MACHINE_NAME: &str = "aarch64";
