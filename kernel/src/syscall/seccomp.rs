//! `seccomp(2)`, and what `prctl(2)` has of it.

use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::seccomp::{
    FLAG_LOG, FLAG_SPEC_ALLOW, FLAG_TSYNC, FLAG_TSYNC_ESRCH, FilterProgram, action, mode,
    operation as op,
};
use ochre_bpf::{Instruction, MAX_INSTRUCTIONS, Refused};

use super::{Call, FromArgument, Ptr, SysResult};
use crate::memory::MakeRoom;
use crate::process::Capability;
use crate::process::seccomp::{self, CallProgram};

/// `seccomp(2)`.
pub fn seccomp(call: &mut Call<'_>, operation: u32, flags: u32, arguments: u64) -> SysResult {
    match operation {
        op::SET_MODE_STRICT if flags == 0 && arguments == 0 => set_strict(call),
        op::SET_MODE_FILTER => add_filter(call, flags, arguments),
        op::GET_ACTION_AVAIL if flags == 0 => {
            let action = call.space.read_value(Ptr::from_argument(arguments))?;
            is_known(action).then_some(0).ok_or(Errno::EOPNOTSUPP)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `PR_SET_SECCOMP`.
pub(super) fn set(call: &Call<'_>, mode: u64, filter: u64) -> SysResult {
    match mode {
        mode::STRICT => set_strict(call),
        mode::FILTER => add_filter(call, 0, filter),
        _ => Err(Errno::EINVAL),
    }
}

fn set_strict(call: &Call<'_>) -> SysResult {
    seccomp::set_strict(call.thread).map(|()| 0)
}

/// Actions that a filter may count on. Not `USER_NOTIF`, which needs a listener.
fn is_known(action: u32) -> bool {
    matches!(
        action,
        action::KILL_PROCESS
            | action::KILL_THREAD
            | action::TRAP
            | action::ERRNO
            | action::TRACE
            | action::LOG
            | action::ALLOW
    )
}

fn add_filter(call: &Call<'_>, flags: u32, arguments: u64) -> SysResult {
    if flags & !(FLAG_TSYNC | FLAG_LOG | FLAG_SPEC_ALLOW | FLAG_TSYNC_ESRCH) != 0 {
        return Err(Errno::EINVAL);
    }
    let program = read_program(call, arguments)?;
    let logs = flags & FLAG_LOG != 0;
    if flags & FLAG_TSYNC == 0 {
        return seccomp::install(call.thread, program, logs).map(|()| 0);
    }
    match seccomp::install_for_all(call.thread, program, logs)? {
        None => Ok(0),
        Some(_) if flags & FLAG_TSYNC_ESRCH != 0 => Err(Errno::ESRCH),
        Some(stray) => Ok(stray.as_usize()),
    }
}

/// Reads and checks a program; each of its bytes is read once.
fn read_program(call: &Call<'_>, arguments: u64) -> Result<CallProgram, Errno> {
    let place = Ptr::<FilterProgram>::from_argument(arguments);
    let program = call.space.read_value(place)?;
    let len = usize::from(program.len);
    if len == 0 || len > MAX_INSTRUCTIONS {
        return Err(Errno::EINVAL);
    }
    // A program that gets rights when it is executed must not be lied to.
    let thread = call.thread;
    if !thread.has_no_new_privileges() && !thread.has(Capability::SysAdmin) {
        return Err(Errno::EACCES);
    }
    if program.filter == 0 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = Vec::new();
    let mut instructions = Vec::new();
    let size = len * Instruction::BYTES;
    bytes.make_room_exact(size)?;
    instructions.make_room_exact(len)?;
    bytes.resize(size, 0);
    call.space.read(program.filter, &mut bytes)?;
    let (chunks, _) = bytes.as_chunks::<{ Instruction::BYTES }>();
    instructions.extend(chunks.iter().copied().map(Instruction::from_bytes));
    CallProgram::check(&instructions).map_err(|refused| match refused {
        Refused::OutOfMemory => Errno::ENOMEM,
        _ => Errno::EINVAL,
    })
}

#[cfg(test)]
mod tests {
    use super::is_known;
    use ochre_abi::seccomp::action;

    #[test]
    fn what_nobody_carries_out_is_not_offered() {
        assert!(is_known(action::KILL_THREAD) && is_known(action::ALLOW));
        assert!(!is_known(action::USER_NOTIF));
        assert!(!is_known(action::ERRNO | 1) && !is_known(0xffff_0000));
    }
}
