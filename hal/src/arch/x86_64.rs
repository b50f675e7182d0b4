//! x86_64: PVH boot, descriptor tables, traps, local APIC, TSC.

pub(crate) mod entry;
pub(crate) mod layout;
mod no_heap;
mod panic;
pub(crate) mod port;
pub(crate) mod pvh;
mod start;
