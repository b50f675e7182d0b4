//! What a thread does before it goes back to user mode: end, stop, or run a
//! handler.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::arch::RETURNS_BY_VDSO;
use ochre_abi::signal::{
    SA_NODEFER, SA_ONSTACK, SA_RESTORER, SA_SIGINFO, SigAction, SigAltStack, Signal, SignalSet,
};
use ochre_hal::user::SignalDelivery;
use ochre_vdso::SIGNAL_RETURN;

use super::mask::refresh;
use super::take::{Taken, take_next};
use super::{AlternateStack, DefaultAction, Info, fault, mask, restart, stop};
use crate::memory::MakeRoom;
use crate::process::{ExitStatus, Next, Thread, ThreadState, Work, exit, rseq};
use crate::syscall::Call;

// ANCHOR: handle_work
/// Does what keeps a thread from going back to user mode: ends it, stops it,
/// delivers signals.
pub fn handle_work(thread: &Arc<Thread>, state: &mut ThreadState) -> Next {
    loop {
        let work = thread.work();
        if work.contains(Work::EXIT) {
            let next = exit::end_thread(thread, state);
            if next == Next::End {
                stop::thread_ended(thread);
            }
            return next;
        }
        if work.contains(Work::STOP) {
            if stop::take_part(thread) {
                return Next::Sleep;
            }
            continue;
        }
        if work.contains(Work::FRAME) {
            thread.clear_work(Work::FRAME);
        }
        if let Some((signal, info, action)) = state.delivery.pop()
            && enter_handler(thread, state, signal, &info, &action) == Entered::Later
        {
            return wait_for_memory(thread, state, (signal, info, action));
        }
        if !work.contains(Work::SIGNAL) {
            return Next::Run;
        }
        match take_next(thread) {
            Taken::None => {
                if mask::nothing_left(thread) {
                    return Next::Run;
                }
            }
            Taken::Ignored => {}
            Taken::Handler(signal, info, action) => {
                if enter_handler(thread, state, signal, &info, &action) == Entered::Later {
                    return wait_for_memory(thread, state, (signal, info, action));
                }
            }
            Taken::Default(signal, action) => do_default(thread, signal, action),
        }
    }
}
// ANCHOR_END: handle_work

fn do_default(thread: &Thread, signal: Signal, action: DefaultAction) {
    match action {
        DefaultAction::Ignore | DefaultAction::Continue => {}
        DefaultAction::Stop => stop::begin(thread, signal),
        DefaultAction::Terminate | DefaultAction::Core => thread
            .process
            .begin_group_exit(ExitStatus::signaled(signal.number(), false)),
    }
}

/// What came of entering a handler.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entered {
    /// It runs next, or the thread was given a fault instead.
    Now,
    /// There is no memory for its frame; somebody was chosen to go.
    Later,
}

/// Lets whoever was chosen go, and then enters the handler.
fn wait_for_memory(
    thread: &Thread,
    state: &mut ThreadState,
    delivery: (Signal, Info, SigAction),
) -> Next {
    if state.delivery.make_room(1).is_ok() {
        state.delivery.push(delivery);
        // Taking the signal may have left nothing else to do.
        thread.add_work(Work::FRAME);
    } else {
        frame_failed(thread, delivery.0);
    }
    thread.wake();
    Next::Sleep
}

fn enter_handler(
    thread: &Thread,
    state: &mut ThreadState,
    signal: Signal,
    info: &Info,
    action: &SigAction,
) -> Entered {
    if let Some(code) = state.restart.take() {
        restart::apply(&mut state.user, restart::decide(code, Some(action.flags)));
    }
    let frame = rseq::interrupt(thread, state)
        .and_then(|()| write_frame(thread, state, signal, info, action));
    match frame {
        Ok(()) => {}
        Err(Errno::ENOMEM) => return Entered::Later,
        Err(_) => {
            frame_failed(thread, signal);
            return Entered::Now;
        }
    }
    let shared = thread.process.signals.lock();
    let mut own = thread.signals.lock();
    own.saved_mask = None;
    if own.stack.is_auto_disarmed() {
        own.stack = AlternateStack::default();
    }
    own.mask = own.mask.union(blocked_by(signal, action));
    refresh(&shared, &own, thread);
    Entered::Now
}

