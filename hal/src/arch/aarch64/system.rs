//! System registers and barriers.

use core::arch::asm;

/// Reads a system register that has no effect when read.
macro_rules! mrs {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading this register has no effect, and EL1 may.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags));
        }
        value
    }};
}

/// Writes a system register and waits for the effect.
///
/// To be used where the caller says why the kernel's memory and control flow
/// stay what they are.
macro_rules! msr {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        core::arch::asm!(concat!("msr ", $name, ", {}"), "isb", in(reg) value, options(nostack, preserves_flags))
    }};
}

pub(super) use {mrs, msr};

/// The cycle counter, or what programs and the kernel have in its place.
pub(crate) fn cycles() -> u64 {
    mrs!("cntvct_el0")
}

/// The numbers of this processor by which others reach it.
pub(super) fn affinity() -> u64 {
    mrs!("mpidr_el1") & 0xff_00ff_ffff
}

/// Orders what this processor did with memory and with devices' registers
/// before what it does with them from here on, as devices see it too.
#[inline]
pub(crate) fn order_with_devices() {
    // Outer shareable: devices that look into memory are in that domain, and
    // the locks' own barriers (`ish`) reach the processors only. It orders
    // ordinary memory with registers as well, in each direction.
    // SAFETY: a barrier.
    unsafe { asm!("dmb osh", options(nostack, preserves_flags)) };
}

/// Makes what was written to memory what is fetched from it, on every processor.
pub(super) fn clean_code(start: *const u8, len: usize) {
    let shape = mrs!("ctr_el0");
    let data_line = 4_usize << (shape >> 16 & 15);
    let code_line = 4_usize << (shape & 15);
    let lines = |line: usize| (start.addr()..start.addr() + len).step_by(line);
    // Bit 28: it happens by itself.
    if shape & 1 << 28 == 0 {
        for at in lines(data_line) {
            // SAFETY: cleaning a line of mapped memory changes no memory.
            unsafe { asm!("dc cvau, {}", in(reg) at, options(nostack, preserves_flags)) };
        }
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    // Bits 14 and 15 say how the cache of instructions finds a line: 3 is by the
    // physical address alone. Any other one may keep a line where the address
    // by which it is executed puts it, and `start` is another address of the
    // same memory, usually the direct map's: only all of the cache has it surely
    // (Arm ARM, D7, on the kinds of instruction caches).
    let is_by_physical = shape >> 14 & 3 == 3;
    if shape & 1 << 29 != 0 {
        // Bit 29: nothing has to be forgotten.
    } else if !is_by_physical {
        // SAFETY: as below, on every processor.
        unsafe { asm!("ic ialluis", options(nostack, preserves_flags)) };
    } else {
        for at in lines(code_line) {
            // SAFETY: forgetting fetched instructions makes them be fetched again.
            unsafe { asm!("ic ivau, {}", in(reg) at, options(nostack, preserves_flags)) };
        }
    }
    // SAFETY: barriers.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}
