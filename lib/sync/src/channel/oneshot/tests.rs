//! One message, once, and none lost: what the one-shot channels keep.

use core::future::Future;
use core::mem;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use super::{Channel, Checked, Receiver, Sender, channel, parked};
use crate::blocking::Futex;
use crate::channel::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use crate::host;

const ROUNDS: usize = if cfg!(miri) { 10 } else { 2_000 };

/// A message that counts its drops.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted() -> (Arc<AtomicUsize>, Counted) {
    let count = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&count), Counted(count))
}

/// Counts how often it was woken, and wakes a thread.
struct Alarm(AtomicUsize, thread::Thread);

impl std::task::Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Alarm(AtomicUsize::new(0), thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn pair<T>() -> (Sender<'static, T, Futex>, Receiver<'static, T, Futex>) {
    channel()
}

fn panic_text(f: impl FnOnce() + core::panic::UnwindSafe) -> String {
    let payload = std::panic::catch_unwind(f).expect_err("it panics");
    let text = payload.downcast_ref::<&str>().expect("a text");
    (*text).to_owned()
}

#[test]
fn checked_passes_one() {
    let checked = Checked::new();
    assert!(!checked.is_ready());
    assert_eq!(checked.try_receive(), None);
    checked.send(1);
    assert!(checked.is_ready());
    assert_eq!(checked.try_send(2), Err(2));
    assert_eq!(checked.receive(), 1);
    // One send ever.
    assert_eq!(checked.try_send(3), Err(3));
    assert_eq!(checked.try_receive(), None);
}

#[test]
fn panics_say_why() {
    assert_eq!(
        panic_text(|| {
            let checked = Checked::new();
            checked.send(1);
            checked.send(2);
        }),
        "can't send more than one message!"
    );
    assert_eq!(
        panic_text(|| {
            let _: u32 = Checked::new().receive();
        }),
        "no message available!"
    );
    assert_eq!(
        panic_text(|| {
            let (_sender, receiver) = pair::<u32>();
            let _ = receiver.receive();
        }),
        "no message available!"
    );
}

#[test]
fn of_two_sends_at_once_one_panics() {
    for _ in 0..ROUNDS.min(100) {
        let checked = Checked::new();
        let sent = thread::scope(|scope| {
            let sends = [1, 2].map(|number| {
                let checked = &checked;
                scope.spawn(move || checked.try_send(number).is_ok())
            });
            sends.map(|send| send.join().expect("it ends"))
        });
        assert!(sent[0] != sent[1]);
        assert_eq!(checked.receive(), if sent[0] { 1 } else { 2 });
    }
}

#[test]
fn every_message_is_dropped_once() {
    let (count, message) = counted();
    let checked = Checked::new();
    checked.send(message);
    drop(checked);
    assert_eq!(
        count.load(Ordering::Relaxed),
        1,
        "unread in a checked channel"
    );

    let (count, message) = counted();
    let (sender, receiver) = pair();
    assert!(sender.send(message).is_ok());
    drop(receiver);
    assert_eq!(count.load(Ordering::Relaxed), 1, "unread by a receiver");

    let (count, message) = counted();
    let (sender, receiver) = pair();
    drop(receiver);
    drop(sender.send(message));
    assert_eq!(count.load(Ordering::Relaxed), 1, "given back");

    let (count, message) = counted();
    let mut channel = Channel::<_, Futex>::new();
    let (sender, receiver) = channel.split();
    assert!(sender.send(message).is_ok());
    mem::forget(receiver);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    let _ = channel.split();
    assert_eq!(count.load(Ordering::Relaxed), 1, "left by a forgotten half");

    let (count, message) = counted();
    let mut channel = parked::Channel::new();
    let (sender, receiver) = channel.split();
    sender.send(message);
    let _ = receiver;
    drop(channel);
    assert_eq!(
        count.load(Ordering::Relaxed),
        1,
        "unread in a parked channel"
    );
}

#[test]
fn a_half_learns_that_the_other_is_gone() {
    let (sender, receiver) = pair::<u32>();
    drop(sender);
    assert_eq!(receiver.recv(), Err(RecvError));

    let (sender, receiver) = pair();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(1), Err(SendError(1)));

    let (sender, mut receiver) = pair::<u32>();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(block_on(receiver), Err(RecvError));

    let mut channel = parked::Channel::<u32>::new();
    let (sender, receiver) = channel.split();
    drop(sender);
    assert_eq!(receiver.receive(), Err(RecvError));
}

