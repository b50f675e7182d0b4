//! Taking a signal off the queues.

use ochre_abi::signal::{SA_RESETHAND, SigAction, Signal, SignalSet};

use super::actions::Disposition;
use super::mask::refresh;
use super::state::{Shared, ThreadSignals};
use super::{DefaultAction, Info};
use crate::process::Thread;
use crate::syscall::trace;
use crate::time;

/// What a thread has to do about a signal that it took.
pub(super) enum Taken {
    /// No signal was there that is not blocked.
    None,
    /// The signal does nothing.
    Ignored,
    /// Its handler is to run.
    Handler(Signal, Info, SigAction),
    /// Its default action is to happen.
    Default(Signal, DefaultAction),
}

/// Takes the next signal that the thread does not block.
pub(super) fn take_next(thread: &Thread) -> Taken {
    let (signal, mut info, taken) = {
        let mut shared = thread.process.signals.lock();
        let mut own = thread.signals.lock();
        let allowed = SignalSet::ALL.without(own.mask);
        let Some((signal, info)) = take(&mut shared, &mut own, allowed) else {
            refresh(&shared, &own, thread);
            return Taken::None;
        };
        refresh(&shared, &own, thread);
        let taken = match shared.actions.disposition(signal) {
            Disposition::Ignored => Taken::Ignored,
            Disposition::Caught => {
                let action = shared.actions.get(signal);
                if action.flags & SA_RESETHAND != 0 {
                    shared.actions.reset(signal);
                }
                Taken::Handler(signal, info, action)
            }
            Disposition::Default(action) if shared.is_immune(action) => Taken::Ignored,
            Disposition::Default(action) => {
                shared.stop_taken = action == DefaultAction::Stop;
                Taken::Default(signal, action)
            }
        };
        (signal, info, taken)
    };
    time::signal_taken(&thread.process, signal, &mut info);
    if !matches!(taken, Taken::Ignored) {
        trace::signal(thread.tid(), signal);
    }
    match taken {
        Taken::Handler(signal, _, action) => Taken::Handler(signal, info, action),
        other => other,
    }
}

/// Takes a pending signal of `set`, blocked or not (`rt_sigtimedwait`,
/// `signalfd`).
#[must_use]
pub fn take_from_set(thread: &Thread, set: SignalSet) -> Option<(Signal, Info)> {
    let (signal, mut info) = {
        let mut shared = thread.process.signals.lock();
        let mut own = thread.signals.lock();
        let taken = take(&mut shared, &mut own, set)?;
        refresh(&shared, &own, thread);
        taken
    };
    time::signal_taken(&thread.process, signal, &mut info);
    Some((signal, info))
}

/// The thread's own signals first, and of those what it caused itself.
fn take(
    shared: &mut Shared,
    own: &mut ThreadSignals,
    allowed: SignalSet,
) -> Option<(Signal, Info)> {
    if let Some(signal) = own.pending.set().intersection(allowed).next_to_deliver() {
        return Some((signal, own.pending.take(signal)));
    }
    let signal = shared
        .pending
        .set()
        .intersection(allowed)
        .next_to_deliver()?;
    Some((signal, shared.pending.take(signal)))
}

#[cfg(test)]
mod tests {
    use super::take;
    use crate::process::Pid;
    use crate::signal::Info;
    use crate::signal::state::{Shared, ThreadSignals};
    use ochre_abi::signal::{Signal, SignalSet};

    #[test]
    fn the_threads_own_go_first() {
        let mut shared = Shared::default();
        let mut own = ThreadSignals::default();
        assert!(
            shared
                .pending
                .push(Signal::SIGHUP, Info::KERNEL, None)
                .is_ok()
        );
        assert!(
            shared
                .pending
                .push(Signal::SIGINT, Info::KERNEL, None)
                .is_ok()
        );
        assert!(
            own.pending
                .push(Signal::SIGTERM, Info::user(Pid(3), 0), None)
                .is_ok()
        );
        let allowed = SignalSet::ALL.without(SignalSet::of(&[Signal::SIGHUP]));
        let mut order = Vec::new();
        while let Some((signal, _)) = take(&mut shared, &mut own, allowed) {
            order.push(signal);
        }
        assert_eq!(order, [Signal::SIGTERM, Signal::SIGINT]);
    }
}
