//! Models of the channels: two or three threads in every order.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{
    Receiver, RecvError, Sender, TryRecvError, bounded, mpsc, rendezvous, select, unbounded,
};
use crate::blocking::{Blocking, Model};
use crate::primitive::atomic::AtomicU32;

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// Wakes a thread that sleeps in `block_on`.
struct Alarm(AtomicU32);

impl Alarm {
    fn take(&self) -> Result<u32, u32> {
        self.0
            .compare_exchange(1, 0, Ordering::Relaxed, Ordering::Relaxed)
    }
}

impl std::task::Wake for Alarm {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(1, Ordering::Relaxed);
        Model::wake_all(&raw const self.0);
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let alarm = std::sync::Arc::new(Alarm(AtomicU32::new(0)));
    let waker = Waker::from(std::sync::Arc::clone(&alarm));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                // No swap: loom lets a thread read what it wrote when it failed.
                while alarm.take().is_err() {
                    Model::wait(&alarm.0, 0);
                }
            }
        }
    }
}

/// A message whose inside loom watches, and that counts its drops.
struct Watched {
    number: UnsafeCell<usize>,
    dropped: Arc<AtomicUsize>,
}

impl Watched {
    fn new(number: usize, dropped: &Arc<AtomicUsize>) -> Watched {
        Watched {
            number: UnsafeCell::new(number),
            dropped: Arc::clone(dropped),
        }
    }

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

type Halves = (Sender<Watched, Model>, Receiver<Watched, Model>);

/// Two messages through a channel, blocking.
fn two_pass(make: fn() -> Halves) {
    check(move || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = make();
        let counter = Arc::clone(&dropped);
        let thread = thread::spawn(move || {
            for number in 1..=2 {
                assert!(sender.send(Watched::new(number, &counter)).is_ok());
            }
        });
        for number in 1..=2 {
            let message = receiver.recv().expect("two are sent");
            assert_eq!(message.number(), number);
        }
        assert!(receiver.recv().is_err());
        thread.join().expect("the sender ends");
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn ring_of_one_passes_two() {
    two_pass(|| bounded(1));
}

#[test]
fn ring_of_two_passes_two() {
    two_pass(|| bounded(2));
}

#[test]
fn list_passes_two() {
    two_pass(unbounded);
}

#[test]
fn rendezvous_passes_two() {
    two_pass(rendezvous);
}

/// Two senders at once.
fn two_send(make: fn() -> Halves) {
    check(move || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = make();
        let (other, counter) = (sender.clone(), Arc::clone(&dropped));
        let thread = thread::spawn(move || {
            assert!(other.send(Watched::new(1, &counter)).is_ok());
        });
        assert!(sender.send(Watched::new(2, &dropped)).is_ok());
        drop(sender);
        let mut sum = 0;
        while let Ok(message) = receiver.recv() {
            sum += message.number();
        }
        assert_eq!(sum, 3);
        thread.join().expect("the other ends");
    });
}

#[test]
fn ring_with_two_senders() {
    two_send(|| bounded(2));
}

#[test]
fn list_with_two_senders() {
    two_send(unbounded);
}

/// Two receivers at once, of messages that are there.
fn two_receive(make: fn() -> Halves) {
    check(move || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = make();
        for number in 1..=2 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
        }
        drop(sender);
        let other = receiver.clone();
        let thread = thread::spawn(move || other.recv().map_or(0, |message| message.number()));
        let mut sum = receiver.recv().map_or(0, |message| message.number());
        sum += thread.join().expect("the other ends");
        assert_eq!(sum, 3);
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn ring_with_two_receivers() {
    two_receive(|| bounded(2));
}

#[test]
fn list_with_two_receivers() {
    two_receive(unbounded);
}

/// One more than two threads, with fewer preemptions.
fn check_three(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(1);
    builder.max_branches = 10_000;
    builder.check(model);
}

/// A sender, and two receivers that wait for one message each.
fn two_wait(make: fn() -> Halves) {
    check_three(move || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = make();
        let threads = [receiver.clone(), receiver].map(|receiver| {
            thread::spawn(move || receiver.recv().map_or(0, |message| message.number()))
        });
        for number in 1..=2 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
        }
        let sums = threads.map(|thread| thread.join().expect("a receiver ends"));
        assert_eq!(sums[0] + sums[1], 3);
    });
}

#[test]
fn ring_with_two_that_wait() {
    two_wait(|| bounded(2));
}

#[test]
fn list_with_two_that_wait() {
    two_wait(unbounded);
}

#[test]
fn rendezvous_with_two_that_wait() {
    two_wait(rendezvous);
}

/// A receiver that follows another sees what that one saw of the sender.
#[test]
fn receivers_do_not_pass_the_sender() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = unbounded::<_, Model>();
        let takers = [receiver.clone(), receiver.clone()]
            .map(|receiver| thread::spawn(move || usize::from(receiver.try_recv().is_ok())));
        // One is taken; who comes second finds `head` moved and must not take
        // what has not been sent.
        assert!(sender.send(Watched::new(1, &dropped)).is_ok());
        let got = takers.map(|taker| taker.join().expect("a taker ends"));
        assert!(got[0] + got[1] <= 1);
    });
}

