//! Which way the C library takes to the time: through the vDSO, or by a system call.
//!
//! The program sees each way itself ([`arch`] says how), by signals and not by
//! a clock. So it is counted, not measured, and the same for every library: the
//! suite builds it for glibc and for musl.
//!
//! The handlers touch atomics and what they are shown, nothing else.
#![expect(
    unsafe_code,
    reason = "calls the C library's functions and watches them, which is what it is for"
)]

mod arch;

use core::mem::zeroed;
use core::ops::Range;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::fs;
use std::time::{Instant, SystemTime};

/// Where the vDSO is.
static FIRST: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

/// What was seen since it was last asked.
static STEPS: AtomicU64 = AtomicU64::new(0);
static IN_VDSO: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Where the vDSO is.
fn vdso() -> Range<usize> {
    FIRST.load(Relaxed)..END.load(Relaxed)
}

/// Somebody watches.
fn saw_step() {
    STEPS.fetch_add(1, Relaxed);
}

/// The call is in the vDSO.
fn saw_vdso() {
    IN_VDSO.fetch_add(1, Relaxed);
}

/// It asks the kernel.
fn saw_call() {
    CALLS.fetch_add(1, Relaxed);
}

/// A handler that is told about its signal.
type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// Takes a signal.
fn handle(signal: i32, handler: Handler) {
    // SAFETY: all zero is an action without flags and mask.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler is one for these flags, and stays.
    unsafe { libc::sigaction(signal, &raw const action, null_mut()) };
}

/// Asks while it is watched, and says which way it went.
fn watch(name: &str, ask: impl Fn()) {
    // The first time, the library finds out where the vDSO is.
    ask();
    for counter in [&STEPS, &IN_VDSO, &CALLS] {
        counter.store(0, Relaxed);
    }
    arch::begin();
    ask();
    arch::end();
    println!(
        "{name}: {}system calls {}, {}",
        if STEPS.load(Relaxed) == 0 {
            "not watched, "
        } else {
            ""
        },
        CALLS.load(Relaxed),
        match IN_VDSO.load(Relaxed) {
            0 => "past the vDSO",
            _ => "in the vDSO",
        }
    );
}

fn clock_gettime(clock: libc::clockid_t) {
    // SAFETY: all zero is a time.
    let mut time = unsafe { zeroed() };
    // SAFETY: the time is there to be written.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
}

fn main() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    let range = line.and_then(|line| line.split(' ').next()?.split_once('-'));
    let number = |text: &str| usize::from_str_radix(text, 16).unwrap_or(0);
    let (first, end) = range.unwrap_or(("0", "0"));
    FIRST.store(number(first), Relaxed);
    END.store(number(end), Relaxed);
    arch::prepare();

    watch("nothing", || {});
    watch("clock_gettime by number", || {
        // SAFETY: all zero is a time.
        let mut time: libc::timespec = unsafe { zeroed() };
        // SAFETY: the time is there to be written.
        unsafe { libc::syscall(libc::SYS_clock_gettime, 0, &raw mut time) };
    });
    watch("CLOCK_REALTIME", || clock_gettime(libc::CLOCK_REALTIME));
    watch("CLOCK_MONOTONIC", || clock_gettime(libc::CLOCK_MONOTONIC));
    watch("CLOCK_BOOTTIME", || clock_gettime(libc::CLOCK_BOOTTIME));
    watch("CLOCK_PROCESS_CPUTIME_ID", || {
        clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID);
    });
    watch("gettimeofday", || {
        // SAFETY: all zero is a time.
        let mut time = unsafe { zeroed() };
        // SAFETY: the time is there to be written.
        unsafe { libc::gettimeofday(&raw mut time, null_mut()) };
    });
    watch("time", || {
        // SAFETY: it may be asked without a place for the answer.
        unsafe { libc::time(null_mut()) };
    });
    watch("sched_getcpu", || {
        // SAFETY: no arguments.
        unsafe { libc::sched_getcpu() };
    });
    watch("Instant::now", || {
        core::hint::black_box(Instant::now());
    });
    watch("SystemTime::now", || {
        core::hint::black_box(SystemTime::now());
    });
}
