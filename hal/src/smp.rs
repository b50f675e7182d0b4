//! Every processor of the machine.
//!
//! The machine boots on one processor, and the others wait for it. When the
//! kernel can run on them it calls [`start_others`] once; each comes up with
//! its own stacks, tables and timer and enters the kernel.

#[cfg(all(feature = "ktest", target_os = "none"))]
pub(crate) mod ktests;
pub mod watch;

use crate::arch::machine::others as machine;

/// Starts the other processors, each of which calls `entry` on its own stack;
/// comes back when they run. [`cpu::online`](crate::cpu::online) is then what
/// it stays. A processor that does not come up in time is left out.
///
/// Has an effect the first time only.
pub fn start_others(entry: fn() -> !) {
    machine::start(entry);
}

/// Starts the other processors, where there are any, for the in-kernel tests
/// that use them.
#[cfg(all(feature = "ktest", target_os = "none"))]
pub fn start_for_tests() {
    start_others(ktests::serve);
}
