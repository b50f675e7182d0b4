//! The ways into the kernel and out of it, in assembly.
//!
//! # User mode
//! [`enter`] saves the kernel's stack pointer (in `PerCpu::kernel_stack`),
//! makes `SP_EL1` point to a thread's registers, loads them and goes. Every
//! exception from user mode saves the registers there and *returns from
//! `enter`*. To the compiler it is one assembly block that changes every
//! register, so what to save is its choice, and a loop that enters again and
//! again saves nothing in between.
//!
//! On the way it tells other processors that user memory is not used any more
//! ([`presence`](crate::memory::presence)), by a store that comes after all
//! that the program did.
//!
//! # Kernel mode
//! The kernel runs on `SP_EL0`; an exception in it switches to `SP_EL1`, which
//! is the processor's exception stack, pushes a `Registers` there and calls
//! `fault::kernel_trap`. The same again where that faults (a report may).
//!
//! # Sixteen vectors
//! | group | is |
//! |---|---|
//! | current level, `SP_EL0` | an exception of the kernel |
//! | current level, `SP_EL1` | an exception while one of the kernel was handled |
//! | lower level, 64 bits | a program's |
//! | lower level, 32 bits | nobody's: no program gets there |

use core::mem::offset_of;

use crate::memory::presence::KERNEL;

use super::percpu::{EXCEPTION_STACK, KERNEL_STACK, MODE};
use super::registers::{Registers, kind};

unsafe extern "C" {
    /// The sixteen vectors.
    safe static ochre_vectors: u8;
    /// Loads any registers.
    fn ochre_enter_user();
}

/// Enters user mode with `registers` and returns when it traps.
///
/// # Safety
/// 1. `registers` is valid for writes and nobody else's, and their state is a
///    program's (`sanitize_state`).
/// 2. The lower half of the address space is a program's.
#[inline(always)]
pub(super) unsafe fn enter(registers: *mut Registers) {
    // SAFETY: the caller's contract is that of the entry code. It comes back
    // with the stack as it was and all else changed, as the operands say;
    // `x18`, `x19` and the frame pointer, which cannot be operands, are saved there.
    unsafe {
        core::arch::asm!(
            "bl {entry}",
            entry = sym ochre_enter_user,
            inout("x0") registers => _,
            lateout("x20") _, lateout("x21") _, lateout("x22") _, lateout("x23") _,
            lateout("x24") _, lateout("x25") _, lateout("x26") _, lateout("x27") _,
            lateout("x28") _,
            clobber_abi("C"),
        )
    }
}

/// The address of the vectors.
pub(super) fn vectors() -> u64 {
    (&raw const ochre_vectors).addr() as u64
}

