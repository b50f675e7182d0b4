//! The spin locks on real threads, and under Miri.

use super::{
    ClhHandle, ClhLock, ClhNode, Depth, Guard, Interrupts, IrqSafe, Lock, McsLock, RawSpin,
    SpinLock, TestAndSet, Ticket, TicketLock, without,
};
use core::cell::Cell;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::panic::{catch_unwind, resume_unwind};
use std::thread;

const THREADS: u64 = 3;

/// Few: with more threads than processors, those who wait in a queue wait for
/// one that does not run.
fn rounds() -> u64 {
    if cfg!(miri) { 30 } else { 400 }
}

/// Every lock with a guard excludes, and gives itself back.
fn excludes<R: RawSpin>(lock: &Lock<R, u32>) {
    let mut guard = lock.lock();
    *guard += 1;
    assert!(lock.is_locked() && lock.try_lock().is_none());
    assert_eq!(format!("{lock:?}"), format!("{}(<locked>)", R::NAME));
    drop(guard);
    assert!(!lock.is_locked());
    let guard = lock.try_lock().expect("the lock is free");
    assert_eq!(*guard, 1);
    drop(guard);
    assert_eq!(format!("{lock:?}"), format!("{}(1)", R::NAME));
}

fn counts<R: RawSpin + Sync + Send>(lock: Lock<R, u64>) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 0..rounds() {
                    if round % 3 == 0
                        && let Some(mut guard) = lock.try_lock()
                    {
                        *guard += 1;
                        continue;
                    }
                    *lock.lock() += 1;
                }
            });
        }
    });
    assert_eq!(lock.into_inner(), THREADS * rounds());
}

#[test]
fn a_holder_excludes_others() {
    excludes(&SpinLock::new(0));
    excludes(&TicketLock::new(0));
    excludes(&Lock::with_raw(
        IrqSafe::<TestAndSet, Machine>::default(),
        0,
    ));
    excludes(&Lock::with_raw(IrqSafe::<Ticket, Machine>::default(), 0));
}

#[test]
fn several_threads_count() {
    counts(SpinLock::new(0));
    counts(TicketLock::new(0));
    counts(Lock::with_raw(IrqSafe::<TestAndSet, Machine>::default(), 0));
    counts(Lock::with_raw(IrqSafe::<Ticket, Machine>::default(), 0));
}

#[test]
fn several_threads_count_in_a_queue_on_their_stacks() {
    let lock = McsLock::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 0..rounds() {
                    if round % 3 != 0 || lock.try_with(|count| *count += 1).is_none() {
                        lock.with(|count| *count += 1);
                    }
                }
            });
        }
    });
    assert_eq!(lock.into_inner(), THREADS * rounds());
}

#[test]
fn several_threads_count_in_a_queue_of_given_nodes() {
    let (mut first, mut nodes) = (ClhNode::new(), [const { ClhNode::new() }; 3]);
    let lock = ClhLock::new(&mut first, 0);
    thread::scope(|scope| {
        for node in &mut nodes {
            scope.spawn(|| {
                let mut handle = ClhHandle::new(node);
                for _ in 0..rounds() {
                    *lock.lock(&mut handle) += 1;
                }
            });
        }
    });
    assert_eq!(lock.into_inner(), THREADS * rounds());
}

/// Three come while the lock is held, one after the other, and are served in
/// that order. `last` changes when somebody has come.
fn serves_in_order(
    hold: impl FnOnce(&dyn Fn()),
    come: impl Fn(u32) + Sync,
    last: impl Fn() -> usize + Sync,
) {
    thread::scope(|scope| {
        hold(&|| {
            for number in 0..3 {
                let (come, before) = (&come, last());
                scope.spawn(move || come(number));
                while last() == before {
                    thread::yield_now();
                }
            }
        });
    });
}

#[test]
fn tickets_are_served_in_order() {
    let lock = TicketLock::new(Vec::new());
    serves_in_order(
        |then| {
            let _guard = lock.lock();
            then();
        },
        |number| lock.lock().push(number),
        || lock.raw().issued() as usize,
    );
    assert_eq!(lock.into_inner(), [0, 1, 2]);
}

#[test]
fn a_queue_is_served_in_order() {
    let lock = McsLock::new(Vec::new());
    serves_in_order(
        |then| lock.with(|_| then()),
        |number| lock.with(|served| served.push(number)),
        || lock.last(),
    );
    assert_eq!(lock.into_inner(), [0, 1, 2]);
}

#[test]
fn tickets_wrap() {
    let raw = Ticket::new();
    raw.skip(u32::MAX);
    assert!(raw.try_lock());
    // SAFETY: just taken.
    unsafe { raw.unlock() };
    raw.lock();
    assert!(!raw.try_lock() && raw.is_locked());
    // SAFETY: just taken.
    unsafe { raw.unlock() };
}

