//! One thread becomes the program; the others end first.

use alloc::sync::Arc;

use ochre_abi::Errno;

use crate::process::{Thread, Work};
use crate::syscall::Outcome;
use crate::wait::{self, PollTable};

/// Ends the other threads of the process. `None` if there are none; else a wait
/// after which the system call is made again, by the only thread left.
///
/// # Errors
/// EAGAIN if this thread is to end itself.
pub(super) fn end_others(thread: &Arc<Thread>) -> Result<Option<Outcome>, Errno> {
    let process = &thread.process;
    {
        let threads = process.threads.lock();
        if threads.len() <= 1 {
            return Ok(None);
        }
        // Whoever comes first under the lock wins; the others are ended by it.
        if thread.work().contains(Work::EXIT) {
            return Err(Errno::EAGAIN);
        }
        for other in threads.iter() {
            if !Arc::ptr_eq(other, thread) {
                other.add_work(Work::EXIT);
                other.wake();
            }
        }
    }
    let process = Arc::clone(process);
    let look = move |table: Option<&mut PollTable>| {
        if let Some(table) = table {
            table.add(&process.threads_changed);
        }
        (process.threads.lock().len() <= 1).then_some(())
    };
    let wait = wait::until_killed(Arc::clone(thread), look);
    Ok(Some(Outcome::wait(async move {
        let _ = wait.await;
        Err(Errno::ERESTARTNOINTR)
    })))
}
