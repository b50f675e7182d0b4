//! What the orderings allow and forbid, as far as loom explores it.
//!
//! Each model is a few operations of two or three threads, run in every way that
//! the memory model allows; what was seen in all runs together is compared. So
//! these also say that the checker under all other models of this crate finds the
//! outcomes that are there to be found. It does not find all: a load never sees
//! a store that comes later in every schedule.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::thread;

/// Variables that all threads of a model share.
struct Shared([AtomicU32; 3]);

impl Shared {
    fn new() -> loom::sync::Arc<Shared> {
        loom::sync::Arc::new(Shared([
            AtomicU32::new(0),
            AtomicU32::new(0),
            AtomicU32::new(0),
        ]))
    }

    fn load(&self, index: usize, ordering: Ordering) -> u32 {
        self.0[index].load(ordering)
    }

    fn store(&self, index: usize, value: u32, ordering: Ordering) {
        self.0[index].store(value, ordering);
    }

    fn add(&self, index: usize, value: u32, ordering: Ordering) -> u32 {
        self.0[index].fetch_add(value, ordering)
    }
}

type Handle<T> = thread::JoinHandle<T>;

/// Does something with the variables in another thread.
fn beside<T: 'static>(
    shared: &loom::sync::Arc<Shared>,
    action: impl FnOnce(&Shared) -> T + 'static,
) -> Handle<T> {
    let shared = loom::sync::Arc::clone(shared);
    thread::spawn(move || action(&shared))
}

fn end<T>(handle: Handle<T>) -> T {
    handle.join().expect("a model's thread ends")
}

/// Everything that some run of the model sees.
fn outcomes<T: Ord + Send + 'static>(
    model: impl Fn(&loom::sync::Arc<Shared>) -> T + Send + Sync + 'static,
) -> BTreeSet<T> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let all = Arc::clone(&seen);
    loom::model(move || {
        let outcome = model(&Shared::new());
        all.lock().expect("no run panics here").insert(outcome);
    });
    Arc::into_inner(seen)
        .expect("the model is over")
        .into_inner()
        .expect("no run panics here")
}

/// X = 10, then Y = 20; the other reads Y, then X. Gives (x, y).
fn message(store: Ordering, load: Ordering) -> BTreeSet<(u32, u32)> {
    outcomes(move |shared| {
        let writer = beside(shared, move |shared| {
            shared.store(0, 10, Ordering::Relaxed);
            shared.store(1, 20, store);
        });
        let y = shared.load(1, load);
        let x = shared.load(0, Ordering::Relaxed);
        end(writer);
        (x, y)
    })
}

#[test]
fn relaxed_stores_are_seen_in_any_order() {
    let seen = message(Ordering::Relaxed, Ordering::Relaxed);
    assert_eq!(seen, BTreeSet::from([(0, 0), (10, 0), (10, 20), (0, 20)]));
}

#[test]
fn a_release_store_brings_what_was_before_it() {
    let seen = message(Ordering::Release, Ordering::Acquire);
    assert_eq!(seen, BTreeSet::from([(0, 0), (10, 0), (10, 20)]));
}

#[test]
fn half_of_the_pair_is_nothing() {
    assert!(message(Ordering::Release, Ordering::Relaxed).contains(&(0, 20)));
    assert!(message(Ordering::Relaxed, Ordering::Acquire).contains(&(0, 20)));
}

#[test]
fn spawn_and_join_order() {
    let seen = outcomes(|shared| {
        shared.store(0, 1, Ordering::Relaxed);
        let reader = beside(shared, |shared| shared.load(0, Ordering::Relaxed));
        shared.store(0, 2, Ordering::Relaxed);
        let seen = end(reader);
        shared.store(0, 3, Ordering::Relaxed);
        seen
    });
    assert_eq!(seen, BTreeSet::from([1, 2]));
}

