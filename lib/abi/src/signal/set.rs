//! Signal numbers and sets of them.

use core::fmt;

/// A signal's number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Signal {
            $(#[doc = $text]
            pub const $name: Signal = Signal($number);)*
        }

        const NAMES: &[(u8, &str)] = &[$(($number, stringify!($name))),*];
    };
}

signals! {
    SIGHUP = 1, "The terminal went away.";
    SIGINT = 2, "Interrupt from the keyboard.";
    SIGQUIT = 3, "Quit from the keyboard.";
    SIGILL = 4, "Illegal instruction.";
    SIGTRAP = 5, "Breakpoint or trace.";
    SIGABRT = 6, "`abort(3)`.";
    SIGBUS = 7, "Access to memory that is not there.";
    SIGFPE = 8, "Arithmetic error.";
    SIGKILL = 9, "Kill; cannot be caught, blocked or ignored.";
    SIGUSR1 = 10, "For programs.";
    SIGSEGV = 11, "Invalid access to memory.";
    SIGUSR2 = 12, "For programs.";
    SIGPIPE = 13, "Write to a pipe without readers.";
    SIGALRM = 14, "`alarm(2)`.";
    SIGTERM = 15, "Termination.";
    SIGSTKFLT = 16, "Coprocessor stack fault; never sent.";
    SIGCHLD = 17, "A child stopped, went on or ended.";
    SIGCONT = 18, "Go on if stopped.";
    SIGSTOP = 19, "Stop; cannot be caught, blocked or ignored.";
    SIGTSTP = 20, "Stop from the keyboard.";
    SIGTTIN = 21, "Background read from the terminal.";
    SIGTTOU = 22, "Background write to the terminal.";
    SIGURG = 23, "Urgent data on a socket.";
    SIGXCPU = 24, "Limit of processor time exceeded.";
    SIGXFSZ = 25, "Limit of file size exceeded.";
    SIGVTALRM = 26, "`ITIMER_VIRTUAL`.";
    SIGPROF = 27, "`ITIMER_PROF`.";
    SIGWINCH = 28, "The window's size changed.";
    SIGIO = 29, "Input or output is possible.";
    SIGPWR = 30, "Power failure.";
    SIGSYS = 31, "Bad system call.";
}

impl Signal {
    /// The highest number.
    pub const MAX: u32 = 64;
    /// The first real-time signal.
    pub const RTMIN: Signal = Signal(32);

    /// The signal of a number.
    #[must_use]
    pub const fn new(number: u32) -> Option<Signal> {
        if number >= 1 && number <= Signal::MAX {
            Some(Signal(number as u8))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The number less one, below 64.
    #[must_use]
    pub const fn index(self) -> usize {
        (self.0 - 1) as usize
    }

    /// Whether instances queue instead of coalescing.
    #[must_use]
    pub const fn is_realtime(self) -> bool {
        self.0 >= Signal::RTMIN.0
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|row| row.0 == self.0) {
            Some(row) => f.write_str(row.1),
            None => write!(f, "SIGRT{}", self.0),
        }
    }
}

/// A set of signals: bit `n - 1` stands for signal `n`, as in `sigset_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: SignalSet = SignalSet(0);
    /// Every signal.
    pub const ALL: SignalSet = SignalSet(u64::MAX);
    /// What can be neither blocked nor caught.
    pub const UNBLOCKABLE: SignalSet = SignalSet::of(&[Signal::SIGKILL, Signal::SIGSTOP]);
    /// What stops by default.
    pub const STOP: SignalSet = SignalSet::of(&[
        Signal::SIGSTOP,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ]);
    /// What an instruction of the thread itself causes; delivered first.
    pub const SYNCHRONOUS: SignalSet = SignalSet::of(&[
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGSYS,
    ]);

    /// A set of the signals listed.
    #[must_use]
    pub const fn of(signals: &[Signal]) -> SignalSet {
        let mut bits = 0;
        let mut rest = signals;
        while let [first, others @ ..] = rest {
            bits |= 1 << first.index();
            rest = others;
        }
        SignalSet(bits)
    }

    /// Whether `signal` is in the set.
    #[inline]
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << signal.index()) != 0
    }

    /// Adds a signal.
    #[inline]
    pub const fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << signal.index();
    }

    /// Takes a signal out.
    #[inline]
    pub const fn remove(&mut self, signal: Signal) {
        self.0 &= !(1 << signal.index());
    }

    /// Signals in either.
    #[inline]
    #[must_use]
    pub const fn union(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 | other.0)
    }

    /// Signals in both.
    #[inline]
    #[must_use]
    pub const fn intersection(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & other.0)
    }

    /// Signals in this set and not in `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & !other.0)
    }

    /// Whether the set has no signal.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The signal with the lowest number.
    #[inline]
    #[must_use]
    pub const fn first(self) -> Option<Signal> {
        Signal::new(self.0.trailing_zeros() + 1)
    }

    /// The signal to deliver first: one that the thread caused itself, else
    /// the lowest number.
    #[inline]
    #[must_use]
    pub const fn next_to_deliver(self) -> Option<Signal> {
        let own = self.intersection(SignalSet::SYNCHRONOUS);
        if own.is_empty() {
            self.first()
        } else {
            own.first()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Signal, SignalSet};

    #[test]
    fn numbers_outside_one_to_64_are_no_signals() {
        assert_eq!(Signal::new(0), None);
        assert_eq!(Signal::new(65), None);
        assert_eq!(Signal::new(64).map(Signal::index), Some(63));
        assert_eq!(Signal::new(9), Some(Signal::SIGKILL));
    }

    #[test]
    fn bits_are_those_of_sigset() {
        assert_eq!(SignalSet::of(&[Signal::SIGHUP]).0, 1);
        assert_eq!(SignalSet::UNBLOCKABLE.0, 0x40100);
        let mut set = SignalSet::EMPTY;
        set.insert(Signal::SIGTERM);
        assert!(set.contains(Signal::SIGTERM));
        set.remove(Signal::SIGTERM);
        assert!(set.is_empty());
        assert_eq!(SignalSet::EMPTY.first(), None);
        assert_eq!(SignalSet(1 << 63).first(), Signal::new(64));
    }

    #[test]
    fn faults_go_before_lower_numbers() {
        let set = SignalSet::of(&[Signal::SIGINT, Signal::SIGSEGV]);
        assert_eq!(set.first(), Some(Signal::SIGINT));
        assert_eq!(set.next_to_deliver(), Some(Signal::SIGSEGV));
    }
}
