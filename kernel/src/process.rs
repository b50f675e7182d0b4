//! Processes and threads: what a program has, from fork to wait.

pub mod clone;
pub mod exec;
pub mod exit;
mod exit_status;
mod group;
mod id;
pub mod reap;
pub mod table;
mod thread;
pub mod usage;

pub use exit_status::ExitStatus;
pub use group::{Process, Report, VforkGate};
pub use id::Pid;
pub use thread::{Next, Thread, ThreadState, Work};
