//! The host side of Ochre as a library: what is missing, what to pack, how to run a guest.
//!
//! The `ochre` command is a thin shell over this crate; the test suites and
//! the benchmarks use it directly. A run goes through these modules in order:
//!
//! 1. [`setup`] finds or fetches QEMU, the bare-metal target and busybox
//!    ([`debian`] is its way to packages, [`host`] its view of the machine).
//! 2. [`kernel_build`] builds the kernel with cargo.
//! 3. [`rootfs`] fills a [`tree`] with a shell or with a program and what
//!    [`elf_needs`] says it needs; [`cpio`] writes the tree as an archive.
//! 4. [`machine`] turns a [`guest::Guest`] into QEMU's arguments, with the
//!    kernel's words from [`cmdline`].
//! 5. [`qemu`] starts it, [`bridge`] carries bytes (with [`escape`] on the way
//!    in), [`terminal`] owns the terminal's mode, and [`status`] says how it
//!    ended.
#![forbid(unsafe_code)]

pub mod arch;
pub mod boot_chart;
pub mod bridge;
pub mod cli;
pub mod cmdline;
pub mod cpio;
pub mod debian;
pub mod debugger;
mod digits;
pub mod display;
pub mod doctor;
pub mod elf_needs;
pub mod escape;
pub mod foreign_library;
pub mod guest;
pub mod host;
pub mod kernel_build;
mod lines;
pub mod load_generators;
pub mod machine;
pub mod paths;
pub mod profile;
pub mod qemu;
pub mod qmp;
pub mod remote;
pub mod report;
pub mod rootfs;
pub mod setup;
pub mod size;
pub mod status;
pub mod symbols;
pub mod terminal;
pub mod trace;
pub mod tree;
pub mod user_build;

pub use arch::Arch;
pub use guest::{Guest, Outcome, Running};
pub use machine::Machine;
