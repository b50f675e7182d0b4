//! The machine, behind a sound safe interface.
//!
//! Everything that can break memory safety lives here: boot, traps, page
//! tables, frames, device registers. The kernel above is
//! `#![forbid(unsafe_code)]` and reaches the machine only through the items of
//! this crate, none of which lets safe code cause undefined behaviour.
//!
//! # Interrupts are events
//!
//! The kernel runs with interrupts disabled. An interrupt is taken in three
//! places only: in user mode, where it ends [`user::UserContext::run`]; in
//! [`cpu::wait_for_interrupt`]; and in [`irq::poll_pending`]. Each *returns*
//! the event to safe code. No handler runs beside kernel code on the same
//! processor.
#![cfg_attr(not(test), no_std)]
#![expect(
    unsafe_code,
    reason = "the machine is touched here so that the kernel need not"
)]
#![cfg_attr(
    not(target_os = "none"),
    expect(
        dead_code,
        reason = "most of the machine is reached from the boot code, which a host lacks"
    )
)]

extern crate alloc;
// `#[ktest]` names this crate from outside.
#[cfg(feature = "ktest")]
extern crate self as ochre_hal;

mod arch;
mod backtrace;
pub mod boot;
#[cfg(feature = "boottest")]
pub mod boottest;
pub mod clock;
pub mod cpu;
pub mod debug;
#[cfg(feature = "ktest")]
mod device_tests;
pub mod entropy;
mod extable;
mod firmware;
pub mod irq;
pub mod keyboard;
pub mod ktest;
pub mod memory;
pub mod names;
#[cfg(target_os = "none")]
mod panic;
pub mod power;
mod relative;
pub mod rtc;
pub mod screen;
pub mod serial;
pub mod smp;
pub mod user;
mod virtio;

pub use ochre_macros::ktest;
