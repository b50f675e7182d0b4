//! Signals that are read as a file (signalfd(2)).
//!
//! The file has a set and no owner: whoever reads or polls it is told of the
//! signals of its own thread and process, whether it made the file or
//! inherited it. Who waits, in `epoll_wait` too, is woken by the signals of the
//! process that was there when the waiting was arranged.

use alloc::sync::Arc;
use core::any::Any;

use ochre_abi::Errno;
use ochre_abi::signal::{SI_TIMER, Signal, SignalFdInfo, SignalSet};
use ochre_sync::SpinLock;
use zerocopy::{FromZeros, IntoBytes};

use super::{Info, take_from_set};
use crate::process::{Thread, table};
use crate::vfs::{Events, File, Sink};
use crate::wait::PollTable;

/// See the module.
pub struct SignalFd {
    set: SpinLock<SignalSet>,
}

impl SignalFd {
    /// A file of the signals of `set`.
    #[must_use]
    pub fn new(set: SignalSet) -> SignalFd {
        SignalFd {
            set: SpinLock::new(set.without(SignalSet::UNBLOCKABLE)),
        }
    }

    /// Changes which signals.
    pub fn set(&self, set: SignalSet) {
        *self.set.lock() = set.without(SignalSet::UNBLOCKABLE);
    }
}

/// The thread that asks. Nobody asks with a lock held.
fn reader() -> Option<Arc<Thread>> {
    table::current_thread()
}

/// What a reader gets of a signal.
fn describe(signal: Signal, info: &Info) -> SignalFdInfo {
    let is_timer = info.code == SI_TIMER;
    let is_child = signal == Signal::SIGCHLD && info.code > 0;
    // A child's layout has other things there.
    let value = if is_child { 0 } else { info.double(2) };
    SignalFdInfo {
        signo: signal.number(),
        errno: info.errno,
        code: info.code,
        pid: if is_timer { 0 } else { info.pid() },
        uid: if is_timer { 0 } else { info.uid() },
        tid: if is_timer { info.pid() } else { 0 },
        overrun: if is_timer { info.uid() } else { 0 },
        status: if is_child { info.status() } else { 0 },
        int: value as i32,
        ptr: value,
        utime: if is_child { info.double(4) } else { 0 },
        stime: if is_child { info.double(6) } else { 0 },
        ..SignalFdInfo::new_zeroed()
    }
}

impl File for SignalFd {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        const SIZE: usize = size_of::<SignalFdInfo>();
        if sink.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let set = *self.set.lock();
        let reader = reader().ok_or(Errno::EAGAIN)?;
        let mut sum = 0;
        while sink.remaining() >= SIZE {
            let Some((signal, info)) = take_from_set(&reader, set) else {
                break;
            };
            let put = sink.put(describe(signal, &info).as_bytes());
            if put < SIZE {
                // It is lost, as on Linux.
                return if sum == 0 {
                    Err(Errno::EFAULT)
                } else {
                    Ok(sum)
                };
            }
            sum += SIZE;
        }
        if sum == 0 {
            Err(Errno::EAGAIN)
        } else {
            Ok(sum)
        }
    }

    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        let Some(reader) = reader() else {
            return Events::empty();
        };
        let of_all = &reader.process.signals;
        if let Some(table) = table {
            table.add(&of_all.arrived);
        }
        let set = *self.set.lock();
        let of_all = of_all.pending_set();
        let pending = of_all.union(reader.signals.lock().pending_set());
        if pending.intersection(set).is_empty() {
            Events::empty()
        } else {
            Events::READABLE
        }
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::process::Pid;
    use crate::signal::Info;
    use ochre_abi::signal::{CLD_EXITED, Signal};

    #[test]
    fn fields_go_where_they_belong() {
        let child = Info::child(CLD_EXITED, Pid(9), 5, 3, 7, 8);
        let told = describe(Signal::SIGCHLD, &child);
        assert_eq!(
            (
                told.signo,
                told.pid,
                told.uid,
                told.status,
                told.utime,
                told.stime
            ),
            (17, 9, 5, 3, 7, 8)
        );
        let timer = describe(Signal::SIGALRM, &Info::timer(4, 11).with_overrun(2));
        assert_eq!(
            (timer.tid, timer.overrun, timer.int, timer.pid),
            (4, 2, 11, 0)
        );
    }
}
