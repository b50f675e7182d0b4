//! x86_64: every call has a number of its own.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use super::{Fault, Way};
use crate::errno::Errno;
use crate::sys::{self, NONCANONICAL, Ret, RseqArea};

/// The calls' numbers.
pub(crate) mod numbers {
    pub(crate) use libc::*;
}

/// Whether Linux ends programs' addresses where Ochre does.
pub(crate) const ENDS_AT_47_BITS: bool = true;

/// Whether this program is built to be anywhere.
pub(crate) const IS_ANYWHERE: bool = true;

/// The call that sets the base registers, `arch_prctl`.
pub(crate) const SET_BASE: Option<i64> = Some(libc::SYS_arch_prctl);

/// In front of an address where `rseq` goes on (`RSEQ_SIG`).
pub(crate) const RSEQ_SIGNATURE: u32 = 0x5305_3053;

/// `mov eax, 39; syscall`: asks for the process's number.
pub(crate) const A_CALL: &[u8] = &[0xb8, 39, 0, 0, 0, 0x0f, 0x05];

/// The vDSO's functions that tell the time.
pub(crate) const VDSO_TIMES: [&str; 2] = ["__vdso_clock_gettime", "__vdso_gettimeofday"];

/// The other ones.
pub(crate) const VDSO_OTHERS: [&str; 2] = ["__vdso_time", "__vdso_getcpu"];

/// What conditions and switches a program can set itself, those that matter to
/// a compiler among them: carry and overflow, sign and zero, the direction of
/// strings, and all of them.
pub(crate) const STATES: [u64; 6] = [0, 0x801, 0xc0, 0x400, 0x1_0000, 0x1_0cd5];

/// What the last handler found.
static ENTERED: AtomicU64 = AtomicU64::new(0);

/// The state that a handler begins with, and goes on to tell.
#[unsafe(naked)]
extern "C" fn entered(_: i32, _: &libc::siginfo_t, _: usize) {
    naked_asm!("pushfq", "pop rcx", "jmp {}", sym tell)
}

extern "C" fn tell(_: i32, _: &libc::siginfo_t, _: usize, state: u64) {
    ENTERED.store(state & STATES[5], Ordering::Relaxed);
}

/// Traps with a state: what the handler has of it, and what is there after it.
pub(crate) fn trapped_with(state: u64) -> (u64, u64) {
    sys::on_signal(libc::SIGTRAP, 0, entered);
    let after: u64;
    // SAFETY: sets and reads what a program may, and sets back what matters to
    // the compiler; the breakpoint leads to the handler, and behind it.
    unsafe {
        asm!(
            "push {state}",
            "popfq",
            "int3",
            "pushfq",
            "pop {state}",
            "cld",
            state = inout(reg) state | 0x202 => after,
        )
    }
    (ENTERED.load(Ordering::Relaxed), after & STATES[5])
}

/// Whether there are landing pads, keys and addresses with tags.
pub(crate) const HAS_MARKS: bool = false;

/// Calls what is at `target`, the only way that is tried here.
pub(crate) fn come(_: Way, target: usize, _: usize) -> u64 {
    sys::jump(target)
}

/// Nothing: no case gets there.
pub(crate) fn return_to_landing(_: usize) {}

/// Nothing: no case gets there.
pub(crate) fn arrival(_: usize) -> u64 {
    0
}

/// The address as it is.
pub(crate) fn sign(address: u64) -> u64 {
    address
}

/// Makes a call.
pub(crate) fn call(nr: i64, words: [usize; 6]) -> Ret {
    sys::direct(nr, words)
}

