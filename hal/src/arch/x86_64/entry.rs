//! The first instructions: from the PVH entry to Rust in the higher half.
//!
//! PVH hands over in 32-bit protected mode, paging off, flat segments,
//! interrupts off, `ebx` = physical address of the start info. Paging for the
//! first steps is the same 4 GiB seen three times:
//!
//! | slot | virtual | physical | for |
//! |---|---|---|---|
//! | 0 | 0 | 0..4 GiB | the instructions around the jump |
//! | 256 | `DIRECT_MAP` | 0..4 GiB | the start info, before the memory module runs |
//! | 511 | `KERNEL_OFFSET` | 0..1 GiB | the kernel image |
//!
//! All of it is writable and executable: the memory module replaces it with
//! the final tables before anything else happens.

use super::layout::{STACK_BYTES, Stack};

/// Tables of the early mapping; filled by the code below.
#[repr(C, align(4096))]
pub(crate) struct EarlyTables {
    root: [u64; 512],
    low: [u64; 512],
    high: [u64; 512],
    directories: [[u64; 512]; 4],
}

/// Written by the boot code only, read by the processor only.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.pages")]
pub(crate) static mut OCHRE_EARLY_TABLES: EarlyTables = EarlyTables {
    root: [0; 512],
    low: [0; 512],
    high: [0; 512],
    directories: [[0; 512]; 4],
};

/// The boot processor's kernel stack.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.pages")]
pub(crate) static mut OCHRE_BOOT_STACK: Stack<STACK_BYTES> = Stack::new();

/// The lowest address of the boot stack's guard page.
pub(super) fn boot_stack_guard() -> u64 {
    (&raw const OCHRE_BOOT_STACK).addr() as u64
}

#[cfg(target_os = "none")]
core::arch::global_asm!(
    // The note by which a PVH loader finds the entry: name "Xen", type 18
    // (XEN_ELFNOTE_PHYS32_ENTRY), the physical address.
    ".pushsection .note.Xen, \"a\", @note",
    ".balign 4",
    ".long 4, 8, 18",
    ".asciz \"Xen\"",
    ".quad ochre_entry32 + {down}",
    ".popsection",

    ".pushsection .text.boot32, \"ax\", @progbits",
    ".code32",
    ".global ochre_entry32",
    "ochre_entry32:",
    "cli",
    "cld",
    // Without long mode there is nothing to run, and nobody to tell.
    "mov esi, ebx",
    "mov eax, 0x80000000",
    "cpuid",
    "cmp eax, 0x80000001",
    "jb 8f",
    "mov eax, 0x80000001",
    "cpuid",
    "test edx, 1 << 29",
    "jz 8f",
    "mov ebp, edx",
    // The root: slots 0 and 256 to `low`, slot 511 to `high`.
    "mov edi, offset OCHRE_EARLY_TABLES + {down}",
    "lea eax, [edi + 0x1000 + 3]",
    "mov [edi], eax",
    "mov [edi + 256 * 8], eax",
    "lea eax, [edi + 0x2000 + 3]",
    "mov [edi + 511 * 8], eax",
    // `low` to the four directories; `high`'s slot 510 to the first.
    "lea eax, [edi + 0x3000 + 3]",
    "mov [edi + 0x1000], eax",
    "mov [edi + 0x2000 + 510 * 8], eax",
    "add eax, 0x1000",
    "mov [edi + 0x1008], eax",
    "add eax, 0x1000",
    "mov [edi + 0x1010], eax",
    "add eax, 0x1000",
    "mov [edi + 0x1018], eax",
    // 2048 pages of 2 MiB: present, writable, large. Their addresses stay
    // below 4 GiB, so the upper halves of the entries stay zero.
    "lea edi, [edi + 0x3000]",
    "mov eax, 0x83",
    "mov ecx, 2048",
    "2: mov [edi], eax",
    "add eax, 0x200000",
    "add edi, 8",
    "dec ecx",
    "jnz 2b",
    // CR4: PAE, OSFXSR, OSXMMEXCPT.
    "mov eax, (1 << 5) | (1 << 9) | (1 << 10)",
    "mov cr4, eax",
    "mov eax, offset OCHRE_EARLY_TABLES + {down}",
    "mov cr3, eax",
    // EFER: long mode, and no-execute where there is such a thing.
    "mov ecx, 0xc0000080",
    "rdmsr",
    "or eax, 1 << 8",
    "test ebp, 1 << 20",
    "jz 3f",
    "or eax, 1 << 11",
    "3: wrmsr",
    // CR0: protected mode, MP, ET, NE, write protection, alignment checks
    // where a program asks for them, paging; caches on.
    "mov eax, (1 << 31) | (1 << 18) | (1 << 16) | (1 << 5) | (1 << 4) | (1 << 1) | 1",
    "mov cr0, eax",
    "lgdt [ochre_boot_gdt_pointer + {down}]",
    // A far jump to 64-bit code; `retf` takes selector and address from memory.
    "mov esp, offset OCHRE_BOOT_STACK + {stack_end_low}",
    "push 8",
    "mov eax, offset ochre_entry64 + {down}",
    "push eax",
    "retf",
    "8: hlt",
    "jmp 8b",

    ".code64",
    "ochre_entry64:",
    "xor eax, eax",
    "mov ss, eax",
    "mov ds, eax",
    "mov es, eax",
    "mov fs, eax",
    "mov gs, eax",
    "movabs rax, offset ochre_entry_high",
    "jmp rax",
    "ochre_entry_high:",
    "movabs rsp, offset OCHRE_BOOT_STACK + {stack_end}",
    // A frame pointer of zero ends every backtrace.
    "xor ebp, ebp",
    "mov edi, esi",
    "call {start}",
    "ud2",

    ".balign 8",
    "ochre_boot_gdt:",
    ".quad 0",
    ".quad 0x00af9a000000ffff",
    // The other processors' first code uses it, from another object file.
    ".global ochre_boot_gdt_pointer",
    "ochre_boot_gdt_pointer:",
    ".short 15",
    ".long ochre_boot_gdt + {down}",
    ".popsection",
    // Adding this to an image address makes it physical.
    down = const super::layout::KERNEL_OFFSET.wrapping_neg(),
    stack_end = const size_of::<Stack<STACK_BYTES>>(),
    stack_end_low = const super::layout::KERNEL_OFFSET.wrapping_neg() + size_of::<Stack<STACK_BYTES>>() as u64,
    start = sym super::start::start,
);
