//! The firmware's calls for power and processors (Arm DEN 0022, PSCI).

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
