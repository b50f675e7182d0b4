//! The order of levels: what it lets through, what it stops, and many threads that keep it.

use super::{Level, Ordered, Token};
use crate::spin::{Lock, Ticket};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::thread;

crate::lock_order! {
    in super::ThisThread;
    /// The first one.
    Outer,
    /// The one between.
    Middle,
    /// The last one.
    Inner,
}

#[test]
fn levels_are_numbered_from_outside() {
    assert_eq!((Outer::RANK, Middle::RANK, Inner::RANK), (0, 1, 2));
    assert_eq!(Middle::NAME, "Middle");
}

#[test]
fn the_order_may_leave_levels_out() {
    let (outer, inner) = (Ordered::<Outer, _>::new(1), Ordered::<Inner, _>::new(2));
    let mut token = Token::root();
    {
        let (mut one, mut token) = outer.lock_with(&mut token);
        let (two, _) = inner.lock_with(&mut token);
        *one += *two;
    }
    // When all are given back, it begins anew.
    let (one, _) = outer.lock_with(&mut token);
    assert_eq!((*one, format!("{one:?}")), (3, "3".into()));
}

/// Whether `f` panics, on a thread of its own: what that holds is then wrong.
fn panics(f: impl FnOnce() + Send) -> bool {
    thread::scope(|scope| {
        scope
            .spawn(|| catch_unwind(AssertUnwindSafe(f)).is_err())
            .join()
            .expect("the panic was caught")
    })
}

#[test]
fn the_wrong_order_panics_where_it_is_checked() {
    let outer = Ordered::<Outer, _>::new(());
    let middle: Ordered<Middle, (), Ticket> = Ordered::with_lock(Lock::default());
    let other = Ordered::<Middle, _>::new(());
    assert!(!panics(|| {
        let one = outer.lock();
        let two = middle.lock();
        // Given back in the order in which they were taken: that is no harm.
        drop(one);
        drop(two);
        drop(outer.lock());
    }));
    assert_eq!(
        panics(|| {
            let _middle = middle.lock();
            let _outer = outer.lock();
        }),
        cfg!(debug_assertions)
    );
    assert_eq!(
        panics(|| {
            let _one = middle.lock();
            let _two = other.lock();
        }),
        cfg!(debug_assertions)
    );
    // A second root is found out.
    assert_eq!(
        panics(|| {
            let (mut one, mut two) = (Token::root(), Token::root());
            let _middle = middle.lock_with(&mut one);
            let _outer = outer.lock_with(&mut two);
        }),
        cfg!(debug_assertions)
    );
    // The panics gave the locks back.
    assert_eq!(
        format!("{middle:?} {outer:?}"),
        "TicketLock(()) SpinLock(())"
    );
    let mut outer = outer;
    let () = *outer.get_mut();
    outer.into_inner();
}

/// Some levels at a time, with tokens or without, given back in any order; now
/// and then a thread comes that breaks the order, and is stopped.
#[test]
fn many_threads_take_what_they_want_in_order() {
    type Locks = (
        Ordered<Outer, u32>,
        Ordered<Middle, u32, Ticket>,
        Ordered<Inner, u32>,
    );
    let rounds: u32 = if cfg!(miri) { 20 } else { 20_000 };
    let locks: Locks = (
        Ordered::new(0),
        Ordered::with_lock(Lock::default()),
        Ordered::new(0),
    );
    // Whoever came between would be forgotten.
    let add = |sum: &mut u32, more| {
        let before = *sum;
        core::hint::spin_loop();
        *sum = before + more;
    };
    let work = |own: u32| {
        let mut added = [0; 3];
        let mut random = own;
        let mut token = Token::root();
        for round in 0..rounds {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wanted = [30, 29, 28].map(|bit| random >> bit & 1);
            if random >> 31 == 0 {
                let (mut outer, mut token) = locks.0.lock_with(&mut token);
                let (mut inner, _) = locks.2.lock_with(&mut token);
                add(&mut outer, wanted[0]);
                add(&mut inner, wanted[2]);
                added[0] += wanted[0];
                added[2] += wanted[2];
            } else {
                let outer = (wanted[0] == 1).then(|| locks.0.lock());
                let middle = (wanted[1] == 1).then(|| locks.1.lock());
                let inner = (wanted[2] == 1).then(|| locks.2.lock());
                for (sum, wanted) in added.iter_mut().zip(wanted) {
                    *sum += wanted;
                }
                // The order in which they go is free.
                inner.into_iter().for_each(|mut sum| add(&mut sum, 1));
                outer.into_iter().for_each(|mut sum| add(&mut sum, 1));
                middle.into_iter().for_each(|mut sum| add(&mut sum, 1));
            }
            // Without the check this would be the deadlock that it is about.
            if cfg!(debug_assertions) && round % 8_192 == 8_191 - own {
                assert!(panics(|| {
                    let _inner = locks.2.lock();
                    let _outer = locks.0.lock();
                }));
            }
        }
        added
    };
    let added = thread::scope(|scope| {
        let work = &work;
        let threads = [1, 2, 3, 4].map(|own| scope.spawn(move || work(own)));
        threads.map(|thread| thread.join().expect("the order is kept"))
    });
    let sum = |level: usize| added.iter().map(|added| added[level]).sum::<u32>();
    assert_eq!(
        (
            locks.0.into_inner(),
            locks.1.into_inner(),
            locks.2.into_inner()
        ),
        (sum(0), sum(1), sum(2))
    );
}
