//! Signals: numbers, sets, and the structures that travel with them (signal(7)).

mod action;
mod info;
mod set;

pub use action::{
    SA_EXPOSE_TAGBITS, SA_KNOWN, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESETHAND,
    SA_RESTART, SA_RESTORER, SA_SIGINFO, SIG_BLOCK, SIG_DFL, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK,
    SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, SigAction, SigAltStack,
};
pub use info::{
    BUS_ADRALN, BUS_ADRERR, CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED,
    FPE_INTDIV, ILL_ILLOPN, SEGV_ACCERR, SEGV_MAPERR, SI_ASYNCNL, SI_DETHREAD, SI_KERNEL, SI_MESGQ,
    SI_QUEUE, SI_TIMER, SI_TKILL, SI_USER, SIGINFO_SIZE, SignalFdInfo, TRAP_BRKPT, TRAP_TRACE,
    is_known_layout,
};
pub use set::{Signal, SignalSet};

/// The size of the kernel's `sigset_t`, which calls check.
pub const SIGSET_SIZE: usize = 8;

/// The smallest alternate stack (`MINSIGSTKSZ` of x86_64).
pub const MINSIGSTKSZ: u64 = 2048;
