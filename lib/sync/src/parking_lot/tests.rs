//! What the parking lot promises, on the host's threads.

use core::cell::UnsafeCell;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::{panic, thread};

use super::by_address::{move_all, wake_all, wake_one};
use super::{Park, ParkingLot};
use crate::blocking::{Blocking, Futex};
use crate::host::ByteMutex;

/// One bucket only, so that addresses meet in it.
static NARROW: ParkingLot<Futex, 1> = ParkingLot::new();

#[test]
fn what_is_not_valid_does_not_sleep() {
    let lot = ParkingLot::<Futex>::new();
    let parked = lot.park(1, || false, || panic!("it does not sleep"), |_| (), None);
    assert_eq!(parked, Park::Invalid);
    assert!(!wake_one(&lot, 1, 0).woken);
    assert_eq!((wake_all(&lot, 1, 0), move_all(&lot, 1, 2, true)), (0, 0));
}

#[test]
fn a_park_ends_at_its_time() {
    let mut left = None;
    let deadline = Futex::after(Duration::from_millis(1));
    let parked = NARROW.park(1, || true, || (), |more| left = Some(more), deadline);
    assert_eq!((parked, left), (Park::TimedOut, Some(false)));
}

#[test]
fn closures_that_panic_leave_the_table_in_order() {
    let lot = ParkingLot::<Futex, 1>::new();
    let panics = |action: &dyn Fn()| panic::catch_unwind(AssertUnwindSafe(action)).is_err();
    assert!(panics(&|| {
        lot.park(8, || panic!("no"), || (), |_| (), None);
    }));
    assert!(panics(&|| {
        lot.park(8, || true, || panic!("no"), |_| (), None);
    }));
    assert!(panics(&|| {
        let deadline = Futex::after(Duration::ZERO);
        lot.park(8, || true, || (), |_| panic!("no"), deadline);
    }));
    // One that was told before its closure panicked.
    assert!(panics(&|| {
        lot.park(
            8,
            || true,
            || {
                wake_one(&lot, 8, 0);
                panic!("no")
            },
            |_| (),
            None,
        );
    }));
    // Nobody is in it, and it is not locked.
    assert_eq!(wake_all(&lot, 8, 0), 0);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| lot.park(8, || true, || (), |_| (), None));
        assert!(panics(&|| {
            // SAFETY: no token comes of it.
            unsafe { lot.unpark_one(8, |_| panic!("no")) };
        }));
        while !wake_one(&lot, 8, 4).woken {
            thread::yield_now();
        }
        assert_eq!(sleeper.join().unwrap(), Park::Unparked(4));
    });
}

#[test]
fn sleepers_wake_in_order_of_arrival_with_their_tokens() {
    let lot = ParkingLot::<Futex>::new();
    let (asleep, woken) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for number in 0..3 {
            let (lot, asleep, woken) = (&lot, &asleep, &woken);
            scope.spawn(move || {
                while asleep.load(Ordering::Relaxed) != number {
                    thread::yield_now();
                }
                let next = || {
                    asleep.fetch_add(1, Ordering::Relaxed);
                };
                let parked = lot.park(8, || true, next, |_| (), None);
                assert_eq!(parked, Park::Unparked(number as usize + 5));
                woken.fetch_add(1, Ordering::Relaxed);
            });
        }
        while asleep.load(Ordering::Relaxed) != 3 {
            thread::yield_now();
        }
        for number in 0..3 {
            let found = wake_one(&lot, 8, number + 5);
            assert!(found.woken);
            assert_eq!(found.more, number != 2);
        }
    });
    assert_eq!(woken.into_inner(), 3);
}

#[test]
fn those_who_are_moved_wake_at_the_new_place() {
    // Within one bucket, and from one to another.
    for (from, to) in [(8, 16), (8, 1), (16, 8)] {
        let lot = ParkingLot::<Futex, 2>::new();
        let asleep = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let count = || {
                        asleep.fetch_add(1, Ordering::Relaxed);
                    };
                    let far = Futex::after(Duration::from_secs(3_600));
                    assert_eq!(
                        lot.park(from, || true, count, |_| (), far),
                        Park::Unparked(3)
                    );
                });
            }
            while asleep.load(Ordering::Relaxed) != 2 {
                thread::yield_now();
            }
            assert_eq!(move_all(&lot, from, to, false), 0);
            assert_eq!(move_all(&lot, from, to, true), 2);
            assert_eq!((wake_all(&lot, from, 0), wake_all(&lot, to, 3)), (0, 2));
        });
    }
}

#[test]
fn one_whose_time_is_over_leaves_where_it_was_moved_to() {
    let lot = ParkingLot::<Futex, 2>::new();
    let rounds = if cfg!(miri) { 3 } else { 300 };
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds {
                let deadline = Futex::after(Duration::from_micros(50));
                lot.park(8, || true, || (), |_| (), deadline);
            }
        });
        scope.spawn(|| {
            for _ in 0..rounds {
                move_all(&lot, 8, 1, true);
                move_all(&lot, 1, 8, true);
                wake_one(&lot, 1, 0);
            }
        });
    });
    assert_eq!((wake_all(&lot, 8, 0), wake_all(&lot, 1, 0)), (0, 0));
}

struct Counter {
    mutex: ByteMutex,
    value: UnsafeCell<u32>,
}

// SAFETY: the value is touched with the mutex held only.
unsafe impl Sync for Counter {}

#[test]
fn a_byte_is_a_mutex() {
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    let whole = Counter {
        mutex: ByteMutex::new(),
        value: UnsafeCell::new(0),
    };
    let taken = AtomicU32::new(0);
    let counter = &whole;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..rounds {
                    if round % 4 == 0 {
                        let patience = Futex::after(Duration::from_micros(20)).expect("soon");
                        if !counter.mutex.lock_until(patience) {
                            continue;
                        }
                    } else {
                        counter.mutex.lock();
                    }
                    // SAFETY: the mutex is held.
                    unsafe { *counter.value.get() += 1 };
                    taken.fetch_add(1, Ordering::Relaxed);
                    // SAFETY: taken above.
                    unsafe { counter.mutex.unlock() };
                }
            });
        }
    });
    assert!(!counter.mutex.is_locked());
    assert_eq!(whole.value.into_inner(), taken.into_inner());
}
