//! The ways into the kernel and out of it, in assembly.
//!
//! # User mode
//! [`enter`] saves the kernel's stack pointer (in `PerCpu::kernel_stack`),
//! loads a program's registers and goes. Every trap from user mode saves the
//! program's registers to where `PerCpu::registers` points and *returns from
//! `enter`*. To the compiler it is one assembly block that changes every
//! register, so what to save is its choice, and a loop that enters again and
//! again saves nothing in between.
//!
//! On the way it tells other processors that user memory is not used any more
//! ([`presence`](crate::memory::presence)): a plain store, for this machine's
//! stores are seen in order.
//!
//! - The system call instruction: the registers are stored one by one.
//! - An exception or interrupt: `TSS.rsp0` is the end of the same
//!   `Registers`, so the processor pushes the return frame right there and the
//!   stub the rest.
//!
//! # Kernel mode
//! An exception or interrupt in kernel mode pushes a `Registers` on the
//! current stack and calls `fault::kernel_trap`.
//!
//! # Three that may come anywhere
//! NMI, double fault and machine check have stacks of their own and may arrive
//! between a mode switch and its `swapgs`. Their stub looks at the GS base
//! itself: the kernel's is negative, a program's never is.
//!
//! # Which GS base it is, ahead of time
//! Where a comparison says whether there is a `swapgs`, a processor that guesses
//! it wrongly goes on with the other base: the program's, which the program
//! chose. An `lfence` on either side of the comparison, before anything is found
//! through GS, waits until it is decided (CVE-2019-1125). The system call's entry
//! has nothing to compare and needs none; where CR3 is written in between, that
//! waits as well (`apart/entry.rs`).
//!
//! # Programs on tables of their own
//! Where the processor needs that, other code comes before and behind this
//! (`apart/entry.rs`): the first instructions of `ochre_trap` and of the two
//! ways out are jumps there then. `.text.ochre_trap` is executed in another
//! place then, too, so it refers to nothing outside by its distance; but for
//! the stub of the three above, which then is not used.
//!
//! # Why `sysretq` is safe
//! With a non-canonical return address `sysretq` faults in kernel mode on the
//! program's stack. `context.rs` enters with canonical addresses only, and the
//! `iretq` path takes everything that did not come by the system call
//! instruction. Should `iretq` fault all the same, the stub turns that into a
//! protection fault of the program.

use super::percpu::{KERNEL_STACK, KERNEL_TRAP, MODE, REGISTERS, SCRATCH};
use super::registers::{
    Registers, USER_CODE, USER_DATA, VIA_SYSCALL, load_registers, push_registers,
};
use crate::memory::presence::KERNEL;
use core::mem::offset_of;

/// Bytes from one stub to the next.
const STUB_BYTES: u64 = 16;

/// Vectors for which the processor pushes an error code.
const WITH_ERROR_CODE: u64 = 1 << 8
    | 1 << 10
    | 1 << 11
    | 1 << 12
    | 1 << 13
    | 1 << 14
    | 1 << 17
    | 1 << 21
    | 1 << 29
    | 1 << 30;

/// Vectors with a stack of their own.
const PARANOID: u64 = 1 << 2 | 1 << 8 | 1 << 18;

unsafe extern "C" {
    /// The stubs, one per vector, [`STUB_BYTES`] apart.
    safe static ochre_trap_stubs: u8;
    /// The system call instruction's target.
    safe static ochre_syscall_entry: u8;
    /// Loads the registers after a system call.
    fn ochre_enter_by_sysret();
    /// Loads any registers.
    fn ochre_enter_by_iret();
}

/// Enters user mode with `registers` and returns when it traps.
///
/// # Safety
/// 1. `registers` is valid for writes, and `PerCpu::registers` and `TSS.rsp0`
///    of this processor belong to it.
/// 2. Its `rip` is canonical and its flags are a program's; with `by_sysret`
///    they are as the last system call left them.
/// 3. The page table in CR3 is a space's: it has the kernel and, below, a
///    program's pages, and a view where programs have tables of their own.
#[inline(always)]
pub(super) unsafe fn enter(registers: *mut Registers, by_sysret: bool) {
    /// The block around the call, which leaves no register as it was.
    macro_rules! go {
        ($entry:path) => {
            // SAFETY: the caller's contract is that of the entry code. It
            // comes back with the stack as it was and all else changed, as
            // the operands say; `rbx` and `rbp`, which cannot be operands, are
            // saved around it.
            unsafe {
                core::arch::asm!(
                    "push rbp",
                    "push rbx",
                    "call {entry}",
                    "pop rbx",
                    "pop rbp",
                    entry = sym $entry,
                    inout("rdi") registers => _,
                    lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
                    clobber_abi("sysv64"),
                )
            }
        };
    }
    if by_sysret {
        go!(ochre_enter_by_sysret);
    } else {
        go!(ochre_enter_by_iret);
    }
}

