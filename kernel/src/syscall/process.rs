//! Calls about processes and threads.

use super::{Call, Outcome, SysResult};

/// `getpid(2)`.
pub fn getpid(call: &mut Call<'_>) -> SysResult {
    Ok(call.process().pid.as_usize())
}

/// `getppid(2)`.
pub fn getppid(call: &mut Call<'_>) -> SysResult {
    Ok(call.process().parent_pid().as_usize())
}

/// `_exit(2)` of one thread.
pub fn exit(call: &mut Call<'_>, status: i32) -> Outcome {
    call.thread.begin_exit(status);
    Outcome::Resume
}

/// `exit_group(2)`.
pub fn exit_group(call: &mut Call<'_>, status: i32) -> Outcome {
    call.process()
        .begin_group_exit(crate::process::ExitStatus::exited(status));
    Outcome::Resume
}
