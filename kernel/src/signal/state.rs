//! The signal state of threads and processes.
//!
//! # Who may use what when
//! A thread's state is under its lock; `waiting_for`, `mask` and `pending` are
//! read by senders, everything else is the thread's own. A process's state is
//! one lock because its parts change together; see the module root's protocol.

use ochre_abi::Errno;
use ochre_abi::clone::CloneFlags;
use ochre_abi::signal::{
    MINSIGSTKSZ, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, SigAltStack, Signal, SignalSet,
};
use ochre_sync::{SpinLock, SpinLockGuard};

use super::DefaultAction;
use super::actions::SharedActions;
use super::pending::Pending;
use super::restart::RestartCall;
use crate::wait::WaitQueue;

/// Signals of one thread: mask, queue, alternate stack.
#[derive(Default)]
pub struct ThreadSignals {
    /// Signals that wait.
    pub(super) mask: SignalSet,
    /// The mask to go back to when a call with a mask of its own is over.
    pub(super) saved_mask: Option<SignalSet>,
    /// Signals that `rt_sigtimedwait` waits for: blocked, yet wanted.
    pub(super) waiting_for: SignalSet,
    /// Signals for this thread.
    pub(super) pending: Pending,
    /// The alternate stack.
    pub(super) stack: AlternateStack,
    /// What the last fault leaves for `ucontext`.
    pub(super) fault: (u64, u64, u64),
    /// Whether the thread takes part in a stop.
    pub(super) stopped: bool,
    /// How `restart_syscall(2)` goes on.
    pub(super) restart: Option<RestartCall>,
}

impl ThreadSignals {
    /// The state of a new thread: the mask is inherited; the alternate stack
    /// is too unless the thread shares memory with its maker.
    #[must_use]
    pub fn for_child(&self, shares_memory: bool) -> ThreadSignals {
        ThreadSignals {
            mask: self.saved_mask.unwrap_or(self.mask),
            stack: if shares_memory {
                AlternateStack::default()
            } else {
                self.stack
            },
            ..ThreadSignals::default()
        }
    }

    /// What `execve` resets: the alternate stack and the restart.
    pub fn reset_for_exec(&mut self) {
        self.stack = AlternateStack::default();
        self.restart = None;
    }

    /// Signals that wait.
    #[must_use]
    pub fn mask(&self) -> SignalSet {
        self.mask
    }

    /// Signals pending for this thread alone.
    #[must_use]
    pub fn pending_set(&self) -> SignalSet {
        self.pending.set()
    }

    /// Signals queued for this thread.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.pending.len()
    }
}

/// How far a stop of the whole process has come.
///
/// ```text
///             stop signal taken (1)          last thread stops (2)
///   Running ─────────────────────▶ Stopping ───────────────────────▶ Stopped
///      ▲                              │                                 │
///      └────────── SIGCONT (3) ───────┴─────────────────────────────────┘
/// ```
///
/// 1. and 2. are in `stop`, 3. in `send`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StopState {
    #[default]
    Running,
    /// Threads that have to stop yet.
    Stopping {
        signal: Signal,
        missing: usize,
    },
    Stopped,
}

/// What [`ProcessSignals`] locks.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) actions: SharedActions,
    pub(super) pending: Pending,
    pub(super) stop: StopState,
    /// A stop signal was taken and not yet acted upon; SIGCONT takes that back.
    pub(super) stop_taken: bool,
    /// Process 1 of a whole system: what would end or stop it is ignored.
    pub(super) is_protected: bool,
    /// Whether this is the init of a system, protected or not any more.
    is_of_init: bool,
}

impl Shared {
    /// Whether a signal for which nothing was said does nothing to this process.
    pub(super) fn is_immune(&self, action: DefaultAction) -> bool {
        self.is_protected && action != DefaultAction::Continue
    }
}

/// Signals of a process: its queue and its actions.
#[derive(Default)]
pub struct ProcessSignals {
    shared: SpinLock<Shared>,
    /// Woken when a signal is queued, for `signalfd`.
    pub arrived: WaitQueue,
}

impl ProcessSignals {
    /// The state of a new process: actions are inherited (handlers not with
    /// `CLEAR_SIGHAND`) or shared, nothing is pending.
    #[must_use]
    pub fn for_child(&self, flags: CloneFlags) -> ProcessSignals {
        let mut actions = if flags.contains(CloneFlags::SIGHAND) {
            self.lock().actions.share()
        } else {
            self.lock().actions.duplicate()
        };
        if flags.contains(CloneFlags::CLEAR_SIGHAND) {
            actions.reset_for_exec();
        }
        ProcessSignals {
            shared: SpinLock::new(Shared {
                actions,
                ..Shared::default()
            }),
            arrived: WaitQueue::new(),
        }
    }

    /// What `execve` does: handlers go.
    pub fn reset_handlers(&self) {
        self.lock().actions.reset_for_exec();
    }

    /// Gives process 1 of a whole system its protection: signals without a
    /// handler do nothing to it.
    pub fn protect(&self) {
        let mut shared = self.lock();
        shared.is_protected = true;
        shared.is_of_init = true;
    }

