//! The ways in and out where programs have tables of their own, in assembly.
//!
//! # What is where
//! The code that runs with a program's tables is in the first two pages of the
//! image (`kernel.ld`), which the window shows again ([`apart`](super)): it
//! refers to nothing outside of them but by addresses relative to itself, to
//! the [`Own`] page behind it, or through GS once the kernel's tables are
//! there. It is executed in the window only. On the way out, the code before
//! that knows where the direct map is, so it is elsewhere in the image.
//!
//! # The words
//! [`Own::left`] is the root that the kernel had when it left for user mode:
//! the way out writes it, and reads the program's root from that table's entry
//! [`VIEW`]; the ways in load it. So whatever space the kernel makes active,
//! nothing else needs to be told.
//!
//! # The ways in
//! - The system call instruction comes to its processor's own copy of the
//!   code, which finds the `Own` page at a fixed distance.
//! - Traps push to [`Own::traps`]; what was pushed there moves on to the
//!   program's `Registers`.
//! - NMI, double fault and machine check may come with either of the tables
//!   and either of the GS bases, in the midst of these lines too. They keep CR3,
//!   go to the kernel's own root and their large stack, and put CR3 back.
//!   Back to the kernel they go from the large stack; elsewhere from the small
//!   one, which either of the tables has. What they found of the kernel's
//!   registers does not stay in the page that programs may look at.
//!
//! An exception in the kernel comes to the kernel's code as ever, with one
//! exception: that of the `iretq` which goes to user mode, which comes with the
//! program's tables.

use core::mem::offset_of;

use super::super::layout::KERNEL_HALF;
use super::super::percpu::{APART, INTERRUPT_STACKS, KERNEL_STACK, REGISTERS};
use super::super::registers::{Registers, USER_CODE, USER_DATA, load_registers};
use super::super::trap;
use super::{Apart, OWN, Own, Pushed, VIEW};

unsafe extern "C" {
    safe static ochre_trap: u8;
    safe static ochre_trap_apart: u8;
    safe static ochre_enter_by_sysret_apart: u8;
    safe static ochre_enter_by_iret_apart: u8;
    safe static ochre_leave_by_sysret: u8;
    safe static ochre_leave_by_iret: u8;
    safe static ochre_syscall_apart: u8;
    safe static ochre_double_fault_apart: u8;
    safe static ochre_nmi_apart: u8;
    safe static ochre_machine_check_apart: u8;
    /// The system call entry, behind its `swapgs`.
    fn ochre_after_system_call();
}

fn address(label: &u8) -> u64 {
    core::ptr::from_ref(label).addr() as u64
}

/// Code whose first instruction, of at least five bytes, is to be a jump; and
/// where to.
pub(super) fn detours() -> [[u64; 2]; 3] {
    let [by_sysret, by_iret] = trap::ways_out();
    [
        [address(&ochre_trap), address(&ochre_trap_apart)],
        [by_sysret, address(&ochre_enter_by_sysret_apart)],
        [by_iret, address(&ochre_enter_by_iret_apart)],
    ]
}

/// The stubs of those that may come anywhere, by vector, in the image.
pub(super) fn paranoid() -> [(u64, u64); 3] {
    [
        (8, address(&ochre_double_fault_apart)),
        (2, address(&ochre_nmi_apart)),
        (18, address(&ochre_machine_check_apart)),
    ]
}

/// The last steps out, by `sysretq` and by `iretq`, in the image.
pub(super) fn ways_out() -> [u64; 2] {
    [
        address(&ochre_leave_by_sysret),
        address(&ochre_leave_by_iret),
    ]
}

/// The system call instruction's target, in the image.
pub(super) fn syscall() -> u64 {
    address(&ochre_syscall_apart)
}

/// Where the system call entry goes on.
pub(super) const fn after_system_call() -> unsafe extern "C" fn() {
    ochre_after_system_call
}

