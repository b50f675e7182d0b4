//! Two processors, in all orders: generations that begin while the other one
//! enters a space, or stays in it.

use loom::sync::Arc;
use loom::thread;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering, fence};

use super::{SpaceNumbers, space_number};

const SPACES: usize = 4;

struct Machine {
    numbers: SpaceNumbers<2>,
    slots: [AtomicU64; SPACES],
}

/// What one processor remembers: which space by which number.
struct Processor {
    machine: Arc<Machine>,
    index: usize,
    remembered: [Option<usize>; 4],
}

impl Processor {
    /// Enters a space. Whoever takes it for another one, then or later, is noticed.
    fn enter(&mut self, space: usize) {
        let remembered = &mut self.remembered;
        let slot = &self.machine.slots[space];
        let forget = || *remembered = [None; 4];
        let taken = self.machine.numbers.enter(self.index, slot, || 3, forget);
        let place = &mut remembered[usize::from(taken)];
        assert!(place.is_none_or(|found| found == space), "another space's");
        *place = Some(space);
        // It runs there: whatever begins meanwhile, the slot says this number.
        assert_eq!(space_number(slot), Some(taken));
    }
}

fn machine() -> Arc<Machine> {
    Arc::new(Machine {
        numbers: SpaceNumbers::new(),
        slots: core::array::from_fn(|_| AtomicU64::new(0)),
    })
}

fn processor(machine: &Arc<Machine>, index: usize) -> Processor {
    Processor {
        machine: Arc::clone(machine),
        index,
        remembered: [None; 4],
    }
}

#[test]
fn loom_a_space_stays_where_it_runs() {
    loom::model(|| {
        let machine = machine();
        let mut one = processor(&machine, 0);
        let mut other = processor(&machine, 1);
        one.enter(0);
        other.enter(0);
        let thread = thread::spawn(move || {
            // The third one begins a generation.
            (0..SPACES).rev().for_each(|space| one.enter(space));
        });
        // Never anywhere else.
        other.enter(0);
        thread.join().expect("it ended");
        assert_eq!(space_number(&machine.slots[0]), Some(1));
    });
}

#[test]
fn loom_two_begin_generations() {
    loom::model(|| {
        let machine = machine();
        let mut one = processor(&machine, 0);
        let mut other = processor(&machine, 1);
        one.enter(0);
        other.enter(1);
        one.enter(2);
        let thread = thread::spawn(move || {
            one.enter(3);
            one.enter(2);
        });
        other.enter(0);
        other.enter(1);
        thread.join().expect("it ended");
        other.enter(3);
        other.enter(2);
    });
}

/// What the caller does: a change of tables, a barrier, a look at the slot;
/// and on the other side the slot, a barrier, the use of the tables.
#[test]
fn loom_a_change_is_seen_or_told() {
    loom::model(|| {
        let machine = machine();
        let table = Arc::new(AtomicU64::new(1));
        let mut one = processor(&machine, 0);
        let thread = thread::spawn({
            let table = Arc::clone(&table);
            move || {
                one.enter(0);
                fence(Ordering::SeqCst);
                table.load(Ordering::Relaxed)
            }
        });
        table.store(2, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let told = space_number(&machine.slots[0]);
        let seen = thread.join().expect("it ended");
        assert!(told.is_some() || seen == 2, "an old translation stays");
    });
}
