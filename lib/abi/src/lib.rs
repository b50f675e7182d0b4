//! Linux's numbers, structures and errors: what a program may rely on.
//!
//! Knows nothing of Ochre and has no unsafe code. Structures are plain data
//! (`zerocopy`), with their sizes asserted.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod arch;
pub mod auxv;
pub mod clone;
pub mod credentials;
pub mod dirent;
pub mod elf;
pub mod errno;
pub mod fcntl;
pub mod ipc;
pub mod mman;
pub mod poll;
pub mod resource;
pub mod rseq;
pub mod rtc;
pub mod sched;
pub mod seccomp;
pub mod signal;
pub mod stat;
pub mod system;
pub mod table;
pub mod termios;
pub mod time;
pub mod vt;
pub mod wait;

pub use errno::Errno;
