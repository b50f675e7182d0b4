//! Masks: setting them, and lending one to a call that waits.

use alloc::sync::Arc;
use core::future::Future;

use ochre_abi::Errno;
use ochre_abi::signal::{SigAltStack, SignalSet};

use super::state::{Shared, ThreadSignals};
use crate::process::{Thread, Work};
use crate::syscall::SysResult;

/// Brings [`Work::SIGNAL`] in line with what is pending and not blocked. The
/// locks of the process's and the thread's signals prove that nobody sends.
pub(super) fn refresh(shared: &Shared, own: &ThreadSignals, thread: &Thread) {
    if is_deliverable(shared, own) {
        thread.add_work(Work::SIGNAL);
    } else if own.saved_mask.is_none() {
        thread.clear_work(Work::SIGNAL);
    }
}

fn is_deliverable(shared: &Shared, own: &ThreadSignals) -> bool {
    !own.pending
        .set()
        .union(shared.pending.set())
        .without(own.mask)
        .is_empty()
}

/// Whether a signal is pending that the thread does not block.
#[must_use]
pub fn deliverable(thread: &Thread) -> bool {
    let shared = thread.process.signals.lock();
    is_deliverable(&shared, &thread.signals.lock())
}

/// The mask of a thread.
#[must_use]
pub fn mask_of(thread: &Thread) -> SignalSet {
    thread.signals.lock().mask
}

/// Replaces the mask of the calling thread.
pub fn set_mask(thread: &Thread, mask: SignalSet) {
    let shared = thread.process.signals.lock();
    let mut own = thread.signals.lock();
    own.mask = mask.without(SignalSet::UNBLOCKABLE);
    refresh(&shared, &own, thread);
}

/// Replaces the mask until [`end_temporary_mask`], or until a signal that
/// ended the call is delivered (`sigsuspend`, `ppoll`, `pselect`,
/// `epoll_pwait`).
pub fn set_temporary_mask(thread: &Thread, mask: SignalSet) {
    let shared = thread.process.signals.lock();
    let mut own = thread.signals.lock();
    let old = own.mask;
    own.saved_mask.get_or_insert(old);
    own.mask = mask.without(SignalSet::UNBLOCKABLE);
    refresh(&shared, &own, thread);
}

/// Ends what [`set_temporary_mask`] began. If `result` says that a signal
/// interrupted the call, the mask stays until that signal is delivered, so
/// that it can be: its handler's frame gets the old one.
pub fn end_temporary_mask(thread: &Thread, result: &SysResult) {
    if is_interrupted(result) {
        // Also without a signal somebody has to put the mask back.
        thread.add_work(Work::SIGNAL);
    } else {
        restore_mask(thread);
    }
}

fn is_interrupted(result: &SysResult) -> bool {
    matches!(result, Err(errno) if *errno == Errno::EINTR || errno.is_restart())
}

/// Says which blocked signals wake the calling thread (`rt_sigtimedwait`).
pub fn set_awaited(thread: &Thread, set: SignalSet) {
    thread.signals.lock().waiting_for = set;
}

/// Reads the calling thread's alternate stack, and sets it if a new one is given.
///
/// # Errors
/// Those of [`AlternateStack::set`](super::AlternateStack::set).
pub fn exchange_stack(
    thread: &Thread,
    new: Option<&SigAltStack>,
    stack_pointer: u64,
) -> Result<SigAltStack, Errno> {
    let mut own = thread.signals.lock();
    let before = own.stack.describe(stack_pointer);
    if let Some(new) = new {
        own.stack.set(new, stack_pointer)?;
    }
    Ok(before)
}

/// Puts the saved mask back, if there is one.
pub(super) fn restore_mask(thread: &Thread) {
    let shared = thread.process.signals.lock();
    let mut own = thread.signals.lock();
    if let Some(saved) = own.saved_mask.take() {
        own.mask = saved;
        refresh(&shared, &own, thread);
    }
}

/// Puts the saved mask back, if there is one, and takes [`Work::SIGNAL`] off
/// the list, if no signal is there then: in one step, since another processor
/// may send one at any moment.
pub(super) fn nothing_left(thread: &Thread) -> bool {
    let shared = thread.process.signals.lock();
    let mut own = thread.signals.lock();
    if let Some(saved) = own.saved_mask.take() {
        own.mask = saved;
    }
    refresh(&shared, &own, thread);
    !is_deliverable(&shared, &own)
}

/// Waits for `call` with another mask; see [`set_temporary_mask`]. Without a
/// mask it only waits.
pub async fn with_temporary_mask(
    thread: Arc<Thread>,
    mask: Option<SignalSet>,
    call: impl Future<Output = SysResult>,
) -> SysResult {
    if let Some(mask) = mask {
        set_temporary_mask(&thread, mask);
    }
    let result = call.await;
    if mask.is_some() {
        end_temporary_mask(&thread, &result);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{is_deliverable, is_interrupted};
    use crate::signal::Info;
    use crate::signal::state::{Shared, ThreadSignals};
    use ochre_abi::Errno;
    use ochre_abi::signal::{Signal, SignalSet};

    #[test]
    fn blocked_signals_are_not_deliverable() {
        let mut shared = Shared::default();
        let mut own = ThreadSignals::default();
        assert!(!is_deliverable(&shared, &own));
        assert!(
            shared
                .pending
                .push(Signal::SIGINT, Info::KERNEL, None)
                .is_ok()
        );
        assert!(is_deliverable(&shared, &own));
        own.mask = SignalSet::of(&[Signal::SIGINT]);
        assert!(!is_deliverable(&shared, &own));
        own.pending.push_bare(Signal::SIGHUP);
        assert!(is_deliverable(&shared, &own));
    }

    #[test]
    fn restart_codes_mean_interrupted() {
        assert!(is_interrupted(&Err(Errno::EINTR)));
        assert!(is_interrupted(&Err(Errno::ERESTARTNOHAND)));
        assert!(!is_interrupted(&Err(Errno::EFAULT)));
        assert!(!is_interrupted(&Ok(0)));
    }
}
