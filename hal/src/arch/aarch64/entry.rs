//! The first instructions: from the loader to Rust in the higher half.
//!
//! The loader hands over as Linux's arm64 boot protocol says: at EL2 or EL1,
//! MMU off, `x0` = physical address of the device tree. The image's first 64
//! bytes are the protocol's header. Paging for the first steps is one root
//! with 47-bit halves, which is both halves' table:
//!
//! | slot | virtual | physical | for |
//! |---|---|---|---|
//! | 0 | as physical | the gigabyte of the image, and of the device tree | the instructions around the switch |
//! | 256, or another two | `direct_map()` | the same | the device tree, before the memory module runs |
//! | 511 | the image's | the image | the kernel image |
//!
//! All of it is writable and executable: the memory module replaces it with
//! the final tables before anything else happens.
//!
//! The image may be moved: [`choose`](super::kaslr::choose) says how far, and
//! has `moved` map it there, and the direct map somewhere else. What is left to
//! do here, where the image is in memory, is to add the distance to each
//! address in the image, which the linker has listed (the image is
//! position-independent, so there is nothing else to change), and to put
//! `moved` in the place of `image`.
//!
//! # Two stack pointers
//! The kernel runs on `SP_EL0`. `SP_EL1` is where an exception lands: on the
//! exception stack while the kernel runs, at the thread's registers while a
//! program runs (`trap.rs`). So the overflow of a kernel stack is told on
//! another one.

use crate::memory::stacks::{STACK_BYTES, Stack};

use super::layout::{self, EARLY_BYTES, EXCEPTION_STACK_BYTES};
use super::system::mrs;

/// Tables of the early mapping; filled by the code below.
#[repr(C, align(4096))]
pub(crate) struct EarlyTables {
    pub(super) root: [u64; 512],
    /// Slots 0 and 256 of the root.
    pub(super) memory: [u64; 512],
    /// Slot 511 of the root.
    top: [u64; 512],
    /// Slot 510 of `top`: the image, from its first 2 MiB on.
    pub(super) image: [u64; 512],
    /// The same where the image was moved to.
    pub(super) moved: [u64; 512],
    /// The direct map where it was moved to.
    pub(super) direct: [[u64; 512]; 2],
}

/// Written by the boot code, and by `kaslr.rs` where the kernel moves; read by
/// the processor only.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.pages")]
pub(crate) static mut OCHRE_EARLY_TABLES: EarlyTables = EarlyTables {
    root: [0; 512],
    memory: [0; 512],
    top: [0; 512],
    image: [0; 512],
    moved: [0; 512],
    direct: [[0; 512]; 2],
};

/// A block of write-back memory, shared, accessed, not for programs.
const BLOCK: u64 = 0x701;

/// The boot processor's kernel stack.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.pages")]
pub(crate) static mut OCHRE_BOOT_STACK: Stack<STACK_BYTES> = Stack::new();

/// The boot processor's exception stack.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.pages")]
pub(super) static mut OCHRE_BOOT_EXCEPTION_STACK: Stack<EXCEPTION_STACK_BYTES> = Stack::new();

/// The lowest addresses of the boot stacks' guard pages.
pub(super) fn stack_guards() -> [u64; 2] {
    [
        (&raw const OCHRE_BOOT_STACK).addr() as u64,
        (&raw const OCHRE_BOOT_EXCEPTION_STACK).addr() as u64,
    ]
}

/// One past the highest address of the boot processor's exception stack.
pub(super) fn boot_exception_stack() -> u64 {
    (&raw const OCHRE_BOOT_EXCEPTION_STACK).addr() as u64
        + size_of::<Stack<EXCEPTION_STACK_BYTES>>() as u64
}

/// Maps the gigabyte of a device at its place in the direct map, as registers;
/// false where memory is mapped there, or nothing can be. Only the boot
/// processor may call it, and only while it is alone.
pub(super) fn map_early_device(address: u64) -> bool {
    /// A block of registers (the second memory attribute): accessed, not to be executed.
    const DEVICE: u64 = 1 | 1 << 2 | 1 << 10 | 3 << 53;
    let slot = (address / EARLY_BYTES) as usize;
    if slot >= 512 || !has_early_tables() {
        return false;
    }
    let moved = layout::direct_map() - layout::KERNEL_HALF;
    let (table, place) = if moved == 0 {
        // SAFETY: only the place is taken.
        (
            unsafe { &raw mut OCHRE_EARLY_TABLES.memory }.cast::<u64>(),
            0,
        )
    } else {
        // CAST: below 512.
        let place = (moved / EARLY_BYTES % 512) as usize;
        // SAFETY: as above.
        (unsafe { &raw mut OCHRE_EARLY_TABLES.direct }.cast(), place)
    };
    // SAFETY: one of its 512 entries, or of 1024.
    let entry = unsafe { table.add(place + slot) };
    // SAFETY: nobody else uses the tables but the processor that walks them.
    if unsafe { entry.read_volatile() } != 0 {
        return false;
    }
    // SAFETY: as above. Nothing was mapped there, so nobody relies on it.
    unsafe { entry.write_volatile((address / EARLY_BYTES * EARLY_BYTES) | DEVICE) };
    super::tlb::publish();
    true
}

