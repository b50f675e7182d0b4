//! The firmware's calls for power and processors (Arm DEN 0022, PSCI).
//!
//! How the firmware is called, the device tree says. Where that cannot be read,
//! [`off_unnamed`] tries what the processor suggests.

use core::arch::asm;

use ochre_sync::Once;

use super::platform::Conduit;

const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;
const CPU_ON: u64 = 0xc400_0003;

/// How the firmware is called, where there is one.
static CONDUIT: Once<Conduit> = Once::new();

/// Sets how the firmware is called; once.
pub(super) fn init(conduit: Conduit) {
    let _ = CONDUIT.set(conduit);
}

/// Turns the machine off; comes back where there is no firmware.
pub(super) fn off() {
    // SAFETY: the machine ends.
    unsafe { call(SYSTEM_OFF, [0; 3]) };
}

/// Resets the machine; comes back where there is no firmware.
pub(super) fn reset() {
    // SAFETY: the machine begins anew.
    unsafe { call(SYSTEM_RESET, [0; 3]) };
}

/// Starts a processor at a physical address; whether the firmware does.
///
/// # Safety
/// The processor is off, and the code there knows what to do with `argument`.
pub(super) unsafe fn start(affinity: u64, entry: u64, argument: u64) -> bool {
    // SAFETY: the caller's promise.
    unsafe { call(CPU_ON, [affinity, entry, argument]) == Some(0) }
}

/// Calls the firmware (SMC calling convention); `None` where there is none.
///
/// # Safety
/// What the function does to the machine is what the caller wants.
unsafe fn call(function: u64, arguments: [u64; 3]) -> Option<i64> {
    let conduit = *CONDUIT.get()?;
    let [first, second, third] = arguments;
    /// One of the two instructions.
    macro_rules! go {
        ($instruction:literal) => {{
            let answer: i64;
            // SAFETY: the firmware keeps x18 and above; the rest is the caller's promise.
            unsafe {
                asm!(
                    $instruction,
                    inout("x0") function => answer,
                    inout("x1") first => _,
                    inout("x2") second => _,
                    inout("x3") third => _,
                    lateout("x4") _, lateout("x5") _, lateout("x6") _, lateout("x7") _,
                    lateout("x8") _, lateout("x9") _, lateout("x10") _, lateout("x11") _,
                    lateout("x12") _, lateout("x13") _, lateout("x14") _, lateout("x15") _,
                    lateout("x16") _, lateout("x17") _,
                    options(nostack),
                );
            }
            answer
        }};
    }
    Some(match conduit {
        Conduit::Hypervisor => go!("hvc #0"),
        // The instruction's extension is the assembler's matter.
        Conduit::Monitor => go!(".inst 0xd4000003"),
    })
}

unsafe extern "C" {
    /// See below.
    fn ochre_off_unnamed(level: u64) -> !;
}

/// Turns the machine off where nobody says how the firmware is called; `level`
/// is what CurrentEL was when the loader handed over. Where there is no
/// firmware the processor sleeps for ever.
///
/// Whoever has put a kernel at EL1 is at EL2, or at EL3 where there is no EL2;
/// what is above EL2 is at EL3. A call that leads nowhere is an instruction that
/// the processor does not know, so one is tried after the other. To firmware
/// that is not PSCI the number is one that it does not know (SMC calling
/// convention). A board that has EL3 and nobody there stays where that level's
/// vectors happen to lead. Nothing is lost by any of it: the kernel can neither
/// go on nor say why.
pub(super) fn off_unnamed(level: u64) -> ! {
    // SAFETY: it needs no stack and never comes back: nobody sees what it changes.
    unsafe { ochre_off_unnamed(level) }
}

// The vectors are its own, because it is used before there are others, too, with
// the MMU off. Interrupts are masked, so that only the calls can get there: from
// either stack pointer.
core::arch::global_asm!(
    ".pushsection .text.boot, \"ax\", %progbits",
    ".balign 2048",
    "ochre_off_vectors:",
    // x18 and above are kept by the firmware.
    "br x19",
    ".balign 512",
    "br x19",

    ".global ochre_off_unnamed",
    "ochre_off_unnamed:",
    "msr daifset, #15",
    "adr x1, ochre_off_vectors",
    "msr vbar_el1, x1",
    "isb",
    "adr x19, 2f",
    // Started at EL2, it is the kernel that left EL2, and nobody is there.
    "cmp x0, #2 << 2",
    "b.eq 2f",
    "mov x0, #{off_low}",
    "movk x0, #{off_high}, lsl #16",
    "hvc #0",
    "2: adr x19, 3f",
    "mov x0, #{off_low}",
    "movk x0, #{off_high}, lsl #16",
    // smc #0
    ".inst 0xd4000003",
    "3: wfi",
    "b 3b",
    ".popsection",
    off_low = const SYSTEM_OFF & 0xffff,
    off_high = const SYSTEM_OFF >> 16,
);
