//! The interleavings of readers, writers and collectors.

use super::{Domain, Epoch, GracePeriod, Participant, RcuBox, RcuCell, State, collect};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

loom::lazy_static! {
    static ref STATE: State = State::new();
}

struct Model;

// SAFETY: there is one state in each execution of a model.
unsafe impl Domain for Model {
    fn state() -> &'static State {
        &STATE
    }
}

/// A value whose drop is counted.
struct Value(u32, Arc<AtomicUsize>);

impl Drop for Value {
    fn drop(&mut self) {
        self.1.fetch_add(1, Relaxed);
    }
}

fn cell(drops: &Arc<AtomicUsize>) -> Arc<RcuCell<Value, Model>> {
    Arc::new(RcuCell::new(RcuBox::new(Value(1, Arc::clone(drops)))))
}

#[test]
fn a_pinned_reader_keeps_what_it_found() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let cell = cell(&drops);
        let read = Arc::clone(&cell);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            let guard = epoch.pin();
            let value = read.read(&guard);
            let first = value.0;
            thread::yield_now();
            assert_eq!(read.read(&guard).0.max(first), read.read(&guard).0);
            assert_eq!(value.0, first);
        });
        cell.replace(RcuBox::new(Value(2, Arc::clone(&drops))));
        collect::<Model>();
        thread.join().expect("no panic");
        collect::<Model>();
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn a_slot_is_reused_without_forgetting_its_last_owner() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let cell = cell(&drops);
        let read = Arc::clone(&cell);
        let epoch = Epoch::<Model>::register();
        let thread = thread::spawn(move || {
            // Twice: what was read the first time must be over as well.
            let _ = read.read(&epoch.pin()).0;
            let _ = read.read(&epoch.pin()).0;
        });
        cell.replace(RcuBox::new(Value(2, Arc::clone(&drops))));
        collect::<Model>();
        thread.join().expect("no panic");
        while !collect::<Model>() {}
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn a_participant_keeps_what_it_found_until_it_reports() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let cell = cell(&drops);
        let read = Arc::clone(&cell);
        let mut participant = Participant::<Model>::register();
        let thread = thread::spawn(move || {
            let _ = read.read(&participant.read()).0;
            participant.quiescent();
            let _ = read.read(&participant.read()).0;
            participant.offline(|| ());
            let _ = read.read(&participant.read()).0;
        });
        cell.replace(RcuBox::new(Value(2, Arc::clone(&drops))));
        collect::<Model>();
        collect::<Model>();
        thread.join().expect("no panic");
        while !collect::<Model>() {}
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn two_writers_lose_nothing() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let cell = cell(&drops);
        let other = Arc::clone(&cell);
        let counted = Arc::clone(&drops);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            other.update(&epoch.pin(), |old| {
                RcuBox::new(Value(old.0 + 1, Arc::clone(&counted)))
            });
        });
        let epoch = Epoch::<Model>::register();
        cell.update(&epoch.pin(), |old| {
            RcuBox::new(Value(old.0 + 1, Arc::clone(&drops)))
        });
        thread.join().expect("no panic");
        assert_eq!(cell.read(&epoch.pin()).0, 3);
        collect::<Model>();
    });
}

#[test]
fn a_period_ends_when_readers_do() {
    loom::model(|| {
        let value = Arc::new(loom::cell::UnsafeCell::new(1));
        let gone = Arc::new(AtomicUsize::new(0));
        let (read, away) = (Arc::clone(&value), Arc::clone(&gone));
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            let _guard = epoch.pin();
            if away.load(Relaxed) == 0 {
                // SAFETY: loom checks that nobody writes it meanwhile.
                read.with(|value| unsafe { *value });
            }
        });
        gone.store(1, Relaxed);
        let period = GracePeriod::<Model>::begin();
        if period.is_over() {
            // SAFETY: as above.
            value.with_mut(|value| unsafe { *value = 2 });
        }
        thread.join().expect("no panic");
        assert!(period.is_over());
    });
}

#[test]
fn a_collector_frees_what_another_thread_made() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let cell = cell(&drops);
        let (other, counted) = (Arc::clone(&cell), Arc::clone(&drops));
        let thread = thread::spawn(move || {
            other.replace(RcuBox::new(Value(2, Arc::clone(&counted))));
            other.replace(RcuBox::new(Value(3, counted)));
        });
        let collector = thread::spawn(collect::<Model>);
        cell.replace(RcuBox::new(Value(4, Arc::clone(&drops))));
        thread.join().expect("no panic");
        collector.join().expect("no panic");
        while !collect::<Model>() {}
        assert_eq!(drops.load(Relaxed), 3);
    });
}

#[test]
fn a_writer_retires_what_another_thread_made() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let cell = cell(&drops);
        let (other, counted) = (Arc::clone(&cell), Arc::clone(&drops));
        let thread = thread::spawn(move || {
            other.replace(RcuBox::new(Value(2, counted)));
            collect::<Model>();
        });
        cell.replace(RcuBox::new(Value(3, Arc::clone(&drops))));
        thread.join().expect("no panic");
        while !collect::<Model>() {}
        assert_eq!(drops.load(Relaxed), 2);
    });
}

#[test]
fn who_reports_has_seen_what_was_taken_out() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let cell = cell(&drops);
        let read = Arc::clone(&cell);
        let mut participant = Participant::<Model>::register();
        let reader = thread::spawn(move || {
            participant.quiescent();
            let _ = read.read(&participant.read()).0;
        });
        let collector = thread::spawn(collect::<Model>);
        cell.replace(RcuBox::new(Value(2, Arc::clone(&drops))));
        reader.join().expect("no panic");
        collector.join().expect("no panic");
        while !collect::<Model>() {}
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn what_waits_for_a_reader_is_not_forgotten() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let cell = cell(&drops);
        let epoch = Epoch::<Model>::register();
        let guard = epoch.pin();
        let collector = thread::spawn(collect::<Model>);
        cell.replace(RcuBox::new(Value(2, Arc::clone(&drops))));
        collect::<Model>();
        collector.join().expect("no panic");
        // One of the two has it.
        assert!(!collect::<Model>());
        drop(guard);
        while !collect::<Model>() {}
        assert_eq!(drops.load(Relaxed), 1);
    });
}
