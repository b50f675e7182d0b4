//! The interleavings of `Arc` and `Weak`.

use super::{Arc, Weak};
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

/// A value whose drop is an access that loom knows of, and is counted.
struct Value {
    cell: loom::cell::UnsafeCell<u32>,
    drops: std::sync::Arc<AtomicUsize>,
}

// SAFETY: the models make sure, and loom checks, that writes are ordered.
unsafe impl Sync for Value {}

impl Value {
    fn new(drops: &std::sync::Arc<AtomicUsize>) -> Value {
        Value {
            cell: loom::cell::UnsafeCell::new(0),
            drops: std::sync::Arc::clone(drops),
        }
    }

    fn read(&self) -> u32 {
        // SAFETY: loom checks that no write is concurrent.
        self.cell.with(|value| unsafe { *value })
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: as above, with `&mut self`.
        self.cell.with_mut(|value| unsafe { *value = 1 });
        self.drops.fetch_add(1, Relaxed);
    }
}

fn counter() -> std::sync::Arc<AtomicUsize> {
    std::sync::Arc::new(AtomicUsize::new(0))
}

#[test]
fn the_drop_comes_after_every_use() {
    loom::model(|| {
        let drops = counter();
        let shared = Arc::new(Value::new(&drops));
        let threads: Vec<_> = (0..2)
            .map(|_| Arc::clone(&shared))
            .map(|shared| thread::spawn(move || assert_eq!(shared.read(), 0)))
            .collect();
        assert_eq!(shared.read(), 0);
        drop(shared);
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn an_upgrade_gets_a_live_value_or_nothing() {
    loom::model(|| {
        let drops = counter();
        let shared = Arc::new(Value::new(&drops));
        let weak = Arc::downgrade(&shared);
        let thread = thread::spawn(move || {
            if let Some(shared) = weak.upgrade() {
                assert_eq!(shared.read(), 0);
            }
        });
        drop(shared);
        thread.join().expect("no panic");
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn get_mut_comes_after_every_use_of_others() {
    loom::model(|| {
        let mut shared = Arc::new(0_u32);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || assert_eq!(*other, 0));
        if let Some(value) = Arc::get_mut(&mut shared) {
            *value = 1;
        }
        thread.join().expect("no panic");
        assert!(Arc::get_mut(&mut shared).is_some());
    });
}

#[test]
fn get_mut_against_downgrade() {
    loom::model(|| {
        let mut shared = Arc::new(0_u32);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let weak = Arc::downgrade(&other);
            assert_eq!(*other, 0);
            drop(other);
            weak
        });
        assert!(Arc::get_mut(&mut shared).is_none_or(|value| {
            *value = 0;
            true
        }));
        let weak = thread.join().expect("no panic");
        assert!(Arc::get_mut(&mut shared).is_none());
        drop(weak);
        assert!(Arc::get_mut(&mut shared).is_some());
    });
}

#[test]
fn get_mut_against_an_upgrade_whose_weak_goes() {
    loom::model(|| {
        let mut shared = Arc::new(0_u32);
        let weak = Arc::downgrade(&shared);
        let thread = thread::spawn(move || {
            let owner = weak.upgrade().expect("an owner is there");
            drop(weak);
            assert_eq!(*owner, 0);
            owner
        });
        let alone = Arc::get_mut(&mut shared).is_some();
        let owner = thread.join().expect("no panic");
        assert!(!alone, "there was a weak or an owner all the time");
        assert!(Arc::ptr_eq(&owner, &shared));
    });
}

#[test]
fn make_mut_against_a_reader() {
    loom::model(|| {
        let mut shared = Arc::new(0_u32);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || *other);
        *Arc::make_mut(&mut shared) = 1;
        assert_eq!(thread.join().expect("no panic"), 0);
        assert_eq!(*shared, 1);
    });
}

#[test]
fn make_mut_against_an_upgrade() {
    loom::model(|| {
        let mut shared = Arc::new(0_u32);
        let weak = Arc::downgrade(&shared);
        let thread = thread::spawn(move || weak.upgrade().map_or(0, |value| *value));
        *Arc::make_mut(&mut shared) = 1;
        assert_eq!(thread.join().expect("no panic"), 0);
        assert_eq!(*shared, 1);
    });
}

#[test]
fn the_value_is_taken_once() {
    loom::model(|| {
        let drops = counter();
        let shared = Arc::new(Value::new(&drops));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            assert_eq!(other.read(), 0);
            Arc::into_inner(other).is_some()
        });
        assert_eq!(shared.read(), 0);
        let own = Arc::into_inner(shared).is_some();
        assert!(own ^ thread.join().expect("no panic"));
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn a_value_comes_out_after_every_use_of_others() {
    loom::model(|| {
        let drops = counter();
        let shared = Arc::new(Value::new(&drops));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || assert_eq!(other.read(), 0));
        match Arc::try_unwrap(shared) {
            Ok(mut value) => {
                // SAFETY: loom checks it.
                value.cell.with_mut(|value| unsafe { *value = 2 });
                value.cell = loom::cell::UnsafeCell::new(0);
            }
            Err(shared) => assert_eq!(shared.read(), 0),
        }
        thread.join().expect("no panic");
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn memory_is_freed_after_the_last_look() {
    loom::model(|| {
        let shared = Arc::new(0_u32);
        let weak = Arc::downgrade(&shared);
        let other = weak.clone();
        let thread = thread::spawn(move || assert!(other.strong_count() <= 1));
        drop(shared);
        assert!(weak.upgrade().is_none());
        drop(weak);
        thread.join().expect("no panic");
    });
}

#[test]
fn the_last_weak_may_go_while_the_value_drops() {
    loom::model(|| {
        let drops = counter();
        let shared = Arc::new(Value::new(&drops));
        let weak = Arc::downgrade(&shared);
        let thread = thread::spawn(move || drop(weak));
        drop(shared);
        thread.join().expect("no panic");
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn a_weak_sees_a_cyclic_value_whole() {
    loom::model(|| {
        let mut thread = None;
        let shared = Arc::new_cyclic(|own: &Weak<loom::cell::UnsafeCell<u32>>| {
            let own = own.clone();
            thread = Some(thread::spawn(move || {
                own.upgrade().map(|value| {
                    // SAFETY: loom checks that the write is over.
                    value.with(|value| unsafe { *value })
                })
            }));
            let value = loom::cell::UnsafeCell::new(0);
            // SAFETY: not yet shared.
            value.with_mut(|value| unsafe { *value = 7 });
            value
        });
        let seen = thread.expect("spawned").join().expect("no panic");
        assert!(seen.is_none() || seen == Some(7));
        drop(shared);
    });
}
