//! The processor that runs this code.

use alloc::string::String;

use crate::arch::machine;
use crate::irq::Event;

/// The largest number of processors that the kernel is built for.
pub const MAX_CPUS: usize = 64;

/// A processor's number, dense from 0 (the one that booted).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(u32);

impl CpuId {
    /// The number as an index below [`MAX_CPUS`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The processor that runs the caller.
#[must_use]
pub fn current() -> CpuId {
    CpuId(0)
}

/// Processors that run the kernel.
#[must_use]
pub fn count() -> usize {
    1
}

/// Every processor that runs the kernel.
pub fn all() -> impl Iterator<Item = CpuId> {
    (0..count()).map(|index| CpuId(index as u32))
}

/// Sleeps until an interrupt arrives and returns it. An interrupt that came
/// before the call but was not yet taken ends the sleep at once: there is no
/// gap between looking and sleeping in which one could be lost.
#[must_use]
pub fn wait_for_interrupt() -> Event {
    machine::window::wait()
}

/// A counter of processor cycles, for statistics.
#[must_use]
pub fn cycles() -> u64 {
    machine::system::cycles()
}

/// The value of `AT_HWCAP` for programs (x86: CPUID leaf 1 EDX).
#[must_use]
pub fn hwcap() -> u64 {
    u64::from(machine::features::get().leaf1_edx)
}

/// `/proc/cpuinfo`'s lines for one processor, without the trailing blank line.
#[must_use]
pub fn describe(cpu: CpuId) -> String {
    machine::cpuinfo::describe(cpu)
}
