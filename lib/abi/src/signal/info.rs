//! `siginfo_t`: codes and layouts.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Signal;

/// Sent by `kill(2)`.
pub const SI_USER: i32 = 0;
/// Sent by the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// Sent by `sigqueue(3)`.
pub const SI_QUEUE: i32 = -1;
/// A POSIX timer expired.
pub const SI_TIMER: i32 = -2;
/// A message queue changed.
pub const SI_MESGQ: i32 = -3;
/// Sent by `tkill(2)` or `tgkill(2)`.
pub const SI_TKILL: i32 = -6;
/// The lowest of the generic codes.
pub const SI_DETHREAD: i32 = -7;
/// A name look-up ended.
pub const SI_ASYNCNL: i32 = -60;

/// A child exited.
pub const CLD_EXITED: i32 = 1;
/// A child was killed.
pub const CLD_KILLED: i32 = 2;
/// A child was killed and dumped core.
pub const CLD_DUMPED: i32 = 3;
/// A child stopped.
pub const CLD_STOPPED: i32 = 5;
/// A child went on.
pub const CLD_CONTINUED: i32 = 6;

/// Illegal operand.
pub const ILL_ILLOPN: i32 = 2;
/// Integer division by zero.
pub const FPE_INTDIV: i32 = 1;
/// Nothing is mapped there.
pub const SEGV_MAPERR: i32 = 1;
/// What is mapped there does not allow it.
pub const SEGV_ACCERR: i32 = 2;
/// Misaligned address.
pub const BUS_ADRALN: i32 = 1;
/// There is no memory behind the address.
pub const BUS_ADRERR: i32 = 2;
/// Breakpoint.
pub const TRAP_BRKPT: i32 = 1;
/// Single step.
pub const TRAP_TRACE: i32 = 2;

/// The size of `siginfo_t`.
pub const SIGINFO_SIZE: usize = 128;

/// Whether the kernel knows how `siginfo_t` is laid out for this signal and
/// code: if not, a program that queues one may set only what the kernel keeps.
#[must_use]
pub fn is_known_layout(signal: Signal, code: i32) -> bool {
    /// `NSIGPOLL`: the codes up to it are known for every signal.
    const POLL: i32 = 6;
    if code == SI_KERNEL {
        return true;
    }
    if code > SI_USER {
        let own = match signal {
            Signal::SIGILL => 11,
            Signal::SIGFPE => 15,
            Signal::SIGSEGV => 10,
            Signal::SIGBUS => 5,
            Signal::SIGTRAP => 6,
            Signal::SIGCHLD => 6,
            Signal::SIGIO => POLL,
            Signal::SIGSYS => 2,
            _ => 0,
        };
        return code <= own || code <= POLL;
    }
    code >= SI_DETHREAD || code == SI_ASYNCNL
}

/// `struct signalfd_siginfo`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "the fields are those of signalfd(2), one by one"
)]
pub struct SignalFdInfo {
    pub signo: u32,
    pub errno: i32,
    pub code: i32,
    pub pid: u32,
    pub uid: u32,
    pub fd: i32,
    pub tid: u32,
    pub band: u32,
    pub overrun: u32,
    pub trapno: u32,
    pub status: i32,
    pub int: i32,
    pub ptr: u64,
    pub utime: u64,
    pub stime: u64,
    pub addr: u64,
    pub addr_lsb: u16,
    pub reserved: u16,
    pub syscall: i32,
    pub call_addr: u64,
    pub arch: u32,
    pub padding: [u8; 28],
}

const _: () = assert!(size_of::<SignalFdInfo>() == 128);

#[cfg(test)]
mod tests {
    use super::{SI_KERNEL, SI_QUEUE, is_known_layout};
    use crate::signal::Signal;

    #[test]
    fn unknown_codes_have_no_layout() {
        assert!(is_known_layout(Signal::SIGUSR1, SI_QUEUE));
        assert!(is_known_layout(Signal::SIGUSR1, SI_KERNEL));
        assert!(!is_known_layout(Signal::SIGUSR1, -20));
        assert!(is_known_layout(Signal::SIGFPE, 14));
        assert!(!is_known_layout(Signal::SIGUSR1, 14));
    }
}
