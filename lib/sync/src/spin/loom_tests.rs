//! The interleavings of the spin locks.

use super::{
    ClhHandle, ClhLock, ClhNode, Depth, Interrupts, IrqSafe, Lock, McsLock, RawSpin, SpinLock,
    TestAndSet, Ticket, TicketLock,
};
use core::cell::Cell;
use loom::sync::Arc;
use loom::thread;

/// Adds 1 in two steps, which an unexcluded thread would come between.
fn add_one(value: &mut u32) {
    let seen = *value;
    *value = seen + 1;
}

fn counts<R: RawSpin + Send + Sync + 'static>(make: fn() -> Lock<R, u32>) {
    loom::model(move || {
        let lock = Arc::new(make());
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || add_one(&mut other.lock()));
        add_one(&mut lock.lock());
        thread.join().expect("no panic");
        assert_eq!(*lock.lock(), 2);
    });
}

fn tries<R: RawSpin + Send + Sync + 'static>(make: fn() -> Lock<R, u32>) {
    loom::model(move || {
        let lock = Arc::new(make());
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || match other.try_lock() {
            Some(mut guard) => {
                add_one(&mut guard);
                1
            }
            None => 0,
        });
        add_one(&mut lock.lock());
        let tried = thread.join().expect("no panic");
        assert_eq!(*lock.lock(), 1 + tried);
    });
}

#[test]
fn test_and_set() {
    counts(|| SpinLock::new(0));
    tries(|| SpinLock::new(0));
}

#[test]
fn tickets() {
    counts(|| TicketLock::new(0));
    tries(|| TicketLock::new(0));
}

#[test]
fn without_interrupts() {
    counts(|| Lock::with_raw(IrqSafe::<TestAndSet, Machine>::default(), 0));
    tries(|| Lock::with_raw(IrqSafe::<Ticket, Machine>::default(), 0));
}

/// Of three only one may spin: two that do take turns for ever in loom's eyes.
#[test]
fn three_with_tickets() {
    loom::model(|| {
        let lock = Arc::new(TicketLock::new(0));
        let one = Arc::clone(&lock);
        let one = thread::spawn(move || add_one(&mut one.lock()));
        let two = Arc::clone(&lock);
        let two = thread::spawn(move || {
            two.try_lock().is_some_and(|mut guard| {
                add_one(&mut guard);
                true
            })
        });
        add_one(&mut lock.lock());
        one.join().expect("no panic");
        let tried = two.join().expect("no panic");
        assert_eq!(*lock.lock(), 2 + u32::from(tried));
    });
}

#[test]
fn a_queue_on_the_stacks() {
    loom::model(|| {
        let lock = Arc::new(McsLock::new(0));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || other.with(add_one));
        lock.with(add_one);
        thread.join().expect("no panic");
        assert_eq!(lock.with(|value| *value), 2);
    });
}

#[test]
fn three_in_a_queue_on_the_stacks() {
    loom::model(|| {
        let lock = Arc::new(McsLock::new(0));
        let threads = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.with(add_one))
        });
        lock.with(add_one);
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(lock.with(|value| *value), 3);
    });
}

#[test]
fn a_try_at_a_queue_on_the_stacks() {
    loom::model(|| {
        let lock = Arc::new(McsLock::new(0));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || u32::from(other.try_with(add_one).is_some()));
        lock.with(add_one);
        let tried = thread.join().expect("no panic");
        assert_eq!(lock.with(|value| *value), 1 + tried);
    });
}

fn node() -> &'static mut ClhNode {
    Box::leak(Box::new(ClhNode::new()))
}

#[test]
fn a_queue_of_given_nodes() {
    loom::model(|| {
        let lock = Arc::new(ClhLock::new(node(), 0));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || {
            let mut handle = ClhHandle::new(node());
            add_one(&mut other.lock(&mut handle));
        });
        let mut handle = ClhHandle::new(node());
        // Twice: the second time with the node of another.
        add_one(&mut lock.lock(&mut handle));
        add_one(&mut lock.lock(&mut handle));
        thread.join().expect("no panic");
        assert_eq!(*lock.lock(&mut handle), 3);
    });
}

loom::thread_local! {
    static ENABLED: Cell<bool> = Cell::new(true);
    static DEPTH: Depth = Depth::new();
}

struct Machine;

impl Interrupts for Machine {
    fn disable() -> bool {
        ENABLED.with(|enabled| enabled.replace(false))
    }

    fn enable() {
        ENABLED.with(|enabled| enabled.set(true));
    }

    fn with_depth<R>(f: impl FnOnce(&Depth) -> R) -> R {
        DEPTH.with(f)
    }
}