/// What is blocked while the handler of `signal` runs.
fn blocked_by(signal: Signal, action: &SigAction) -> SignalSet {
    let mut blocked = SignalSet(action.mask);
    if action.flags & SA_NODEFER == 0 {
        blocked.insert(signal);
    }
    blocked.without(SignalSet::UNBLOCKABLE)
}

fn write_frame(
    thread: &Thread,
    state: &mut ThreadState,
    signal: Signal,
    info: &Info,
    action: &SigAction,
) -> Result<(), Errno> {
    let restorer = if action.flags & SA_RESTORER != 0 {
        action.restorer
    } else {
        return_address(state).ok_or(Errno::EFAULT)?
    };
    let (mask, alternate, fault) = {
        let own = thread.signals.lock();
        (own.saved_mask.unwrap_or(own.mask), own.stack, own.fault)
    };
    let stack_pointer = state.user.stack_pointer();
    let is_active = alternate.is_active(stack_pointer);
    let switches = action.flags & SA_ONSTACK != 0 && !is_active && !alternate.is_disabled();
    let delivery = SignalDelivery {
        signal: signal.number(),
        handler: action.handler,
        restorer,
        siginfo: action.flags & SA_SIGINFO != 0,
        info: info.to_bytes(signal),
        mask: mask.0,
        stack_top: if switches {
            alternate.top()
        } else {
            stack_pointer
        },
        on_current_stack: !switches,
        alternate_stack: alternate.for_frame(),
        fault,
    };
    let is_confined = switches || is_active;
    let space = Arc::clone(&state.space);
    state
        .user
        .enter_signal_handler(&delivery, &mut |address: u64, bytes: &[u8]| {
            // A frame that does not fit would overwrite what lies below the stack.
            if is_confined && !alternate.contains(address) {
                return Err(Errno::EFAULT);
            }
            space.write(address, bytes)
        })
        .map_err(|error| error.unwrap_or(Errno::ENOMEM))
}

/// Where a handler returns that does not say where, on machines where that is usual.
fn return_address(state: &ThreadState) -> Option<u64> {
    let vdso = state.space.facts().vdso;
    (RETURNS_BY_VDSO && vdso != 0).then(|| vdso.wrapping_add(SIGNAL_RETURN))
}

/// There is no place for the frame.
fn frame_failed(thread: &Thread, signal: Signal) {
    if signal == Signal::SIGSEGV {
        thread
            .process
            .begin_group_exit(ExitStatus::signaled(signal.number(), false));
    } else {
        fault::force(thread, Signal::SIGSEGV, Info::KERNEL);
    }
}

/// `rt_sigreturn(2)`: registers, mask and alternate stack from the frame that
/// the stack pointer is at. A frame that cannot be is a SIGSEGV.
pub fn restore_context(call: &mut Call<'_>) {
    let thread = call.thread;
    let space = &*call.space;
    let restored = call
        .user
        .leave_signal_handler(&mut |address: u64, bytes: &mut [u8]| space.read(address, bytes));
    let Ok(restored) = restored else {
        fault::force(thread, Signal::SIGSEGV, Info::KERNEL);
        return;
    };
    mask::set_mask(thread, SignalSet(restored.mask));
    let (base, flags, size) = restored.alternate_stack;
    let stack = SigAltStack {
        base,
        flags,
        reserved: 0,
        size,
    };
    let mut own = thread.signals.lock();
    // As on Linux, a stack that cannot be taken is left alone.
    let _: Result<(), Errno> = own.stack.set(&stack, call.user.stack_pointer());
    let restart = own.restart.take();
    drop(own);
    drop(restart);
}

#[cfg(test)]
mod tests {
    use super::blocked_by;
    use ochre_abi::signal::{SA_NODEFER, SigAction, Signal, SignalSet};

    #[test]
    fn a_handler_blocks_its_own_signal_unless_told_not_to() {
        let mut action = SigAction {
            mask: SignalSet::of(&[Signal::SIGHUP, Signal::SIGKILL]).0,
            ..SigAction::default()
        };
        assert_eq!(
            blocked_by(Signal::SIGINT, &action),
            SignalSet::of(&[Signal::SIGHUP, Signal::SIGINT])
        );
        action.flags = SA_NODEFER;
        assert_eq!(
            blocked_by(Signal::SIGINT, &action),
            SignalSet::of(&[Signal::SIGHUP])
        );
    }
}
