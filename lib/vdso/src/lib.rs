//! The time without a system call: a page that the kernel writes and every
//! program reads, and the code that reads it.
//!
//! This library is what both sides know of the page. The code that programs
//! call, `image.rs` beside it, is a shared object of its own: the kernel's build
//! script compiles it, and the kernel maps it (`docs/notes/0005-vdso.md`).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod page;

/// Where the image has the way back from signal handlers, on machines whose C
/// libraries leave that to the kernel.
pub const SIGNAL_RETURN: u64 = 0x800;
