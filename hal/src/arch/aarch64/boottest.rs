//! What the one-property kernels do wrong, in this machine's language.
//!
//! Only with feature `boottest`; see `hal/src/boottest.rs`. None of it is sound.

use core::arch::asm;

use super::system::mrs;

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

/// A program that does nothing for ever.
pub(crate) const ENDLESS: &[u8] = &0x1400_0000_u32.to_le_bytes();

/// Has the memory system tell of an error: it is pending from here on. Nothing
/// where the machine did not start at EL2.
pub(crate) fn memory_error() {
    /// Data is lost, and what was computed with it.
    const SYNDROME: u64 = 1 << 10 | 0x11;
    // FEAT_RAS: there is a register for what such an error says.
    let tells = mrs!("id_aa64pfr0_el1") >> 28 & 15 != 0;
    let syndrome = if tells { SYNDROME } else { 0 };
    // SAFETY: `ochre_boottest_el2` changes a register. The error is none.
    unsafe { asm!("hvc #0", inout("x0") syndrome => _, options(nostack)) };
}

// The vectors at EL2. Of those only calls from EL1 come here: a virtual error is
// made pending (HCR_EL2: VSE, with AMO), which says what x0 does if that is not 0.
core::arch::global_asm!(
    ".pushsection .text.boot, \"ax\", %progbits",
    // The boot code names it by its page.
    ".balign 4096",
    ".global ochre_boottest_el2",
    "ochre_boottest_el2:",
    ".space 8 * 128",
    "cbz x0, 2f",
    "msr s3_4_c5_c2_3, x0",
    "2: mrs x0, hcr_el2",
    "orr x0, x0, #1 << 5",
    "orr x0, x0, #1 << 8",
    "msr hcr_el2, x0",
    "eret",
    ".balign 2048",
    ".popsection",
);
