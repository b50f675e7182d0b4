//! x86_64: the time stamp counter, the processor's number in a segment's limit.

use core::arch::asm;

use crate::NANOSECONDS;
use crate::page::Page;

pub(crate) const SYS_GETTIMEOFDAY: u64 = 96;
pub(crate) const SYS_CLOCK_GETTIME: u64 = 228;
const SYS_TIME: u64 = 201;
const SYS_GETCPU: u64 = 309;

/// The selector of the segment whose limit is the processor's number.
const CPU_NUMBER: u32 = 0x3b;

/// `clock_gettime(2)`.
///
/// # Safety
/// `to` may be written, as for the system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_clock_gettime(clock: i32, to: *mut [i64; 2]) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { crate::clock_gettime(clock, to) }
}

/// `gettimeofday(2)`.
///
/// # Safety
/// What is not null may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_gettimeofday(to: *mut [i64; 2], zone: *mut [i32; 2]) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { crate::gettimeofday(to, zone) }
}

/// `time(2)`.
///
/// # Safety
/// `to` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_time(to: *mut i64) -> i64 {
    let Some(rate) = data().read() else {
        // SAFETY: the caller's own call.
        return unsafe { call(SYS_TIME, to.addr() as u64, 0, 0) };
    };
    let seconds = (rate.wall_ns(counter()) / NANOSECONDS) as i64;
    if !to.is_null() {
        // SAFETY: the caller's promise.
        unsafe { to.write(seconds) };
    }
    seconds
}

/// `getcpu(2)`.
///
/// # Safety
/// What is not null may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_getcpu(cpu: *mut u32, node: *mut u32, cache: *mut u8) -> i64 {
    let (number, found): (u32, u8);
    // SAFETY: reads the limit of a segment, if there is one.
    unsafe {
        asm!(
            "lsl {number:e}, {selector:e}",
            "setz {found}",
            number = inout(reg) 0_u32 => number,
            selector = in(reg) CPU_NUMBER,
            found = out(reg_byte) found,
            options(nomem, nostack),
        );
    }
    if found == 0 {
        // SAFETY: the caller's own call.
        return unsafe {
            call(SYS_GETCPU, cpu.addr() as u64, node.addr() as u64, cache.addr() as u64)
        };
    }
    if !cpu.is_null() {
        // SAFETY: the caller's promise.
        unsafe { cpu.write(number) };
    }
    if !node.is_null() {
        // SAFETY: the caller's promise.
        unsafe { node.write(0) };
    }
    0
}

/// The page in front of this image.
#[inline(always)]
pub(crate) fn data() -> &'static Page {
    let page: *const Page;
    // SAFETY: computes an address.
    unsafe {
        asm!(
            "lea {page}, [rip + ochre_vdso_data]",
            page = out(reg) page,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    // SAFETY: the kernel maps the page there, for reading, as long as this
    // image; it consists of atomics, any bits are right, and only the kernel
    // writes it.
    unsafe { &*page }
}

/// The time stamp counter, not read ahead of earlier instructions.
#[inline(always)]
pub(crate) fn counter() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a counter that programs may read.
    unsafe {
        asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
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
            "syscall",
            inout("rax") number => answer,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    answer
}
