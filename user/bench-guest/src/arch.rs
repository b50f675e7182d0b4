//! What is measured in the machine's own language: its counter, the calls that
//! only old machines have, and a thread without a stack.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{block_a_thread, counter, fork, open, stat};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{block_a_thread, counter, fork, open, stat};

/// What [`block_a_thread`] starts.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;
