//! What each interrupt event sets going.

use ochre_executor::Passes;
use ochre_hal::cpu::{self as machine, MAX_CPUS};
use ochre_hal::irq::{self, Event, Line};
use ochre_hal::memory;
use ochre_sync::SpinLock;

use super::{cpu, profile};
use crate::wait::WaitQueue;

/// Lines that can have somebody waiting for them. There are up to a thousand on
/// a machine, and few devices.
const LINES: usize = 32;

/// Those that have, in the order in which they came: they are first.
static QUEUES: SpinLock<[Option<(Line, WaitQueue)>; LINES]> =
    SpinLock::new([const { None }; LINES]);

/// Kicks that each processor took.
static KICKS: Passes<MAX_CPUS> = Passes::new();

/// How many kicks each processor took so far, wrapping: one whose count differs
/// from an earlier one took an interrupt in between ([`Passes`]).
#[must_use]
pub fn kicks() -> [u32; MAX_CPUS] {
    KICKS.look()
}

// ANCHOR: dispatch
/// Handles one event. Wakes tasks; does no work of its own.
pub fn dispatch(event: Event) {
    cpu::this().account.count_event(event);
    match event {
        Event::Timer => {
            cpu::this().on_alarm();
            cpu::this().limit_slice();
            profile::alarm();
        }
        Event::Line(line) => {
            let queues = QUEUES.lock();
            let mut queues_of_lines = queues.iter().map_while(Option::as_ref);
            let found = queues_of_lines.find(|(other, _)| *other == line);
            let queue = found.map(|(_, queue)| queue.clone());
            drop(queues);
            if let Some(queue) = queue {
                queue.wake();
            }
        }
        Event::Reschedule => {
            KICKS.pass(machine::current().index());
            memory::answer();
            // Somebody came who waits for the end of the slice, or who does not.
            cpu::this().limit_slice();
        }
        Event::Nothing => {}
    }
}
// ANCHOR_END: dispatch

/// Has `queue` woken whenever `line` fires, and lets it fire.
///
/// Returns false for a line that somebody has, and where there are more than
/// expected.
#[must_use]
pub fn connect(line: Line, queue: WaitQueue) -> bool {
    let mut queues = QUEUES.lock();
    let mut lines = queues.iter().map_while(Option::as_ref);
    if lines.any(|(other, _)| *other == line) {
        return false;
    }
    let Some(slot) = queues.iter_mut().find(|slot| slot.is_none()) else {
        return false;
    };
    *slot = Some((line, queue));
    drop(queues);
    irq::unmask(line);
    true
}