unsafe extern "C" {
    /// Changes the root of the upper half.
    safe static ochre_change_root: u8;
}

/// Where in memory the code is that goes to other tables of the upper half: it
/// has to be executed there, with what TTBR1 is to be in `x0`; changes `x1`,
/// `x2` and the link register.
pub(super) fn root_changer() -> u64 {
    layout::to_physical((&raw const ochre_change_root).addr() as u64)
}

/// Whether the boot code's tables are the ones in use.
pub(super) fn has_early_tables() -> bool {
    let root = (&raw const OCHRE_EARLY_TABLES).addr() as u64;
    mrs!("ttbr1_el1") == layout::to_physical(root) + 0x800
}

/// Memory attributes by index: write-back memory, device registers (nGnRE).
const MAIR: u64 = 0x04ff;

/// Both halves 47 bits, 4 KiB pages, tables cached and shared, the top byte of
/// programs' addresses their own; the size of physical addresses is added.
pub(super) const TCR: u64 =
    17 | 1 << 8 | 1 << 10 | 3 << 12 | 17 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30 | 1 << 37;

/// SCTLR_EL1 without MMU and caches: the bits that are always one.
const SCTLR_OFF: u64 = 1 << 29 | 1 << 28 | 1 << 23 | 1 << 22 | 1 << 20 | 1 << 11;

/// SCTLR_EL1 for the kernel: MMU, caches, stack alignment; what programs may
/// do by themselves: clear cache lines, look at the cache's form, maintain
/// caches, sleep.
pub(super) const SCTLR: u64 = SCTLR_OFF
    | 1
    | 1 << 2
    | 1 << 3
    | 1 << 4
    | 1 << 12
    | 1 << 14
    | 1 << 15
    | 1 << 16
    | 1 << 18
    | 1 << 26;

/// Boot code at EL2 that only the one-property kernels have: they leave
/// something there (`boottest.rs`).
#[cfg(feature = "boottest")]
macro_rules! leave_at_el2 {
    () => {
        "adrp x0, ochre_boottest_el2\nmsr vbar_el2, x0"
    };
}
#[cfg(not(feature = "boottest"))]
macro_rules! leave_at_el2 {
    () => {
        ""
    };
}

