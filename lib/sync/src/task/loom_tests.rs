//! The interleavings of waiting tasks and those who wake them.

use super::{Event, Mutex, Semaphore, WaitQueue};
use crate::SpinLock;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use loom::sync::Arc;
use loom::thread::{self, Thread};
use std::task::Wake;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls once and goes away.
fn give_up<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn a_mutex_excludes() {
    loom::model(|| {
        let mutex = Arc::new(Mutex::new(0));
        let other = Arc::clone(&mutex);
        let thread = thread::spawn(move || block_on(async { *other.lock().await += 1 }));
        block_on(async { *mutex.lock().await += 1 });
        thread.join().expect("no panic");
        assert_eq!(*mutex.try_lock().expect("it is free"), 2);
    });
}

#[test]
fn a_permit_is_not_lost_with_who_gives_up() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let other = Arc::clone(&semaphore);
        let impatient = thread::spawn(move || drop(give_up(other.acquire(1))));
        semaphore.add(1);
        drop(block_on(semaphore.acquire(1)));
        impatient.join().expect("no panic");
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let shared = Arc::new((WaitQueue::new(), SpinLock::new(None)));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || block_on(other.0.wait_until(|| other.1.lock().take())));
        *shared.1.lock() = Some(5);
        shared.0.wake_one();
        assert_eq!(thread.join().expect("no panic"), 5);
    });
}

#[test]
fn a_wake_up_is_not_lost_with_who_gives_up() {
    loom::model(|| {
        let shared = Arc::new((WaitQueue::new(), SpinLock::new(None)));
        let (one, two) = (Arc::clone(&shared), Arc::clone(&shared));
        // It looks, but never takes: whatever wake-up it gets is another's.
        let impatient = thread::spawn(move || give_up(one.0.wait_until(|| None::<()>)));
        let patient = thread::spawn(move || block_on(two.0.wait_until(|| two.1.lock().take())));
        *shared.1.lock() = Some(5);
        shared.0.wake_one();
        assert!(impatient.join().expect("no panic").is_none());
        assert_eq!(patient.join().expect("no panic"), 5);
    });
}

#[test]
fn an_event_is_seen() {
    loom::model(|| {
        let event = Arc::new((Event::new(), loom::cell::UnsafeCell::new(0)));
        let other = Arc::clone(&event);
        let thread = thread::spawn(move || {
            block_on(other.0.happened());
            // SAFETY: loom checks that the write is over.
            other.1.with(|value| unsafe { *value })
        });
        // SAFETY: as above.
        event.1.with_mut(|value| unsafe { *value = 3 });
        event.0.set();
        assert_eq!(thread.join().expect("no panic"), 3);
    });
}
