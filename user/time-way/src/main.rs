//! Which way the C library takes to the time: through the vDSO, or by a system call.
//!
//! Each question is asked in single steps: the processor's trap flag is set,
//! so a SIGTRAP comes after every instruction, and its handler looks where the
//! next one is and whether it is `syscall`. So it is counted, not measured, and
//! the same for every library: the suite builds it for glibc and for musl.
//!
//! The handler touches atomics and the code it is shown, nothing else.
#![expect(
    unsafe_code,
    reason = "calls the C library's functions and steps through them, which is what it is for"
)]

use core::arch::asm;
use core::mem::zeroed;
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

/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

extern "C" fn step(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a context.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let at = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    // SAFETY: it is about to be executed, so it can be read; no function ends
    // with the last byte of a page.
    let next = unsafe { core::ptr::with_exposed_provenance::<[u8; 2]>(at).read() };
    STEPS.fetch_add(1, Relaxed);
    if (FIRST.load(Relaxed)..END.load(Relaxed)).contains(&at) {
        IN_VDSO.fetch_add(1, Relaxed);
    }
    if next == SYSCALL {
        CALLS.fetch_add(1, Relaxed);
    }
}

/// Asks in single steps and says which way it went.
fn watch(name: &str, ask: impl Fn()) {
    // The first time, the library finds out where the vDSO is.
    ask();
    for counter in [&STEPS, &IN_VDSO, &CALLS] {
        counter.store(0, Relaxed);
    }
    // SAFETY: sets the trap flag, for which there is a handler.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    ask();
    // SAFETY: clears the trap flag.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
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
    // SAFETY: all zero is an action without flags and mask.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = step as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler is one for these flags, and stays.
    unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, null_mut()) };

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
