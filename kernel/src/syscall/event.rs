//! pipe(2) and eventfd(2).

use alloc::sync::Arc;

use ochre_abi::Errno;

use super::{Call, Ptr, SysResult};
use crate::ipc::eventfd::EventFd;
use crate::ipc::pipe::Pipe;
use crate::memory;
use crate::vfs::{OpenFile, StatusFlags};

const O_CLOEXEC: i32 = 0o2000000;
const O_NONBLOCK: i32 = 0o4000;
const O_DIRECT: i32 = 0o40000;
const EFD_SEMAPHORE: i32 = 1;

/// `pipe(2)`.
pub fn pipe(call: &mut Call<'_>, ends: Ptr<[i32; 2]>) -> SysResult {
    pipe2(call, ends, 0)
}

/// `pipe2(2)`. Packet mode (`O_DIRECT`) is not there: EINVAL, as on kernels without it.
pub fn pipe2(call: &mut Call<'_>, ends: Ptr<[i32; 2]>, flags: i32) -> SysResult {
    if flags & !(O_CLOEXEC | O_NONBLOCK | O_DIRECT) != 0 || flags & O_DIRECT != 0 {
        return Err(Errno::EINVAL);
    }
    let status = if flags & O_NONBLOCK != 0 {
        StatusFlags::NONBLOCK
    } else {
        StatusFlags::empty()
    };
    let close_on_exec = flags & O_CLOEXEC != 0;
    memory::check_headroom()?;
    let pipe = Pipe::new();
    let reader = OpenFile::new(pipe.open(true, false), true, false, status);
    let writer = OpenFile::new(pipe.open(false, true), false, true, status);
    let first = call.install(reader, close_on_exec)?;
    let second = match call.install(writer, close_on_exec) {
        Ok(second) => second,
        Err(errno) => {
            call.uninstall(first);
            return Err(errno);
        }
    };
    let numbers = [first as i32, second as i32];
    if let Err(errno) = call.space.write_value(ends, &numbers) {
        call.uninstall(first);
        call.uninstall(second);
        return Err(errno);
    }
    Ok(0)
}

/// `eventfd(2)` without flags.
pub fn eventfd(call: &mut Call<'_>, count: u32) -> SysResult {
    eventfd2(call, count, 0)
}

/// `eventfd(2)`.
pub fn eventfd2(call: &mut Call<'_>, count: u32, flags: i32) -> SysResult {
    if flags & !(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE) != 0 {
        return Err(Errno::EINVAL);
    }
    let status = if flags & O_NONBLOCK != 0 {
        StatusFlags::NONBLOCK
    } else {
        StatusFlags::empty()
    };
    memory::check_headroom()?;
    let file = Arc::new(EventFd::new(count, flags & EFD_SEMAPHORE != 0));
    let file = OpenFile::new(file, true, true, status);
    call.install(file, flags & O_CLOEXEC != 0)
}
