//! AArch64: the generic timer's counter, and calls by the numbers that took the
//! place of `open`, `stat` and `fork`.

use core::{ffi::CStr, sync::atomic::AtomicU32};

use super::THREAD;

/// The virtual counter. With QEMU's `-icount shift=0` it counts one for each
/// instruction, if the processor's frequency is said to be 1 GHz.
pub(crate) fn counter() -> u64 {
    let value: u64;
    // SAFETY: reads a counter that user mode may read.
    unsafe {
        core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nomem, nostack));
    }
    value
}

/// Opens a file.
pub(crate) fn open(path: &CStr, flags: i32, mode: u32) -> i64 {
    // SAFETY: the string outlasts the call.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, mode) }
}

/// `stat`.
pub(crate) fn stat(path: &CStr, stat: &mut [u64; 18]) -> i64 {
    let (here, path, stat) = (libc::AT_FDCWD, path.as_ptr(), stat.as_mut_ptr());
    // SAFETY: string and structure outlast the call, which writes no more than that.
    unsafe { libc::syscall(libc::SYS_newfstatat, here, path, stat, 0) }
}

/// Forks.
pub(crate) fn fork() -> i64 {
    // SAFETY: no stack and no memory is shared with the child.
    unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::SIGCHLD,
            0_usize,
            0_usize,
            0_usize,
            0_usize,
        )
    }
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
            "svc #0",
            "cbnz x0, 4f",
            "2:",
            "ldxr w10, [x6]",
            "add w10, w10, #1",
            "stlxr w11, w10, [x6]",
            "cbnz w11, 2b",
            "3:",
            "mov x8, #{futex}",
            "mov x0, x5",
            "mov x1, #{wait}",
            "mov x2, #0",
            "mov x3, #0",
            "svc #0",
            "b 3b",
            "4:",
            futex = const libc::SYS_futex,
            wait = const libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            inlateout("x0") i64::from(THREAD) => answer,
            in("x1") 0,
            in("x2") 0,
            in("x3") 0,
            in("x4") 0,
            in("x5") word.as_ptr(),
            in("x6") begun.as_ptr(),
            in("x8") libc::SYS_clone,
            lateout("x10") _,
            lateout("x11") _,
            options(nostack),
        );
    };
    answer
}
