//! Processes and threads: what a program has, from fork to wait.

pub mod attach;
pub mod clone;
mod control;
mod credentials;
pub mod exec;
pub mod exit;
mod exit_status;
mod group;
mod id;
mod limits;
mod pidfd;
pub mod reap;
pub mod rseq;
pub mod seccomp;
pub mod session;
mod shares;
pub mod table;
pub mod task_limit;
mod thread;
mod thread_list;
pub mod usage;

pub use control::Control;
pub use credentials::{
    ALL_CAPABILITIES, Capabilities, Capability, Credentials, Ids, LAST_CAPABILITY, SignalCharge,
    User,
};
pub use exit_status::ExitStatus;
pub use group::{Process, Report, VforkGate};
pub use id::Pid;
pub use limits::{LimitTable, OPEN_FILES_MAX, Resource};
pub use pidfd::PidFd;
pub use shares::Shares;
pub use thread::{Next, Thread, ThreadState, Work};
pub use thread_list::ThreadList;
