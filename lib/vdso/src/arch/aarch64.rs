//! AArch64: the generic timer's virtual counter, and the way back from signal
//! handlers, which C libraries of this machine leave to the kernel.

use core::arch::{asm, global_asm, naked_asm};

use crate::NANOSECONDS;
use crate::page::Page;

pub(crate) const SYS_GETTIMEOFDAY: u64 = 169;
pub(crate) const SYS_CLOCK_GETTIME: u64 = 113;
const SYS_CLOCK_GETRES: u64 = 114;

/// What each function begins with: a landing pad (`bti c`, which older
/// processors pass over), since a program may guard the page. The compiler
/// makes none.
macro_rules! landing_pad {
    () => {
        "hint #34\nb {}"
    };
}

/// `clock_gettime(2)`.
///
/// # Safety
/// `to` may be written, as for the system call.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __kernel_clock_gettime(clock: i32, to: *mut [i64; 2]) -> i32 {
    naked_asm!(landing_pad!(), sym clock_gettime)
}

/// What it is.
///
/// # Safety
/// As above.
unsafe extern "C" fn clock_gettime(clock: i32, to: *mut [i64; 2]) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { crate::clock_gettime(clock, to) }
}

/// `gettimeofday(2)`.
///
/// # Safety
/// What is not null may be written.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __kernel_gettimeofday(to: *mut [i64; 2], zone: *mut [i32; 2]) -> i32 {
    naked_asm!(landing_pad!(), sym gettimeofday)
}

/// What it is.
///
/// # Safety
/// As above.
unsafe extern "C" fn gettimeofday(to: *mut [i64; 2], zone: *mut [i32; 2]) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { crate::gettimeofday(to, zone) }
}

/// `clock_getres(2)`.
///
/// # Safety
/// `to` is null or may be written.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __kernel_clock_getres(clock: i32, to: *mut [i64; 2]) -> i32 {
    naked_asm!(landing_pad!(), sym clock_getres)
}

/// What it is.
///
/// # Safety
/// As above.
unsafe extern "C" fn clock_getres(clock: i32, to: *mut [i64; 2]) -> i32 {
    // SAFETY: the caller's own call.
    unsafe { call(SYS_CLOCK_GETRES, clock as u64, to.addr() as u64, 0) as i32 }
}

// Its place in the page is known to the kernel (`ochre_vdso::SIGNAL_RETURN`).
global_asm!(
    ".pushsection .text.signal_return, \"ax\", %progbits",
    ".global __kernel_rt_sigreturn",
    ".type __kernel_rt_sigreturn, %function",
    "__kernel_rt_sigreturn:",
    "mov x8, #139",
    "svc #0",
    ".size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn",
    ".popsection",
);

/// The page in front of this image.
#[inline(always)]
pub(crate) fn data() -> &'static Page {
    let page: *const Page;
    // SAFETY: computes an address.
    unsafe {
        asm!(
            "adrp {page}, ochre_vdso_data",
            "add {page}, {page}, :lo12:ochre_vdso_data",
            page = out(reg) page,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    // SAFETY: the kernel maps the page there, for reading, as long as this
    // image; it consists of atomics, any bits are right, and only the kernel
    // writes it.
    unsafe { &*page }
}

/// The counter, not read ahead of earlier instructions.
#[inline(always)]
pub(crate) fn counter() -> u64 {
    let value;
    // SAFETY: reads a counter that programs may read.
    unsafe {
        asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack, preserves_flags));
    }
    value
}

/// Makes a system call.
///
/// # Safety
/// As for the call.
#[inline(always)]
pub(crate) unsafe fn call(number: u64, first: u64, second: u64, third: u64) -> i64 {
    let answer;
    // SAFETY: the instruction changes the registers named; the rest is the
    // caller's promise.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inout("x0") first => answer,
            in("x1") second,
            in("x2") third,
            options(nostack),
        );
    }
    answer
}