core::arch::global_asm!(
    ".pushsection .text.ochre_trap, \"ax\", %progbits",

    // An exception of the kernel: room for the registers, and on.
    ".macro ochre_kernel_vector kind",
    ".balign 128",
    "sub sp, sp, #{size}",
    "stp x0, x1, [sp]",
    "mov x0, #\\kind",
    "b ochre_kernel_trap",
    ".endm",

    // A program's: the stack pointer is its registers.
    ".macro ochre_user_vector kind",
    ".balign 128",
    "stp x0, x1, [sp]",
    "mov x0, #\\kind",
    "b ochre_user_trap",
    ".endm",

    ".balign 2048",
    ".global ochre_vectors",
    "ochre_vectors:",
    "ochre_kernel_vector {synchronous}",
    "ochre_kernel_vector {interrupt}",
    "ochre_kernel_vector {fast}",
    "ochre_kernel_vector {error}",
    "ochre_kernel_vector ({nested} + {synchronous})",
    "ochre_kernel_vector ({nested} + {interrupt})",
    "ochre_kernel_vector ({nested} + {fast})",
    "ochre_kernel_vector ({nested} + {error})",
    "ochre_user_vector {synchronous}",
    "ochre_user_vector {interrupt}",
    "ochre_user_vector {fast}",
    "ochre_user_vector {error}",
    "ochre_user_vector {synchronous}",
    "ochre_user_vector {interrupt}",
    "ochre_user_vector {fast}",
    "ochre_user_vector {error}",
    ".balign 128",

    ".macro ochre_save",
    "stp x2, x3, [sp, #2 * 8]",
    "stp x4, x5, [sp, #4 * 8]",
    "stp x6, x7, [sp, #6 * 8]",
    "stp x8, x9, [sp, #8 * 8]",
    "stp x10, x11, [sp, #10 * 8]",
    "stp x12, x13, [sp, #12 * 8]",
    "stp x14, x15, [sp, #14 * 8]",
    "stp x16, x17, [sp, #16 * 8]",
    "stp x18, x19, [sp, #18 * 8]",
    "stp x20, x21, [sp, #20 * 8]",
    "stp x22, x23, [sp, #22 * 8]",
    "stp x24, x25, [sp, #24 * 8]",
    "stp x26, x27, [sp, #26 * 8]",
    "stp x28, x29, [sp, #28 * 8]",
    "mrs x1, sp_el0",
    "stp x30, x1, [sp, #30 * 8]",
    "mrs x2, elr_el1",
    "mrs x3, spsr_el1",
    "stp x2, x3, [sp, #{pc}]",
    "mrs x4, esr_el1",
    "stp x0, x4, [sp, #{kind}]",
    "mrs x5, far_el1",
    "str x5, [sp, #{address}]",
    ".endm",

    ".macro ochre_load",
    "ldp x2, x3, [sp, #{pc}]",
    "msr elr_el1, x2",
    "msr spsr_el1, x3",
    "ldp x30, x1, [sp, #30 * 8]",
    "msr sp_el0, x1",
    "ldp x0, x1, [sp]",
    "ldp x2, x3, [sp, #2 * 8]",
    "ldp x4, x5, [sp, #4 * 8]",
    "ldp x6, x7, [sp, #6 * 8]",
    "ldp x8, x9, [sp, #8 * 8]",
    "ldp x10, x11, [sp, #10 * 8]",
    "ldp x12, x13, [sp, #12 * 8]",
    "ldp x14, x15, [sp, #14 * 8]",
    "ldp x16, x17, [sp, #16 * 8]",
    "ldp x18, x19, [sp, #18 * 8]",
    "ldp x20, x21, [sp, #20 * 8]",
    "ldp x22, x23, [sp, #22 * 8]",
    "ldp x24, x25, [sp, #24 * 8]",
    "ldp x26, x27, [sp, #26 * 8]",
    "ldp x28, x29, [sp, #28 * 8]",
    ".endm",

    "ochre_kernel_trap:",
    "ochre_save",
    "mov x0, sp",
    "bl {kernel_trap}",
    "ochre_load",
    "add sp, sp, #{size}",
    "eret",

    "ochre_user_trap:",
    "ochre_save",
    "ldr x6, [sp]",
    "str x6, [sp, #{first}]",
    "mrs x1, tpidr_el1",
    "mov w2, #{in_kernel}",
    "add x3, x1, #{mode}",
    "stlr w2, [x3]",
    // From here on an exception is the kernel's own.
    "ldr x2, [x1, #{exception_stack}]",
    "mov sp, x2",
    "ldr x2, [x1, #{kernel_stack}]",
    "msr spsel, #0",
    "mov sp, x2",
    "ldp x18, x19, [sp, #16]",
    "ldp x29, x30, [sp], #32",
    "ret",

    // x0 = the registers.
    ".balign 16",
    ".global ochre_enter_user",
    ".type ochre_enter_user, %function",
    "ochre_enter_user:",
    "stp x29, x30, [sp, #-32]!",
    "stp x18, x19, [sp, #16]",
    "mrs x1, tpidr_el1",
    "mov x2, sp",
    "str x2, [x1, #{kernel_stack}]",
    "msr spsel, #1",
    "mov sp, x0",
    "ochre_load",
    "eret",
    ".size ochre_enter_user, . - ochre_enter_user",
    ".popsection",
    size = const size_of::<Registers>(),
    pc = const offset_of!(Registers, pc),
    kind = const offset_of!(Registers, kind),
    address = const offset_of!(Registers, address),
    first = const offset_of!(Registers, first),
    synchronous = const kind::SYNCHRONOUS,
    interrupt = const kind::INTERRUPT,
    fast = const kind::FAST,
    error = const kind::ERROR,
    nested = const kind::NESTED,
    in_kernel = const KERNEL,
    mode = const MODE,
    kernel_stack = const KERNEL_STACK,
    exception_stack = const EXCEPTION_STACK,
    kernel_trap = sym super::fault::kernel_trap,
);
