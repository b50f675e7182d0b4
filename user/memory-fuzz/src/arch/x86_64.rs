//! x86_64.

use core::arch::global_asm;

use crate::sys::{Answer, call};

global_asm!(
    ".globl memory_fuzz_load",
    "memory_fuzz_load:",
    "movzx eax, byte ptr [rdi]",
    ".globl memory_fuzz_return",
    "memory_fuzz_return:",
    "ret",
    ".globl memory_fuzz_store",
    "memory_fuzz_store:",
    "mov byte ptr [rdi], sil",
    "xor eax, eax",
    "ret",
);

/// The first address that no program may have.
pub(crate) const END: usize = (1 << 47) - 4096;

/// More bytes than programs have addresses.
pub(crate) const MORE: usize = 1 << 47;

/// The flag for addresses below 2 GiB.
pub(crate) const MAP_32BIT: Option<i32> = Some(libc::MAP_32BIT);

/// Where the program was.
pub(crate) fn place(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
}

/// Makes the program go on elsewhere, with an answer.
pub(crate) fn resume(context: &mut libc::ucontext_t, place: usize, answer: u64) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RAX as usize] = answer.cast_signed();
    registers[libc::REG_RIP as usize] = place as i64;
}

/// Forks.
pub(crate) fn fork() -> Answer {
    call(libc::SYS_fork, &[])
}
