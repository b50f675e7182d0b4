//! Every processor of the machine.
//!
//! The machine boots on one processor, and the others wait for it. When the
//! kernel can run on them it calls [`start_others`] once; each comes up with
//! its own stacks, tables and timer and enters the kernel.

#[cfg(all(feature = "ktest", target_os = "none"))]
pub(crate) mod ktests;
pub mod watch;

use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use crate::arch::machine::others as machine;
use crate::memory::boot;

/// Starts the other processors, each of which calls `entry` on its own stack;
/// comes back when they run. [`cpu::online`](crate::cpu::online) is then what
/// it stays. A processor that does not come up in time is left out.
///
/// Has an effect the first time only.
pub fn start_others(entry: fn() -> !) {
    static STARTED: AtomicBool = AtomicBool::new(false);
    // ORDERING: Relaxed; only the first to call counts.
    if STARTED.swap(true, Ordering::Relaxed) {
        return;
    }
    if !machine::start(entry) {
        // SAFETY: the first time; no processor was called, so none will come,
        // and memory was set up before the kernel was called.
        unsafe { boot::release_boot_tables() };
    }
}

/// How many processors the machine says that it has, whether or not they run:
/// at least one, at most [`MAX_CPUS`](crate::cpu::MAX_CPUS).
#[must_use]
pub fn present() -> usize {
    machine::present()
}

/// Starts the other processors, where there are any, for the in-kernel tests
/// that use them.
#[cfg(all(feature = "ktest", target_os = "none"))]
pub fn start_for_tests() {
    start_others(ktests::serve);
}
