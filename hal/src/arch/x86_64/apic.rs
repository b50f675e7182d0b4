//! The local APIC: end of interrupt, and the timer behind the clock's alarm.
//!
//! In x2APIC mode where the processor has it (registers are MSRs), else
//! through memory.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

use ochre_sync::Once;

use super::interrupts::{VECTOR_SPURIOUS, VECTOR_TIMER};
use super::mmio::Registers;

/// Where every PC has the registers unless somebody moved them.
const USUAL_BASE: u64 = 0xfee0_0000;

const MSR_BASE: u32 = 0x1b;
const MSR_BASE_ENABLE: u64 = 1 << 11;
const MSR_BASE_X2APIC: u64 = 1 << 10;
const MSR_X2APIC_FIRST: u32 = 0x800;
const MSR_TSC_DEADLINE: u32 = 0x6e0;

const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const COMMAND: usize = 0x300;
const LVT_CORRECTED_ERROR: usize = 0x2f0;
const LVT_TIMER: usize = 0x320;
const LVT_THERMAL: usize = 0x330;
const LVT_PERFORMANCE: usize = 0x340;
const LVT_LINE_0: usize = 0x350;
const LVT_LINE_1: usize = 0x360;
const LVT_ERROR: usize = 0x370;
const TIMER_INITIAL: usize = 0x380;
const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;
const VERSION: usize = 0x30;

const SOFTWARE_ENABLE: u32 = 1 << 8;
const LVT_MASKED: u32 = 1 << 16;
const LVT_TIMER_DEADLINE: u32 = 2 << 17;
const DIVIDE_BY_1: u32 = 0b1011;

/// This machine's way to the local APICs, the same for every processor.
#[derive(Debug)]
pub(super) struct LocalApic {
    /// `None` in x2APIC mode.
    registers: Option<Registers>,
    /// Whether the timer takes a time stamp instead of a count.
    pub(super) tsc_deadline: bool,
}

static LOCAL_APIC: Once<LocalApic> = Once::new();

/// The local APIC of the processor that asks; `None` before [`init`].
#[inline]
pub(super) fn local() -> Option<&'static LocalApic> {
    LOCAL_APIC.get()
}

/// Finds the local APIC and turns on this processor's. `base` is what ACPI
/// says; the processor's own register has the last word.
///
/// # Panics
/// On a processor without a local APIC: nothing could be scheduled.
pub(super) fn init() -> &'static LocalApic {
    let features = __cpuid(1);
    assert!(
        features.edx & (1 << 9) != 0,
        "this processor has no local APIC, which the kernel needs"
    );
    let x2apic = features.ecx & (1 << 21) != 0;
    let base = if x2apic {
        USUAL_BASE | MSR_BASE_ENABLE | MSR_BASE_X2APIC
    } else {
        USUAL_BASE | MSR_BASE_ENABLE
    };
    // The bootstrap-processor bit is read-only; everything else is chosen here.
    let bootstrap = read_msr(MSR_BASE) & (1 << 8);
    // SAFETY: puts the APIC's registers where no RAM is, in the mode in which
    // `LocalApic` uses them. A step straight from "off" to x2APIC does not
    // happen: the firmware left the APIC on, as reset does.
    unsafe { write_msr(MSR_BASE, base | bootstrap) };
    let registers = if x2apic {
        None
    } else {
        // SAFETY: the registers of the local APIC, put there by the line
        // above; only this module uses them, and only as `write` says.
        let registers = unsafe { Registers::map(USUAL_BASE, 0x1000) };
        Some(registers.expect("the APIC's page is below 4 GiB and aligned"))
    };
    let _ = LOCAL_APIC.set(LocalApic {
        registers,
        tsc_deadline: features.ecx & (1 << 24) != 0,
    });
    let apic = LOCAL_APIC.get().expect("it was set on the line before");
    apic.enable();
    apic
}

