//! `rseq(2)`: registering the area of a thread.

use ochre_abi::Errno;
use ochre_abi::rseq::{ALIGNMENT, CRITICAL_SECTION, ORIGINAL_SIZE, UNREGISTER};
use ochre_hal::memory::USER_END;

use super::{Call, Ptr, SysResult};
use crate::process::Work;
use crate::process::rseq::{self, Area};

/// `rseq(2)`.
pub fn rseq(
    call: &mut Call<'_>,
    address: Ptr<u64>,
    len: u32,
    flags: i32,
    signature: u32,
) -> SysResult {
    let registered = call.thread.rseq.get();
    let asked = Area {
        address: address.address(),
        len,
        signature,
    };
    if flags & UNREGISTER != 0 {
        let area = registered
            .filter(|area| area.address == asked.address && area.len == len)
            .filter(|_| flags == UNREGISTER)
            .ok_or(Errno::EINVAL)?;
        if area.signature != signature {
            return Err(Errno::EPERM);
        }
        rseq::reset_numbers(call.space, area)?;
        call.thread.rseq.set(None);
        return Ok(0);
    }
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(area) = registered {
        return Err(if (area.address, area.len) != (asked.address, len) {
            Errno::EINVAL
        } else if area.signature != signature {
            Errno::EPERM
        } else {
            Errno::EBUSY
        });
    }
    if len < ORIGINAL_SIZE || !asked.address.is_multiple_of(ALIGNMENT) {
        return Err(Errno::EINVAL);
    }
    if asked.address >= USER_END {
        return Err(Errno::EFAULT);
    }
    // A section that an earlier user of the memory left is none of the thread's.
    let section = address.offset(CRITICAL_SECTION);
    call.space.write_value(section, &0)?;
    call.thread.rseq.set(Some(asked));
    call.thread.add_work(Work::RSEQ);
    Ok(0)
}
