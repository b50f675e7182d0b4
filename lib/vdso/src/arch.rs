//! What the vDSO's code has of its machine: the names under which programs look
//! for it, the counter, the way into the kernel. The only `cfg(target_arch)`
//! of the image.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{SYS_CLOCK_GETTIME, SYS_GETTIMEOFDAY, call, counter, data};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{SYS_CLOCK_GETTIME, SYS_GETTIMEOFDAY, call, counter, data};
