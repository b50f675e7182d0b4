//! What a process does about each signal.
//!
//! Most processes catch nothing, so the table of 64 structures is made when
//! the first one is set; two sets answer the questions that sending asks.

use alloc::boxed::Box;
use alloc::sync::Arc;

use ochre_abi::signal::{SA_KNOWN, SIG_DFL, SIG_IGN, SigAction, Signal, SignalSet};
use ochre_sync::SpinLock;

use super::default::{DefaultAction, default_action};

/// See the module.
///
/// # Invariants
/// A signal is in `ignored` if its handler is `SIG_IGN`, in `caught` if it is
/// a function, in neither if it is `SIG_DFL`.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    table: Option<Box<[SigAction; 64]>>,
    ignored: SignalSet,
    caught: SignalSet,
}

/// What a signal does to the process as things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Nothing, because the process or the default says so.
    Ignored,
    /// A handler runs.
    Caught,
    /// The default action, which is not to ignore it.
    Default(DefaultAction),
}

impl Actions {
    /// The action of `signal`.
    #[must_use]
    pub fn get(&self, signal: Signal) -> SigAction {
        self.table
            .as_ref()
            .and_then(|table| table.get(signal.index()))
            .copied()
            .unwrap_or_default()
    }

    /// Sets the action of `signal`; what must not be in it is taken out.
    #[inline]
    pub fn set(&mut self, signal: Signal, action: &SigAction) {
        self.ignored.remove(signal);
        self.caught.remove(signal);
        match action.handler {
            SIG_DFL => {}
            SIG_IGN => self.ignored.insert(signal),
            _ => self.caught.insert(signal),
        }
        let table = self
            .table
            .get_or_insert_with(|| Box::new([SigAction::default(); 64]));
        table[signal.index()] = SigAction {
            flags: action.flags & SA_KNOWN,
            mask: SignalSet(action.mask).without(SignalSet::UNBLOCKABLE).0,
            ..*action
        };
    }

    /// Back to the default, flags and mask kept (`SA_RESETHAND`).
    pub(super) fn reset(&mut self, signal: Signal) {
        self.ignored.remove(signal);
        self.caught.remove(signal);
        if let Some(table) = &mut self.table {
            table[signal.index()].handler = SIG_DFL;
        }
    }

    /// Handlers go, what is ignored stays ignored (`execve`).
    pub fn reset_for_exec(&mut self) {
        let ignored = self.ignored;
        self.clear();
        self.keep_ignored(ignored);
    }

    fn keep_ignored(&mut self, ignored: SignalSet) {
        let mut rest = ignored;
        while let Some(signal) = rest.first() {
            rest.remove(signal);
            self.set(
                signal,
                &SigAction {
                    handler: SIG_IGN,
                    ..SigAction::default()
                },
            );
        }
    }

    /// Everything back to the default (`CLONE_CLEAR_SIGHAND` keeps what is
    /// ignored, as `execve` does; a new program table starts here).
    fn clear(&mut self) {
        *self = Actions::default();
    }

    /// What `signal` does now.
    pub(super) fn disposition(&self, signal: Signal) -> Disposition {
        if self.caught.contains(signal) {
            return Disposition::Caught;
        }
        if self.ignored.contains(signal) {
            return Disposition::Ignored;
        }
        match default_action(signal) {
            DefaultAction::Ignore => Disposition::Ignored,
            action => Disposition::Default(action),
        }
    }

    /// Signals that the process asked to ignore.
    #[must_use]
    pub fn ignored(&self) -> SignalSet {
        self.ignored
    }

    /// Signals that have a handler.
    #[must_use]
    pub fn caught(&self) -> SignalSet {
        self.caught
    }
}

/// The actions of one process, or of several that share them (`CLONE_SIGHAND`).
/// Its lock is taken under those of the signals of a process, and alone.
#[derive(Debug, Default)]
pub(super) struct SharedActions {
    actions: Arc<SpinLock<Actions>>,
}

