//! What the one-property kernels do wrong, in this machine's language.
//!
//! Only with feature `boottest`; see `hal/src/boottest.rs`. None of it is sound.

use core::arch::asm;

/// Executes a breakpoint.
pub(crate) fn breakpoint() {
    // SAFETY: the trap code comes back to the next instruction with every register restored.
    unsafe { asm!("int3", options(nomem, nostack)) };
}

/// Executes an instruction that does not exist.
pub(crate) fn invalid_instruction() {
    // SAFETY: it faults; nothing comes after.
    unsafe { asm!("ud2", options(nomem, nostack)) };
}

/// Divides by zero: a fault.
pub(crate) fn divide_by_zero() -> u64 {
    let quotient: u64;
    // SAFETY: it faults; nothing comes after.
    unsafe {
        asm!("div {0:e}", in(reg) 0, inout("rax") 1_u64 => quotient, out("edx") _, options(nomem, nostack));
    }
    quotient
}

/// Loads from an address.
pub(crate) fn read(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack, readonly)) };
}

/// Stores to an address.
pub(crate) fn write(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("mov qword ptr [{}], 0", in(reg) address, options(nostack)) };
}

/// Calls an address.
pub(crate) fn execute(address: u64) {
    // SAFETY: none: this is the fault that the test is about.
    unsafe { asm!("call {}", in(reg) address, clobber_abi("C")) };
}

/// A program that does nothing for ever.
pub(crate) const ENDLESS: &[u8] = &[0xeb, 0xfe];

/// A machine check, as far as software can make one: at once.
pub(crate) fn memory_error() {
    // SAFETY: the trap code ends the machine.
    unsafe { asm!("int 18", options(nomem, nostack)) };
}
