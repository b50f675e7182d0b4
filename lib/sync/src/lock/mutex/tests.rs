//! What the mutex promises, on the host's threads.

use core::cell::Cell;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::blocking::{Blocking, Futex, Spin};
use crate::lock::{Mutex, MutexGuard, Plain, TryLockError};

fn counts<B: Blocking>(rounds: u32) {
    let mutex = Mutex::<u32, B>::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    *mutex.lock().expect("no panic") += 1;
                }
            });
        }
    });
    assert_eq!(mutex.into_inner().expect("no panic"), 4 * rounds);
}

#[test]
fn counts_from_several_threads() {
    counts::<Futex>(if cfg!(miri) { 30 } else { 50_000 });
}

#[test]
fn is_a_spin_lock_where_nobody_can_sleep() {
    counts::<Spin>(if cfg!(miri) { 10 } else { 2_000 });
}

#[test]
fn an_observer_sees_whole_hundreds() {
    let mutex = Mutex::<u32, Futex>::new(0);
    let rounds = if cfg!(miri) { 2 } else { 100 };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let mut value = mutex.lock().unwrap();
                    for _ in 0..100 {
                        *value += 1;
                    }
                }
            });
        }
        for _ in 0..rounds {
            assert_eq!(*mutex.lock().unwrap() % 100, 0);
        }
    });
}

#[test]
fn excludes_other_holders() {
    let mutex = Mutex::<_, Futex>::new(1);
    let guard = mutex.lock().unwrap();
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    assert!(mutex.try_lock_for(Duration::from_millis(1)).is_err());
    drop(guard);
    assert!(mutex.try_lock().is_ok());
    assert!(mutex.try_lock_for(Duration::from_secs(3_600)).is_ok());
    assert!(mutex.try_lock_for(Duration::MAX).is_ok());
}

#[test]
fn one_with_patience_gets_it() {
    let mutex = Mutex::<u32, Futex>::new(0);
    let held = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut guard = mutex.lock().unwrap();
            held.wait();
            *guard = 1;
        });
        held.wait();
        let guard = mutex.try_lock_for(Duration::from_secs(3_600)).unwrap();
        assert_eq!(*guard, 1);
    });
}

#[test]
fn a_panic_poisons_and_the_value_can_be_repaired() {
    let mutex = Arc::new(Mutex::<i32, Futex>::new(1));
    let broken = {
        let mutex = Arc::clone(&mutex);
        thread::spawn(move || {
            let mut guard = mutex.lock().unwrap();
            *guard = -1;
            panic!("half way through");
        })
    };
    assert!(broken.join().is_err());
    assert!(mutex.is_poisoned());
    assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
    {
        let mut error = mutex.lock().unwrap_err();
        assert_eq!(**error.get_ref(), -1);
        **error.get_mut() = 2;
    }
    mutex.clear_poison();
    assert_eq!(*mutex.lock().unwrap(), 2);
    let mutex = Arc::into_inner(mutex).unwrap();
    assert_eq!(mutex.into_inner().unwrap(), 2);
}

#[test]
fn a_guard_made_while_panicking_does_not_poison() {
    struct Visitor<'a>(&'a Mutex<u32, Futex>);
    impl Drop for Visitor<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let mutex = Mutex::new(0);
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        let _visitor = Visitor(&mutex);
        panic!("elsewhere");
    }));
    assert!(result.is_err());
    assert_eq!(*mutex.lock().unwrap(), 1);
}

#[test]
fn a_plain_mutex_is_not_poisoned() {
    let mutex = Mutex::<_, Futex, Plain>::new(1);
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock();
        panic!("while holding");
    }));
    assert!(result.is_err());
    assert!(!mutex.is_poisoned());
    assert_eq!(*mutex.lock(), 1);
}

#[test]
fn poison_and_release_can_come_from_outside() {
    let mutex = Mutex::<_, Futex>::new(1);
    core::mem::forget(mutex.lock().unwrap());
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    // SAFETY: the guard was forgotten above.
    unsafe { mutex.abandon() };
    assert_eq!(**mutex.lock().unwrap_err().get_ref(), 1);
}

#[test]
fn exclusive_access_needs_no_lock() {
    let mut mutex = Mutex::<_, Futex>::new(1);
    *mutex.get_mut().unwrap() = 2;
    mutex.poison();
    assert!(mutex.get_mut().is_err());
    assert_eq!(mutex.into_inner().unwrap_err().into_inner(), 2);
}

#[test]
fn a_mapped_guard_holds_the_mutex_and_poisons_it() {
    let mutex = Mutex::<_, Futex>::new((1, [2, 3]));
    let mut part = MutexGuard::map(mutex.lock().unwrap(), |value| &mut value.1[..]);
    part[0] = 4;
    assert!(mutex.try_lock().is_err());
    drop(part);
    assert_eq!(mutex.lock().unwrap().1, [4, 3]);
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        let _part = MutexGuard::map(mutex.lock().unwrap(), |value| &mut value.0);
        panic!("while holding a part");
    }));
    assert!(result.is_err());
    assert!(mutex.is_poisoned());
}

#[test]
fn holds_values_of_unknown_size_and_no_sync() {
    let mutex: Box<Mutex<[Cell<u8>], Futex>> = Box::new(Mutex::new([Cell::new(1), Cell::new(2)]));
    thread::scope(|scope| {
        scope.spawn(|| mutex.lock().unwrap()[0].set(3));
    });
    assert_eq!(mutex.lock().unwrap()[0].get(), 3);
    assert_eq!(
        format!("{mutex:?}"),
        "Mutex { value: [Cell { value: 3 }, Cell { value: 2 }], poisoned: false }"
    );
}
