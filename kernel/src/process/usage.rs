//! What a process used, as wait4(2) and getrusage(2) tell it.

use ochre_abi::Errno;
use ochre_abi::resource::RUsage;
use ochre_abi::time::TimeVal;

use super::Process;
use crate::memory::AddressSpace;
use crate::syscall::{FromArgument, Ptr};
use crate::time::{self, CpuTimes};

/// The structure for these times; what else it has is not counted.
#[must_use]
pub fn of_times(times: CpuTimes) -> RUsage {
    let (user_ns, system_ns) = times.ns();
    RUsage {
        user: TimeVal::from_ns(user_ns),
        system: TimeVal::from_ns(system_ns),
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
    space.write_value(Ptr::from_argument(to), &of_times(times))
}
