//! The vDSO itself: a shared object that the kernel maps into every program.
//!
//! No target of cargo: the kernel's build script compiles it alone and links it
//! with `image.ld`, which puts it into one page and the data page in front of
//! it. It runs in user mode, in any program, so what it does wrong is that
//! program's loss and nobody else's.
//!
//! # Invariants
//! No relocations, no writable data and nothing from outside: the build script
//! refuses an image that needs any. Where the page does not help, the system
//! call is made.
#![no_std]

mod page;

use core::arch::asm;
use page::Page;

const NANOSECONDS: u64 = 1_000_000_000;

const SYS_GETTIMEOFDAY: u64 = 96;
const SYS_CLOCK_GETTIME: u64 = 228;
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
    // Real time, TAI, and all that count from boot; coarse ones are as fine.
    if let 0 | 1 | 4 | 5 | 6 | 7 | 11 = clock
        && let Some(rate) = data().read()
    {
        let now = counter();
        let ns = match clock {
            0 | 5 | 11 => rate.wall_ns(now),
            _ => rate.monotonic_ns(now),
        };
        // SAFETY: the caller's promise.
        unsafe { to.write([(ns / NANOSECONDS) as i64, (ns % NANOSECONDS) as i64]) };
        return 0;
    }
    // SAFETY: the caller's own call.
    unsafe { call(SYS_CLOCK_GETTIME, clock as u64, to.addr() as u64, 0) as i32 }
}

/// `gettimeofday(2)`.
///
/// # Safety
/// What is not null may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_gettimeofday(to: *mut [i64; 2], zone: *mut [i32; 2]) -> i32 {
    if zone.is_null()
        && !to.is_null()
        && let Some(rate) = data().read()
    {
        let ns = rate.wall_ns(counter());
        let microseconds = ns % NANOSECONDS / 1000;
        // SAFETY: the caller's promise.
        unsafe { to.write([(ns / NANOSECONDS) as i64, microseconds as i64]) };
        return 0;
    }
    // SAFETY: the caller's own call.
    unsafe { call(SYS_GETTIMEOFDAY, to.addr() as u64, zone.addr() as u64, 0) as i32 }
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
fn data() -> &'static Page {
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
fn counter() -> u64 {
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
unsafe fn call(number: u64, first: u64, second: u64, third: u64) -> i64 {
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

/// Nothing here panics; the linker takes this away.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
