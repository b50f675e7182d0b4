//! How a machine ended, told from the status byte it left and from QEMU's exit.
//!
//! The kernel leaves one byte on the status port (an ordinary exit code, or
//! 128+n when process 1 died of signal n) and then ends QEMU through
//! `isa-debug-exit`, whose value `v` makes QEMU exit with `2v+1`:
//!
//! | QEMU's exit | meaning |
//! | --- | --- |
//! | 1 | the kernel ended the machine in order (value 0); the status byte counts |
//! | 3 | the kernel panicked (value 1); a status byte, if any, does not count |
//! | 0 | powered off or reset by other means |
//! | signal | QEMU was killed |

use core::fmt;
use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

/// The exit code of `ochre` when the machine left no status.
pub const NO_STATUS: u8 = 125;

/// The exit code of `ochre` when the time was up, as in `timeout`(1).
pub const TIMED_OUT: u8 = 124;

/// How QEMU ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QemuExit {
    /// The kernel asked for the end, in order.
    Ordered,
    /// The kernel said that it panicked.
    Panicked,
    /// The machine was powered off or reset, or QEMU was asked to quit.
    PoweredOff,
    /// QEMU was killed by this signal.
    Killed(i32),
    /// QEMU ended with a code that has no meaning here.
    Other(i32),
}

impl From<ExitStatus> for QemuExit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(0), _) => Self::PoweredOff,
            (Some(1), _) => Self::Ordered,
            (Some(3), _) => Self::Panicked,
            (Some(code), _) => Self::Other(code),
            (None, Some(signal)) => Self::Killed(signal),
            (None, None) => Self::Other(-1),
        }
    }
}

impl fmt::Display for QemuExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ordered => f.write_str("the kernel ended the machine"),
            Self::Panicked => f.write_str("the kernel panicked"),
            Self::PoweredOff => f.write_str("the machine was reset or powered off"),
            Self::Killed(signal) => write!(f, "QEMU was killed by signal {signal}"),
            Self::Other(code) => write!(f, "QEMU exited with code {code}"),
        }
    }
}

/// The status of process 1: the last byte written to the status port, unless
/// the kernel panicked.
pub fn decode(status_bytes: &[u8], exit: QemuExit) -> Option<u8> {
    match exit {
        QemuExit::Ordered | QemuExit::PoweredOff => status_bytes.last().copied(),
        QemuExit::Panicked | QemuExit::Killed(_) | QemuExit::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::{QemuExit, decode};

    fn check(raw_wait_status: i32, bytes: &[u8], exit: QemuExit, status: Option<u8>) {
        let decoded = QemuExit::from(ExitStatus::from_raw(raw_wait_status));
        assert_eq!(decoded, exit);
        assert_eq!(decode(bytes, decoded), status);
    }

    #[test]
    fn ends() {
        check(1 << 8, &[7], QemuExit::Ordered, Some(7));
        check(1 << 8, &[139], QemuExit::Ordered, Some(139));
        check(1 << 8, &[], QemuExit::Ordered, None);
        check(0, &[0], QemuExit::PoweredOff, Some(0));
        check(0, &[], QemuExit::PoweredOff, None);
        check(3 << 8, &[0], QemuExit::Panicked, None);
        check(9, &[0], QemuExit::Killed(9), None);
        check(2 << 8, &[], QemuExit::Other(2), None);
    }
}
