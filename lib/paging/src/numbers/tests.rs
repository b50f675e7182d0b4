//! Processors that enter spaces in any order, beside what each would remember.

use std::collections::HashMap;

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};
use proptest::prelude::{any, proptest};

use super::{SpaceNumbers, space_number};

const CPUS: usize = 3;

/// Processors that remember, by its number, which space they were in.
struct Machine {
    numbers: SpaceNumbers<CPUS>,
    last: u16,
    slots: Vec<AtomicU64>,
    /// A space's identity, new whenever a slot begins anew.
    spaces: Vec<u32>,
    remembered: [HashMap<u16, u32>; CPUS],
    running: [Option<usize>; CPUS],
    forgot: usize,
    begun: u32,
}

impl Machine {
    fn new(last: u16, spaces: usize) -> Machine {
        Machine {
            numbers: SpaceNumbers::new(),
            last,
            slots: (0..spaces).map(|_| AtomicU64::new(0)).collect(),
            spaces: (0..).take(spaces).collect(),
            remembered: Default::default(),
            running: [None; CPUS],
            forgot: 0,
            begun: u32::try_from(spaces).expect("a few"),
        }
    }

    fn enter(&mut self, cpu: usize, space: usize) -> u16 {
        let (remembered, forgot) = (&mut self.remembered[cpu], &mut self.forgot);
        let taken = self.numbers.enter(
            cpu,
            &self.slots[space],
            || self.last,
            || {
                remembered.clear();
                *forgot += 1;
            },
        );
        assert!((1..=self.last).contains(&taken));
        let found = remembered.insert(taken, self.spaces[space]);
        assert!(
            found.is_none_or(|found| found == self.spaces[space]),
            "{cpu} remembers another space by {taken}"
        );
        self.running[cpu] = Some(space);
        self.check();
        taken
    }

    /// Where a space runs, its slot says under which number.
    fn check(&self) {
        for (running, remembered) in self.running.iter().zip(&self.remembered) {
            if let Some(space) = *running {
                let slot = space_number(&self.slots[space]).expect("it runs");
                assert_eq!(remembered.get(&slot), Some(&self.spaces[space]));
            }
        }
    }

    /// A space ends, where no processor is in it, and another begins in its place.
    fn end(&mut self, space: usize) {
        if self.running.contains(&Some(space)) {
            return;
        }
        self.slots[space].store(0, Ordering::Relaxed);
        self.spaces[space] = self.begun;
        self.begun += 1;
    }
}

#[test]
fn a_space_keeps_its_number_and_nothing_is_forgotten() {
    let mut machine = Machine::new(255, 4);
    let numbers: Vec<u16> = (0..4).map(|space| machine.enter(0, space)).collect();
    for _ in 0..100 {
        for (space, number) in numbers.iter().enumerate() {
            assert_eq!(machine.enter(space % CPUS, space), *number);
        }
    }
    assert_eq!(machine.forgot, 0);
}

#[test]
fn a_number_is_not_given_out_again_before_everything_is_forgotten() {
    let mut machine = Machine::new(8, 1);
    for round in 0..100 {
        machine.running[0] = None;
        machine.end(0);
        machine.enter(0, 0);
        assert!(machine.forgot <= round / 6 + 1);
    }
    assert!(machine.forgot >= 100 / 8);
}

#[test]
fn a_slot_is_no_entry_that_leads_anywhere() {
    let mut machine = Machine::new(8, 20);
    for space in 0..20 {
        machine.enter(0, space);
        assert_eq!(machine.slots[space].load(Ordering::Relaxed) & 1, 0);
    }
    assert_eq!(space_number(&AtomicU64::new(0)), None);
}

proptest! {
    #[test]
    fn no_processor_takes_one_space_for_another(
        steps in proptest::collection::vec((0..CPUS, 0_usize..9, any::<bool>()), 1..300),
        last in 4_u16..9,
    ) {
        let mut machine = Machine::new(last, 9);
        for (cpu, space, ends) in steps {
            if ends {
                machine.end(space);
            } else {
                machine.enter(cpu, space);
            }
        }
    }
}
