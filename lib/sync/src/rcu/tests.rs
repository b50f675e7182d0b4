//! Read, copy, update on real threads, and under Miri.

use super::{
    Domain, Epoch, GracePeriod, Host, Participant, RcuBox, RcuCell, State, collect, pinned,
};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

/// A domain for one test: each must count its own drops.
macro_rules! domain {
    ($name:ident) => {
        struct $name;
        // SAFETY: there is one state, and it is this one.
        unsafe impl Domain for $name {
            fn state() -> &'static State {
                static STATE: State = State::new();
                &STATE
            }
        }
    };
}

struct Value(u64, Arc<AtomicUsize>);

impl Drop for Value {
    fn drop(&mut self) {
        assert_ne!(self.0, u64::MAX, "dropped once");
        self.0 = u64::MAX;
        self.1.fetch_add(1, Relaxed);
    }
}

#[test]
fn what_is_read_is_not_freed() {
    domain!(Here);
    let drops = Arc::new(AtomicUsize::new(0));
    let cell: RcuCell<Value, Here> = RcuCell::new(RcuBox::new(Value(1, Arc::clone(&drops))));
    let mut reader = Participant::<Here>::register();
    let epoch = Epoch::<Here>::register();
    let pinned = epoch.pin();
    let guard = reader.read();
    let old = cell.read(&guard);
    cell.replace(RcuBox::new(Value(2, Arc::clone(&drops))));
    assert_eq!((old.0, cell.read(&pinned).0), (1, 2));
    assert!(!collect::<Here>());
    reader.quiescent();
    assert!(!collect::<Here>(), "the other one may still read it");
    let again = epoch.pin();
    drop(pinned);
    assert!(!collect::<Here>());
    drop(again);
    assert_eq!(drops.load(Relaxed), 0);
    assert!(collect::<Here>());
    assert_eq!(drops.load(Relaxed), 1);
    drop(cell);
    assert_eq!(drops.load(Relaxed), 2);
}

#[test]
fn who_is_offline_or_gone_holds_nothing_back() {
    domain!(Here);
    let mut idle = Participant::<Here>::register();
    let gone = Epoch::<Here>::register();
    core::mem::forget(gone.pin());
    let period = GracePeriod::<Here>::begin();
    assert!(!period.is_over());
    drop(gone);
    assert!(!period.is_over());
    idle.offline(|| assert!(period.is_over()));
    assert!(period.is_over());
    idle.synchronize();
}

#[test]
fn a_value_that_was_read_is_never_a_dropped_one() {
    domain!(Here);
    let rounds = if cfg!(miri) { 20 } else { 5_000 };
    let drops = Arc::new(AtomicUsize::new(0));
    let cell: RcuCell<Value, Here> = RcuCell::new(RcuBox::new(Value(0, Arc::clone(&drops))));
    let (stop, start) = (AtomicBool::new(false), Barrier::new(3));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut participant = Participant::<Here>::register();
            start.wait();
            while !stop.load(Relaxed) {
                let guard = participant.read();
                let (one, two) = (cell.read(&guard), cell.read(&guard));
                assert!(one.0 <= two.0 && two.0 != u64::MAX);
                participant.quiescent();
            }
        });
        scope.spawn(|| {
            let epoch = Epoch::<Here>::register();
            start.wait();
            while !stop.load(Relaxed) {
                let guard = epoch.pin();
                assert_ne!(cell.read(&guard).0, u64::MAX);
            }
        });
        let epoch = Epoch::<Here>::register();
        start.wait();
        for _ in 0..rounds {
            cell.update(&epoch.pin(), |old| {
                RcuBox::new(Value(old.0 + 1, Arc::clone(&drops)))
            });
            collect::<Here>();
        }
        stop.store(true, Relaxed);
    });
    while !collect::<Here>() {}
    assert_eq!(drops.load(Relaxed), rounds);
}

#[test]
fn the_host_frees_by_itself() {
    let drops = Arc::new(AtomicUsize::new(0));
    let cell: RcuCell<Value, Host> = RcuCell::new(RcuBox::new(Value(0, Arc::clone(&drops))));
    let mut round = 0;
    // Other tests may hold a period back for a while.
    while drops.load(Relaxed) == 0 {
        round += 1;
        cell.replace(RcuBox::new(Value(round, Arc::clone(&drops))));
        assert_eq!(pinned(|guard| cell.read(guard).0), round);
        thread::yield_now();
    }
    let boxed = RcuBox::new(5);
    assert_eq!(
        (*boxed, format!("{boxed:?}"), boxed.into_inner()),
        (5, "5".into(), 5)
    );
}
