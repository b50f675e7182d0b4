//! The processor that runs this code.

use alloc::string::String;

use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use crate::arch::machine;
use crate::irq::Event;

/// The largest number of processors that the kernel is built for.
pub const MAX_CPUS: usize = 64;

/// A processor's number, dense from 0 (the one that booted).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(u32);

impl CpuId {
    /// The processor of a number, if it runs.
    #[must_use]
    pub fn from_index(index: usize) -> Option<CpuId> {
        // CAST: below `online()`.
        (index < online()).then_some(CpuId(index as u32))
    }

    /// The number as an index below [`MAX_CPUS`].
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether programs might read the kernel's memory on this processor, which
/// loads ahead what it may not (Meltdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meltdown {
    /// The processor does not do that.
    NotAffected,
    /// It does.
    Vulnerable,
    /// It may, but the tables that it has in user mode do not map the kernel.
    Mitigated,
    /// Nobody asked it.
    NotAsked,
}

/// What there is to say of that.
#[must_use]
pub fn meltdown() -> Meltdown {
    machine::apart::meltdown()
}

/// Processors that run the kernel.
static ONLINE: AtomicU32 = AtomicU32::new(1);

/// The processor that runs the caller. A poll stays on one processor, so the
/// answer holds until the next wait.
#[must_use]
#[inline]
pub fn current() -> CpuId {
    CpuId(machine::percpu::index())
}

/// How many processors run the kernel: at least one, at most [`MAX_CPUS`]. It
/// changes once at most, in [`smp::start_others`](crate::smp::start_others).
#[must_use]
#[inline]
pub fn online() -> usize {
    // ORDERING: Acquire pairs with the Release in `set_online`: the processors
    // that are counted are set up.
    ONLINE.load(Ordering::Acquire) as usize
}

/// Counts the processors that were started.
pub(crate) fn set_online(count: usize) {
    // CAST: at most `MAX_CPUS`. ORDERING: Release; see `online`.
    ONLINE.store(count as u32, Ordering::Release);
}

/// Every processor that runs the kernel.
pub fn all() -> impl Iterator<Item = CpuId> {
    // CAST: at most `MAX_CPUS`.
    (0..online()).map(|index| CpuId(index as u32))
}

/// Sleeps until an interrupt arrives and returns it. An interrupt that came
/// before the call but was not yet taken ends the sleep at once: there is no
/// gap between looking and sleeping in which one could be lost.
#[must_use]
pub fn wait_for_interrupt() -> Event {
    machine::window::wait()
}

// ANCHOR: lookup
/// Looks up what a program's number names. The processor does not read behind
/// the slice either while it guesses whether the number is too large.
#[must_use]
#[inline(always)]
pub fn lookup<T>(slice: &[T], index: usize) -> Option<&T> {
    if index >= slice.len() {
        return None;
    }
    slice.get(machine::speculation::clamp(index, slice.len()))
}
// ANCHOR_END: lookup

/// As [`lookup`], among the first `count` things of the table, which are all of
/// them at most.
#[must_use]
#[inline(always)]
pub fn lookup_among<T, const N: usize>(table: &[T; N], index: usize, count: usize) -> Option<&T> {
    if index >= count {
        return None;
    }
    // The remainder costs less than another comparison, and changes nothing.
    Some(&table[machine::speculation::clamp(index, count) % N])
}

/// A counter of processor cycles, for statistics.
#[must_use]
pub fn cycles() -> u64 {
    machine::system::cycles()
}

/// The value of `AT_HWCAP` for programs (x86: CPUID leaf 1 EDX).
#[must_use]
pub fn hwcap() -> u64 {
    machine::features::hwcap()
}

/// The value of `AT_HWCAP2` for programs.
#[must_use]
pub fn hwcap2() -> u64 {
    machine::features::hwcap2()
}

/// Whether programs can have pages of code in which jumps through registers
/// lead to landing pads only ([`Rights::GUARDED`](crate::memory::Rights::GUARDED)).
#[must_use]
#[inline]
pub fn has_landing_pads() -> bool {
    machine::features::has_landing_pads()
}

/// `/proc/cpuinfo`'s lines for one processor, without the trailing blank line.
#[must_use]
pub fn describe(cpu: CpuId) -> String {
    machine::cpuinfo::describe(cpu)
}