#[test]
fn a_panic_gives_the_lock_back() {
    let lock = McsLock::new(1);
    let result = catch_unwind(AssertUnwindSafe(|| {
        lock.with(|_| resume_unwind(Box::new(())))
    }));
    assert!(result.is_err());
    assert_eq!(lock.try_with(|value| *value), Some(1));
    assert_eq!(format!("{lock:?}"), "McsLock(1)");
    lock.with(|_| {
        assert!(lock.try_with(|_| ()).is_none());
        assert_eq!(format!("{lock:?}"), "McsLock(<locked>)");
    });
}

/// Forgetting a guard locks for ever, and does nothing else.
#[test]
fn a_forgotten_guard_leaves_the_lock_held() {
    let lock = SpinLock::new(1);
    core::mem::forget(lock.lock());
    assert!(lock.try_lock().is_none());
    assert_eq!(lock.into_inner(), 1);

    let (mut first, mut node) = (ClhNode::new(), ClhNode::new());
    let mut lock = ClhLock::new(&mut first, 1);
    let mut handle = ClhHandle::new(&mut node);
    core::mem::forget(lock.lock(&mut handle));
    assert_eq!(*lock.get_mut(), 1);
    let again = catch_unwind(AssertUnwindSafe(|| drop(lock.lock(&mut handle))));
    assert!(again.is_err(), "the handle lost its node");
    // The nodes are the caller's again.
    let lock = ClhLock::new(&mut first, 2);
    assert_eq!(*lock.lock(&mut ClhHandle::new(&mut node)), 2);
}

std::thread_local! {
    static ENABLED: Cell<bool> = const { Cell::new(true) };
    static DEPTH: Depth = const { Depth::new() };
    /// What a handler does, if one comes as soon as it can.
    static HANDLER: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Each thread is a processor.
struct Machine;

impl Interrupts for Machine {
    fn disable() -> bool {
        ENABLED.replace(false)
    }

    fn enable() {
        ENABLED.set(true);
        if let Some(handler) = HANDLER.take() {
            handler();
        }
    }

    fn with_depth<R>(f: impl FnOnce(&Depth) -> R) -> R {
        assert!(!ENABLED.get(), "the count is looked at without interrupts");
        DEPTH.with(f)
    }
}

type IrqLock<T> = Lock<IrqSafe<TestAndSet, Machine>, T>;

#[test]
fn interrupts_come_back_when_the_last_lock_goes() {
    let one: IrqLock<u32> = Lock::default();
    let two: IrqLock<u32> = Lock::default();
    let first = one.lock();
    let second = two.lock();
    // Not in the order in which they came.
    drop(first);
    assert!(!ENABLED.get());
    assert!(two.try_lock().is_none(), "a failure changes nothing");
    assert!(!ENABLED.get());
    drop(second);
    assert!(ENABLED.get());
    assert!(without::<Machine, _>(|| !ENABLED.get()) && ENABLED.get());

    // Where they were out before, they stay out.
    ENABLED.set(false);
    drop(one.lock());
    assert!(!ENABLED.get());
    ENABLED.set(true);

    core::mem::forget(one.lock());
    drop(two.lock());
    assert!(!ENABLED.get(), "a forgotten guard keeps them out");
}

#[test]
fn a_handler_finds_the_lock_free() {
    static LOCK: IrqLock<u32> = Lock::with_raw(IrqSafe::new(TestAndSet::new()), 0);
    HANDLER.set(Some(|| {
        let mut guard = LOCK
            .try_lock()
            .expect("the lock went before interrupts came");
        *guard += 10;
    }));
    *LOCK.lock() += 1;
    assert_eq!(*LOCK.lock(), 11);
}

#[test]
fn a_waiter_lets_interrupts_in_unless_it_stands_in_a_queue() {
    static OPEN: IrqLock<()> = Lock::with_raw(IrqSafe::new(TestAndSet::new()), ());
    static HANDLED: AtomicU32 = AtomicU32::new(0);
    let guard = OPEN.lock();
    thread::scope(|scope| {
        scope.spawn(|| {
            HANDLER.set(Some(|| {
                HANDLED.fetch_add(1, Relaxed);
            }));
            drop(OPEN.lock());
        });
        // Only a waiter with interrupts enabled handles one before it has the lock.
        while HANDLED.load(Relaxed) == 0 {
            thread::yield_now();
        }
        drop(guard);
    });
    assert_eq!(HANDLED.load(Relaxed), 1);
}

#[test]
fn a_guard_shows_its_value() {
    let lock = SpinLock::new(5);
    let guard: Guard<'_, _, _> = lock.lock();
    assert_eq!(format!("{guard} {guard:?}"), "5 5");
}

/// A value of a size that is not known goes behind a reference.
#[test]
fn the_value_may_be_unsized() {
    let lock: &SpinLock<[u32]> = &SpinLock::new([1, 2]);
    lock.lock()[0] = 3;
    assert_eq!(*lock.lock(), [3, 2]);
}
