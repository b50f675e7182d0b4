//! Models of the one-shot channels.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Channel, Checked, Receiver, Sender, channel};
use crate::blocking::{Blocking, Model};
use crate::primitive::atomic::AtomicU32;

/// A message whose inside loom watches, and that counts its drops.
struct Watched {
    number: UnsafeCell<usize>,
    dropped: Arc<AtomicUsize>,
}

impl Watched {
    fn number(&self) -> usize {
        // SAFETY: loom tells if somebody writes.
        self.number.with(|number| unsafe { *number })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: loom tells if somebody else is there.
        self.number.with_mut(|number| unsafe { *number = 0 });
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn watched() -> (Arc<AtomicUsize>, Watched) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let message = Watched {
        number: UnsafeCell::new(7),
        dropped: Arc::clone(&dropped),
    };
    (dropped, message)
}

fn pair<T>() -> (Sender<'static, T, Model>, Receiver<'static, T, Model>) {
    channel()
}

/// Wakes a thread that sleeps at its word. What it says is watched, so that it
/// is known to come to the sender in order.
struct Alarm {
    rung: AtomicU32,
    mark: UnsafeCell<u32>,
}

// SAFETY: loom tells if the mark is used out of order.
unsafe impl Sync for Alarm {}

impl Alarm {
    fn new() -> std::sync::Arc<Alarm> {
        let alarm = Alarm {
            rung: AtomicU32::new(0),
            mark: UnsafeCell::new(0),
        };
        // SAFETY: loom tells if somebody else is there.
        alarm.mark.with_mut(|mark| unsafe { *mark = 1 });
        std::sync::Arc::new(alarm)
    }

    fn sleep(&self) {
        while self.rung.load(Ordering::Relaxed) == 0 {
            Model::wait(&self.rung, 0);
        }
    }
}

impl std::task::Wake for Alarm {
    fn wake(self: std::sync::Arc<Self>) {
        // SAFETY: loom tells if somebody writes.
        assert_eq!(self.mark.with(|mark| unsafe { *mark }), 1);
        self.rung.store(1, Ordering::Relaxed);
        Model::wake_all(&raw const self.rung);
    }
}

fn poll<T>(receiver: &mut Receiver<'_, T, Model>, alarm: &std::sync::Arc<Alarm>) -> Option<T> {
    let waker = Waker::from(std::sync::Arc::clone(alarm));
    match Pin::new(receiver).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(Ok(message)) => Some(message),
        Poll::Ready(Err(_)) => panic!("one is sent"),
        Poll::Pending => None,
    }
}

#[test]
fn checked_lets_one_of_two_send() {
    loom::model(|| {
        let checked = Arc::new(Checked::new());
        let other = Arc::clone(&checked);
        let thread = thread::spawn(move || other.try_send((1, 1)).is_ok());
        let mine = checked.try_send((2, 2)).is_ok();
        if let Some(message) = checked.try_receive() {
            assert_eq!(message.0, message.1);
        }
        assert!(mine != thread.join().expect("the other ends"));
    });
}

#[test]
fn checked_publishes_its_message() {
    loom::model(|| {
        let (dropped, message) = watched();
        let checked = Arc::new(Checked::new());
        let other = Arc::clone(&checked);
        let thread = thread::spawn(move || other.send(message));
        if checked.is_ready() {
            assert_eq!(checked.receive().number(), 7);
        }
        thread.join().expect("the sender ends");
        drop(checked);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_sleeping_receiver_gets_it() {
    loom::model(|| {
        let (dropped, message) = watched();
        let (sender, receiver) = pair();
        let thread = thread::spawn(move || assert!(sender.send(message).is_ok()));
        assert_eq!(receiver.recv().map(|message| message.number()), Ok(7));
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        thread.join().expect("the sender ends");
    });
}

#[test]
fn a_receiver_that_times_out_gets_it_later() {
    loom::model(|| {
        let (_dropped, message) = watched();
        let (sender, mut receiver) = pair();
        let thread = thread::spawn(move || assert!(sender.send(message).is_ok()));
        let first = receiver.recv_timeout(Duration::ZERO);
        let number = match first {
            Ok(message) => message.number(),
            Err(_) => receiver.recv().map_or(0, |message| message.number()),
        };
        assert_eq!(number, 7);
        thread.join().expect("the sender ends");
    });
}

#[test]
fn a_task_gets_it() {
    loom::model(|| {
        let (_dropped, message) = watched();
        let (sender, mut receiver) = pair();
        let thread = thread::spawn(move || assert!(sender.send(message).is_ok()));
        let alarm = Alarm::new();
        let message = loop {
            match poll(&mut receiver, &alarm) {
                Some(message) => break message,
                None => alarm.sleep(),
            }
        };
        assert_eq!(message.number(), 7);
        thread.join().expect("the sender ends");
    });
}

#[test]
fn a_task_that_moves_is_woken_where_it_is() {
    loom::model(|| {
        let (sender, mut receiver) = pair();
        let thread = thread::spawn(move || assert!(sender.send(7).is_ok()));
        let (old, new) = (Alarm::new(), Alarm::new());
        if let Some(message) = poll(&mut receiver, &old) {
            assert_eq!(message, 7);
        } else {
            let message = loop {
                match poll(&mut receiver, &new) {
                    Some(message) => break message,
                    None => new.sleep(),
                }
            };
            assert_eq!(message, 7);
        }
        thread.join().expect("the sender ends");
    });
}

#[test]
fn a_sender_that_goes_wakes_the_receiver() {
    loom::model(|| {
        let (sender, receiver) = pair::<u32>();
        let thread = thread::spawn(move || drop(sender));
        assert!(receiver.recv().is_err());
        thread.join().expect("the sender ends");
    });
}

#[test]
fn both_go_at_once() {
    loom::model(|| {
        let (dropped, message) = watched();
        let (sender, mut receiver) = pair();
        let thread = thread::spawn(move || drop(sender.send(message)));
        let alarm = Alarm::new();
        drop(poll(&mut receiver, &alarm));
        drop(receiver);
        thread.join().expect("the sender ends");
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

/// A receiver's last word comes before the sender frees the channel.
#[test]
fn the_sender_frees_after_the_receiver() {
    loom::model(|| {
        let (sender, mut receiver) = pair::<u32>();
        let alarm = Alarm::new();
        assert!(poll(&mut receiver, &alarm).is_none());
        let thread = thread::spawn(move || drop(receiver));
        assert!(sender.send(1).is_ok() || std::sync::Arc::strong_count(&alarm) == 1);
        thread.join().expect("the receiver ends");
    });
}

#[test]
fn a_borrowed_channel_is_split_again() {
    loom::model(|| {
        let (dropped, message) = watched();
        let mut channel = Channel::<_, Model>::new();
        let (sender, receiver) = channel.split();
        assert!(sender.send(message).is_ok());
        core::mem::forget(receiver);
        let (sender, _receiver) = channel.split();
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        drop(sender);
    });
}
