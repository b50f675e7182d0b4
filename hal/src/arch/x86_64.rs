//! x86_64: PVH boot, descriptor tables, traps, local APIC, TSC.
