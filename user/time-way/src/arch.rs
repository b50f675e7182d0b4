//! How it is seen which way a call goes: each machine lets a program see other things.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{begin, end, prepare};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{begin, end, prepare};
