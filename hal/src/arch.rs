//! Picks the machine. The only `cfg(target_arch)` of this crate.

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

// What a device tree says is read the same on every machine, and tested there.
#[cfg(all(test, not(target_arch = "aarch64")))]
#[path = "arch/aarch64/platform.rs"]
mod platform;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("hal has no module for this architecture yet: see src/arch/");

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64 as machine;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64 as machine;
