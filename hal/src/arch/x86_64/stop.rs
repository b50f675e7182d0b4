//! Stopping all processors but one: when the kernel dies, and when the machine
//! is to end and does not.
//!
//! The processor that stops the others interrupts them wherever they are, by an
//! NMI: what they hold stays held and what they do stays half done, so whoever
//! stops the others may only tell what it knows, and end.

use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering};
use ochre_sync::primitive::spin_loop;

use super::{apic, percpu, power};
use crate::cpu::{self, MAX_CPUS};

/// Looks at the others, before it goes on without them.
const PATIENCE: u32 = 10_000_000;

/// One more than the number of the processor that stops the others; 0 for none.
static STOPPER: AtomicU32 = AtomicU32::new(0);

/// Where each processor was when it stopped; 0 while it runs.
static STOPPED_AT: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Stops all others; false if one of them stops this one.
pub(super) fn others() -> bool {
    let me = cpu::current().index();
    // ORDERING: SeqCst; once in a machine's life, so the plainest.
    let stopper = STOPPER.compare_exchange(0, me as u32 + 1, Ordering::SeqCst, Ordering::SeqCst);
    if stopper.is_err_and(|stopper| stopper != me as u32 + 1) {
        return false;
    }
    let others = || (0..cpu::online()).filter(move |index| *index != me);
    if let Some(apic) = apic::local() {
        for id in others().filter_map(percpu::apic_id) {
            apic.interrupt_anywhere(id);
        }
    }
    for index in others() {
        for _ in 0..PATIENCE {
            if stopped_at(index).is_some() {
                break;
            }
            spin_loop();
        }
    }
    true
}

/// Where a processor was when it was stopped.
pub(super) fn stopped_at(index: usize) -> Option<u64> {
    // ORDERING: Relaxed; a number for a person.
    let rip = STOPPED_AT.get(index)?.load(Ordering::Relaxed);
    (rip != 0).then_some(rip)
}

/// An NMI came at `rip`: comes back if it was not to stop this processor.
pub(super) fn stop_if_asked(rip: u64) {
    let me = cpu::current().index();
    // ORDERING: SeqCst, as in `others`.
    let stopper = STOPPER.load(Ordering::SeqCst);
    if stopper != 0 && stopper != me as u32 + 1 {
        STOPPED_AT[me].store(rip.max(1), Ordering::Relaxed);
        power::halt()
    }
}
