//! Stopping all processors but one: when the kernel dies, and when the machine
//! is to end and does not.
//!
//! A processor in the kernel takes no interrupt, so it stops when it next
//! looks for one; whoever stops the others goes on without those that do not
//! look in time, and may only tell what it knows, and end.

use ochre_sync::primitive::atomic::{AtomicBool, AtomicU32, Ordering};
use ochre_sync::primitive::spin_loop;

use super::{interrupts, power};
use crate::cpu::{self, MAX_CPUS};

/// Looks at the others, before it goes on without them.
const PATIENCE: u32 = 10_000_000;

/// One more than the number of the processor that stops the others; 0 for none.
static STOPPER: AtomicU32 = AtomicU32::new(0);

/// Which processors stopped.
static STOPPED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Stops all others; false if one of them stops this one.
pub(super) fn others() -> bool {
    let me = cpu::current().index();
    // ORDERING: SeqCst; once in a machine's life, so the plainest.
    let stopper = STOPPER.compare_exchange(0, me as u32 + 1, Ordering::SeqCst, Ordering::SeqCst);
    if stopper.is_err_and(|stopper| stopper != me as u32 + 1) {
        return false;
    }
    let others = || (0..cpu::online()).filter(move |index| *index != me);
    for index in others() {
        interrupts::interrupt_anywhere(index);
    }
    for index in others() {
        for _ in 0..PATIENCE {
            if has_stopped(index) {
                break;
            }
            spin_loop();
        }
    }
    true
}

/// Whether a processor stopped.
pub(super) fn has_stopped(index: usize) -> bool {
    // ORDERING: Relaxed; told to a person.
    STOPPED
        .get(index)
        .is_some_and(|stopped| stopped.load(Ordering::Relaxed))
}

/// This processor was interrupted: comes back if it was not to stop it.
pub(super) fn stop_if_asked() {
    let me = cpu::current().index();
    // ORDERING: SeqCst, as in `others`.
    let stopper = STOPPER.load(Ordering::SeqCst);
    if stopper != 0 && stopper != me as u32 + 1 {
        STOPPED[me].store(true, Ordering::Relaxed);
        power::halt()
    }
}
