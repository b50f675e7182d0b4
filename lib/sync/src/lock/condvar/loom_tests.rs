//! Models of the condition variable: no notification is lost, and none is
//! swallowed by one who no longer waits.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use super::AT_ONCE;
use crate::blocking::Model;
use crate::lock::{Condvar, Mutex, Plain};

struct Shared {
    tokens: Mutex<u32, Model, Plain>,
    changed: Condvar<Model>,
}

fn shared() -> Arc<Shared> {
    shared_by(1)
}

/// With a condition variable that lets so many go at once.
fn shared_by(at_once: usize) -> Arc<Shared> {
    let mut changed = Condvar::new();
    changed.at_once = at_once;
    Arc::new(Shared {
        tokens: Mutex::new(0),
        changed,
    })
}

impl Shared {
    /// Waits for a token and takes it.
    fn take(&self) {
        let mut tokens = self
            .changed
            .wait_while(self.tokens.lock(), |tokens| *tokens == 0);
        *tokens -= 1;
    }

    fn put(&self, count: u32) {
        let mut tokens = self.tokens.lock();
        let seen = *tokens;
        *tokens = seen + count;
    }
}

#[test]
fn a_notification_is_not_lost() {
    loom::model(|| {
        let shared = shared();
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take())
        };
        shared.put(1);
        shared.changed.notify_one();
        waiter.join().expect("the waiter finishes");
    });
}

fn a_crowd_is_called(at_once: usize, crowd: u32) {
    let shared = shared_by(at_once);
    let waiters: Vec<_> = (0..crowd)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take())
        })
        .collect();
    shared.put(crowd);
    shared.changed.notify_all();
    for waiter in waiters {
        waiter.join().expect("the waiter finishes");
    }
}

#[test]
fn notify_all_reaches_all() {
    loom::model(|| a_crowd_is_called(1, 2));
}

#[test]
fn notify_all_lets_two_go_at_once() {
    loom::model(|| a_crowd_is_called(AT_ONCE, 2));
}

#[test]
fn of_three_the_third_is_handed_on_to() {
    loom::model(|| a_crowd_is_called(AT_ONCE, 3));
}

#[test]
fn two_notifications_reach_two() {
    loom::model(|| {
        let shared = shared();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.take())
            })
            .collect();
        for _ in 0..2 {
            shared.put(1);
            shared.changed.notify_one();
        }
        for waiter in waiters {
            waiter.join().expect("the waiter finishes");
        }
    });
}

#[test]
fn one_that_gives_up_swallows_nothing() {
    loom::model(|| {
        let shared = shared();
        let impatient = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (mut tokens, result) = shared
                    .changed
                    .wait_timeout(shared.tokens.lock(), Duration::ZERO);
                // What it was told of, it takes.
                if !result.timed_out() && *tokens > 0 {
                    *tokens -= 1;
                    return 1;
                }
                0
            })
        };
        let patient = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take())
        };
        shared.put(1);
        shared.changed.notify_one();
        if impatient.join().expect("the impatient one finishes") == 1 {
            shared.put(1);
            shared.changed.notify_one();
        }
        patient.join().expect("the patient one finishes");
    });
}
