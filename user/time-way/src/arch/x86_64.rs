//! Single steps: the processor's trap flag is set, so a SIGTRAP comes after every instruction.
//!
//! Its handler looks where the next one is and whether it is `syscall`.

use core::arch::asm;

use crate::{handle, saw_call, saw_step, saw_vdso, vdso};

/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

extern "C" fn step(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a context.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let at = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    // SAFETY: it is about to be executed, so it can be read; no function ends
    // with the last byte of a page.
    let next = unsafe { core::ptr::with_exposed_provenance::<[u8; 2]>(at).read() };
    saw_step();
    if vdso().contains(&at) {
        saw_vdso();
    }
    if next == SYSCALL {
        saw_call();
    }
}

/// Once, before all others.
pub(crate) fn prepare() {
    handle(libc::SIGTRAP, step);
}

/// From here on.
pub(crate) fn begin() {
    // SAFETY: sets the trap flag, for which there is a handler.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
}

/// Up to here.
pub(crate) fn end() {
    // SAFETY: clears the trap flag.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
}
