//! x86_64: the time-stamp counter, and calls of the first days.

use core::{ffi::CStr, sync::atomic::AtomicU32};

use super::THREAD;

/// The time-stamp counter. With QEMU's `-icount shift=0` it counts one for
/// each instruction.
pub(crate) fn counter() -> u64 {
    // SAFETY: reads a counter that user mode may read.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Opens a file.
pub(crate) fn open(path: &CStr, flags: i32, mode: u32) -> i64 {
    // SAFETY: the string outlasts the call.
    unsafe { libc::syscall(libc::SYS_open, path.as_ptr(), flags, mode) }
}

/// `stat`.
pub(crate) fn stat(path: &CStr, stat: &mut [u64; 18]) -> i64 {
    // SAFETY: string and structure outlast the call, which writes no more than that.
    unsafe { libc::syscall(libc::SYS_stat, path.as_ptr(), stat.as_mut_ptr()) }
}

/// Forks.
pub(crate) fn fork() -> i64 {
    // SAFETY: takes nothing; the child has all memory for itself.
    unsafe { libc::syscall(libc::SYS_fork) }
}

/// Starts a thread that counts itself in `begun` and then waits at `word` for
/// ever. It never uses a stack.
pub(crate) fn block_a_thread(word: &'static AtomicU32, begun: &'static AtomicU32) -> i64 {
    let answer: i64;
    // SAFETY: the new thread has this one's registers and stack pointer and
    // never leaves the loop below, which touches no memory but the counter;
    // the kernel reads the word. Both live for ever. For this thread it is a
    // system call that changes nothing of its own.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 3f",
            "lock inc dword ptr [r9]",
            "2:",
            "mov eax, {futex}",
            "mov rdi, r8",
            "mov esi, {wait}",
            "xor edx, edx",
            "xor r10d, r10d",
            "syscall",
            "jmp 2b",
            "3:",
            futex = const libc::SYS_futex,
            wait = const libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            inlateout("rax") libc::SYS_clone => answer,
            in("rdi") i64::from(THREAD),
            in("rsi") 0,
            in("rdx") 0,
            in("r10") 0,
            in("r8") word.as_ptr(),
            in("r9") begun.as_ptr(),
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    };
    answer
}
