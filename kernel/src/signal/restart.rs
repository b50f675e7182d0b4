//! What becomes of a call that a signal interrupted (signal(7), "Interruption
//! of system calls").

use alloc::boxed::Box;

use ochre_abi::Errno;
use ochre_abi::signal::SA_RESTART;
use ochre_hal::user::UserContext;

use crate::process::{Thread, ThreadState};
use crate::syscall::{Call, Outcome};

/// How an interrupted call goes on by `restart_syscall(2)`.
pub type RestartCall = Box<dyn FnOnce(&mut Call<'_>) -> Outcome + Send>;

/// What to do with the interrupted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It fails with EINTR.
    Interrupt,
    /// It is made again.
    Again,
    /// It goes on through `restart_syscall(2)`.
    Continue,
}

/// Decides; `handler` has the flags of the handler that runs, if one does.
#[must_use]
pub fn decide(code: Errno, handler: Option<u64>) -> Decision {
    match (code, handler) {
        (Errno::ERESTART_RESTARTBLOCK, None) => Decision::Continue,
        (_, None) | (Errno::ERESTARTNOINTR, _) => Decision::Again,
        (Errno::ERESTARTSYS, Some(flags)) if flags & SA_RESTART != 0 => Decision::Again,
        (_, Some(_)) => Decision::Interrupt,
    }
}

/// Does what was decided.
pub(super) fn apply(user: &mut UserContext, decision: Decision) {
    match decision {
        Decision::Interrupt => user.set_syscall_result(-i64::from(Errno::EINTR.number())),
        Decision::Again => user.rewind_syscall(),
        Decision::Continue => {
            const RESTART_SYSCALL: Option<u64> = ochre_abi::arch_number!(219, 128);
            if let Some(number) = RESTART_SYSCALL {
                user.rewind_as(number);
            }
        }
    }
}

/// Restarts an interrupted call for which no handler ran.
pub fn restart_without_handler(state: &mut ThreadState, code: Errno) {
    apply(&mut state.user, decide(code, None));
}

/// Says how the call in flight goes on, and gives the error with which it ends
/// so that it does.
#[must_use]
pub fn set_restart(
    thread: &Thread,
    restart: impl FnOnce(&mut Call<'_>) -> Outcome + Send + 'static,
) -> Errno {
    let old = thread.signals.lock().restart.replace(Box::new(restart));
    drop(old);
    Errno::ERESTART_RESTARTBLOCK
}

/// Takes what [`set_restart`] left, for `restart_syscall(2)`.
#[must_use]
pub fn take_restart(thread: &Thread) -> Option<RestartCall> {
    thread.signals.lock().restart.take()
}

#[cfg(test)]
mod tests {
    use super::{Decision, decide};
    use ochre_abi::Errno;
    use ochre_abi::signal::SA_RESTART;

    #[test]
    fn the_table_of_restarts() {
        let rows = [
            (
                Errno::ERESTARTSYS,
                Decision::Again,
                Decision::Interrupt,
                Decision::Again,
            ),
            (
                Errno::ERESTARTNOINTR,
                Decision::Again,
                Decision::Again,
                Decision::Again,
            ),
            (
                Errno::ERESTARTNOHAND,
                Decision::Again,
                Decision::Interrupt,
                Decision::Interrupt,
            ),
            (
                Errno::ERESTART_RESTARTBLOCK,
                Decision::Continue,
                Decision::Interrupt,
                Decision::Interrupt,
            ),
        ];
        for (code, none, plain, restarting) in rows {
            assert_eq!(decide(code, None), none, "{code:?} without handler");
            assert_eq!(decide(code, Some(0)), plain, "{code:?} with handler");
            assert_eq!(
                decide(code, Some(SA_RESTART)),
                restarting,
                "{code:?} with SA_RESTART"
            );
        }
    }
}
