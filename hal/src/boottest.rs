//! The evil that the one-property kernels do.
//!
//! Only with feature `boottest`, which no kernel that runs programs has. Each
//! function breaks a rule of the machine in a way that must be caught; none of
//! them is sound, which is why they are here and not in the kernel.

use core::arch::asm;

use crate::arch::machine::layout;
use crate::memory::SpaceRef;

/// Executes a breakpoint.
pub fn breakpoint() {
    // SAFETY: the trap code comes back to the next instruction with every register restored.
    unsafe { asm!("int3", options(nomem, nostack)) };
}

/// Reads an address of the kernel's half where nothing is.
pub fn read_unmapped() {
    read(0xffff_fe00_0000_0000);
}

/// Reads the null pointer.
pub fn read_null() {
    read(0);
}

/// Writes to the kernel's code.
pub fn write_text() {
    write(layout::text().start);
}

/// Writes to the kernel's constants.
pub fn write_constants() {
    write(layout::rodata().start);
}

/// Calls into the kernel's data.
pub fn execute_data() {
    execute(layout::data().start);
}

/// Calls the kernel's code through the direct map.
pub fn execute_direct_map() {
    execute(layout::DIRECT_MAP + layout::image_physical().end);
}

/// Reads user memory without asking for the right.
pub fn read_user(space: &SpaceRef, address: u64) {
    space.activate();
    read(address);
}

/// Calls into user memory.
pub fn execute_user(space: &SpaceRef, address: u64) {
    space.activate();
    execute(address);
}

/// Executes an instruction that does not exist.
pub fn invalid_instruction() {
    // SAFETY: it faults; nothing comes after.
    unsafe { asm!("ud2", options(nomem, nostack)) };
}

/// Divides by zero, past the compiler's check.
pub fn divide_by_zero() {
    // SAFETY: it faults; nothing comes after.
    unsafe { asm!("div {0:e}", in(reg) 0, out("eax") _, out("edx") _, options(nomem, nostack)) };
}

fn read(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack, readonly)) };
}

fn write(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("mov qword ptr [{}], 0", in(reg) address, options(nostack)) };
}

fn execute(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("call {}", in(reg) address, clobber_abi("C")) };
}
