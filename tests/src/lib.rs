//! What the suites share: one kernel and one set of roots per test process, and sane guests.
//!
//! A suite is a test target with its own `main`, which makes a list of
//! [`Case`]s and gives it to [`run`]; `cargo test` then shows them one by one.
//! Everything that a suite needs (QEMU, the kernel, busybox, packages) is
//! brought in by the first case that asks for it, so that `cargo test` works
//! on a fresh machine, and listing tests costs nothing.
//!
//! ```no_run
//! # use ochre_tests::{Case, run, shell};
//! fn main() -> std::process::ExitCode {
//!     run(vec![Case::new("echo", || {
//!         let outcome = shell("echo hello")?.run()?;
//!         ochre_tests::check_output(&outcome, 0, "hello\n")
//!     })])
//! }
//! ```
#![forbid(unsafe_code)]

pub mod book;
mod compare;
mod diff;
mod emulated;
mod extent;
mod shared;
mod suite;

pub use compare::{check_output, describe, ended_on, ended_with};
pub use diff::diff;
pub use emulated::Foreign;
pub use extent::{Extent, architectures, extent, is_tested, name_on, prefix};
pub use ochre_tool::{
    Arch, Guest, Machine, Outcome,
    debian::Packages,
    guest::{End, Running},
    machine::{Accelerator, Screen},
    qmp::Picture,
    rootfs, setup,
    size::Size,
    status::QemuExit,
    tree::Tree,
};
pub use shared::{
    abi_test_tree, archive, busybox, busybox_root, guest, guest_on, kernel, kernel_with, once,
    shell, shell_on, shell_tree, test_kernel,
};
pub use suite::{Case, run};