#[test]
fn strangers_may_unpark_a_receiver() {
    let mut channel = parked::Channel::new();
    for round in 0..ROUNDS {
        let (sender, receiver) = channel.split();
        let me = host::current();
        // So the first park ends at once, whatever the others do.
        me.unpark();
        thread::scope(|scope| {
            let stranger = scope.spawn(move || (0..8).for_each(|_| me.unpark()));
            scope.spawn(move || {
                stranger.join().expect("the stranger ends");
                sender.send(round);
            });
            assert_eq!(receiver.receive(), Ok(round));
        });
    }
}

#[test]
fn a_timeout_leaves_the_channel_as_it_was() {
    let (sender, mut receiver) = pair();
    let soon = Duration::from_millis(1);
    assert_eq!(receiver.recv_timeout(soon), Err(RecvTimeoutError::Timeout));
    assert_eq!(sender.send(1), Ok(()));
    assert!(receiver.is_ready());
    assert_eq!(receiver.recv_timeout(soon), Ok(1));
    assert_eq!(receiver.recv_timeout(soon), Err(RecvTimeoutError::Closed));
}

#[test]
fn a_task_is_woken_with_its_last_waker_only() {
    let (sender, mut receiver) = pair();
    let alarms = [0; 2].map(|_| Arc::new(Alarm(AtomicUsize::new(0), thread::current())));
    for alarm in &alarms {
        let waker = Waker::from(Arc::clone(alarm));
        let polled = Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    assert_eq!(sender.send(1), Ok(()));
    let rung = alarms
        .each_ref()
        .map(|alarm| alarm.0.load(Ordering::Relaxed));
    assert_eq!(rung, [0, 1]);
    assert_eq!(receiver.receive(), 1);
    // A channel that was waited for gives its wakers back.
    assert_eq!(alarms.map(|alarm| Arc::strong_count(&alarm)), [1, 1]);
}

#[test]
fn stress_of_every_way_to_receive() {
    for round in 0..ROUNDS {
        let (sender, mut receiver) = pair();
        let mut place = Channel::<_, Futex>::new();
        let (borrowed_sender, borrowed) = place.split();
        let mut parked = parked::Channel::new();
        let (parked_sender, parked) = parked.split();
        thread::scope(|scope| {
            scope.spawn(move || {
                assert_eq!(sender.send(round), Ok(()));
                assert_eq!(borrowed_sender.send(round), Ok(()));
                parked_sender.send(round);
            });
            // Somebody else's unpark is no message.
            host::current().unpark();
            assert_eq!(
                match round % 3 {
                    0 => receiver.recv(),
                    1 => block_on(receiver),
                    _ => loop {
                        if let Ok(message) = receiver.recv_timeout(Duration::from_micros(1)) {
                            break Ok(message);
                        }
                    },
                },
                Ok(round)
            );
            assert_eq!(borrowed.recv(), Ok(round));
            assert_eq!(parked.receive(), Ok(round));
        });
    }
}

#[test]
fn stress_of_both_going_at_once() {
    for _ in 0..ROUNDS {
        let (count, message) = counted();
        let (sender, receiver) = pair();
        thread::scope(|scope| {
            scope.spawn(move || drop(sender.send(message)));
            scope.spawn(move || drop(receiver));
        });
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
