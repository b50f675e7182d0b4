//! x86_64: PVH boot, descriptor tables, traps, local APIC, TSC.

mod acpi;
pub(crate) mod apart;
mod apic;
mod area;
#[cfg(feature = "boottest")]
pub(crate) mod boottest;
pub(crate) mod bytes;
mod calibrate;
pub(crate) mod clock;
pub(crate) mod console;
pub(crate) mod context;
pub(crate) mod cpuinfo;
mod devices;
pub(crate) mod entry;
mod exceptions;
mod fault;
pub(crate) mod features;
pub(crate) mod firmware;
mod fpu;
pub(crate) mod gdt;
mod idt;
pub(crate) mod interrupts;
mod ioapic;
mod kaslr;
pub(crate) mod keyboard;
#[cfg(all(feature = "ktest", target_os = "none"))]
pub(crate) mod ktests;
pub(crate) mod layout;
pub(crate) mod others;
pub(crate) mod paging;
pub(crate) mod percpu;
mod pic;
mod port;
pub(crate) mod power;
#[cfg(all(feature = "ktest", target_os = "none"))]
mod protections;
pub(crate) mod pvh;
pub(crate) mod random;
pub(crate) mod registers;
pub(crate) mod report;
pub(crate) mod rtc;
pub(crate) mod screen;
mod sigframe;
pub(crate) mod speculation;
mod start;
mod stop;
pub(crate) mod system;
pub(crate) mod tlb;
mod trampoline;
mod trap;
pub(crate) mod uart;
pub(crate) mod usercopy;
pub(crate) mod window;
