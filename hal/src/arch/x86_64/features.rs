//! What the processor can do, asked once; and switching it on.

use core::arch::x86_64::{__cpuid, __cpuid_count};

use ochre_sync::Once;

use super::registers::{KERNEL_CODE, USER_DATA, flags};
use super::{apart, system, trap};

/// CR4 bits.
mod cr4 {
    pub(super) const PAGE_GLOBAL: u64 = 1 << 7;
    pub(super) const UMIP: u64 = 1 << 11;
    pub(super) const OSXSAVE: u64 = 1 << 18;
    pub(super) const SMEP: u64 = 1 << 20;
    pub(super) const SMAP: u64 = 1 << 21;
}

/// EFER: the system call instruction.
const EFER_SYSCALL: u64 = 1;

/// State components that the kernel lets programs use: x87, SSE, AVX, the
/// three of AVX-512. Not the protection keys' (the kernel leaves them off) and
/// not AMX's 8 KiB.
const COMPONENTS: u64 = 0xe7;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    /// Supervisor mode access prevention.
    pub(crate) smap: bool,
    /// Supervisor mode execution prevention.
    pub(crate) smep: bool,
    /// User mode instruction prevention.
    pub(crate) umip: bool,
    /// No-execute pages.
    pub(crate) no_execute: bool,
    /// Global pages.
    pub(crate) global_pages: bool,
    /// Pages of 1 GiB.
    pub(crate) gigabyte_pages: bool,
    /// XSAVE: the components that are managed, or 0 where there is only FXSAVE.
    pub(crate) xsave_components: u64,
    /// The optimising variant.
    pub(crate) xsaveopt: bool,
    /// Whether XGETBV tells the components that are in use.
    pub(crate) tells_use: bool,
    /// Bytes of the save area.
    pub(crate) save_bytes: usize,
    /// Leaf 1's EDX, which programs see as `AT_HWCAP`.
    pub(crate) leaf1_edx: u32,
}

static FEATURES: Once<Features> = Once::new();

/// What this machine's processors can do.
#[inline]
pub(crate) fn get() -> &'static Features {
    match FEATURES.get() {
        Some(features) => features,
        None => first_look(),
    }
}

/// What programs see as `AT_HWCAP`: leaf 1's EDX.
pub(crate) fn hwcap() -> u64 {
    u64::from(get().leaf1_edx)
}

/// What programs see as `AT_HWCAP2`.
pub(crate) fn hwcap2() -> u64 {
    0
}

/// See [`cpu::has_landing_pads`](crate::cpu::has_landing_pads): Linux offers
/// programs none here.
#[inline]
pub(crate) const fn has_landing_pads() -> bool {
    false
}

#[cold]
fn first_look() -> &'static Features {
    // A race would set the same value twice; the loser's is dropped.
    let _ = FEATURES.set(detect());
    FEATURES.get().expect("set above, or by whoever came first")
}

/// Whether the processor that asks can do the same as the first one, so that
/// a thread may go on on either.
pub(super) fn are_those_here() -> bool {
    detect() == *get()
}

/// Asks CPUID. The size of the save area is for all managed components, so it
/// does not depend on XCR0 being set yet.
fn detect() -> Features {
    let highest = __cpuid(0).eax;
    let leaf1 = __cpuid(1);
    let leaf7 = if highest >= 7 {
        __cpuid_count(7, 0)
    } else {
        __cpuid_count(0, 0)
    };
    let has_leaf7 = highest >= 7;
    let extended = __cpuid(0x8000_0001);
    let xsave = leaf1.ecx & 1 << 26 != 0 && highest >= 0xd;
    let mut features = Features {
        smap: has_leaf7 && leaf7.ebx & 1 << 20 != 0,
        smep: has_leaf7 && leaf7.ebx & 1 << 7 != 0,
        umip: has_leaf7 && leaf7.ecx & 1 << 2 != 0,
        no_execute: extended.edx & 1 << 20 != 0,
        global_pages: leaf1.edx & 1 << 13 != 0,
        gigabyte_pages: extended.edx & 1 << 26 != 0,
        xsave_components: 0,
        xsaveopt: false,
        tells_use: false,
        save_bytes: 512,
        leaf1_edx: leaf1.edx,
    };
    if xsave {
        let supported = __cpuid_count(0xd, 0);
        let supported = u64::from(supported.eax) | u64::from(supported.edx) << 32;
        features.xsave_components = components(supported & COMPONENTS);
        let variants = __cpuid_count(0xd, 1).eax;
        features.xsaveopt = variants & 1 != 0;
        features.tells_use = variants & 1 << 2 != 0;
        features.save_bytes = (2..63)
            .filter(|component| features.xsave_components & 1 << component != 0)
            .map(|component| {
                let at = __cpuid_count(0xd, component);
                at.eax.saturating_add(at.ebx) as usize
            })
            .fold(512 + 64, usize::max);
    }
    features
}

