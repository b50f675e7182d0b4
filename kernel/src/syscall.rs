//! The way in: decoding, dispatch, and how a call ends.

mod argument;
pub mod attribute;
pub mod copy;
pub mod credentials;
mod deadline;
pub mod descriptor;
pub mod dir;
mod dispatch;
pub mod epoll;
pub mod event;
pub mod exec;
pub mod fcntl;
pub mod file;
pub mod futex;
pub mod futex2;
pub mod ioctl;
pub mod limits;
pub mod link;
pub mod membarrier;
pub mod memfd;
pub mod memory;
pub mod mount;
mod names;
pub mod open;
mod outcome;
pub mod pidfd;
pub mod poll;
pub mod prctl;
pub mod process;
pub mod process_vm;
pub mod random;
pub mod rseq;
pub mod sched;
pub mod seccomp;
pub mod session;
pub mod shm;
pub mod signal;
pub mod stat;
pub mod sync;
pub mod system;
pub mod tags;
pub mod time;
pub mod timer;
pub mod trace;
pub mod xattr;

use ochre_abi::Errno;
use ochre_abi::signal::SignalSet;

pub use argument::{Fd, FromArgument, Ptr};
pub use dispatch::{dispatch, unknown_calls};
pub use outcome::{Call, IntoOutcome, Outcome, SysResult, uninstall};

/// The signal mask argument of `ppoll` and its like: null is none.
///
/// # Errors
/// EINVAL for another size than the kernel's, EFAULT.
fn temporary_mask(call: &Call<'_>, address: u64, size: usize) -> Result<Option<SignalSet>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    if size != size_of::<u64>() {
        return Err(Errno::EINVAL);
    }
    let bits = call.space.read_value(Ptr::<u64>::from_argument(address))?;
    Ok(Some(SignalSet(bits)))
}
