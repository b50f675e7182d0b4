//! Segments and the task state: what little of them long mode keeps.
//!
//! The order is what SYSCALL and SYSRET want: kernel code, kernel stack;
//! (32-bit user code), user stack, user code. The 32-bit slot is empty, so no
//! program can reach compatibility mode.

use core::arch::asm;

use crate::memory::stacks::Stack;

use super::percpu::PerCpu;
use super::registers::{KERNEL_CODE, KERNEL_DATA};

/// Interrupt stack table slots; each stack has a guard page.
pub(super) const IST_DOUBLE_FAULT: u8 = 1;
/// Non-maskable interrupt.
pub(super) const IST_NMI: u8 = 2;
/// Machine check.
pub(super) const IST_MACHINE_CHECK: u8 = 3;

/// Bytes of an interrupt stack: room for a report.
pub(super) const IST_BYTES: usize = 16 << 10;

const TSS_SELECTOR: u16 = 0x40;

/// The slot of selector 0x3b, of which programs know.
const CPU_NUMBER: usize = 7;

/// The boot processor's interrupt stacks, in the order of the slots.
static mut IST_STACKS: [Stack<IST_BYTES>; 3] = [const { Stack::new() }; 3];

/// The task state segment.
#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    /// Stack for traps from user mode.
    rsp0: u64,
    rsp1: u64,
    rsp2: u64,
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    /// Past the segment's end: programs may use no port.
    io_map: u16,
}

/// A processor's descriptor tables.
#[repr(C, align(16))]
pub(crate) struct Tables {
    gdt: [u64; 10],
    tss: TaskState,
}

impl Tables {
    /// Tables that are filled by [`load`].
    pub(super) const fn new() -> Tables {
        Tables {
            gdt: [
                0,
                0,
                0x00af_9b00_0000_ffff,
                0x00cf_9300_0000_ffff,
                0,
                0x00cf_f300_0000_ffff,
                0x00af_fb00_0000_ffff,
                0,
                0,
                0,
            ],
            tss: TaskState {
                reserved0: 0,
                rsp0: 0,
                rsp1: 0,
                rsp2: 0,
                reserved1: 0,
                ist: [0; 7],
                reserved2: 0,
                reserved3: 0,
                io_map: size_of::<TaskState>() as u16,
            },
        }
    }
}

/// The guard pages' addresses, for the final page tables to leave out.
pub(super) fn guard_pages() -> [u64; 4] {
    let first = (&raw const IST_STACKS).addr() as u64;
    let step = size_of::<Stack<IST_BYTES>>() as u64;
    [
        super::entry::boot_stack_guard(),
        first,
        first + step,
        first + 2 * step,
    ]
}

/// The ends of the boot processor's interrupt stacks.
pub(super) fn boot_stacks() -> [u64; 3] {
    let first = (&raw const IST_STACKS).addr() as u64;
    let step = size_of::<Stack<IST_BYTES>>() as u64;
    [1, 2, 3].map(|count| first + step * count)
}

/// Loads this processor's tables; `stacks` are the ends of its interrupt stacks.
///
/// # Safety
/// Once per processor, with `cpu` its block and stacks that nobody else uses,
/// before it takes a trap.
pub(super) unsafe fn load(cpu: &'static PerCpu, stacks: [u64; 3]) {
    let tables = cpu.tables.get();
    // SAFETY: only this processor reaches its block, and nobody else holds a
    // reference to its tables; the hardware reads them after `ltr` only.
    let tables = unsafe { &mut *tables };
    // SAFETY: the caller's promise.
    unsafe { install(tables, stacks) };
}

/// Has this processor use tables in another place from now on, with these
/// stacks: the interrupts', and the one for traps from user mode.
///
/// # Safety
/// As [`load`], with both for ever; [`set_trap_stack`] has no effect any more.
pub(super) unsafe fn move_to(cpu: &PerCpu, to: &mut Tables, stacks: [u64; 3], trap_stack: u64) {
    // SAFETY: the block is this processor's own, and nobody else holds a
    // reference to its tables.
    let from = unsafe { &*cpu.tables.get() };
    to.gdt = from.gdt;
    to.tss.rsp0 = trap_stack;
    to.tss.io_map = from.tss.io_map;
    // SAFETY: the caller's promise.
    unsafe { install(to, stacks) };
}

/// Fills the rest of the tables and loads them.
///
/// # Safety
/// As [`load`]; the tables live for ever.
unsafe fn install(tables: &mut Tables, stacks: [u64; 3]) {
    let mut ist = [0; 7];
    for (slot, end) in ist.iter_mut().zip(stacks) {
        *slot = end;
    }
    tables.tss.ist = ist;
    let base = (&raw const tables.tss).addr() as u64;
    let limit = size_of::<TaskState>() as u64 - 1;
    tables.gdt[8] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
    tables.gdt[9] = base >> 32;
    let pointer = TablePointer {
        limit: size_of_val(&tables.gdt) as u16 - 1,
        base: (&raw const tables.gdt).addr() as u64,
    };
    // SAFETY: the table lives for ever and holds the segments in use.
    unsafe {
        asm!("lgdt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags))
    };
    // SAFETY: reloads CS with the same kind of segment, then the data segments
    // with what the kernel expects; the far return goes to the next line.
    unsafe {
        asm!(
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ss, {data:e}",
            "mov ds, {zero:e}",
            "mov es, {zero:e}",
            code = in(reg) u64::from(KERNEL_CODE),
            data = in(reg) u32::from(KERNEL_DATA),
            zero = in(reg) 0,
            scratch = out(reg) _,
        );
    }
    // SAFETY: the descriptor above is an available task state segment.
    unsafe { asm!("ltr {0:x}", in(reg) TSS_SELECTOR, options(nostack, preserves_flags)) };
}

/// Lets programs read this processor's number with `lsl`, as the vDSO does: as
/// the limit of a segment that they may read.
pub(super) fn tell_number(cpu: &'static PerCpu) {
    const READABLE: u64 = 0x0040_f100_0000_0000;
    let tables = cpu.tables.get();
    // SAFETY: the block is this processor's own, and no reference to its
    // tables is alive: `load` is over.
    let slot = unsafe { &raw mut (*tables).gdt[CPU_NUMBER] };
    // SAFETY: in bounds and aligned; no segment register has this selector
    // while the kernel runs.
    unsafe { slot.write(READABLE | u64::from(cpu.index.get() & 0xffff)) };
}

/// Sets the stack for traps from user mode.
///
/// # Safety
/// `top` is the end of memory that a trap frame may be written to whenever
/// user mode runs.
#[inline]
pub(super) unsafe fn set_trap_stack(cpu: &PerCpu, top: u64) {
    let tables = cpu.tables.get();
    // SAFETY: the block is this processor's own, and no reference to its
    // tables is alive: `load` is over.
    let slot = unsafe { &raw mut (*tables).tss.rsp0 };
    // SAFETY: in bounds; the field is only aligned to 4.
    unsafe { slot.write_unaligned(top) };
}

/// What `lgdt` and `lidt` take.
#[repr(C, packed)]
pub(super) struct TablePointer {
    pub(super) limit: u16,
    pub(super) base: u64,
}

#[cfg(test)]
mod tests {
    use super::TaskState;

    #[test]
    fn the_task_state_is_as_the_processor_wants_it() {
        assert_eq!(size_of::<TaskState>(), 104);
        assert_eq!(core::mem::offset_of!(TaskState, rsp0), 4);
        assert_eq!(core::mem::offset_of!(TaskState, ist), 36);
        assert_eq!(core::mem::offset_of!(TaskState, io_map), 102);
    }
}