/// The same at the turn: who moves `head` to the next block has seen `tail` there.
#[test]
fn receivers_do_not_pass_the_sender_at_a_turn() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = unbounded::<_, Model>();
        for number in 1..=2 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
            assert!(receiver.try_recv().is_ok());
        }
        let takers = [receiver.clone(), receiver.clone()]
            .map(|receiver| thread::spawn(move || usize::from(receiver.try_recv().is_ok())));
        assert!(sender.send(Watched::new(3, &dropped)).is_ok());
        let got = takers.map(|taker| taker.join().expect("a taker ends"));
        assert!(got[0] + got[1] <= 1);
    });
}

/// Enough messages for a list to turn to its next block, taken while they come.
#[test]
fn list_turns_while_it_is_read() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = unbounded::<_, Model>();
        for number in 1..=2 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
        }
        let taker = receiver.clone();
        let thread = thread::spawn(move || {
            let mut sum = 0;
            for _ in 0..2 {
                sum += taker.try_recv().map_or(0, |message| message.number());
            }
            sum
        });
        for number in 3..=4 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
        }
        drop(sender);
        let mut sum = 0;
        while let Ok(message) = receiver.recv() {
            sum += message.number();
        }
        sum += thread.join().expect("the taker ends");
        assert_eq!(sum, 10);
        assert_eq!(dropped.load(Ordering::Relaxed), 4);
    });
}

/// Two senders meet at the turn.
#[test]
fn list_turns_under_two_senders() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, mut receiver) = mpsc::unbounded::<_, Model>();
        for number in 1..=2 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
        }
        let (other, counter) = (sender.clone(), Arc::clone(&dropped));
        let thread = thread::spawn(move || {
            assert!(other.send(Watched::new(3, &counter)).is_ok());
        });
        assert!(sender.send(Watched::new(4, &dropped)).is_ok());
        drop(sender);
        let sum: usize = receiver.iter().map(|message| message.number()).sum();
        assert_eq!(sum, 10);
        thread.join().expect("the other ends");
    });
}

#[test]
fn the_only_receiver_follows_the_turn() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, mut receiver) = mpsc::unbounded::<_, Model>();
        assert!(sender.send(Watched::new(1, &dropped)).is_ok());
        assert!(sender.send(Watched::new(2, &dropped)).is_ok());
        let counter = Arc::clone(&dropped);
        let thread = thread::spawn(move || {
            for number in 3..=4 {
                assert!(sender.send(Watched::new(number, &counter)).is_ok());
            }
        });
        for number in 1..=4 {
            assert_eq!(receiver.recv().map(|message| message.number()), Ok(number));
        }
        assert!(receiver.recv().is_err());
        thread.join().expect("the sender ends");
        assert_eq!(dropped.load(Ordering::Relaxed), 4);
    });
}

/// A block that was read goes back to the senders, whoever read in it.
#[test]
fn list_takes_its_blocks_again() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = unbounded::<_, Model>();
        for number in 1..=5 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
        }
        // One slot of the first block is read here and two by the other.
        assert_eq!(receiver.try_recv().map(|message| message.number()), Ok(1));
        let taker = receiver.clone();
        let thread = thread::spawn(move || {
            for number in 2..=3 {
                assert_eq!(taker.try_recv().map(|message| message.number()), Ok(number));
            }
        });
        for number in 6..=7 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
        }
        thread.join().expect("the taker ends");
        drop(sender);
        let mut rest = core::iter::from_fn(|| receiver.recv().ok());
        for number in 4..=7 {
            assert_eq!(rest.next().map(|message| message.number()), Some(number));
        }
        assert!(rest.next().is_none());
        assert_eq!(dropped.load(Ordering::Relaxed), 7);
    });
}