    /// Whether [`protect`](ProcessSignals::protect) was ever called.
    #[must_use]
    pub fn is_of_init(&self) -> bool {
        self.lock().is_of_init
    }

    /// Whether [`protect`](ProcessSignals::protect) was called and a fault has
    /// not ended that.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.lock().is_protected
    }

    pub(super) fn lock(&self) -> SpinLockGuard<'_, Shared> {
        self.shared.lock()
    }

    /// The actions, for `/proc` and `rt_sigaction(2)`.
    #[must_use]
    pub fn action_sets(&self) -> (SignalSet, SignalSet) {
        self.lock().actions.sets()
    }

    /// Signals pending for the process as a whole.
    #[must_use]
    pub fn pending_set(&self) -> SignalSet {
        self.lock().pending.set()
    }

    /// Whether all threads are stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().stop == StopState::Stopped
    }
}

/// The alternate stack of `sigaltstack(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlternateStack {
    base: u64,
    size: u64,
    auto_disarm: bool,
}

impl AlternateStack {
    /// Whether there is none.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.size == 0
    }

    /// Whether a program whose stack pointer is `stack_pointer` runs on it.
    #[must_use]
    pub fn is_active(&self, stack_pointer: u64) -> bool {
        !self.auto_disarm && stack_pointer > self.base && stack_pointer - self.base <= self.size
    }

    /// Whether `address` is inside.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        address >= self.base && address - self.base < self.size
    }

    /// The address behind the last one.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.base.wrapping_add(self.size)
    }

    /// Whether entering a handler disarms it.
    #[must_use]
    pub fn is_auto_disarmed(&self) -> bool {
        self.auto_disarm
    }

    /// As `sigaltstack(2)` shows it.
    #[must_use]
    pub fn describe(&self, stack_pointer: u64) -> SigAltStack {
        let state = if self.is_disabled() {
            SS_DISABLE
        } else if self.is_active(stack_pointer) {
            SS_ONSTACK
        } else {
            0
        };
        SigAltStack {
            base: self.base,
            flags: state | if self.auto_disarm { SS_AUTODISARM } else { 0 },
            reserved: 0,
            size: self.size,
        }
    }

    /// As a signal frame keeps it: base, flags, size.
    #[must_use]
    pub fn for_frame(&self) -> (u64, u32, u64) {
        let shown = self.describe(self.base);
        (self.base, shown.flags, self.size)
    }

    /// Takes a new stack.
    ///
    /// # Errors
    /// EPERM on the alternate stack; EINVAL for unknown flags; ENOMEM if it is
    /// too small.
    pub fn set(&mut self, new: &SigAltStack, stack_pointer: u64) -> Result<(), Errno> {
        if self.is_active(stack_pointer) {
            return Err(Errno::EPERM);
        }
        let auto_disarm = new.flags & SS_AUTODISARM != 0;
        let (base, size) = match new.flags & !SS_AUTODISARM {
            SS_DISABLE => (0, 0),
            0 | SS_ONSTACK if new.size < MINSIGSTKSZ => return Err(Errno::ENOMEM),
            0 | SS_ONSTACK => (new.base, new.size),
            _ => return Err(Errno::EINVAL),
        };
        *self = AlternateStack {
            base,
            size,
            auto_disarm,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::AlternateStack;
    use ochre_abi::Errno;
    use ochre_abi::signal::{SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, SigAltStack};

    fn stack(base: u64, flags: u32, size: u64) -> SigAltStack {
        SigAltStack {
            base,
            flags,
            reserved: 0,
            size,
        }
    }

    #[test]
    fn a_new_thread_has_none() {
        let none = AlternateStack::default();
        assert_eq!(none.describe(0x5000), stack(0, SS_DISABLE, 0));
        assert!(!none.is_active(0));
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut alternate = AlternateStack::default();
        assert_eq!(alternate.set(&stack(0x1000, 4, 0), 0), Err(Errno::EINVAL));
        assert_eq!(
            alternate.set(&stack(0x1000, 0, 2047), 0),
            Err(Errno::ENOMEM)
        );
        assert_eq!(alternate.set(&stack(0x1000, 0, 2048), 0), Ok(()));
        assert_eq!(
            alternate.set(&stack(0x1000, 4, 0), 0x1400),
            Err(Errno::EPERM)
        );
        assert_eq!(alternate.describe(0x1800).flags, SS_ONSTACK);
        assert_eq!(alternate.describe(0x1000).flags, 0);
        assert_eq!(alternate.describe(0x1801).flags, 0);
        assert_eq!(alternate.set(&stack(7, SS_DISABLE, 9), 0), Ok(()));
        assert!(alternate.is_disabled());
    }

    #[test]
    fn a_self_disarming_stack_is_never_active() {
        let mut alternate = AlternateStack::default();
        assert_eq!(
            alternate.set(&stack(0x1000, SS_ONSTACK | SS_AUTODISARM, 4096), 0),
            Ok(())
        );
        assert_eq!(alternate.describe(0x1800).flags, SS_AUTODISARM);
        assert_eq!(alternate.set(&stack(0, SS_DISABLE, 0), 0x1800), Ok(()));
    }
}