#[test]
fn all_agree_on_the_order_of_changes() {
    let seen = outcomes(|shared| {
        let five = beside(shared, |shared| shared.add(0, 5, Ordering::Relaxed));
        let ten = beside(shared, |shared| shared.add(0, 10, Ordering::Relaxed));
        let looks: Vec<u32> = (0..2).map(|_| shared.load(0, Ordering::Relaxed)).collect();
        (looks, end(five), end(ten))
    });
    for (looks, before_five, before_ten) in &seen {
        // Either 0, 5, 15 or 0, 10, 15.
        let middle = match (before_five, before_ten) {
            (0, 5) => 5,
            (10, 0) => 10,
            other => panic!("two changes at once: {other:?}"),
        };
        let order = [0, middle, 15];
        let place = |value: &u32| order.iter().position(|known| known == value);
        let places: Option<Vec<usize>> = looks.iter().map(place).collect();
        assert!(places.is_some_and(|places| places.is_sorted()), "{looks:?}");
    }
    let middles: BTreeSet<u32> = seen.iter().map(|(_, _, ten)| *ten).collect();
    assert_eq!(middles, BTreeSet::from([0, 5]), "both orders were tried");
}

#[test]
fn what_one_thread_changes_is_never_seen_to_go_back() {
    let seen = outcomes(|shared| {
        let writer = beside(shared, |shared| {
            shared.store(0, 5, Ordering::Relaxed);
            shared.add(0, 10, Ordering::Relaxed);
        });
        let looks = [(); 3].map(|()| shared.load(0, Ordering::Relaxed));
        end(writer);
        looks
    });
    let values = [0, 5, 15];
    let all = values
        .into_iter()
        .flat_map(|first| values.map(|second| (first, second)))
        .flat_map(|(first, second)| values.map(|third| [first, second, third]));
    let rising: BTreeSet<[u32; 3]> = all.filter(|looks| looks.is_sorted()).collect();
    assert_eq!(seen, rising);
}

#[test]
fn nothing_comes_out_of_thin_air() {
    let seen = outcomes(|shared| {
        let other = beside(shared, |shared| {
            shared.store(1, shared.load(0, Ordering::Relaxed), Ordering::Relaxed);
        });
        shared.store(0, shared.load(1, Ordering::Relaxed), Ordering::Relaxed);
        end(other);
        (
            shared.load(0, Ordering::Relaxed),
            shared.load(1, Ordering::Relaxed),
        )
    });
    assert_eq!(seen, BTreeSet::from([(0, 0)]));
}

#[test]
fn of_two_equal_values_the_one_that_was_read_counts() {
    // Another thread's 7, then 6, data and a 7 of one's own.
    let seen = outcomes(|shared| {
        let other = beside(shared, |shared| shared.store(0, 7, Ordering::Release));
        let writer = beside(shared, |shared| {
            let before = shared.0[0].swap(6, Ordering::Relaxed);
            shared.store(1, 123, Ordering::Relaxed);
            shared.store(0, 7, Ordering::Release);
            before
        });
        let first = shared.load(0, Ordering::Relaxed);
        let second = shared.load(0, Ordering::Acquire);
        let data = shared.load(1, Ordering::Relaxed);
        end(other);
        (end(writer), first, second, data)
    });
    // What is known where the other 7 came first, by what was seen first.
    let data_after = |first| -> BTreeSet<u32> {
        seen.iter()
            .filter(|(before, looked, second, _)| (*before, *looked, *second) == (7, first, 7))
            .map(|(_, _, _, data)| *data)
            .collect()
    };
    assert_eq!(data_after(6), BTreeSet::from([123]));
    assert_eq!(data_after(0), BTreeSet::from([0, 123]));
}

/// Data, then a Release store of 1; another thread goes on from 1 to 2. Gives the
/// data as seen by who Acquires 2.
fn goes_on(step: impl Fn(&Shared) + Copy + Send + Sync + 'static) -> BTreeSet<u32> {
    let seen = outcomes(move |shared| {
        let first = beside(shared, |shared| {
            shared.store(0, 123, Ordering::Relaxed);
            shared.store(1, 1, Ordering::Release);
        });
        let second = beside(shared, move |shared| {
            if shared.load(1, Ordering::Relaxed) == 1 {
                step(shared);
            }
        });
        let flag = shared.load(1, Ordering::Acquire);
        let data = shared.load(0, Ordering::Relaxed);
        end(first);
        end(second);
        (flag, data)
    });
    let last = |(flag, data)| (flag == 2).then_some(data);
    seen.into_iter().filter_map(last).collect()
}

#[test]
fn a_relaxed_addition_goes_on_with_a_release_sequence() {
    let seen = goes_on(|shared| {
        shared.add(1, 1, Ordering::Relaxed);
    });
    assert_eq!(seen, BTreeSet::from([123]));
}

