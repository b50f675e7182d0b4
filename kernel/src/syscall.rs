//! The way in: decoding, dispatch, and how a call ends.

mod argument;
mod dispatch;
pub mod exec;
pub mod memory;
mod outcome;
pub mod process;
pub mod random;
pub mod sched;
pub mod signal;
pub mod time;
pub mod timer;

pub use argument::{Fd, FromArgument, Ptr};
pub use dispatch::{dispatch, unknown_calls};
pub use outcome::{Call, IntoOutcome, Outcome, SysResult};