/// What of `wanted` XCR0 accepts: x87 always; AVX only with SSE; the AVX-512
/// components all or none, and with AVX.
fn components(wanted: u64) -> u64 {
    let mut accepted = wanted | 1;
    if accepted & 0b10 == 0 {
        accepted &= !0b100;
    }
    if accepted & 0xe0 != 0xe0 || accepted & 0b100 == 0 {
        accepted &= !0xe0;
    }
    accepted
}

/// Switches on what was found, and the system call instruction.
///
/// # Safety
/// Once per processor, when its descriptor tables are loaded; user pages are
/// not touched from here on but by code that lifts SMAP.
pub(super) unsafe fn enable() {
    let features = get();
    let mut cr4 = system::read_cr4();
    for (there, bit) in [
        // What is global stays known in user mode, whatever tables are there.
        (features.global_pages && !apart::is_on(), cr4::PAGE_GLOBAL),
        (features.umip, cr4::UMIP),
        (features.xsave_components != 0, cr4::OSXSAVE),
        (features.smep, cr4::SMEP),
        (features.smap, cr4::SMAP),
    ] {
        if there {
            cr4 |= bit;
        }
    }
    // SAFETY: CPUID says that each bit exists; the kernel executes no user
    // page, and the caller says that it does not touch any unprepared.
    unsafe { system::write_cr4(cr4) };
    if features.xsave_components != 0 {
        // SAFETY: OSXSAVE is on since the line above, and `components` keeps
        // to what CPUID leaf 0xd offers, in legal combinations.
        unsafe { system::write_xcr0(features.xsave_components) };
    }
    // SYSCALL takes CS from bits 32.. and SS right after it; SYSRET takes
    // bits 48..: SS at +8, 64-bit CS at +16.
    let star = u64::from(USER_DATA - 8) << 48 | u64::from(KERNEL_CODE) << 32;
    // SAFETY: a long mode processor has all of these; the entry is ours and the
    // selectors are the table's.
    unsafe { system::write_msr(system::MSR_STAR, star) };
    // SAFETY: as above: our own entry code.
    unsafe { system::write_msr(system::MSR_LSTAR, trap::syscall_entry()) };
    // SAFETY: as above; no program reaches compatibility mode, so this is never used.
    unsafe { system::write_msr(system::MSR_CSTAR, 0) };
    // SAFETY: as above; the entry code runs with these flags clear.
    unsafe { system::write_msr(system::MSR_SFMASK, flags::CLEARED_BY_SYSCALL) };
    // SAFETY: zero makes the old instruction fault.
    unsafe { system::write_msr(system::MSR_SYSENTER_CS, 0) };
    // SAFETY: reading EFER is always possible in long mode.
    let efer = unsafe { system::read_msr(system::MSR_EFER) };
    // SAFETY: the instruction exists in long mode on every processor.
    unsafe { system::write_msr(system::MSR_EFER, efer | EFER_SYSCALL) };
}

#[cfg(test)]
mod tests {
    use super::{components, detect};

    #[test]
    fn only_legal_combinations_are_switched_on() {
        assert_eq!(components(0xe7), 0xe7);
        assert_eq!(components(0x67), 0x07);
        assert_eq!(components(0xe3), 0x03);
        assert_eq!(components(0x05), 0x01);
        assert_eq!(components(0), 1);
    }

    #[test]
    fn the_save_area_has_room() {
        let features = detect();
        assert!(features.save_bytes >= 512 && features.save_bytes < 16384);
    }
}