core::arch::global_asm!(
    // Shown to programs, and executed in the window only.
    ".pushsection .text.ochre_trap_apart, \"ax\", @progbits",

    // From user mode, with the program's tables and stack; no register is free.
    ".balign 16",
    ".global ochre_syscall_apart",
    "ochre_syscall_apart:",
    // The kernel's GS base; what is there is not mapped yet.
    "swapgs",
    // The stack pointer makes room for CR3.
    "mov [rip + ochre_trap_stubs + {own} + {scratch}], rsp",
    "mov rsp, [rip + ochre_trap_stubs + {own} + {left}]",
    // The kernel's tables.
    "mov cr3, rsp",
    // The program's stack pointer again, as the image's code wants it.
    "mov rsp, [rip + ochre_trap_stubs + {own} + {scratch}]",
    "jmp qword ptr gs:[{after_system_call}]",

    // Instead of `ochre_trap`. Stack: vector, error code, rip, cs, flags, rsp, ss.
    ".balign 16",
    ".global ochre_trap_apart",
    "ochre_trap_apart:",
    "test byte ptr [rsp + 24], 3",
    "jz 2f",

    // From user mode, with the program's tables, on `Own::traps`.
    "swapgs",
    "push rdi",
    // The page that the stack is in has the kernel's root.
    "mov rdi, rsp",
    "and rdi, -4096",
    "mov rdi, [rdi + {left}]",
    "mov cr3, rdi",
    // The kernel's tables now: where the program's registers go to.
    "mov rdi, gs:[{registers}]",
    "mov [rdi + {r15}], r15",
    "mov [rdi + {r14}], r14",
    "mov [rdi + {r13}], r13",
    "mov [rdi + {r12}], r12",
    "mov [rdi + {rbp}], rbp",
    "mov [rdi + {rbx}], rbx",
    "mov [rdi + {r11}], r11",
    "mov [rdi + {r10}], r10",
    "mov [rdi + {r9}], r9",
    "mov [rdi + {r8}], r8",
    "mov [rdi + {rax}], rax",
    "mov [rdi + {rcx}], rcx",
    "mov [rdi + {rdx}], rdx",
    "mov [rdi + {rsi}], rsi",
    // What was pushed, in the order in which it lies there.
    "pop qword ptr [rdi + {rdi}]",
    "pop qword ptr [rdi + {vector}]",
    "pop qword ptr [rdi + {error}]",
    "pop qword ptr [rdi + {rip}]",
    "pop qword ptr [rdi + {cs}]",
    "pop qword ptr [rdi + {rflags}]",
    "pop qword ptr [rdi + {rsp}]",
    "pop qword ptr [rdi + {ss}]",
    "jmp ochre_trap_from_user",

    // From kernel mode: as ever, but for the instruction that goes to user mode.
    "2:",
    "push rax",
    "lea rax, [rip + ochre_iretq_apart]",
    "cmp [rsp + 24], rax",
    "pop rax",
    "jne ochre_trap_from_kernel",
    // It was refused, with the program's tables and GS base, on `Own::traps`.
    // All registers are in the program's `Registers` still.
    "mov rax, rsp",
    "and rax, -4096",
    "mov rax, [rax + {left}]",
    "mov cr3, rax",
    // The kernel's tables; the rest is as in the image.
    "jmp ochre_trap_refused",

    // rdi = the program's root; on `Own::traps`: rdi, rsp.
    ".balign 16",
    ".global ochre_leave_by_sysret",
    "ochre_leave_by_sysret:",
    // The program's tables.
    "mov cr3, rdi",
    "swapgs",
    "pop rdi",
    "pop rsp",
    "sysretq",

    // rdi = the program's root; on `Own::traps`: rdi, rip, cs, flags, rsp, ss.
    ".balign 16",
    ".global ochre_leave_by_iret",
    "ochre_leave_by_iret:",
    // The program's tables.
    "mov cr3, rdi",
    "swapgs",
    "pop rdi",
    "ochre_iretq_apart:",
    "iretq",

    // The three that may come anywhere: error code and vector, as the other stubs.
    ".balign 16",
    ".global ochre_double_fault_apart",
    "ochre_double_fault_apart:",
    "push 8",
    "jmp 3f",
    ".global ochre_nmi_apart",
    "ochre_nmi_apart:",
    "push 0",
    "push 2",
    "jmp 3f",
    ".global ochre_machine_check_apart",
    "ochre_machine_check_apart:",
    "push 0",
    "push 18",
    // On one of `Own::interrupts`.
    "3:",
    "push rax",
    "push rcx",
    "push rdx",
    "push rbx",
    "push r12",
    "push r13",
    "cld",
    // r13 = the small stack, from here on: r13, r12, rbx, rdx, rcx, rax (40),
    // vector (48), error code (56), rip (64), cs, flags, rsp (88), ss (96).
    "mov r13, rsp",
    // r12 = the tables that it came with.
    "mov r12, cr3",
    // The kernel's own root, whichever was there.
    "mov rax, rsp",
    "and rax, -4096",
    "mov rax, [rax + {home}]",
    "mov cr3, rax",
    // rbx = whether GS was the program's. The kernel's base is negative.
    "xor ebx, ebx",
    "mov ecx, 0xc0000101",
    "rdmsr",
    "test edx, edx",
    "js 4f",
    "swapgs",
    "inc ebx",
    // Not before it is decided which base it is.
    "4:",
    "lfence",
    // The large stack of this vector.
    "mov rsp, gs:[{stacks}]",
    "cmp qword ptr [r13 + 48], 8",
    "je 5f",
    "mov rsp, gs:[{stacks} + 8]",
    "cmp qword ptr [r13 + 48], 2",
    "je 5f",
    "mov rsp, gs:[{stacks} + 16]",
    // A `Registers` there: what the processor and the stub pushed, ..
    "5:",
    "push [r13 + 96]",
    "push [r13 + 88]",
    "push [r13 + 80]",
    "push [r13 + 72]",
    "push [r13 + 64]",
    "push [r13 + 56]",
    "push [r13 + 48]",
    // .. and what was in the registers.
    "push rdi",
    "push rsi",
    "push [r13 + 24]",
    "push [r13 + 32]",
    "push [r13 + 40]",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "push [r13 + 16]",
    "push rbp",
    "push [r13 + 8]",
    "push [r13]",
    "push r14",
    "push r15",
    // Nothing of the kernel's stays where programs may look.
    "xor eax, eax",
    "mov [r13], rax",
    "mov [r13 + 8], rax",
    "mov [r13 + 16], rax",
    "mov [r13 + 24], rax",
    "mov [r13 + 32], rax",
    "mov [r13 + 40], rax",
    "mov [r13 + 64], rax",
    "mov [r13 + 88], rax",
    "mov rdi, rsp",
    "call qword ptr gs:[{paranoid_trap}]",
    "test ebx, ebx",
    "jz 6f",
    "swapgs",
    // Back to the kernel outside of the window, from here: its tables were in use.
    "6:",
    "test byte ptr [rsp + {cs}], 3",
    "jnz 7f",
    "lea rax, [rip + ochre_trap_stubs]",
    "xor rax, [rsp + {rip}]",
    "shr rax, 39",
    "jz 7f",
    "mov cr3, r12",
    "jmp ochre_trap_back",
    // Else from the small stack: r13, rax (in the places of vector and error
    // code), rip, cs, flags, rsp, ss.
    "7:",
    "mov rax, [rsp + {ss}]",
    "mov [r13 + 96], rax",
    "mov rax, [rsp + {rsp}]",
    "mov [r13 + 88], rax",
    "mov rax, [rsp + {rflags}]",
    "mov [r13 + 80], rax",
    "mov rax, [rsp + {cs}]",
    "mov [r13 + 72], rax",
    "mov rax, [rsp + {rip}]",
    "mov [r13 + 64], rax",
    "mov rax, [rsp + {rax}]",
    "mov [r13 + 56], rax",
    "mov rax, [rsp + {r13}]",
    "mov [r13 + 48], rax",
    // rax = the tables to go back to.
    "mov rax, r12",
    "pop r15",
    "pop r14",
    // r13 still has the small stack.
    "add rsp, 8",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    // So does rax have the tables.
    "add rsp, 8",
    "pop rcx",
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "lea rsp, [r13 + 48]",
    "mov cr3, rax",
    "pop r13",
    "pop rax",
    "iretq",
    ".popsection",

    // Not shown: knows the direct map.
    ".pushsection .text.ochre_enter_apart, \"ax\", @progbits",

    // Instead of the ones without `_apart`. rdi = the registers, in both.
    ".balign 16",
    ".global ochre_enter_by_sysret_apart",
    "ochre_enter_by_sysret_apart:",
    "mov gs:[{kernel_stack}], rsp",
    "mov rsp, gs:[{stack}]",
    // The ways in will want the root that is left.
    "mov rax, cr3",
    "mov [rsp - {left_below}], rax",
    // The root's table, in the direct map: `layout::direct_map` says how this
    // number comes to be the right one.
    "2: movabs rcx, {linked}",
    ".pushsection .ochre_bases, \"a\"",
    ".long 2b + 2 - .",
    ".popsection",
    // The words that are loaded last, and the program's root.
    "push [rdi + {rsp}]",
    "push [rdi + {rdi}]",
    "push [rcx + rax + {view}]",
    load_registers!(),
    "mov rcx, [rdi + {rip}]",
    "mov r11, [rdi + {rflags}]",
    "pop rdi",
    "jmp qword ptr gs:[{by_sysret}]",

    ".balign 16",
    ".global ochre_enter_by_iret_apart",
    "ochre_enter_by_iret_apart:",
    "mov gs:[{kernel_stack}], rsp",
    "mov rsp, gs:[{stack}]",
    // As above.
    "mov rax, cr3",
    "mov [rsp - {left_below}], rax",
    "2: movabs rcx, {linked}",
    ".pushsection .ochre_bases, \"a\"",
    ".long 2b + 2 - .",
    ".popsection",
    // What `iretq` takes.
    "push {user_data}",
    "push [rdi + {rsp}]",
    "push [rdi + {rflags}]",
    "push {user_code}",
    "push [rdi + {rip}]",
    // What is loaded last, and the program's root.
    "push [rdi + {rdi}]",
    "push [rcx + rax + {view}]",
    load_registers!(),
    "mov r11, [rdi + {r11}]",
    "mov rcx, [rdi + {rcx}]",
    "pop rdi",
    "jmp qword ptr gs:[{by_iret}]",
    ".popsection",
    own = const OWN,
    left = const offset_of!(Own, left),
    scratch = const offset_of!(Own, scratch),
    home = const offset_of!(Own, home),
    left_below = const offset_of!(Own, traps) + size_of::<Pushed<64>>() - offset_of!(Own, left),
    view = const VIEW * 8,
    linked = const KERNEL_HALF,
    after_system_call = const APART + offset_of!(Apart, syscall),
    paranoid_trap = const APART + offset_of!(Apart, paranoid_trap),
    stack = const APART + offset_of!(Apart, stack),
    by_sysret = const APART + offset_of!(Apart, by_sysret),
    by_iret = const APART + offset_of!(Apart, by_iret),
    stacks = const INTERRUPT_STACKS,
    kernel_stack = const KERNEL_STACK,
    registers = const REGISTERS,
    user_data = const USER_DATA,
    user_code = const USER_CODE,
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
    cs = const offset_of!(Registers, cs),
    rflags = const offset_of!(Registers, rflags),
    rsp = const offset_of!(Registers, rsp),
    ss = const offset_of!(Registers, ss),
);