impl SharedActions {
    /// The same actions for another process.
    pub(super) fn share(&self) -> SharedActions {
        SharedActions {
            actions: Arc::clone(&self.actions),
        }
    }

    /// Equal actions for another process.
    pub(super) fn duplicate(&self) -> SharedActions {
        SharedActions {
            actions: Arc::new(SpinLock::new(self.actions.lock().clone())),
        }
    }

    /// See [`Actions::get`].
    pub(super) fn get(&self, signal: Signal) -> SigAction {
        self.actions.lock().get(signal)
    }

    /// Sets an action and writes down the one before; what the new one does.
    #[inline]
    pub(super) fn exchange(
        &self,
        signal: Signal,
        action: &SigAction,
        before: Option<&mut SigAction>,
    ) -> Disposition {
        let mut actions = self.actions.lock();
        if let Some(before) = before {
            *before = actions.get(signal);
        }
        actions.set(signal, action);
        actions.disposition(signal)
    }

    /// See [`Actions::reset`].
    pub(super) fn reset(&self, signal: Signal) {
        self.actions.lock().reset(signal);
    }

    /// See [`Actions::reset_for_exec`]; those who shared them keep theirs.
    pub(super) fn reset_for_exec(&mut self) {
        let mut own = self.duplicate();
        own.actions.lock().reset_for_exec();
        core::mem::swap(self, &mut own);
    }

    /// See [`Actions::disposition`].
    pub(super) fn disposition(&self, signal: Signal) -> Disposition {
        self.actions.lock().disposition(signal)
    }

    /// The signals that are ignored, and those with a handler.
    pub(super) fn sets(&self) -> (SignalSet, SignalSet) {
        let actions = self.actions.lock();
        (actions.ignored(), actions.caught())
    }
}

#[cfg(test)]
mod tests {
    use super::{Actions, Disposition};
    use crate::signal::DefaultAction;
    use ochre_abi::signal::{SA_RESTART, SIG_DFL, SIG_IGN, SigAction, Signal};

    fn handler(handler: u64) -> SigAction {
        SigAction {
            handler,
            flags: SA_RESTART | 0x100_0000,
            restorer: 5,
            mask: u64::MAX,
        }
    }

    #[test]
    fn unknown_flags_and_unblockable_signals_do_not_get_in() {
        let mut actions = Actions::default();
        actions.set(Signal::SIGINT, &handler(0x1000));
        let got = actions.get(Signal::SIGINT);
        assert_eq!((got.flags, got.mask), (SA_RESTART, !0x40100));
        assert_eq!(actions.disposition(Signal::SIGINT), Disposition::Caught);
        assert_eq!(actions.get(Signal::SIGTERM), SigAction::default());
    }

    #[test]
    fn disposition_follows_the_handler() {
        let mut actions = Actions::default();
        assert_eq!(
            actions.disposition(Signal::SIGINT),
            Disposition::Default(DefaultAction::Terminate)
        );
        assert_eq!(actions.disposition(Signal::SIGCHLD), Disposition::Ignored);
        actions.set(Signal::SIGINT, &handler(SIG_IGN));
        assert_eq!(actions.disposition(Signal::SIGINT), Disposition::Ignored);
        actions.set(Signal::SIGINT, &handler(SIG_DFL));
        assert!(actions.ignored().is_empty());
        actions.set(Signal::SIGCHLD, &handler(9));
        actions.reset(Signal::SIGCHLD);
        assert_eq!(actions.disposition(Signal::SIGCHLD), Disposition::Ignored);
    }

    #[test]
    fn exec_keeps_what_is_ignored() {
        let mut actions = Actions::default();
        actions.set(Signal::SIGINT, &handler(0x1000));
        actions.set(Signal::SIGHUP, &handler(SIG_IGN));
        actions.reset_for_exec();
        assert!(actions.caught().is_empty());
        assert_eq!(actions.get(Signal::SIGHUP).handler, SIG_IGN);
        assert_eq!(actions.get(Signal::SIGHUP).flags, 0);
        assert_eq!(actions.get(Signal::SIGINT), SigAction::default());
    }
}
