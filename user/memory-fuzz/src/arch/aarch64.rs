//! AArch64.

use core::arch::global_asm;

use crate::sys::{Answer, call};

global_asm!(
    ".globl memory_fuzz_load",
    "memory_fuzz_load:",
    "ldrb w0, [x0]",
    ".globl memory_fuzz_return",
    "memory_fuzz_return:",
    "ret",
    ".globl memory_fuzz_store",
    "memory_fuzz_store:",
    "strb w1, [x0]",
    "mov x0, #0",
    "ret",
);

/// The first address that no program may have.
pub(crate) const END: usize = 1 << 48;

/// More bytes than programs have addresses.
pub(crate) const MORE: usize = 1 << 48;

/// The flag for addresses below 2 GiB: there is none.
pub(crate) const MAP_32BIT: Option<i32> = None;

/// Where the program was.
pub(crate) fn place(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.pc as usize
}

/// Makes the program go on elsewhere, with an answer.
pub(crate) fn resume(context: &mut libc::ucontext_t, place: usize, answer: u64) {
    context.uc_mcontext.regs[0] = answer;
    context.uc_mcontext.pc = place as u64;
}

/// Forks.
pub(crate) fn fork() -> Answer {
    call(libc::SYS_clone, &[libc::SIGCHLD as usize])
}
