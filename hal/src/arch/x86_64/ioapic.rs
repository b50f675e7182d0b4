//! The I/O APICs: device lines to vectors.
//!
//! Each serves a run of global system interrupts from its base on. All
//! entries start masked. A line goes to the boot processor in physical mode.

use crate::memory::registers::Registers;

const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
const VERSION: u32 = 1;
const FIRST_ENTRY: u32 = 0x10;

const ENTRY_ACTIVE_LOW: u32 = 1 << 13;
const ENTRY_LEVEL: u32 = 1 << 15;
const ENTRY_MASKED: u32 = 1 << 16;

/// How a device drives its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trigger {
    /// Held until the device is served, not a pulse.
    pub(super) level: bool,
    /// Active when low.
    pub(super) active_low: bool,
}

/// One I/O APIC. Two registers choose and carry, so its owner keeps it in a lock.
#[derive(Debug)]
pub(super) struct IoApic {
    registers: Registers,
    base: u32,
    entries: u32,
}

impl IoApic {
    /// The I/O APIC at a physical address, every entry masked; `None` if
    /// nothing answers there.
    pub(super) fn new(physical: u64, base: u32) -> Option<IoApic> {
        // SAFETY: the tables (or the PC's convention) say that an I/O APIC is
        // there and `map` refuses memory. It can only send the interrupts that
        // this module programs, to vectors that the interrupt table has.
        let registers = unsafe { Registers::map(physical, 0x20) }?;
        let mut apic = IoApic {
            registers,
            base,
            entries: 0,
        };
        let version = apic.read(VERSION);
        if version == u32::MAX || version == 0 {
            return None;
        }
        apic.entries = ((version >> 16) & 0xff) + 1;
        for index in 0..apic.entries {
            apic.write_entry(index, ENTRY_MASKED, 0);
        }
        Some(apic)
    }

    /// Whether the line with this global number ends here.
    pub(super) fn serves(&self, line: u16) -> bool {
        self.index(line).is_some()
    }

    /// Sends `line` to `vector` on the processor with the APIC number `processor`.
    pub(super) fn unmask(&mut self, line: u16, vector: u8, trigger: Trigger, processor: u8) {
        if let Some(index) = self.index(line) {
            let mut low = u32::from(vector);
            if trigger.level {
                low |= ENTRY_LEVEL;
            }
            if trigger.active_low {
                low |= ENTRY_ACTIVE_LOW;
            }
            self.write_entry(index, low, u32::from(processor) << 24);
        }
    }

    /// Stops `line`.
    pub(super) fn mask(&mut self, line: u16) {
        if let Some(index) = self.index(line) {
            self.write_entry(index, ENTRY_MASKED, 0);
        }
    }

    fn index(&self, line: u16) -> Option<u32> {
        u32::from(line)
            .checked_sub(self.base)
            .filter(|index| *index < self.entries)
    }

    fn read(&mut self, register: u32) -> u32 {
        self.registers.write(SELECT, register);
        self.registers.read(WINDOW)
    }

    /// Writes an entry without a moment in which a half-written one is live.
    fn write_entry(&mut self, index: u32, low: u32, high: u32) {
        let register = FIRST_ENTRY + 2 * index;
        self.write(register, ENTRY_MASKED);
        self.write(register + 1, high);
        self.write(register, low);
    }

    fn write(&mut self, register: u32, value: u32) {
        self.registers.write(SELECT, register);
        self.registers.write(WINDOW, value);
    }
}
