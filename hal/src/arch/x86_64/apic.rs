//! The local APIC: end of interrupt, the timer behind the clock's alarm, and
//! interrupts to other processors.
//!
//! In x2APIC mode where the processor has it (registers are MSRs), else
//! through memory.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

use ochre_sync::Once;

use super::interrupts::{VECTOR_SPURIOUS, VECTOR_TIMER};
use crate::memory::registers::Registers;

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
const COMMAND_HIGH: usize = 0x310;
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

const DELIVER_NMI: u32 = 4 << 8;
const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_STARTUP: u32 = 6 << 8;
const COMMAND_PENDING: u32 = 1 << 12;
const COMMAND_ASSERT: u32 = 1 << 14;
const COMMAND_SELF: u32 = 1 << 18;

/// Looks at a command that is still pending, before it is taken for lost.
const COMMAND_PATIENCE: u32 = 1_000_000;

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
    switch_on(x2apic);
    let registers = if x2apic {
        None
    } else {
        // SAFETY: the registers of the local APIC, put there by the line
        // above; only this module uses them, and only as `write` and
        // `command` say.
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

/// Turns this processor's APIC on, in x2APIC mode or the older one.
fn switch_on(x2apic: bool) {
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
}

impl LocalApic {
    /// Sets up the APIC of a processor that was started.
    pub(super) fn init_other(&self) {
        switch_on(self.registers.is_none());
        self.enable();
    }

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

    /// This processor's APIC number.
    pub(super) fn id(&self) -> u32 {
        match &self.registers {
            Some(registers) => registers.read(ID) >> 24,
            None => self.read(ID),
        }
    }

    /// Tells the APIC that the current interrupt was taken.
    #[inline]
    pub(super) fn end_of_interrupt(&self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    /// Interrupts this processor.
    pub(super) fn interrupt_self(&self, vector: u8) {
        // SAFETY: vectors are those that every processor handles.
        unsafe { self.command(0, COMMAND_SELF | COMMAND_ASSERT | u32::from(vector)) };
    }

    /// Interrupts the processor with an APIC number.
    #[inline]
    pub(super) fn interrupt(&self, id: u32, vector: u8) {
        // SAFETY: as in `interrupt_self`; a processor that does not run the
        // kernel yet has interrupts off.
        unsafe { self.command(id, COMMAND_ASSERT | u32::from(vector)) };
    }

    /// Interrupts a processor wherever it is.
    pub(super) fn interrupt_anywhere(&self, id: u32) {
        // SAFETY: the trap code is ready for it at every instruction.
        unsafe { self.command(id, COMMAND_ASSERT | DELIVER_NMI) };
    }

    /// Resets a processor, which then waits for [`start_up`](Self::start_up).
    ///
    /// # Safety
    /// The processor does not run the kernel.
    pub(super) unsafe fn reset(&self, id: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.command(id, COMMAND_ASSERT | DELIVER_INIT) };
    }

    /// Starts a processor that was reset, in real mode at a page below 1 MiB;
    /// one that runs already takes no notice.
    ///
    /// # Safety
    /// The page's number is `page`, and its code is made for this.
    pub(super) unsafe fn start_up(&self, id: u32, page: u8) {
        // SAFETY: the caller's promise.
        unsafe { self.command(id, COMMAND_ASSERT | DELIVER_STARTUP | u32::from(page)) };
    }

    /// Sends an interrupt.
    ///
    /// # Safety
    /// The receiver is ready for it.
    #[inline]
    unsafe fn command(&self, id: u32, command: u32) {
        match &self.registers {
            Some(registers) => {
                registers.write(COMMAND_HIGH, id << 24);
                registers.write(COMMAND, command);
                // The next command would overwrite one that is still pending.
                for _ in 0..COMMAND_PATIENCE {
                    if registers.read(COMMAND) & COMMAND_PENDING == 0 {
                        break;
                    }
                    core::hint::spin_loop();
                }
            }
            None => {
                // The write is not ordered after earlier stores by itself (SDM
                // volume 3, section 10.12.3), and whoever is interrupted is to
                // see them.
                // SAFETY: fences change nothing but order.
                unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) };
                let value = u64::from(id) << 32 | u64::from(command);
                // SAFETY: the command register; what is sent is the caller's promise.
                unsafe { write_msr(MSR_X2APIC_FIRST + (COMMAND >> 4) as u32, value) };
            }
        }
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
            // SAFETY: a register of this processor's own APIC, by which it
            // masks, acknowledges and times interrupts; `command` alone sends any.
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
