//! Copies between the memory of two processes: process_vm_readv(2) and
//! process_vm_writev(2).
//!
//! The other process's pages are found through its areas, as if it touched them
//! itself, and copied through their frames; nothing of it is switched to. A copy
//! goes in pieces of a page, and gives way to others between many of them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::fcntl::{IOV_MAX, Iovec};
use ochre_hal::memory::{PAGE_SIZE, USER_END, untagged};
use ochre_sync::primitive::atomic::Ordering;

use super::{Call, Outcome, Ptr, SysResult, tags};
use crate::memory::AddressSpace;
use crate::memory::MakeRoom;
use crate::process::{Pid, attach, table};
use crate::sched;

/// Bytes that are copied before others may run.
const AT_ONCE: usize = 64 * PAGE_SIZE;

/// The most bytes of one call (`MAX_RW_COUNT`).
const LIMIT: usize = 0x7fff_f000;

/// One side: ranges, and how far they are done.
struct Side {
    space: Arc<AddressSpace>,
    ranges: Vec<Iovec>,
    at: usize,
    done: u64,
}

impl Side {
    /// The next address, and how many bytes from there on lie in one range and
    /// one page.
    fn next(&mut self) -> Option<(u64, usize)> {
        loop {
            let range = self.ranges.get(self.at)?;
            let left = range.len.saturating_sub(self.done);
            if left == 0 {
                self.at += 1;
                self.done = 0;
                continue;
            }
            let address = range.base.wrapping_add(self.done);
            let in_page = PAGE_SIZE as u64 - address % PAGE_SIZE as u64;
            // CAST: at most a page.
            return Some((address, left.min(in_page) as usize));
        }
    }
}

struct Copy {
    local: Side,
    remote: Side,
    write: bool,
    sum: usize,
}

impl Copy {
    /// Copies up to [`AT_ONCE`] bytes; the answer, once there is one.
    fn advance(&mut self) -> Option<SysResult> {
        let stop = self.sum.saturating_add(AT_ONCE);
        let mut buffer = [0; PAGE_SIZE];
        while self.sum < stop {
            let (Some((from, ours)), Some((to, theirs))) = (self.local.next(), self.remote.next())
            else {
                return Some(Ok(self.sum));
            };
            let len = ours.min(theirs).min(LIMIT - self.sum);
            if len == 0 {
                return Some(Ok(self.sum));
            }
            let moved = if self.write {
                let part = buffer.get_mut(..len).unwrap_or_default();
                self.local
                    .space
                    .read(from, part)
                    .and_then(|()| self.remote.space.implant(to, part))
            } else {
                // Straight from the other's page.
                // CAST: an offset within a page.
                let offset = (to % PAGE_SIZE as u64) as usize;
                self.remote
                    .space
                    .frame_to_lend(to)
                    .and_then(|frame| self.local.space.write_frame(from, &frame, offset, len))
            };
            match moved {
                Ok(()) => {}
                Err(_) if self.sum > 0 => return Some(Ok(self.sum)),
                Err(errno) => return Some(Err(errno)),
            }
            self.sum += len;
            self.local.done += len as u64;
            self.remote.done += len as u64;
        }
        None
    }
}

/// The ranges of a vector, `ours` ones being checked as those of readv(2) are.
fn ranges(
    call: &Call<'_>,
    vector: Ptr<Iovec>,
    count: usize,
    ours: bool,
) -> Result<Vec<Iovec>, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut ranges = Vec::new();
    ranges.make_room(count)?;
    for index in 0..count {
        let entry = vector.offset((index * size_of::<Iovec>()) as u64);
        let mut range = call.space.read_value(entry)?;
        if range.len > i64::MAX.cast_unsigned() {
            return Err(Errno::EINVAL);
        }
        // Of another's memory tags never count, as on Linux.
        range.base = if ours {
            tags::meant(range.base)
        } else {
            untagged(range.base)
        };
        let is_outside = range
            .base
            .checked_add(range.len)
            .is_none_or(|end| end > USER_END);
        if ours && is_outside {
            return Err(Errno::EFAULT);
        }
        ranges.push(range);
    }
    Ok(ranges)
}

/// The memory of a process that the caller may look into.
fn other(call: &Call<'_>, pid: i32) -> Result<Arc<AddressSpace>, Errno> {
    let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let thread = table::thread(Pid(pid)).ok_or(Errno::ESRCH)?;
    // ORDERING: Relaxed; a flag that stands alone.
    let is_open = thread.process.control.dumpable.load(Ordering::Relaxed) == 1;
    let (own, target) = (call.thread.credentials(), thread.credentials());
    let is_ours = Arc::ptr_eq(&thread.process, call.process());
    let may =
        || own.may_inspect(&target, is_open) && attach::may_attach(call.thread, &thread.process);
    if !is_ours && !may() {
        return Err(Errno::EPERM);
    }
    let space = Arc::clone(&thread.process.space.lock());
    if thread.process.exit_status().is_some() {
        return Err(Errno::ESRCH);
    }
    Ok(space)
}

fn copy(
    call: &Call<'_>,
    pid: i32,
    local: (Ptr<Iovec>, usize),
    remote: (Ptr<Iovec>, usize),
    flags: u64,
    write: bool,
) -> Result<Outcome, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let ours = ranges(call, local.0, local.1, true)?;
    if ours.iter().all(|range| range.len == 0) {
        return Ok(Outcome::Done(Ok(0)));
    }
    let theirs = ranges(call, remote.0, remote.1, false)?;
    if theirs.iter().all(|range| range.len == 0) {
        return Ok(Outcome::Done(Ok(0)));
    }
    let side = |space, ranges| Side {
        space,
        ranges,
        at: 0,
        done: 0,
    };
    let mut copy = Copy {
        remote: side(other(call, pid)?, theirs),
        local: side(Arc::clone(call.space), ours),
        write,
        sum: 0,
    };
    if let Some(answer) = copy.advance() {
        return Ok(Outcome::Done(answer));
    }
    Ok(Outcome::wait(async move {
        loop {
            sched::yield_now().await;
            if let Some(answer) = copy.advance() {
                return answer;
            }
        }
    }))
}

/// `process_vm_readv(2)`.
pub fn process_vm_readv(
    call: &mut Call<'_>,
    pid: i32,
    local: Ptr<Iovec>,
    local_count: usize,
    remote: Ptr<Iovec>,
    remote_count: usize,
    flags: u64,
) -> Result<Outcome, Errno> {
    let (local, remote) = ((local, local_count), (remote, remote_count));
    copy(call, pid, local, remote, flags, false)
}

/// `process_vm_writev(2)`.
pub fn process_vm_writev(
    call: &mut Call<'_>,
    pid: i32,
    local: Ptr<Iovec>,
    local_count: usize,
    remote: Ptr<Iovec>,
    remote_count: usize,
    flags: u64,
) -> Result<Outcome, Errno> {
    let (local, remote) = ((local, local_count), (remote, remote_count));
    copy(call, pid, local, remote, flags, true)
}
