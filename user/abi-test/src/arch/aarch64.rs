//! AArch64: calls of the first days are made by their successors.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use super::{Fault, Way, legacy};
use crate::errno::Errno;
use crate::sys::{self, NONCANONICAL, Ret, RseqArea};

/// The calls' numbers: Linux's, and behind them those that this machine lacks.
#[expect(
    non_upper_case_globals,
    reason = "they stand for constants of the C library, which are named so"
)]
pub(crate) mod numbers {
    pub(crate) use libc::*;

    /// The first number that is none of the kernel's.
    pub(crate) const FIRST: i64 = 1 << 16;

    macro_rules! lacking {
        ($($name:ident = $number:literal),* $(,)?) => { $(
            pub(crate) const $name: i64 = FIRST + $number;
        )* };
    }
    lacking!(
        SYS_open = 2,
        SYS_stat = 4,
        SYS_lstat = 6,
        SYS_poll = 7,
        SYS_access = 21,
        SYS_pipe = 22,
        SYS_select = 23,
        SYS_dup2 = 33,
        SYS_pause = 34,
        SYS_alarm = 37,
        SYS_fork = 57,
        SYS_vfork = 58,
        SYS_rename = 82,
        SYS_mkdir = 83,
        SYS_rmdir = 84,
        SYS_creat = 85,
        SYS_link = 86,
        SYS_unlink = 87,
        SYS_symlink = 88,
        SYS_readlink = 89,
        SYS_chmod = 90,
        SYS_chown = 92,
        SYS_lchown = 94,
        SYS_getpgrp = 111,
        SYS_utime = 132,
        SYS_mknod = 133,
        SYS_time = 201,
        SYS_epoll_create = 213,
        SYS_epoll_wait = 232,
        SYS_utimes = 235,
        SYS_signalfd = 282,
        SYS_eventfd = 284,
    );
}

/// The vDSO's functions that tell the time.
pub(crate) const VDSO_TIMES: [&str; 2] = ["__kernel_clock_gettime", "__kernel_gettimeofday"];

/// The other ones.
pub(crate) const VDSO_OTHERS: [&str; 2] = ["__kernel_clock_getres", "__kernel_rt_sigreturn"];

/// Whether this program is built to be anywhere: musl's static ones are not.
pub(crate) const IS_ANYWHERE: bool = false;

/// Whether Linux ends programs' addresses where Ochre does. (It has 48 bits.)
pub(crate) const ENDS_AT_47_BITS: bool = false;

/// No call sets a base register: programs have one of their own, for any number.
pub(crate) const SET_BASE: Option<i64> = None;

/// In front of an address where `rseq` goes on (`RSEQ_SIG`).
pub(crate) const RSEQ_SIGNATURE: u32 = 0xd428_bc00;

/// `mov x8, #172; svc #0`: asks for the process's number.
pub(crate) const A_CALL: &[u8] = &[0x88, 0x15, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];

/// Makes a call, by another where there is none.
pub(crate) fn call(nr: i64, words: [usize; 6]) -> Ret {
    if nr >= numbers::FIRST {
        return legacy::call(nr, words);
    }
    sys::direct(nr, words)
}

/// Executes an instruction that faults by design. (A division by zero does not.)
pub(crate) fn fault(fault: Fault) {
    match fault {
        Fault::Illegal => {
            // SAFETY: traps before it changes anything.
            unsafe { asm!("udf #0") }
        }
        Fault::Privileged => {
            // SAFETY: not allowed in user mode, so it traps.
            unsafe { asm!("mrs {}, sctlr_el1", out(reg) _) }
        }
        Fault::Breakpoint => {
            // SAFETY: traps, changes nothing.
            unsafe { asm!("brk #0") }
        }
        Fault::Divide => {
            // SAFETY: changes only the register it names.
            unsafe { asm!("udiv {0}, {0}, xzr", inout(reg) 1_u64 => _) }
        }
        Fault::InterruptsOff => {
            // SAFETY: not allowed in user mode, so it traps.
            unsafe { asm!("msr daifset, #2") }
        }
        Fault::NonCanonical => {
            // SAFETY: the load traps; would change only the register it names.
            unsafe { asm!("ldrb {0:w}, [{0}]", inout(reg) NONCANONICAL => _) }
        }
    }
}

/// Whether there are landing pads, keys and addresses with tags.
pub(crate) const HAS_MARKS: bool = true;