impl LocalApic {
    /// Sets up this processor's own APIC: everything masked but the timer.
    fn enable(&self) {
        let entries = (self.read(VERSION) >> 16) & 0xff;
        for (index, register) in [
            (3, LVT_LINE_0),
            (3, LVT_LINE_1),
            (3, LVT_ERROR),
            (4, LVT_PERFORMANCE),
            (5, LVT_THERMAL),
            (6, LVT_CORRECTED_ERROR),
        ] {
            if entries >= index {
                self.write(register, LVT_MASKED);
            }
        }
        self.write(TASK_PRIORITY, 0);
        self.write(SPURIOUS, SOFTWARE_ENABLE | u32::from(VECTOR_SPURIOUS));
        let mode = if self.tsc_deadline {
            LVT_TIMER_DEADLINE
        } else {
            self.write(TIMER_DIVIDE, DIVIDE_BY_1);
            0
        };
        self.write(LVT_TIMER, mode | u32::from(VECTOR_TIMER));
        if self.tsc_deadline {
            // SAFETY: a fence; orders the mode's write before any deadline's.
            unsafe { asm!("mfence", options(nostack, preserves_flags)) };
        }
    }

    /// This processor's APIC number, for the I/O APIC's destination field;
    /// `None` where the number does not fit it.
    pub(super) fn id(&self) -> Option<u8> {
        match &self.registers {
            Some(registers) => Some((registers.read(ID) >> 24) as u8),
            None => u8::try_from(self.read(ID)).ok().filter(|id| *id != 0xff),
        }
    }

    /// Tells the APIC that the current interrupt was taken.
    #[inline]
    pub(super) fn end_of_interrupt(&self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    /// Interrupts this processor.
    pub(super) fn interrupt_self(&self, vector: u8) {
        const SELF: u32 = 1 << 18;
        const ASSERT: u32 = 1 << 14;
        self.write(COMMAND, SELF | ASSERT | u32::from(vector));
    }

    /// Starts the timer: one interrupt after `count` of its ticks.
    #[inline]
    pub(super) fn start_timer(&self, count: u32) {
        self.write(TIMER_INITIAL, count);
    }

    /// Asks for one interrupt when the time stamp counter reaches `stamp`.
    #[inline]
    pub(super) fn start_deadline(&self, stamp: u64) {
        // SAFETY: chooses when this processor's own timer interrupts; zero
        // would turn it off.
        unsafe { write_msr(MSR_TSC_DEADLINE, stamp.max(1)) };
    }

    /// Runs `measure` while the timer counts down from its maximum without
    /// interrupting; `measure` is given a function that reads the ticks passed.
    pub(super) fn with_counting_timer<T>(&self, measure: impl FnOnce(&dyn Fn() -> u64) -> T) -> T {
        let saved = self.read(LVT_TIMER);
        self.write(LVT_TIMER, LVT_MASKED | u32::from(VECTOR_TIMER));
        self.write(TIMER_DIVIDE, DIVIDE_BY_1);
        self.write(TIMER_INITIAL, u32::MAX);
        let result = measure(&|| u64::from(u32::MAX - self.read(TIMER_CURRENT)));
        self.write(TIMER_INITIAL, 0);
        self.write(LVT_TIMER, saved);
        result
    }

    #[inline]
    fn read(&self, register: usize) -> u32 {
        match &self.registers {
            Some(registers) => registers.read(register),
            None => read_msr(MSR_X2APIC_FIRST + (register >> 4) as u32) as u32,
        }
    }

    #[inline]
    fn write(&self, register: usize, value: u32) {
        match &self.registers {
            Some(registers) => registers.write(register, value),
            // SAFETY: a register of this processor's own APIC, which masks,
            // acknowledges, times and sends interrupts; what is sent is one
            // that its receiver is ready for (`interrupt_self`).
            None => unsafe {
                write_msr(MSR_X2APIC_FIRST + (register >> 4) as u32, u64::from(value))
            },
        }
    }
}

/// Reads an MSR of the APIC; every processor with an APIC has them.
fn read_msr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the callers name APIC registers that exist; reading has no effect.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes an MSR of the APIC.
///
/// # Safety
/// The register must exist and the value must not break memory safety.
unsafe fn write_msr(msr: u32, value: u64) {
    // SAFETY: by the contract of this function.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags)
        );
    }
}
