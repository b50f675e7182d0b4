//! Models of the mutex: exclusion, order, and that no sleeper is forgotten.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::blocking::Model;
use crate::lock::{Mutex, Plain};

fn add(mutex: &Mutex<u32, Model, Plain>) {
    let mut value = mutex.lock();
    let seen = *value;
    *value = seen + 1;
}

#[test]
fn two_threads_exclude_each_other() {
    loom::model(|| {
        let mutex = Arc::new(Mutex::<u32, Model, Plain>::new(0));
        let other = {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || {
                add(&mutex);
                add(&mutex);
            })
        };
        add(&mutex);
        other.join().expect("the other thread finishes");
        assert_eq!(*mutex.lock(), 3);
    });
}

#[test]
fn three_threads_forget_no_sleeper() {
    loom::model(|| {
        let mutex = Arc::new(Mutex::<u32, Model, Plain>::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                thread::spawn(move || add(&mutex))
            })
            .collect();
        add(&mutex);
        for other in others {
            other.join().expect("the other thread finishes");
        }
        assert_eq!(*mutex.lock(), 3);
    });
}

#[test]
fn one_that_gives_up_takes_nothing_along() {
    loom::model(|| {
        let mutex = Arc::new(Mutex::<u32, Model, Plain>::new(0));
        let impatient = {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || {
                let taken = mutex.try_lock_for(Duration::ZERO);
                taken.map_or(0, |mut value| {
                    *value += 1;
                    1
                })
            })
        };
        let patient = {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || add(&mutex))
        };
        add(&mutex);
        patient.join().expect("the patient thread finishes");
        let more = impatient.join().expect("the impatient thread finishes");
        assert_eq!(*mutex.lock(), 2 + more);
    });
}

#[test]
fn a_panic_poisons_and_gives_the_mutex_back() {
    // Poison needs unwinding, which loom's threads do not survive: from outside.
    loom::model(|| {
        let mutex = Arc::new(Mutex::<u32, Model>::new(0));
        let other = {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || {
                let guard = mutex.lock();
                mutex.poison();
                drop(guard);
            })
        };
        let early = mutex.lock().is_ok();
        other.join().expect("the other thread finishes");
        assert!(mutex.lock().is_err());
        let _ = early;
    });
}