/// Comes to code at `target` that the case wrote, which answers; `pad` is code
/// that jumps where the second argument says.
pub(crate) fn come(way: Way, target: usize, pad: usize) -> u64 {
    let answer;
    macro_rules! go {
        ($($line:literal),*) => {
            // SAFETY: the case wrote code there that keeps what C's functions
            // keep and returns, or means to fault.
            unsafe {
                asm!(
                    $($line),*,
                    in("x9") target,
                    in("x10") pad,
                    in("x1") target,
                    lateout("x0") answer,
                    clobber_abi("C"),
                )
            }
        };
    }
    match way {
        Way::Call => go!("blr x9"),
        Way::Jump => go!("adr x30, 2f", "br x9", "2:"),
        Way::JumpFromPad => go!("blr x10"),
        Way::Return => go!("adr x30, 2f", "ret x9", "2:"),
        Way::Trap => go!("adr x30, 2f", "brk #0", "2:"),
    }
    answer
}

/// Has the handler's return come to where [`come`] was to go, as by a call.
pub(crate) fn return_to_landing(context: usize) {
    // SAFETY: handlers are given a pointer to their frame's context.
    let frame = unsafe { machine_context(context) };
    frame.pc = frame.regs[9];
    frame.pstate |= 2 << 10;
}

/// How the program came to where it was interrupted (BTYPE).
pub(crate) fn arrival(context: usize) -> u64 {
    // SAFETY: as above.
    unsafe { machine_context(context) }.pstate >> 10 & 3
}

/// What conditions and switches a program can set itself: NZCV, DIT, SSBS, and
/// all of them.
pub(crate) const STATES: [u64; 6] = [0, 0xa << 28, 0x5 << 28, 1 << 24, 1 << 12, 0xf100_1000];

/// What the last handler found.
static ENTERED: AtomicU64 = AtomicU64::new(0);

/// The state that a handler begins with, and goes on to tell.
#[unsafe(naked)]
extern "C" fn entered(_: i32, _: &libc::siginfo_t, _: usize) {
    naked_asm!(
        "mrs x3, nzcv",
        "mrs x4, s3_3_c4_c2_5",
        "orr x3, x3, x4",
        "mrs x4, s3_3_c4_c2_6",
        "orr x3, x3, x4",
        "b {}",
        sym tell,
    )
}

extern "C" fn tell(_: i32, _: &libc::siginfo_t, context: usize, state: u64) {
    ENTERED.store(state, Ordering::Relaxed);
    set_return(context, instruction(context) + 4);
}

/// Traps with a state: what the handler has of it, and what is there after it.
pub(crate) fn trapped_with(state: u64) -> (u64, u64) {
    sys::on_signal(libc::SIGTRAP, 0, entered);
    let after;
    // SAFETY: sets and reads what a program may, and sets back what matters to
    // the compiler; the handler passes over the breakpoint.
    unsafe {
        asm!(
            "msr s3_3_c4_c2_5, {state}",
            "msr s3_3_c4_c2_6, {state}",
            "msr nzcv, {state}",
            "brk #0",
            "mrs {state}, nzcv",
            "mrs {other}, s3_3_c4_c2_5",
            "orr {state}, {state}, {other}",
            "mrs {other}, s3_3_c4_c2_6",
            "orr {state}, {state}, {other}",
            "msr s3_3_c4_c2_5, xzr",
            state = inout(reg) state => after,
            other = out(reg) _,
        )
    }
    (ENTERED.load(Ordering::Relaxed), after)
}

/// An address, signed with the first key for code.
pub(crate) fn sign(address: u64) -> u64 {
    let signed;
    // SAFETY: changes the registers named only; nothing older processors know.
    unsafe {
        asm!(
            "mov x30, {0}",
            "hint #25",
            "mov {0}, x30",
            inout(reg) address => signed,
            out("x30") _,
        )
    }
    signed
}

/// What the program goes on with when the handler, which got `context` as its
/// third argument, returns: at `target`.
pub(crate) fn set_return(context: usize, target: u64) {
    // SAFETY: handlers are given a pointer to their frame's context, which is
    // theirs to change.
    unsafe { machine_context(context) }.pc = target;
}

/// The key of an object of System V, which each C library calls otherwise.
#[expect(
    deprecated,
    reason = "the field is to be renamed, and there is no other yet"
)]
pub(crate) fn key(permissions: &libc::ipc_perm) -> i32 {
    permissions.__ipc_perm_key
}