/// The same of the only receiver, with two senders that may want the block.
#[test]
fn the_only_receiver_gives_blocks_back() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, mut receiver) = mpsc::unbounded::<_, Model>();
        for number in 1..=5 {
            assert!(sender.send(Watched::new(number, &dropped)).is_ok());
        }
        for number in 1..=2 {
            assert_eq!(
                receiver.try_recv().map(|message| message.number()),
                Ok(number)
            );
        }
        let (other, counter) = (sender.clone(), Arc::clone(&dropped));
        let thread = thread::spawn(move || {
            assert!(other.send(Watched::new(6, &counter)).is_ok());
        });
        assert_eq!(receiver.try_recv().map(|message| message.number()), Ok(3));
        assert!(sender.send(Watched::new(6, &dropped)).is_ok());
        drop(sender);
        let sum: usize = receiver.iter().map(|message| message.number()).sum();
        assert_eq!(sum, 4 + 5 + 6 + 6);
        thread.join().expect("the other ends");
        assert_eq!(dropped.load(Ordering::Relaxed), 7);
    });
}

/// The sender waits in a task, the receiver in a thread.
fn mixed(make: fn() -> Halves) {
    check(move || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = make();
        let counter = Arc::clone(&dropped);
        let thread = thread::spawn(move || {
            for number in 1..=2 {
                let sent = block_on(sender.send_async(Watched::new(number, &counter)));
                assert!(sent.is_ok());
            }
        });
        assert_eq!(receiver.recv().map(|message| message.number()), Ok(1));
        let second = block_on(receiver.recv_async());
        assert_eq!(second.map(|message| message.number()), Ok(2));
        assert!(block_on(receiver.recv_async()).is_err());
        thread.join().expect("the sender ends");
    });
}

#[test]
fn ring_between_tasks_and_threads() {
    mixed(|| bounded(1));
}

#[test]
fn list_between_tasks_and_threads() {
    mixed(unbounded);
}

#[test]
fn rendezvous_between_tasks_and_threads() {
    mixed(rendezvous);
}

/// A receive that is dropped while a message comes takes no other's wake-up along.
fn cancelled(make: fn() -> Halves) {
    check(move || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = make();
        let mut early = Box::pin(receiver.recv_async());
        let mut late = Box::pin(receiver.recv_async());
        let noop = &mut Context::from_waker(Waker::noop());
        assert!(early.as_mut().poll(noop).is_pending());
        assert!(late.as_mut().poll(noop).is_pending());
        let thread = thread::spawn(move || {
            assert!(sender.send(Watched::new(1, &dropped)).is_ok());
            // A close would wake everybody.
            core::mem::forget(sender);
        });
        drop(early);
        assert_eq!(block_on(late).map(|message| message.number()), Ok(1));
        thread.join().expect("the sender ends");
        core::mem::forget(receiver);
    });
}

#[test]
fn ring_with_a_cancelled_receive() {
    cancelled(|| bounded(1));
}

#[test]
fn list_with_a_cancelled_receive() {
    cancelled(unbounded);
}

#[test]
fn rendezvous_with_a_cancelled_receive() {
    cancelled(rendezvous);
}

/// A deadline that passes while a message is on its way loses nothing.
#[test]
fn a_deadline_loses_nothing() {
    for make in [|| bounded(1), unbounded, rendezvous] as [fn() -> Halves; 3] {
        check(move || {
            let dropped = Arc::new(AtomicUsize::new(0));
            let (sender, receiver) = make();
            let counter = Arc::clone(&dropped);
            let thread = thread::spawn(move || {
                let sent =
                    sender.send_timeout(Watched::new(1, &counter), core::time::Duration::ZERO);
                usize::from(sent.is_ok())
            });
            let mut got = 0;
            got += usize::from(receiver.recv_timeout(core::time::Duration::ZERO).is_ok());
            let sent = thread.join().expect("the sender ends");
            got += usize::from(receiver.try_recv().is_ok());
            assert_eq!(sent, got);
            assert_eq!(dropped.load(Ordering::Relaxed), 1);
        });
    }
}

/// Who finds a channel closed sees what was done before it was closed.
fn close_publishes(make: fn() -> Halves) {
    check(move || {
        let (sender, receiver) = make();
        let data = Arc::new(UnsafeCell::new(0));
        let other = Arc::clone(&data);
        let thread = thread::spawn(move || {
            // SAFETY: loom tells if somebody else is there.
            other.with_mut(|data| unsafe { *data = 1 });
            drop(sender);
        });
        if matches!(receiver.try_recv(), Err(TryRecvError::Closed)) {
            // SAFETY: as above.
            assert_eq!(data.with(|data| unsafe { *data }), 1);
        }
        if receiver.is_closed() {
            // SAFETY: as above.
            assert_eq!(data.with(|data| unsafe { *data }), 1);
        }
        thread.join().expect("the closer ends");
    });
}

