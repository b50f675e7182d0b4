//! What the machine is asked in its own language: instructions that fault,
//! registers in a signal's frame, sections of `rseq`, and numbers of calls.
//!
//! `numbers` has every call that the program speaks of. A machine that never
//! had one of them (AArch64: `open`, `fork`, `poll`, ...) makes it as its C
//! libraries do, by `call`: the cases are the same on every machine.
//!
//! # Safety
//! As `sys`: memory stays sound because words become pointers in the kernel only.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
mod legacy;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;

/// How [`come`] gets to an address.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// A call through a register.
    Call,
    /// A jump through a register.
    Jump,
    /// Such a jump, made by code of the case's.
    JumpFromPad,
    /// A return.
    Return,
    /// A breakpoint, whose handler goes on there ([`return_to_landing`]).
    Trap,
}

/// What [`fault`] does.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// An instruction that does not exist.
    Illegal,
    /// An integer division by zero; no fault on every machine.
    Divide,
    /// A privileged instruction.
    Privileged,
    /// A breakpoint.
    Breakpoint,
    /// A load from an address in neither half.
    NonCanonical,
    /// Disables interrupts.
    InterruptsOff,
}
