//! Signals that are read as a file (signalfd(2)).
//!
//! A file does not know who reads it, so it gives the signals of the process
//! that made it, also to a child that inherited it; on Linux the child would
//! read its own.

use alloc::sync::{Arc, Weak};
use core::any::Any;

use ochre_abi::Errno;
use ochre_abi::signal::{SI_TIMER, Signal, SignalFdInfo, SignalSet};
use ochre_sync::SpinLock;
use zerocopy::{FromZeros, IntoBytes};

use super::{Info, put_back, take_from_set};
use crate::process::{Process, Thread};
use crate::vfs::{Events, File, Sink};
use crate::wait::PollTable;

/// See the module.
pub struct SignalFd {
    owner: Weak<Process>,
    set: SpinLock<SignalSet>,
}

impl SignalFd {
    /// A file of the signals of `set` that are sent to `owner`.
    #[must_use]
    pub fn new(owner: &Arc<Process>, set: SignalSet) -> SignalFd {
        SignalFd {
            owner: Arc::downgrade(owner),
            set: SpinLock::new(set.without(SignalSet::UNBLOCKABLE)),
        }
    }

    /// Changes which signals.
    pub fn set(&self, set: SignalSet) {
        *self.set.lock() = set.without(SignalSet::UNBLOCKABLE);
    }

    fn reader(&self) -> Option<Arc<Thread>> {
        let owner = self.owner.upgrade()?;
        let threads = owner.threads.lock();
        threads.first().cloned()
    }
}

/// What a reader gets of a signal.
fn describe(signal: Signal, info: &Info) -> SignalFdInfo {
    let is_timer = info.code == SI_TIMER;
    let value = info.double(2);
    SignalFdInfo {
        signo: signal.number(),
        errno: info.errno,
        code: info.code,
        pid: if is_timer { 0 } else { info.pid() },
        uid: if is_timer { 0 } else { info.uid() },
        tid: if is_timer { info.pid() } else { 0 },
        overrun: if is_timer { info.uid() } else { 0 },
        status: if signal == Signal::SIGCHLD {
            info.status()
        } else {
            0
        },
        int: value as i32,
        ptr: value,
        utime: if signal == Signal::SIGCHLD {
            info.double(4)
        } else {
            0
        },
        stime: if signal == Signal::SIGCHLD {
            info.double(6)
        } else {
            0
        },
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
        let reader = self.reader().ok_or(Errno::EAGAIN)?;
        let mut sum = 0;
        while sink.remaining() >= SIZE {
            let Some((signal, info)) = take_from_set(&reader, set) else {
                break;
            };
            let put = sink.put(describe(signal, &info).as_bytes());
            if put < SIZE {
                put_back(&reader, signal, info);
                return if put == 0 {
                    Ok(sum)
                } else {
                    Err(Errno::EFAULT)
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
        let Some(owner) = self.owner.upgrade() else {
            return Events::empty();
        };
        if let Some(table) = table {
            table.add(&owner.signals.arrived);
        }
        let set = *self.set.lock();
        let mut pending = owner.signals.pending_set();
        if let Some(reader) = self.reader() {
            pending = pending.union(reader.signals.lock().pending_set());
        }
        if pending.intersection(set).is_empty() {
            Events::empty()
        } else {
            Events::READABLE
        }
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
