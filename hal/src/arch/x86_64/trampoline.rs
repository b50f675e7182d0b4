//! The first instructions of a processor that is started: from real mode to
//! Rust in the higher half.
//!
//! A started processor begins in real mode at the start of a page below 1 MiB,
//! so sixteen-bit code is copied there ([`code`]); it goes to the image at
//! once. Then it is as at boot (`entry.rs`), with the boot code's tables,
//! which stay in the image for this: they map the image low, for the
//! instructions around the jump, and high. The kernel's own tables come next,
//! for only they have the stacks.
//!
//! Each processor looks for its own APIC number among the
//! [`Slot`](super::others::Slot)s, and takes the slot if it is called: one that
//! comes too late, or that nobody called, halts without having touched
//! anything.

#[cfg(target_os = "none")]
mod symbols {
    unsafe extern "C" {
        pub(super) safe static ochre_trampoline: u8;
        pub(super) safe static ochre_trampoline_end: u8;
    }
}

/// There is no such code on a host.
#[cfg(not(target_os = "none"))]
#[expect(
    non_upper_case_globals,
    reason = "stand-ins for the assembly's symbols on a host"
)]
mod symbols {
    pub(super) static ochre_trampoline: u8 = 0;
    pub(super) use ochre_trampoline as ochre_trampoline_end;
}

/// What is to be copied to the page where a processor starts.
pub(super) fn code() -> &'static [u8] {
    let start = &raw const symbols::ochre_trampoline;
    let len = (&raw const symbols::ochre_trampoline_end).addr() - start.addr();
    // SAFETY: the bytes between the two labels, constants.
    unsafe { core::slice::from_raw_parts(start, len) }
}

#[cfg(target_os = "none")]
mod assembly {
    use core::mem::offset_of;

    use super::super::others::{CALLED, COMES, Slot, come};
    use crate::cpu::MAX_CPUS;

    core::arch::global_asm!(
        ".pushsection .rodata.ochre_trampoline, \"a\", @progbits",
        ".balign 16",
        ".global ochre_trampoline",
        ".global ochre_trampoline_end",
        ".code16",
        "ochre_trampoline:",
        "cli",
        "cld",
        // `lgdt cs:[pointer]` with a 32-bit base: the code segment is the page.
        ".byte 0x2e, 0x66, 0x0f, 0x01, 0x16",
        ".short ochre_trampoline_pointer - ochre_trampoline",
        "mov eax, cr0",
        "or eax, 1",
        "mov cr0, eax",
        // A far jump with a 32-bit offset.
        ".byte 0x66, 0xea",
        ".long ochre_physical_other32",
        ".short 8",
        ".balign 8",
        "ochre_trampoline_pointer:",
        ".short 23",
        ".long ochre_physical_other_gdt",
        "ochre_trampoline_end:",
        ".code64",
        ".balign 8",
        ".global ochre_other_gdt",
        "ochre_other_gdt:",
        ".quad 0",
        ".quad 0x00cf9a000000ffff",
        ".quad 0x00cf92000000ffff",
        ".popsection",

        ".pushsection .text.ochre_other, \"ax\", @progbits",
        ".code32",
        ".balign 16",
        ".global ochre_other32",
        "ochre_other32:",
        "mov eax, 16",
        "mov ds, eax",
        "mov es, eax",
        "mov ss, eax",
        // As at boot; that there is no-execute was checked there.
        "mov eax, (1 << 5) | (1 << 9) | (1 << 10)",
        "mov cr4, eax",
        "mov eax, offset ochre_physical_tables",
        "mov cr3, eax",
        "mov ecx, 0xc0000080",
        "rdmsr",
        "or eax, (1 << 8) | (1 << 11)",
        "wrmsr",
        "mov eax, (1 << 31) | (1 << 18) | (1 << 16) | (1 << 5) | (1 << 4) | (1 << 1) | 1",
        "mov cr0, eax",
        "lgdt [ochre_physical_gdt_pointer]",
        ".byte 0xea",
        ".long ochre_physical_other64",
        ".short 8",

        ".code64",
        ".global ochre_other64",
        "ochre_other64:",
        "xor eax, eax",
        "mov ss, eax",
        "mov ds, eax",
        "mov es, eax",
        "mov fs, eax",
        "mov gs, eax",
        "lea rax, [rip + ochre_other_high]",
        "add rax, [rip + OCHRE_IMAGE_OFFSET]",
        "jmp rax",
        "ochre_other_high:",
        "mov rax, [rip + OCHRE_OTHERS_ROOT]",
        "mov cr3, rax",
        // The APIC number: of leaf 0xb where there is one, else of leaf 1.
        "xor eax, eax",
        "cpuid",
        "cmp eax, 0xb",
        "jb 2f",
        "mov eax, 0xb",
        "xor ecx, ecx",
        "cpuid",
        "mov esi, edx",
        "test ebx, ebx",
        "jnz 3f",
        "2:",
        "mov eax, 1",
        "cpuid",
        "shr ebx, 24",
        "mov esi, ebx",
        "3:",
        "lea rdi, [rip + OCHRE_OTHERS]",
        "mov ecx, {slots}",
        "4:",
        "cmp [rdi + {id}], esi",
        "jne 5f",
        "mov eax, {called}",
        "mov edx, {comes}",
        "lock cmpxchg [rdi + {state}], edx",
        "jne 5f",
        "mov rsp, [rdi + {stack}]",
        // A frame pointer of zero ends every backtrace.
        "xor ebp, ebp",
        "call {come}",
        "ud2",
        "5:",
        "add rdi, {slot_bytes}",
        "dec ecx",
        "jnz 4b",
        "6:",
        "cli",
        "hlt",
        "jmp 6b",
        ".popsection",
        slots = const MAX_CPUS,
        slot_bytes = const size_of::<Slot>(),
        id = const offset_of!(Slot, apic_id),
        state = const offset_of!(Slot, state),
        stack = const offset_of!(Slot, stack),
        called = const CALLED,
        comes = const COMES,
        come = sym come,
    );
}