#[test]
fn close_publishes_in_every_kind() {
    close_publishes(|| bounded(1));
    close_publishes(unbounded);
    close_publishes(rendezvous);
}

/// What one of two senders did before it went is seen by who finds the channel closed.
#[test]
fn each_half_publishes_what_it_did() {
    check(|| {
        let (sender, receiver) = bounded::<u32, Model>(1);
        let data = Arc::new(UnsafeCell::new(0));
        let (second, other) = (sender.clone(), Arc::clone(&data));
        let thread = thread::spawn(move || {
            // SAFETY: loom tells if somebody else is there.
            other.with_mut(|data| unsafe { *data = 1 });
            drop(second);
        });
        drop(sender);
        if receiver.is_closed() {
            // SAFETY: as above.
            assert_eq!(data.with(|data| unsafe { *data }), 1);
        }
        thread.join().expect("the other ends");
    });
}

/// Closing meets those who begin to wait.
fn close_wakes(make: fn() -> Halves) {
    check(move || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = make();
        let _ = sender.try_send(Watched::new(1, &dropped));
        let (closer, counter) = (receiver.clone(), Arc::clone(&dropped));
        let thread = thread::spawn(move || {
            let sent = sender.send(Watched::new(2, &counter));
            sent.is_ok()
        });
        closer.close();
        assert!(!thread.join().expect("the sender ends") || receiver.len() == 2);
    });
}

#[test]
fn close_wakes_senders() {
    close_wakes(|| bounded(1));
    close_wakes(rendezvous);
}

#[test]
fn close_wakes_receivers() {
    for make in [|| bounded(1), unbounded, rendezvous] as [fn() -> Halves; 3] {
        check(move || {
            let (sender, receiver) = make();
            let thread = thread::spawn(move || receiver.recv().is_err());
            sender.close();
            assert!(thread.join().expect("the receiver ends"));
        });
    }
}

/// The last halves of both sides go at once; what is left goes with them.
#[test]
fn both_sides_go_at_once() {
    for make in [|| bounded(2), unbounded] as [fn() -> Halves; 2] {
        check(move || {
            let dropped = Arc::new(AtomicUsize::new(0));
            let (sender, receiver) = make();
            let counter = Arc::clone(&dropped);
            let thread = thread::spawn(move || {
                drop(sender.send(Watched::new(1, &counter)));
            });
            drop(receiver);
            thread.join().expect("the sender ends");
            assert_eq!(dropped.load(Ordering::Relaxed), 1);
        });
    }
}

#[test]
fn a_select_is_woken_by_either() {
    for make in [|| bounded(1), rendezvous] as [fn() -> Halves; 2] {
        check_three(move || {
            let dropped = Arc::new(AtomicUsize::new(0));
            let (first_sender, first) = make();
            let (second_sender, second) = make();
            let sends = [first_sender, second_sender].map(|sender| {
                let counter = Arc::clone(&dropped);
                thread::spawn(move || drop(sender.send(Watched::new(1, &counter))))
            });
            let (mut one, mut two) = (first.receiving(), second.receiving());
            let chosen = select::wait(&mut [&mut one, &mut two]);
            let result = if chosen == 0 { one.take() } else { two.take() };
            assert!(result.is_some_and(|result| result.is_ok()));
            let other = if chosen == 0 { &second } else { &first };
            // The other's wake-up was not used up.
            assert!(other.recv().is_ok());
            for send in sends {
                send.join().expect("a sender ends");
            }
        });
    }
}

#[test]
fn a_select_offers_and_takes() {
    check(|| {
        let (left, to_right) = rendezvous::<u32, Model>();
        let (right, to_left) = rendezvous::<u32, Model>();
        let thread = thread::spawn(move || {
            let (mut send, mut receive) = (right.sending(2), to_right.receiving());
            match select::wait(&mut [&mut send, &mut receive]) {
                0 => assert_eq!(send.take(), Some(Ok(()))),
                _ => assert_eq!(receive.take(), Some(Ok(1))),
            }
        });
        let (mut send, mut receive) = (left.sending(1), to_left.receiving());
        match select::wait(&mut [&mut receive, &mut send]) {
            1 => assert_eq!(send.take(), Some(Ok(()))),
            _ => assert_eq!(receive.take(), Some(Ok(2))),
        }
        thread.join().expect("the other ends");
    });
}

#[test]
fn a_message_left_is_received_after_the_sender_is_gone() {
    check(|| {
        let (sender, receiver) = unbounded::<u32, Model>();
        let thread = thread::spawn(move || sender.send(1));
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv(), Err(RecvError));
        assert!(thread.join().expect("the sender ends").is_ok());
    });
}
