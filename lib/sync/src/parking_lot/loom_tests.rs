//! Models of the parking lot: nobody is missed, tokens arrive, and a mutex of
//! one byte in it excludes.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::by_address::{move_all, wake_all, wake_one};
use super::{ByteMutex, Lot, Park, ParkingLot};
use crate::blocking::Model;

loom::lazy_static! {
    static ref LOT: ParkingLot<Model> = ParkingLot::new();
}

struct Here;

impl Lot for Here {
    type Backend = Model;

    fn lot() -> &'static ParkingLot<Model> {
        &LOT
    }
}

struct Shared {
    lot: ParkingLot<Model, 2>,
    flag: AtomicU32,
    data: UnsafeCell<u32>,
    mutex: ByteMutex<Here>,
}

// SAFETY: the models are there to check the accesses to `data`.
unsafe impl Sync for Shared {}

fn spawn(shared: &Arc<Shared>, action: fn(&Shared)) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || action(&shared))
}

fn model(threads: &'static [fn(&Shared)], last: fn(&Shared)) {
    loom::model(move || {
        let shared = Arc::new(Shared {
            lot: ParkingLot::new(),
            flag: AtomicU32::new(0),
            data: UnsafeCell::new(0),
            mutex: ByteMutex::new(),
        });
        let threads: Vec<_> = threads
            .iter()
            .map(|thread| spawn(&shared, *thread))
            .collect();
        last(&shared);
        for thread in threads {
            thread.join().expect("all finish");
        }
    });
}

fn sleep_at_one(shared: &Shared) {
    let unset = || shared.flag.load(Ordering::Relaxed) == 0;
    let parked = shared.lot.park(1, unset, || (), |_| (), None);
    assert!(matches!(parked, Park::Invalid | Park::Unparked(7)));
}

#[test]
fn nobody_is_missed() {
    model(&[sleep_at_one, sleep_at_one], |shared| {
        shared.flag.store(1, Ordering::Relaxed);
        wake_all(&shared.lot, 1, 7);
    });
}

#[test]
fn unpark_happens_before_the_end_of_park() {
    model(
        &[|shared| {
            // SAFETY: the other looks when it was unparked.
            shared.data.with_mut(|data| unsafe { *data = 3 });
            while !wake_one(&shared.lot, 1, 7).woken {
                thread::yield_now();
            }
        }],
        |shared| {
            shared.lot.park(1, || true, || (), |_| (), None);
            // SAFETY: the writer is done.
            assert_eq!(shared.data.with(|data| unsafe { *data }), 3);
        },
    );
}

#[test]
fn one_whose_time_is_over_leaves_or_is_told() {
    model(
        &[|shared| {
            move_all(&shared.lot, 1, 2, true);
            wake_one(&shared.lot, 2, 7);
        }],
        |shared| {
            shared.lot.park(1, || true, || (), |_| (), Some(true));
            assert_eq!(wake_all(&shared.lot, 1, 0) + wake_all(&shared.lot, 2, 0), 0);
        },
    );
}

fn add(shared: &Shared) {
    shared.mutex.lock();
    // SAFETY: the mutex excludes the others.
    shared.data.with_mut(|data| unsafe { *data += 1 });
    // SAFETY: taken above.
    unsafe { shared.mutex.unlock() };
}

fn add_or_give_up(shared: &Shared) {
    if shared.mutex.lock_until(true) {
        // SAFETY: the mutex excludes the others.
        shared.data.with_mut(|data| unsafe { *data += 1 });
        // SAFETY: taken above.
        unsafe { shared.mutex.unlock() };
    }
}

#[test]
fn a_byte_excludes() {
    model(&[add, add], add);
}

#[test]
fn a_byte_forgets_nobody_who_gives_up() {
    model(&[add_or_give_up, add], add);
}
