//! The vDSO itself: a shared object that the kernel maps into every program.
//!
//! No target of cargo: the kernel's build script compiles it, with `ochre-sync`
//! and nothing else, and links it with `arch/*.ld`, which puts it into one page
//! and the data page in front of it. It runs in user mode, in any program, so what
//! it does wrong is that program's loss and nobody else's.
//!
//! # Invariants
//! No relocations, no writable data and nothing from outside: the build script
//! refuses an image that needs any. Where the page does not help, the system
//! call is made.
#![no_std]

mod arch;
mod page;

use arch::{SYS_CLOCK_GETTIME, SYS_GETTIMEOFDAY, call, counter, data};

const NANOSECONDS: u64 = 1_000_000_000;

/// `clock_gettime(2)`.
///
/// # Safety
/// `to` may be written, as for the system call.
#[inline(always)]
pub(crate) unsafe fn clock_gettime(clock: i32, to: *mut [i64; 2]) -> i32 {
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
#[inline(always)]
pub(crate) unsafe fn gettimeofday(to: *mut [i64; 2], zone: *mut [i32; 2]) -> i32 {
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

/// Nothing here panics; the linker takes this away.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
