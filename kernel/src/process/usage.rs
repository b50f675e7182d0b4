//! What a process used, as wait4(2) and getrusage(2) tell it.

use ochre_abi::Errno;

use super::Process;
use crate::memory::AddressSpace;

/// Bytes of a `struct rusage`.
const SIZE: usize = 144;

/// Writes the `struct rusage` of a process that ended.
///
/// # Errors
/// EFAULT.
pub fn write(space: &AddressSpace, to: u64, process: &Process) -> Result<(), Errno> {
    let _ = process;
    space.write(to, &[0; SIZE])
}
