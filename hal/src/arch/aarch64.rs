//! AArch64: Linux's boot protocol, the device tree, exception levels, GIC, the generic timer.

pub(crate) mod apart;
mod area;
#[cfg(feature = "boottest")]
pub(crate) mod boottest;
pub(crate) mod bytes;
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
pub(crate) mod fpu;
mod gic;
pub(crate) mod interrupts;
mod kaslr;
pub(crate) mod keyboard;
mod keys;
#[cfg(all(feature = "ktest", target_os = "none"))]
pub(crate) mod ktests;
pub(crate) mod layout;
pub(crate) mod others;
pub(crate) mod paging;
mod pci;
pub(crate) mod percpu;
mod platform;
pub(crate) mod power;
mod psci;
pub(crate) mod random;
pub(crate) mod registers;
pub(crate) mod report;
#[cfg(target_os = "none")]
mod routines;
pub(crate) mod rtc;
pub(crate) mod screen;
mod sigframe;
pub(crate) mod speculation;
mod start;
mod stop;
pub(crate) mod system;
pub(crate) mod tlb;
mod trap;
pub(crate) mod uart;
pub(crate) mod usercopy;
pub(crate) mod window;