/// Where the program was interrupted.
pub(crate) fn instruction(context: usize) -> u64 {
    // SAFETY: as above.
    unsafe { machine_context(context) }.pc
}

/// The number of the call that it was about to make.
pub(crate) fn call_number(context: usize) -> i64 {
    // SAFETY: as above.
    unsafe { machine_context(context) }.regs[8].cast_signed()
}

/// What the call is to answer instead.
pub(crate) fn set_answer(context: usize, value: i64) {
    // SAFETY: as above.
    unsafe { machine_context(context) }.regs[0] = value.cast_unsigned();
}

/// The same with every bit of the processor's state: masks, the kernel's level
/// and its stack, 32-bit code.
pub(crate) fn set_all_flags(context: usize) {
    // SAFETY: as above.
    unsafe { machine_context(context) }.pstate = u64::MAX;
}

/// What the frame tells of a fault: the syndrome's class, whether it was a
/// store, and whether it was about a page; what of a page, and of which level of
/// the tables, is each kernel's own affair.
pub(crate) fn told(context: usize) -> String {
    const RECORDS: usize = 464;
    const SYNDROME: u64 = 16 << 32 | 0x4553_5201;
    let mut at = context + RECORDS;
    loop {
        // SAFETY: handlers are given a pointer to their frame's context, in which
        // the kernel wrote records, each with its kind and length, and an empty one.
        let record = unsafe { *core::ptr::with_exposed_provenance::<[u64; 2]>(at) };
        match record {
            [0, _] => return "no syndrome".to_owned(),
            [SYNDROME, syndrome] => {
                return format!(
                    "class {:#x} store {} of a page {}",
                    syndrome >> 26 & 0x3f,
                    syndrome >> 6 & 1,
                    (1..=3).contains(&(syndrome >> 2 & 15))
                );
            }
            [head, _] => at += (head >> 32) as usize,
        }
    }
}

/// # Safety
/// `context` is a handler's third argument.
unsafe fn machine_context<'a>(context: usize) -> &'a mut libc::mcontext_t {
    let context = core::ptr::with_exposed_provenance_mut::<libc::ucontext_t>(context);
    // SAFETY: the caller's promise.
    unsafe { &mut (*context).uc_mcontext }
}

/// Goes into a section of `area` that has no end, and comes back when the
/// kernel aborted it. The mark in front of the abort address is
/// [`RSEQ_SIGNATURE`], a breakpoint that is never executed.
pub(crate) fn spin_in_section(area: &mut RseqArea) {
    let at = area.words.as_mut_ptr();
    // SAFETY: stores to the area's third and fourth words, then loops until the
    // kernel moves the instruction pointer to `4:`, with all registers as they
    // are; the structure that is named is in this program's data.
    unsafe {
        asm!(
            "adrp {scratch}, 7f",
            "add {scratch}, {scratch}, :lo12:7f",
            "str {scratch}, [{area}, #8]",
            "2: yield",
            "b 2b",
            "3: .inst 0xd428bc00",
            "4:",
            ".pushsection .data.rel.ro.abi_test_rseq, \"aw\", @progbits",
            ".balign 32",
            "7: .long 0, 0",
            ".quad 2b",
            ".quad 3b - 2b",
            ".quad 4b",
            ".popsection",
            area = in(reg) at,
            scratch = out(reg) _,
        );
    }
}

/// `clone` with a stack for the child, which calls `body` and ends. (musl's own
/// makes no threads.)
pub(crate) fn clone_on_stack(
    flags: i32,
    top: *mut u64,
    [parent_tid, child_tid]: [&mut i32; 2],
    body: extern "C" fn(*mut libc::c_void) -> i32,
) -> Ret {
    let answer: i64;
    // SAFETY: the stack and the words outlive the child (every case joins it
    // before they go), and the body touches only atomics and system calls; the
    // child never gets out of this block.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "blr x9",
            "mov x8, #{exit}",
            "svc #0",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("x0") i64::from(flags) => answer,
            in("x1") top.addr() & !15,
            in("x2") parent_tid,
            in("x3") 0,
            in("x4") child_tid,
            in("x8") libc::SYS_clone,
            in("x9") body,
        );
    }
    if answer < 0 {
        // CAST: a number of an error.
        Err(Errno(-answer as i32))
    } else {
        Ok(answer)
    }
}
