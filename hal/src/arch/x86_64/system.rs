//! System registers: model specific ones, control registers, CPUID.

use core::arch::asm;

use ochre_sync::primitive::atomic::{Ordering, fence};

/// Extended features: system call instruction, long mode, no-execute.
pub(crate) const MSR_EFER: u32 = 0xc000_0080;
/// Selectors of the system call instruction.
pub(crate) const MSR_STAR: u32 = 0xc000_0081;
/// The system call entry.
pub(crate) const MSR_LSTAR: u32 = 0xc000_0082;
/// The system call entry of 32-bit programs (there are none).
pub(crate) const MSR_CSTAR: u32 = 0xc000_0083;
/// Flags that the system call instruction clears.
pub(crate) const MSR_SFMASK: u32 = 0xc000_0084;
/// FS base.
pub(crate) const MSR_FS_BASE: u32 = 0xc000_0100;
/// GS base.
pub(crate) const MSR_GS_BASE: u32 = 0xc000_0101;
/// The GS base that `swapgs` brings: a program's, while the kernel runs.
pub(crate) const MSR_USER_GS_BASE: u32 = 0xc000_0102;
/// Code segment of the old system call instruction: zero makes it fault.
pub(crate) const MSR_SYSENTER_CS: u32 = 0x174;

/// Reads a model specific register.
///
/// # Safety
/// The register exists on this processor.
pub(crate) unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller says that the register exists; reading has no effect on memory.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model specific register.
///
/// # Safety
/// The register exists, takes the value, and the kernel's memory and control
/// flow stay what they are.
pub(crate) unsafe fn write_msr(register: u32, value: u64) {
    let low = value & 0xffff_ffff;
    let high = value >> 32;
    // SAFETY: the caller vouches for register and value.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("rax") low, in("rdx") high, options(nostack, preserves_flags));
    }
}

/// Orders what this processor did with memory and with devices' registers
/// before what it does with them from here on, as devices see it too.
#[inline]
pub(crate) fn order_with_devices() {
    // ORDERING: SeqCst; devices see memory as processors do. Only a store and
    // the load after it may change places here, and nothing weaker keeps them.
    fence(Ordering::SeqCst);
}

/// The address of the last page fault.
#[inline]
pub(crate) fn fault_address() -> u64 {
    let value;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Puts the address of the last page fault back.
pub(crate) fn set_fault_address(address: u64) {
    // SAFETY: writing CR2 has no effect but on who reads it.
    unsafe { asm!("mov cr2, {}", in(reg) address, options(nomem, nostack, preserves_flags)) };
}

/// CR3.
pub(crate) fn read_cr3() -> u64 {
    let value;
    // SAFETY: reading CR3 has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// CR4.
pub(crate) fn read_cr4() -> u64 {
    let value;
    // SAFETY: reading CR4 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes CR4.
///
/// # Safety
/// The processor has every feature that is switched on, and the kernel's
/// memory stays accessible as before.
pub(crate) unsafe fn write_cr4(value: u64) {
    // SAFETY: the caller vouches for the value.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Writes extended control register 0: which state XSAVE manages.
///
/// # Safety
/// CR4.OSXSAVE is on and the processor supports every bit.
pub(crate) unsafe fn write_xcr0(value: u64) {
    let low = value & 0xffff_ffff;
    let high = value >> 32;
    // SAFETY: the caller vouches for the value.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("rax") low, in("rdx") high, options(nomem, nostack, preserves_flags));
    }
}

/// The cycle counter.
pub(crate) fn cycles() -> u64 {
    // SAFETY: every processor with long mode has the time stamp counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}
