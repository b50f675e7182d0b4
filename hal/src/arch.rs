//! Picks the machine. The only `cfg(target_arch)` of this crate.

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("hal has no module for this architecture yet: see src/arch/");

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64 as machine;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64 as machine;
