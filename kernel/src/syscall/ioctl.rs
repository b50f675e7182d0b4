//! Device control: what every file knows, then what the file itself knows.

use super::{Call, Fd, FromArgument, Ptr, SysResult};
use crate::vfs::{Kind, StatusFlags};

/// Set close-on-exec.
const FIOCLEX: u32 = 0x5451;
/// Clear close-on-exec.
const FIONCLEX: u32 = 0x5450;
/// Set or clear `O_NONBLOCK`.
const FIONBIO: u32 = 0x5421;
/// Set or clear `O_ASYNC`.
const FIOASYNC: u32 = 0x5452;
/// Bytes to read.
const FIONREAD: u32 = 0x541b;
/// Block size.
const FIGETBSZ: u32 = 2;

/// `ioctl(2)`.
pub fn ioctl(call: &mut Call<'_>, fd: Fd, request: u32, argument: u64) -> SysResult {
    let files = call.files();
    let file = files.get(fd.0)?;
    let kind = file.path().map(|path| path.dentry.kind());
    match request {
        FIOCLEX | FIONCLEX => {
            files.set_close_on_exec(fd.0, request == FIOCLEX)?;
            Ok(0)
        }
        FIONBIO | FIOASYNC => {
            let on: i32 = call.space.read_value(Ptr::from_argument(argument))?;
            let flag = if request == FIONBIO {
                StatusFlags::NONBLOCK
            } else {
                StatusFlags::ASYNC
            };
            let old = file.flags();
            file.set_flags(if on != 0 { old | flag } else { old - flag });
            Ok(0)
        }
        FIGETBSZ if matches!(kind, Some(Kind::Regular | Kind::Directory)) => {
            let size = file.metadata().block_size;
            call.space
                .write_value(Ptr::from_argument(argument), &size)?;
            Ok(0)
        }
        FIONREAD if kind == Some(Kind::Regular) => {
            let position = *file.position().lock();
            let left = file.metadata().size.saturating_sub(position);
            let left = i32::try_from(left).unwrap_or(i32::MAX);
            call.space
                .write_value(Ptr::from_argument(argument), &left)?;
            Ok(0)
        }
        _ => file.file().ioctl(call, request, argument),
    }
}