/// Executes an instruction that faults by design.
pub(crate) fn fault(fault: Fault) {
    match fault {
        Fault::Illegal => {
            // SAFETY: traps before it changes anything.
            unsafe { asm!("ud2") }
        }
        Fault::Privileged => {
            // SAFETY: not allowed in user mode, so it traps.
            unsafe { asm!("hlt") }
        }
        Fault::Breakpoint => {
            // SAFETY: traps, changes nothing.
            unsafe { asm!("int3") }
        }
        Fault::Divide => {
            // SAFETY: traps; would change only the registers it names.
            unsafe {
                asm!(
                    "div {zero:e}",
                    zero = in(reg) 0_u32,
                    inout("eax") 1_u32 => _,
                    inout("edx") 0_u32 => _,
                );
            }
        }
        Fault::InterruptsOff => {
            // SAFETY: not allowed in user mode, so it traps.
            unsafe { asm!("cli") }
        }
        Fault::NonCanonical => {
            // SAFETY: the load traps; would change only the register it names.
            unsafe {
                asm!(
                    "mov {byte}, byte ptr [{addr}]",
                    byte = out(reg_byte) _,
                    addr = in(reg) NONCANONICAL,
                );
            }
        }
    }
}

/// What the program goes on with when the handler, which got `context` as its
/// third argument, returns: at `target`.
pub(crate) fn set_return(context: usize, target: u64) {
    set_register(context, libc::REG_RCX, target.cast_signed());
    set_register(context, libc::REG_RIP, target.cast_signed());
}

/// The same with every bit of the processor's state: rights to ports, virtual
/// interrupts, nested tasks.
pub(crate) fn set_all_flags(context: usize) {
    set_register(context, libc::REG_EFL, 0x3d_7000 | 0x202);
}

/// The key of an object of System V, which each C library calls otherwise.
pub(crate) fn key(permissions: &libc::ipc_perm) -> i32 {
    permissions.__key
}

/// Where the program was interrupted.
pub(crate) fn instruction(context: usize) -> u64 {
    register(context, libc::REG_RIP).cast_unsigned()
}

/// The number of the call that it was about to make.
pub(crate) fn call_number(context: usize) -> i64 {
    *register(context, libc::REG_RAX)
}

/// What the call is to answer instead.
pub(crate) fn set_answer(context: usize, value: i64) {
    set_register(context, libc::REG_RAX, value);
}

fn set_register(context: usize, register_number: i32, value: i64) {
    *register(context, register_number) = value;
}

/// What the frame tells of a fault: its number and the error code.
pub(crate) fn told(context: usize) -> String {
    let number = *register(context, libc::REG_TRAPNO);
    let code = *register(context, libc::REG_ERR);
    format!("number {number} code {code:#x}")
}

fn register<'a>(context: usize, register: i32) -> &'a mut i64 {
    let context = core::ptr::with_exposed_provenance_mut::<libc::ucontext_t>(context);
    // SAFETY: handlers are given a pointer to their frame's context, which is
    // theirs to change.
    let context = unsafe { &mut *context };
    &mut context.uc_mcontext.gregs[register as usize]
}

/// Goes into a section of `area` that has no end, and comes back when the
/// kernel aborted it. The mark in front of the abort address is
/// [`RSEQ_SIGNATURE`], and part of an instruction that is never executed.
pub(crate) fn spin_in_section(area: &mut RseqArea) {
    let at = area.words.as_mut_ptr();
    // SAFETY: stores to the area's third and fourth words, then loops until the
    // kernel moves the instruction pointer to `4:`, with all registers as they
    // are; the structure that is named is in this program's data.
    unsafe {
        asm!(
            "lea {scratch}, [rip + 7f]",
            "mov [{area} + 8], {scratch}",
            "2: pause",
            "jmp 2b",
            "3: .byte 0x0f, 0xb9, 0x3d",
            ".long 0x53053053",
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

/// `clone` with a stack for the child, which calls `body` and ends.
pub(crate) fn clone_on_stack(
    flags: i32,
    top: *mut u64,
    [parent_tid, child_tid]: [&mut i32; 2],
    body: extern "C" fn(*mut libc::c_void) -> i32,
) -> Ret {
    let parent_tid = core::ptr::from_mut(parent_tid);
    let child_tid = core::ptr::from_mut(child_tid);
    // SAFETY: the stack and the words outlive the child (every case joins it
    // before they go), and the body touches only atomics and system calls.
    let answer = unsafe {
        libc::clone(
            body,
            top.cast(),
            flags,
            core::ptr::null_mut(),
            parent_tid,
            core::ptr::null_mut::<libc::c_void>(),
            child_tid,
        )
    };
    if answer == -1 {
        Err(Errno::last())
    } else {
        Ok(i64::from(answer))
    }
}
