//! The driver over a model of the device.

use core::cell::{Cell, RefCell};

use super::{Block, Pl031, Seconds};

/// The device, as its manual has it, with the time by hand.
#[derive(Default)]
struct Model {
    count: Cell<u32>,
    wanted: Cell<u32>,
    control: Cell<u32>,
    mask: Cell<u32>,
    status: Cell<u32>,
    /// Places and words that were stored.
    stores: RefCell<Vec<(usize, u32)>>,
}

impl Model {
    fn second_goes_by(&self) {
        if self.control.get() & 1 != 0 {
            self.count.set(self.count.get().wrapping_add(1));
            self.compare();
        }
    }

    fn compare(&self) {
        if self.count == self.wanted {
            self.status.set(1);
        }
    }
}

impl Block for &Model {
    fn load(&self, offset: usize) -> u32 {
        // Bits that mean nothing may be anything.
        const NOISE: u32 = 0xdead_bee0;
        match offset {
            0x00 => self.count.get(),
            0x04 => self.wanted.get(),
            0x0c => self.control.get() | NOISE,
            0x10 => self.mask.get() | NOISE,
            0x14 => self.status.get() | NOISE,
            0x18 => self.status.get() & self.mask.get() | NOISE,
            _ => panic!("{offset:#x} is not to be read"),
        }
    }

    fn store(&self, offset: usize, word: u32) {
        self.stores.borrow_mut().push((offset, word));
        match offset {
            0x04 => {
                self.wanted.set(word);
                self.compare();
            }
            0x08 => {
                self.count.set(word);
                self.compare();
            }
            0x0c => self.control.set(word),
            0x10 => self.mask.set(word),
            0x1c => self.status.set(self.status.get() & !word),
            _ => panic!("{offset:#x} is not to be written"),
        }
    }
}

/// A clock that stands, and has a match and an interrupt from whoever was before.
fn left_behind() -> Model {
    let model = Model::default();
    model.status.set(1);
    model.mask.set(1);
    model
}

#[test]
fn it_is_taken_over_silent_and_counting() {
    let model = left_behind();
    let clock = Pl031::new(&model);
    assert!(!clock.has_matched() && !clock.interrupts());
    assert_eq!((model.control.get(), model.mask.get()), (1, 0));
    model.second_goes_by();
    assert_eq!(clock.now(), Seconds(1));
}

#[test]
fn one_that_counts_is_not_started_again() {
    let model = left_behind();
    model.control.set(1);
    let _ = Pl031::new(&model);
    let stores = model.stores.borrow();
    assert!(stores.iter().all(|(offset, _)| *offset != 0x0c));
    // The mask first: no interrupt comes of what is cleared next.
    assert_eq!(*stores, [(0x10, 0), (0x1c, 1)]);
}

#[test]
fn it_is_read_and_set() {
    let model = Model::default();
    let clock = Pl031::new(&model);
    for now in [0, 1_700_000_000, u32::MAX] {
        clock.set(Seconds(now));
        assert_eq!(clock.now(), Seconds(now));
    }
}

#[test]
fn a_match_is_told_until_it_is_cleared() {
    let model = Model::default();
    let clock = Pl031::new(&model);
    clock.set(Seconds(100));
    clock.set_match(Seconds(102));
    clock.clear();
    model.second_goes_by();
    assert!(!clock.has_matched());
    model.second_goes_by();
    assert!(clock.has_matched() && !clock.interrupts());
    model.second_goes_by();
    assert!(clock.has_matched(), "it stays");
    clock.clear();
    assert!(!clock.has_matched());
}

#[test]
fn it_interrupts_as_long_as_that_is_let() {
    let model = Model::default();
    let clock = Pl031::new(&model);
    clock.set_interrupt(true);
    assert!(!clock.interrupts());
    clock.set_match(Seconds(1));
    model.second_goes_by();
    assert!(clock.interrupts());
    clock.set_interrupt(false);
    assert!(!clock.interrupts() && clock.has_matched());
    clock.set_interrupt(true);
    clock.clear();
    assert!(!clock.interrupts());
}
