//! Processes and threads: what a program has, from fork to wait.

mod exit_status;
mod group;
mod id;
mod table;
mod thread;

pub use exit_status::ExitStatus;
pub use group::Process;
pub use id::Pid;
pub use thread::{Next, Thread, ThreadState, Work};
