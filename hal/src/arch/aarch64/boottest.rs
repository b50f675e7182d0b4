//! What the one-property kernels do wrong, in this machine's language.
//!
//! Only with feature `boottest`; see `hal/src/boottest.rs`. None of it is sound.

use core::arch::asm;

/// Executes a breakpoint.
pub(crate) fn breakpoint() {
    // SAFETY: the trap code comes back to the next instruction with every register restored.
    unsafe { asm!("brk #0", options(nomem, nostack)) };
}

/// Executes an instruction that does not exist.
pub(crate) fn invalid_instruction() {
    // SAFETY: it faults; nothing comes after.
    unsafe { asm!("udf #0", options(nomem, nostack)) };
}

/// Divides by zero: zero, on this machine.
pub(crate) fn divide_by_zero() -> u64 {
    let quotient: u64;
    // SAFETY: a register changes.
    unsafe {
        asm!("udiv {0}, {1}, xzr", out(reg) quotient, in(reg) 1_u64, options(nomem, nostack));
    }
    quotient
}

/// Loads from an address.
pub(crate) fn read(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) address => _, options(nostack, readonly)) };
}

/// Stores to an address.
pub(crate) fn write(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("str xzr, [{}]", in(reg) address, options(nostack)) };
}

/// Calls an address.
pub(crate) fn execute(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("blr {}", in(reg) address, clobber_abi("C")) };
}
