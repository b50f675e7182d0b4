//! Calls about process groups and sessions.

use ochre_abi::Errno;

use super::{Call, SysResult};
use crate::process::session;

/// `setpgid(2)`.
pub fn setpgid(call: &mut Call<'_>, pid: i32, group: i32) -> Result<(), Errno> {
    session::set_group(call.process().pid, pid, group)
}

/// `getpgid(2)`.
pub fn getpgid(call: &mut Call<'_>, pid: i32) -> SysResult {
    Ok(session::standing(call.process().pid, pid)?.0.as_usize())
}

/// `getpgrp(2)`.
pub fn getpgrp(call: &mut Call<'_>) -> SysResult {
    getpgid(call, 0)
}

/// `setsid(2)`.
pub fn setsid(call: &mut Call<'_>) -> SysResult {
    Ok(session::new_session(call.process().pid)?.as_usize())
}

/// `getsid(2)`.
pub fn getsid(call: &mut Call<'_>, pid: i32) -> SysResult {
    Ok(session::standing(call.process().pid, pid)?.1.as_usize())
}
