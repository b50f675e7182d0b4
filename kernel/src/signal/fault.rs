//! Signals that a thread causes itself and cannot escape.
//!
//! A signal of a fault is delivered at once or the process ends: were it
//! blocked or ignored, the thread would fault again for ever.

use alloc::sync::Arc;

use ochre_abi::signal::{BUS_ADRALN, FPE_INTDIV, SI_KERNEL, SIG_DFL, SIG_IGN, Signal, TRAP_TRACE};
use ochre_hal::user::{Exception, ExceptionKind};

use super::Info;
use crate::memory::Fault;
use crate::process::{Thread, ThreadState, Work};

/// Sends the signal of an access that cannot be resolved.
pub fn send_fault(thread: &Arc<Thread>, state: &mut ThreadState, fault: Fault) {
    let signal = Signal::new(fault.signal).unwrap_or(Signal::SIGSEGV);
    let (number, code) = state.user.page_fault_codes(fault.address);
    thread.signals.lock().fault = (fault.address, number, code);
    force(thread, signal, Info::fault(fault.code, fault.address));
}

/// Sends the signal of an exception.
pub fn send_exception(thread: &Arc<Thread>, state: &mut ThreadState, exception: Exception) {
    thread.signals.lock().fault = (0, u64::from(exception.number), exception.code);
    let (signal, info) = describe(exception.kind, state.user.instruction_pointer());
    force(thread, signal, info);
}

/// The signal of an exception at `instruction`.
fn describe(kind: ExceptionKind, instruction: u64) -> (Signal, Info) {
    match kind {
        ExceptionKind::IntegerDivide => (Signal::SIGFPE, Info::fault(FPE_INTDIV, instruction)),
        ExceptionKind::FloatingPoint(code) => (Signal::SIGFPE, Info::fault(code, instruction)),
        ExceptionKind::Breakpoint(SI_KERNEL) => (Signal::SIGTRAP, Info::KERNEL),
        ExceptionKind::Breakpoint(code) => (Signal::SIGTRAP, Info::fault(code, instruction)),
        ExceptionKind::Step => (Signal::SIGTRAP, Info::fault(TRAP_TRACE, instruction)),
        ExceptionKind::IllegalInstruction(code) => (Signal::SIGILL, Info::fault(code, instruction)),
        ExceptionKind::Protection | ExceptionKind::Overflow => (Signal::SIGSEGV, Info::KERNEL),
        ExceptionKind::Alignment => (Signal::SIGBUS, Info::fault(BUS_ADRALN, 0)),
        ExceptionKind::Bus => (Signal::SIGBUS, Info::KERNEL),
    }
}

/// Sends a signal to the calling thread that it cannot block or ignore: if it
/// tries to, the default action happens.
pub fn force(thread: &Thread, signal: Signal, info: Info) {
    let mut shared = thread.process.signals.lock();
    let mut own = thread.signals.lock();
    let is_blocked = own.mask.contains(signal);
    let handler = shared.actions.get(signal).handler;
    if is_blocked || handler == SIG_IGN {
        shared.actions.reset(signal);
        own.mask.remove(signal);
    }
    if is_blocked || handler == SIG_IGN || handler == SIG_DFL {
        shared.is_protected = false;
    }
    if !own.pending.set().contains(signal) && own.pending.push(signal, info, None).is_err() {
        own.pending.push_bare(signal);
    }
    thread.add_work(Work::SIGNAL);
}

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::signal::Info;
    use ochre_abi::signal::Signal;
    use ochre_hal::user::ExceptionKind;

    #[test]
    fn exceptions_become_signals() {
        assert_eq!(
            describe(ExceptionKind::IntegerDivide, 0x40),
            (Signal::SIGFPE, Info::fault(1, 0x40))
        );
        assert_eq!(
            describe(ExceptionKind::Protection, 0x40),
            (Signal::SIGSEGV, Info::KERNEL)
        );
    }
}
