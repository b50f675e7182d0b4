//! The first instructions: from the PVH entry to Rust in the higher half.
//!
//! PVH hands over in 32-bit protected mode, paging off, flat segments,
//! interrupts off, `ebx` = physical address of the start info. Paging for the
//! first steps is the same 4 GiB seen three times:
//!
//! | slot | virtual | physical | for |
//! |---|---|---|---|
//! | 0 | 0 | 0..4 GiB | the instructions around the jump |
//! | 256, or another one | `direct_map()` | 0..4 GiB | the start info, before the memory module runs |
//! | 511 | `KERNEL_OFFSET` and up | 0..1 GiB | the kernel image |
//!
//! All of it is writable and executable: the memory module replaces it with
//! the final tables before anything else happens.
//!
//! The image may be moved: [`choose`](super::kaslr::choose) says how far, has
//! slot 511 lead there through `moved`, and has the direct map somewhere else.
//! What is left to do here, on the low mapping, is to add the distance to each
//! address in the image, which the linker has listed (the image is
//! position-independent, so there is nothing else to change). Physical addresses
//! stay; the linker script knows those that this code needs.

use crate::memory::stacks::{STACK_BYTES, Stack};

/// Tables of the early mapping; filled by the code below.
#[repr(C, align(4096))]
pub(crate) struct EarlyTables {
    pub(super) root: [u64; 512],
    low: [u64; 512],
    high: [u64; 512],
    pub(super) directories: [[u64; 512]; 4],
    /// The directory of the image where it was moved to.
    pub(super) moved: [u64; 512],
    /// The table of the direct map where it was moved to.
    pub(super) direct: [u64; 512],
}

impl EarlyTables {
    /// Nothing is mapped.
    pub(super) const EMPTY: EarlyTables = EarlyTables {
        root: [0; 512],
        low: [0; 512],
        high: [0; 512],
        directories: [[0; 512]; 4],
        moved: [0; 512],
        direct: [0; 512],
    };
}

/// Written by the boot code and what it calls first, read by the processor.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.pages")]
pub(crate) static mut OCHRE_EARLY_TABLES: EarlyTables = EarlyTables::EMPTY;

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
    ".quad ochre_physical_entry",
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
    "mov edi, offset ochre_physical_tables",
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
    "mov eax, offset ochre_physical_tables",
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
    "lgdt [ochre_physical_gdt_pointer]",
    // A far jump to 64-bit code; `retf` takes selector and address from memory.
    "mov esp, offset ochre_physical_stack + {stack_end}",
    "push 8",
    "mov eax, offset ochre_physical_entry64",
    "push eax",
    "retf",
    "8: hlt",
    "jmp 8b",

    ".code64",
    ".global ochre_entry64",
    "ochre_entry64:",
    "xor eax, eax",
    "mov ss, eax",
    "mov ds, eax",
    "mov es, eax",
    "mov fs, eax",
    "mov gs, eax",
    // From here on: r13 is how far up the image's addresses are.
    "movabs r13, {offset}",
    "lea rax, [rip + 2f]",
    "add rax, r13",
    "jmp rax",
    "2: lea rsp, [rip + OCHRE_BOOT_STACK + {stack_end}]",
    // A frame pointer of zero ends every backtrace.
    "xor ebp, ebp",
    "mov ebx, esi",
    "mov edi, esi",
    "call {choose}",
    "mov r12, rax",
    // Down again.
    "lea rax, [rip + 3f]",
    "sub rax, r13",
    "jmp rax",
    // The list (SHT_RELR): a word with bit 0 clear is the address of a word to
    // change, one with bit 0 set says by its other bits which of the next 63.
    "3: test r12, r12",
    "jz 6f",
    "lea rsi, [rip + __ochre_relocations_start]",
    "lea rdi, [rip + __ochre_relocations_end]",
    "4: cmp rsi, rdi",
    "jae 5f",
    "mov rdx, [rsi]",
    "add rsi, 8",
    "shr rdx, 1",
    "jc 7f",
    "lea rcx, [rdx + rdx]",
    "sub rcx, r13",
    "add [rcx], r12",
    "add rcx, 8",
    "jmp 4b",
    "7: mov rax, rcx",
    "2: shr rdx, 1",
    "jnc 9f",
    "add [rax], r12",
    "9: add rax, 8",
    "test rdx, rdx",
    "jnz 2b",
    "add rcx, 63 * 8",
    "jmp 4b",
    "5: lea rax, [rip + OCHRE_EARLY_TABLES + {moved} + 3]",
    "mov [rip + OCHRE_EARLY_TABLES + {high} + 510 * 8], rax",
    "mov rax, cr3",
    "mov cr3, rax",
    "add r13, r12",
    "6: lea rax, [rip + 8f]",
    "add rax, r13",
    "jmp rax",
    "8: lea rsp, [rip + OCHRE_BOOT_STACK + {stack_end}]",
    "mov edi, ebx",
    "call {start}",
    "ud2",

    ".balign 8",
    ".global ochre_boot_gdt",
    "ochre_boot_gdt:",
    ".quad 0",
    ".quad 0x00af9a000000ffff",
    // The other processors' first code uses it, from another object file.
    ".global ochre_boot_gdt_pointer",
    "ochre_boot_gdt_pointer:",
    ".short 15",
    ".long ochre_physical_gdt",
    ".popsection",
    offset = const super::layout::KERNEL_OFFSET,
    stack_end = const size_of::<Stack<STACK_BYTES>>(),
    moved = const core::mem::offset_of!(EarlyTables, moved),
    high = const core::mem::offset_of!(EarlyTables, high),
    choose = sym super::kaslr::choose,
    start = sym super::start::start,
);