#[test]
fn a_relaxed_store_breaks_a_release_sequence() {
    let seen = goes_on(|shared| shared.store(1, 2, Ordering::Relaxed));
    assert_eq!(seen, BTreeSet::from([0, 123]));
}

#[test]
fn every_release_in_a_sequence_counts_until_a_store_begins_the_next() {
    let seen = outcomes(|shared| {
        let first = beside(shared, |shared| {
            shared.store(1, 1, Ordering::Relaxed);
            shared.store(0, 7, Ordering::Release);
        });
        let second = beside(shared, |shared| {
            if shared.add(0, 1, Ordering::Relaxed) == 7 {
                shared.store(2, 1, Ordering::Relaxed);
                shared.add(0, 1, Ordering::Release);
            }
        });
        let flag = shared.load(0, Ordering::Acquire);
        let data = [1, 2].map(|index| shared.load(index, Ordering::Relaxed));
        end(first);
        end(second);
        (flag, data)
    });
    let with = |flag| seen.iter().filter(move |(seen, _)| *seen == flag);
    assert!(with(9).all(|(_, data)| *data == [1, 1]));
    assert!(with(9).count() > 0 && with(8).any(|(_, data)| *data == [1, 0]));

    let seen = outcomes(|shared| {
        let first = beside(shared, |shared| {
            shared.store(1, 1, Ordering::Relaxed);
            shared.store(0, 7, Ordering::Release);
        });
        let second = beside(shared, |shared| {
            shared.store(2, 1, Ordering::Relaxed);
            shared.store(0, 8, Ordering::Release);
            shared.0[0].swap(10, Ordering::Relaxed) == 8
        });
        let flag = shared.load(0, Ordering::Acquire);
        let data = [1, 2].map(|index| shared.load(index, Ordering::Relaxed));
        end(first);
        (end(second), flag, data)
    });
    let with_ten: BTreeSet<[u32; 2]> = seen
        .into_iter()
        .filter_map(|(directly, flag, data)| (directly && flag == 10).then_some(data))
        .collect();
    assert_eq!(with_ten, BTreeSet::from([[0, 1], [1, 1]]));
}

/// What was done before a fence, seen through one of the stores after it.
fn fenced(release: bool, acquire: bool) -> BTreeSet<u32> {
    let seen = outcomes(move |shared| {
        let writer = beside(shared, move |shared| {
            shared.store(0, 123, Ordering::Relaxed);
            if release {
                fence(Ordering::Release);
            }
            shared.store(1, 1, Ordering::Relaxed);
            shared.store(2, 1, Ordering::Relaxed);
        });
        let any = shared.load(1, Ordering::Relaxed) + shared.load(2, Ordering::Relaxed) > 0;
        // A fence only if there is something to see.
        if any && acquire {
            fence(Ordering::Acquire);
        }
        let data = shared.load(0, Ordering::Relaxed);
        end(writer);
        (any, data)
    });
    let after = |(any, data): (bool, u32)| any.then_some(data);
    seen.into_iter().filter_map(after).collect()
}

#[test]
fn fences_order_whatever_is_stored_after_and_loaded_before_them() {
    assert_eq!(fenced(true, true), BTreeSet::from([123]));
    assert_eq!(fenced(true, false), BTreeSet::from([0, 123]));
    assert_eq!(fenced(false, true), BTreeSet::from([0, 123]));
}

/// Each sets its own flag and looks at the other's; gives what both saw.
fn flags(between: impl Fn() + Copy + Send + Sync + 'static) -> BTreeSet<(u32, u32)> {
    outcomes(move |shared| {
        let other = beside(shared, move |shared| {
            shared.store(1, 1, Ordering::Release);
            between();
            shared.load(0, Ordering::Acquire)
        });
        shared.store(0, 1, Ordering::Release);
        between();
        let mine = shared.load(1, Ordering::Acquire);
        (mine, end(other))
    })
}

#[test]
fn only_sequential_consistency_keeps_a_store_before_a_load() {
    assert!(flags(|| ()).contains(&(0, 0)));
    assert!(flags(|| fence(Ordering::AcqRel)).contains(&(0, 0)));
    let never_both = BTreeSet::from([(0, 1), (1, 0), (1, 1)]);
    assert_eq!(flags(|| fence(Ordering::SeqCst)), never_both);
}