core::arch::global_asm!(
    // Whatever else is boot code, and in whatever order it was compiled: this is first.
    ".pushsection .text.boot.header, \"ax\", %progbits",
    ".balign 8",
    ".global ochre_image_header",
    "ochre_image_header:",
    "b ochre_entry",
    ".long 0",
    // Where from 2 MiB on; how much memory; little-endian, 4 KiB pages, anywhere.
    ".quad 0",
    ".quad __ochre_image_bytes",
    ".quad 0b1010",
    ".quad 0, 0, 0",
    ".ascii \"ARM\\x64\"",
    ".long 0",
    ".popsection",

    ".pushsection .text.boot, \"ax\", %progbits",
    "ochre_entry:",
    "mov x21, x0",
    "mrs x24, currentel",
    "bl ochre_to_el1",
    // Zero what the file does not hold. The caches are off, so lines that the
    // loader left there would come back over it: they are dropped.
    "adrp x0, __ochre_bss_start",
    "adrp x1, __ochre_bss_end",
    "mov x2, x0",
    "2: stp xzr, xzr, [x2], #16",
    "cmp x2, x1",
    "b.lo 2b",
    "bl ochre_drop_lines",
    // x20: the image in memory; x22: minus that, its offset.
    "adrp x20, __ochre_image_start",
    "ldr x22, ={linked}",
    "sub x22, x22, x20",
    // The tables.
    "adrp x0, OCHRE_EARLY_TABLES",
    "add x0, x0, :lo12:OCHRE_EARLY_TABLES",
    "add x1, x0, #0x1000",
    "orr x2, x1, #3",
    "str x2, [x0]",
    "str x2, [x0, #256 * 8]",
    "add x3, x0, #0x2000",
    "orr x2, x3, #3",
    "str x2, [x0, #511 * 8]",
    "add x4, x0, #0x3000",
    "orr x2, x4, #3",
    "str x2, [x3, #510 * 8]",
    // The gigabytes of the image and of the device tree, where they lie below
    // 512 GiB. (A device tree elsewhere cannot be read: `start` sees that.)
    "mov x5, {block}",
    "lsr x6, x20, #30",
    "cmp x6, #512",
    "b.hs ochre_wrong",
    "lsl x7, x6, #30",
    "orr x7, x7, x5",
    "str x7, [x1, x6, lsl #3]",
    "lsr x6, x21, #30",
    "cmp x6, #512",
    "b.hs 3f",
    "lsl x7, x6, #30",
    "orr x7, x7, x5",
    "str x7, [x1, x6, lsl #3]",
    // The image, from the second entry on: it is linked 2 MiB into its gigabyte.
    "3: adrp x8, __ochre_image_end",
    "orr x7, x20, x5",
    "add x9, x4, #8",
    "orr x8, x8, x5",
    "4: str x7, [x9], #8",
    "add x7, x7, #0x200000",
    "cmp x7, x8",
    "b.lo 4b",
    "mov x1, x0",
    "add x1, x1, #0x4000",
    "bl ochre_drop_lines",
    "bl ochre_mmu_on",
    "adr x0, ochre_entry_high",
    "add x0, x0, x22",
    "br x0",
    "ochre_wrong:",
    "mov x0, x24",
    "b ochre_off_unnamed",

    "ochre_entry_high:",
    "adrp x0, OCHRE_IMAGE_OFFSET",
    "str x22, [x0, :lo12:OCHRE_IMAGE_OFFSET]",
    "bl ochre_boot_stacks",
    "mov x0, x21",
    "bl {choose}",
    "mov x23, x0",
    // Down again.
    "adr x0, 2f",
    "sub x0, x0, x22",
    "br x0",
    // The list (SHT_RELR): a word with bit 0 clear is the address of a word to
    // change, one with bit 0 set says by its other bits which of the next 63.
    "2: cbz x23, 6f",
    "adrp x1, __ochre_relocations_start",
    "add x1, x1, :lo12:__ochre_relocations_start",
    "adrp x2, __ochre_relocations_end",
    "add x2, x2, :lo12:__ochre_relocations_end",
    "3: cmp x1, x2",
    "b.hs 5f",
    "ldr x3, [x1], #8",
    "tbnz x3, #0, 4f",
    "sub x4, x3, x22",
    "ldr x5, [x4]",
    "add x5, x5, x23",
    "str x5, [x4], #8",
    "b 3b",
    "4: mov x5, x4",
    "add x4, x4, #63 * 8",
    "7: lsr x3, x3, #1",
    "cbz x3, 3b",
    "tbz x3, #0, 8f",
    "ldr x6, [x5]",
    "add x6, x6, x23",
    "str x6, [x5]",
    "8: add x5, x5, #8",
    "b 7b",
    // Nothing for a moment: a processor may not see two tables for one address.
    "5: adrp x1, OCHRE_EARLY_TABLES",
    "add x1, x1, :lo12:OCHRE_EARLY_TABLES",
    "add x2, x1, #{moved}",
    "orr x2, x2, #3",
    "add x3, x1, #{top}",
    "str xzr, [x3, #510 * 8]",
    "dsb ish",
    "tlbi vmalle1",
    "dsb ish",
    "isb",
    "str x2, [x3, #510 * 8]",
    "add x22, x22, x23",
    "6: dsb ish",
    "ic iallu",
    "dsb ish",
    "isb",
    "adr x0, 9f",
    "add x0, x0, x22",
    "br x0",
    "9: bl ochre_boot_stacks",
    "mov x0, x21",
    "mov x1, x24",
    "bl {start}",
    "b ochre_wrong",

    // The boot stacks, empty. Uses x0.
    "ochre_boot_stacks:",
    "msr spsel, #1",
    "adrp x0, OCHRE_BOOT_EXCEPTION_STACK + {exception_stack_bytes}",
    "add x0, x0, :lo12:OCHRE_BOOT_EXCEPTION_STACK + {exception_stack_bytes}",
    "mov sp, x0",
    "msr spsel, #0",
    "adrp x0, OCHRE_BOOT_STACK + {stack_bytes}",
    "add x0, x0, :lo12:OCHRE_BOOT_STACK + {stack_bytes}",
    "mov sp, x0",
    // A frame pointer of zero ends every backtrace.
    "mov x29, xzr",
    "ret",

    // Drops the cache lines of x0..x1. Uses x2 to x4.
    "ochre_drop_lines:",
    "dmb sy",
    "mrs x2, ctr_el0",
    "ubfx x2, x2, #16, #4",
    "mov x3, #4",
    "lsl x3, x3, x2",
    "mov x4, x0",
    "5: dc ivac, x4",
    "add x4, x4, x3",
    "cmp x4, x1",
    "b.lo 5b",
    "dsb sy",
    "ret",

    // To EL1 with the MMU off, from wherever the loader left us. Also the
    // other processors' way. Uses x0 and x1.
    ".global ochre_to_el1",
    "ochre_to_el1:",
    "msr daifset, #15",
    "mrs x0, currentel",
    "cmp x0, #8",
    "b.ne 7f",
    // EL1 is 64-bit, may sign pointers, and has its own counters and timers.
    "mov x0, #1 << 31",
    "movk x0, #0x300, lsl #32",
    "msr hcr_el2, x0",
    leave_at_el2!(),
    "mov x0, #3",
    "msr cnthctl_el2, x0",
    "msr cntvoff_el2, xzr",
    // No traps of floating point; EL1 sees the processor's own numbers.
    "mov x0, #0x33ff",
    "msr cptr_el2, x0",
    "msr hstr_el2, xzr",
    "mrs x0, midr_el1",
    "msr vpidr_el2, x0",
    "mrs x0, mpidr_el1",
    "msr vmpidr_el2, x0",
    // Where the interrupt controller has system registers, EL1 may use them.
    "mrs x0, id_aa64pfr0_el1",
    "ubfx x0, x0, #24, #4",
    "cbz x0, 6f",
    "mrs x0, s3_4_c12_c9_5",
    "mov x1, #9",
    "orr x0, x0, x1",
    "msr s3_4_c12_c9_5, x0",
    "isb",
    "msr s3_4_c12_c11_0, xzr",
    "6: mov x0, #0x3c4",
    "msr spsr_el2, x0",
    "msr elr_el2, x30",
    "ldr x0, ={sctlr_off}",
    "msr sctlr_el1, x0",
    "eret",
    "7: msr spsel, #0",
    "ldr x0, ={sctlr_off}",
    "msr sctlr_el1, x0",
    "isb",
    "ret",

    // From the boot code's tables of the upper half to those whose TTBR1 is x0:
    // they map the same addresses in other sizes, and no processor may know an
    // address in two (Arm ARM, on break-before-make). So there are none for a
    // moment: to be called at the address in memory, which the lower half maps.
    // Uses x1 and x2.
    ".global ochre_change_root",
    "ochre_change_root:",
    "mrs x1, tcr_el1",
    // No walks by TTBR1 (EPD1).
    "orr x2, x1, #1 << 23",
    "msr tcr_el1, x2",
    "isb",
    "tlbi vmalle1",
    "dsb nsh",
    "isb",
    "msr ttbr1_el1, x0",
    "isb",
    "msr tcr_el1, x1",
    "isb",
    // That there were none may be remembered, too.
    "tlbi vmalle1",
    "dsb nsh",
    "isb",
    "ret",

    // The early tables (x0), caches and MMU on. Uses x1 to x3.
    ".global ochre_mmu_on",
    "ochre_mmu_on:",
    "ldr x1, ={mair}",
    "msr mair_el1, x1",
    "ldr x1, ={tcr}",
    "mrs x2, id_aa64mmfr0_el1",
    // Sixteen bits for the numbers of address spaces, or eight.
    "tbz x2, #5, 8f",
    "orr x1, x1, #1 << 36",
    "8: and x2, x2, #7",
    // At most 48 bits.
    "mov x3, #5",
    "cmp x2, x3",
    "csel x2, x2, x3, lo",
    "orr x1, x1, x2, lsl #32",
    "msr tcr_el1, x1",
    "msr ttbr0_el1, x0",
    "add x0, x0, #0x800",
    "msr ttbr1_el1, x0",
    "isb",
    "tlbi vmalle1",
    "ic iallu",
    "dsb sy",
    "isb",
    "ldr x1, ={sctlr}",
    "msr sctlr_el1, x1",
    "isb",
    "ret",
    ".ltorg",
    ".popsection",
    block = const BLOCK,
    linked = const layout::LINKED,
    moved = const core::mem::offset_of!(EarlyTables, moved),
    top = const core::mem::offset_of!(EarlyTables, top),
    choose = sym super::kaslr::choose,
    exception_stack_bytes = const size_of::<Stack<EXCEPTION_STACK_BYTES>>(),
    stack_bytes = const size_of::<Stack<STACK_BYTES>>(),
    start = sym super::start::start,
    sctlr_off = const SCTLR_OFF,
    sctlr = const SCTLR,
    mair = const MAIR,
    tcr = const TCR,
);
