//! What is the machine's own: a load and a store that may fault, where a program
//! was when it faulted, how it forks, and where its addresses end.
//!
//! `memory_fuzz_load` and `memory_fuzz_store` fault at their first instruction,
//! and answer what the machine returns words in.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{END, MAP_32BIT, MORE, fork, place, resume};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{END, MAP_32BIT, MORE, fork, place, resume};