/// The address of a vector's stub.
pub(super) fn stub(vector: u64) -> u64 {
    (&raw const ochre_trap_stubs).addr() as u64 + vector * STUB_BYTES
}

/// Where the ways out begin: the one by `sysretq`, and the one by `iretq`.
pub(super) fn ways_out() -> [u64; 2] {
    [ochre_enter_by_sysret, ochre_enter_by_iret].map(|way| (way as *const ()).addr() as u64)
}

/// The address of the system call entry.
pub(super) fn syscall_entry() -> u64 {
    (&raw const ochre_syscall_entry).addr() as u64
}

core::arch::global_asm!(
    ".pushsection .text.ochre_trap, \"ax\", @progbits",

    // One stub per vector. `push imm32` is written in bytes, since the
    // assembler would take `push symbol` for a load from memory.
    ".balign 16",
    ".global ochre_trap_stubs",
    "ochre_trap_stubs:",
    ".set ochre_vector, 0",
    ".rept 256",
    ".balign {stub_bytes}",
    ".if !((ochre_vector < 32) && ((({with_error} >> (ochre_vector & 31)) & 1) != 0))",
    "push 0",
    ".endif",
    ".byte 0x68",
    ".long ochre_vector",
    ".if (ochre_vector < 32) && ((({paranoid} >> (ochre_vector & 31)) & 1) != 0)",
    "jmp ochre_trap_paranoid",
    ".else",
    "jmp ochre_trap",
    ".endif",
    ".set ochre_vector, ochre_vector + 1",
    ".endr",

    // Stack: vector, error code, rip, cs, flags, rsp, ss.
    ".balign 16",
    ".global ochre_trap",
    "ochre_trap:",
    "test byte ptr [rsp + 24], 3",
    "jz 2f",

    // From user mode; the stack is the thread's `Registers`.
    "swapgs",
    "lfence",
    push_registers!(),
    ".global ochre_trap_from_user",
    "ochre_trap_from_user:",
    "mov dword ptr gs:[{mode}], {in_kernel}",
    "mov rsp, gs:[{kernel_stack}]",
    // The gate left the program's flags but TF and IF: direction, alignment
    // check (which would let the kernel touch user pages).
    "push 2",
    "popfq",
    "ret",

    // From kernel mode. First the one instruction that runs in kernel mode
    // with the program's GS base already in place.
    ".global ochre_trap_from_kernel",
    "ochre_trap_from_kernel:",
    "2:",
    "push rax",
    "lea rax, [rip + ochre_user_iretq]",
    "cmp [rsp + 24], rax",
    "pop rax",
    "je 4f",
    "lfence",
    push_registers!(),
    "cld",
    "mov rdi, rsp",
    // Not relative to here, which may be another place (`apart.rs`).
    "call qword ptr gs:[{kernel_trap}]",
    ".global ochre_trap_back",
    "ochre_trap_back:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rax",
    "pop rcx",
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "add rsp, 16",
    "iretq",

    // The way out refused the program's state: its registers are still in the
    // context; say that it made a protection fault.
    "4:",
    ".global ochre_trap_refused",
    "ochre_trap_refused:",
    "swapgs",
    "lfence",
    "mov rax, gs:[{registers}]",
    "mov qword ptr [rax + {vector}], 13",
    "mov qword ptr [rax + {error}], 0",
    "jmp ochre_trap_from_user",

    ".balign 16",
    ".global ochre_trap_paranoid",
    "ochre_trap_paranoid:",
    push_registers!(),
    "cld",
    "xor ebx, ebx",
    "mov ecx, 0xc0000101",
    "rdmsr",
    "test edx, edx",
    "js 6f",
    "swapgs",
    "inc ebx",
    "6:",
    "lfence",
    "mov rdi, rsp",
    "call {paranoid_trap}",
    "test ebx, ebx",
    "jz ochre_trap_back",
    "swapgs",
    "jmp ochre_trap_back",

    // rcx = return address, r11 = flags: `Registers::rip` and `rflags`, and
    // nowhere else. The order of the stores is the order of the structure.
    ".balign 16",
    ".global ochre_syscall_entry",
    "ochre_syscall_entry:",
    "swapgs",
    ".global ochre_after_system_call",
    "ochre_after_system_call:",
    "mov gs:[{scratch}], rsp",
    "mov rsp, gs:[{registers}]",
    "mov [rsp + {r15}], r15",
    "mov [rsp + {r14}], r14",
    "mov [rsp + {r13}], r13",
    "mov [rsp + {r12}], r12",
    "mov [rsp + {rbp}], rbp",
    "mov [rsp + {rbx}], rbx",
    "mov [rsp + {r10}], r10",
    "mov [rsp + {r9}], r9",
    "mov [rsp + {r8}], r8",
    "mov [rsp + {rax}], rax",
    "mov [rsp + {rdx}], rdx",
    "mov [rsp + {rsi}], rsi",
    "mov [rsp + {rdi}], rdi",
    "mov qword ptr [rsp + {vector}], {via_syscall}",
    "mov [rsp + {error}], rax",
    "mov [rsp + {rip}], rcx",
    "mov [rsp + {rflags}], r11",
    "mov rax, gs:[{scratch}]",
    "mov [rsp + {rsp}], rax",
    "mov dword ptr gs:[{mode}], {in_kernel}",
    "mov rsp, gs:[{kernel_stack}]",
    "ret",

    // rdi = the registers, in both. Back to after a system call.
    ".balign 16",
    ".global ochre_enter_by_sysret",
    ".type ochre_enter_by_sysret, @function",
    "ochre_enter_by_sysret:",
    "mov gs:[{kernel_stack}], rsp",
    load_registers!(),
    "mov rcx, [rdi + {rip}]",
    "mov r11, [rdi + {rflags}]",
    "mov rsp, [rdi + {rsp}]",
    "mov rdi, [rdi + {rdi}]",
    "swapgs",
    "sysretq",
    ".size ochre_enter_by_sysret, . - ochre_enter_by_sysret",

    // To any state.
    ".balign 16",
    ".global ochre_enter_by_iret",
    ".type ochre_enter_by_iret, @function",
    "ochre_enter_by_iret:",
    "mov gs:[{kernel_stack}], rsp",
    "push {user_data}",
    "push [rdi + {rsp}]",
    "push [rdi + {rflags}]",
    "push {user_code}",
    "push [rdi + {rip}]",
    load_registers!(),
    "mov r11, [rdi + {r11}]",
    "mov rcx, [rdi + {rcx}]",
    "mov rdi, [rdi + {rdi}]",
    "swapgs",
    "ochre_user_iretq:",
    "iretq",
    ".size ochre_enter_by_iret, . - ochre_enter_by_iret",
    ".popsection",
    stub_bytes = const STUB_BYTES,
    with_error = const WITH_ERROR_CODE,
    paranoid = const PARANOID,
    kernel_stack = const KERNEL_STACK,
    registers = const REGISTERS,
    scratch = const SCRATCH,
    mode = const MODE,
    in_kernel = const KERNEL,
    via_syscall = const VIA_SYSCALL,
    user_data = const USER_DATA,
    user_code = const USER_CODE,
    kernel_trap = const KERNEL_TRAP,
    paranoid_trap = sym super::fault::paranoid_trap,
    r15 = const offset_of!(Registers, r15),
    r14 = const offset_of!(Registers, r14),
    r13 = const offset_of!(Registers, r13),
    r12 = const offset_of!(Registers, r12),
    rbp = const offset_of!(Registers, rbp),
    rbx = const offset_of!(Registers, rbx),
    r11 = const offset_of!(Registers, r11),
    r10 = const offset_of!(Registers, r10),
    r9 = const offset_of!(Registers, r9),
    r8 = const offset_of!(Registers, r8),
    rax = const offset_of!(Registers, rax),
    rcx = const offset_of!(Registers, rcx),
    rdx = const offset_of!(Registers, rdx),
    rsi = const offset_of!(Registers, rsi),
    rdi = const offset_of!(Registers, rdi),
    vector = const offset_of!(Registers, vector),
    error = const offset_of!(Registers, error),
    rip = const offset_of!(Registers, rip),
    rflags = const offset_of!(Registers, rflags),
    rsp = const offset_of!(Registers, rsp),
);
