//! The kernel image: the entry and nothing else.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod boottest;

#[cfg(target_os = "none")]
ochre_hal::entry!(boottest::main);

#[cfg(not(target_os = "none"))]
fn main() {}
