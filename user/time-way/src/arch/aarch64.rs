//! Traps: no program can step through itself here, so both ways are closed.
//!
//! The vDSO may not be executed while somebody watches, so the first
//! instruction there is a SIGSEGV, whose handler opens it again. The calls
//! themselves are trapped by a filter (seccomp(2)): each is a SIGSYS, whose
//! handler makes the call with one more argument, which the filter knows and
//! the call does not have. The handlers return through the vDSO, too (glibc
//! names no other place), so that of SIGSYS opens it as well: which way a call
//! took is known by then.

use core::mem::offset_of;
use core::ptr::with_exposed_provenance_mut;

use crate::{handle, saw_call, saw_step, saw_vdso, vdso};

/// The sixth argument of the calls that the filter lets pass.
const PASS: u32 = 0x0c4e_7a11;

/// The calls that tell the time or the processor.
const CALLS: [libc::c_long; 3] = [
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getcpu,
];

extern "C" fn closed(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO what it knows.
    let info = unsafe { &*info };
    // SAFETY: that of a fault has an address.
    let address = unsafe { info.si_addr() }.addr();
    if !vdso().contains(&address) {
        // SAFETY: ends the process, which has failed.
        unsafe { libc::_exit(1) };
    }
    saw_vdso();
    open();
}

extern "C" fn trapped(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    saw_call();
    // SAFETY: the kernel hands a handler with SA_SIGINFO a context, which is
    // what its return restores.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = &mut context.uc_mcontext.regs;
    let number = registers[8] as libc::c_long;
    // SAFETY: the call that the program makes, with its arguments.
    let result =
        unsafe { libc::syscall(number, registers[0], registers[1], registers[2], 0, 0, PASS) };
    registers[0] = result as u64;
    open();
}

/// Once, before all others.
pub(crate) fn prepare() {
    handle(libc::SIGSEGV, closed);
    handle(libc::SIGSYS, trapped);
    let number = offset_of!(libc::seccomp_data, nr);
    let sixth = offset_of!(libc::seccomp_data, args) + 5 * size_of::<u64>();
    let load = |at: usize| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at as u32, 0, 0);
    let is =
        |value: u32, yes, no| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
    let give = |value| step(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    let mut filter = [
        load(number),
        is(CALLS[0] as u32, 3, 0),
        is(CALLS[1] as u32, 2, 0),
        is(CALLS[2] as u32, 1, 0),
        give(libc::SECCOMP_RET_ALLOW),
        load(sixth),
        is(PASS, 0, 1),
        give(libc::SECCOMP_RET_ALLOW),
        give(libc::SECCOMP_RET_TRAP),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: five numbers.
    let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the filter is there, as long as it says.
    let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    assert_eq!((privileges, filtered), (0, 0), "no filter");
}

/// An instruction of a filter.
fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// From here on.
pub(crate) fn begin() {
    saw_step();
    protect(libc::PROT_NONE);
}

/// Up to here.
pub(crate) fn end() {
    open();
}

fn open() {
    protect(libc::PROT_READ | libc::PROT_EXEC);
}

fn protect(protection: libc::c_int) {
    let vdso = vdso();
    // SAFETY: nothing but code is there, and a handler opens it who needs it.
    unsafe {
        libc::mprotect(
            with_exposed_provenance_mut(vdso.start),
            vdso.len(),
            protection,
        )
    };
}
