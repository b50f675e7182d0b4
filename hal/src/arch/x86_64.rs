//! x86_64: PVH boot, descriptor tables, traps, local APIC, TSC.

mod acpi;
mod apic;
mod calibrate;
pub(crate) mod clock;
mod cmos;
mod devices;
pub(crate) mod entry;
pub(crate) mod interrupts;
mod ioapic;
pub(crate) mod layout;
mod mmio;
mod no_heap;
mod panic;
mod pic;
pub(crate) mod port;
pub(crate) mod power;
pub(crate) mod pvh;
pub(crate) mod random;
mod start;
pub(crate) mod uart;
