//! What each signal does to a process that did not say otherwise (signal(7)).

use ochre_abi::signal::{Signal, SignalSet};

/// What happens by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// Nothing.
    Ignore,
    /// The process ends.
    Terminate,
    /// The process ends and would leave a core file; Ochre writes none.
    Core,
    /// The process stops.
    Stop,
    /// The process goes on if it was stopped.
    Continue,
}

const CORE: SignalSet = SignalSet::of(&[
    Signal::SIGQUIT,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGSEGV,
    Signal::SIGXCPU,
    Signal::SIGXFSZ,
    Signal::SIGSYS,
]);

const IGNORE: SignalSet = SignalSet::of(&[Signal::SIGCHLD, Signal::SIGURG, Signal::SIGWINCH]);

/// The default action of `signal`.
#[must_use]
pub fn default_action(signal: Signal) -> DefaultAction {
    if signal == Signal::SIGCONT {
        DefaultAction::Continue
    } else if IGNORE.contains(signal) {
        DefaultAction::Ignore
    } else if SignalSet::STOP.contains(signal) {
        DefaultAction::Stop
    } else if CORE.contains(signal) {
        DefaultAction::Core
    } else {
        DefaultAction::Terminate
    }
}

#[cfg(test)]
mod tests {
    use super::{DefaultAction, default_action};
    use ochre_abi::signal::Signal;

    /// One letter for each signal from 1 to 31: the table of signal(7).
    const TABLE: &str = "TTCCCCCCTTCTTTTTI>SSSSICCTTITTC";

    #[test]
    fn the_table_is_that_of_the_manual() {
        for (index, letter) in TABLE.chars().enumerate() {
            let signal = Signal::new(index as u32 + 1).expect("the table has 31 rows");
            let expected = match letter {
                'T' => DefaultAction::Terminate,
                'C' => DefaultAction::Core,
                'I' => DefaultAction::Ignore,
                'S' => DefaultAction::Stop,
                _ => DefaultAction::Continue,
            };
            assert_eq!(default_action(signal), expected, "{signal:?}");
        }
        assert_eq!(TABLE.len(), 31);
    }

    #[test]
    fn real_time_signals_kill() {
        for number in 32..=64 {
            let signal = Signal::new(number).expect("in range");
            assert_eq!(default_action(signal), DefaultAction::Terminate);
        }
    }
}
