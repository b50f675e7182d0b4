//! What a process used, as wait4(2) and getrusage(2) tell it.

use ochre_abi::Errno;
use ochre_abi::resource::RUsage;
use ochre_abi::time::TimeVal;
use ochre_hal::memory::PAGE_SIZE;

use super::Process;
use crate::memory::{AddressSpace, Usage};
use crate::syscall::{FromArgument, Ptr};
use crate::time::{self, CpuTimes};

/// The structure for these times and this memory; what else it has is not counted.
#[must_use]
pub fn of(times: CpuTimes, memory: Usage) -> RUsage {
    let (user_ns, system_ns) = times.ns();
    RUsage {
        user: TimeVal::from_ns(user_ns),
        system: TimeVal::from_ns(system_ns),
        max_rss: (memory.peak_pages * (PAGE_SIZE as u64 / 1024)).cast_signed(),
        minor_faults: memory.faults.cast_signed(),
        ..RUsage::default()
    }
}

/// Writes the `struct rusage` of a process that ended: its own use and that of
/// its children.
///
/// # Errors
/// EFAULT.
pub fn write(space: &AddressSpace, to: u64, process: &Process) -> Result<(), Errno> {
    let times = time::own_times(process).plus(process.account.children());
    space.write_value(Ptr::from_argument(to), &of(times, process.memory.all()))
}
