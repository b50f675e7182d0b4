//! What every channel keeps: each message once, in its sender's order, and none lost.

use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use super::host::{self, Receiver, Sender, mpsc};
use super::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError, select,
};

/// Messages of each sender in a stress test.
const MANY: usize = if cfg!(miri) { 25 } else { 4_000 };
const SOON: Duration = Duration::from_millis(1);

/// A waker that counts and wakes a thread.
struct Alarm {
    rung: AtomicUsize,
    thread: thread::Thread,
}

impl std::task::Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, Ordering::Relaxed);
        self.thread.unpark();
    }
}

fn alarm() -> (Arc<Alarm>, Waker) {
    let alarm = Arc::new(Alarm {
        rung: AtomicUsize::new(0),
        thread: thread::current(),
    });
    (Arc::clone(&alarm), Waker::from(alarm))
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (_alarm, waker) = alarm();
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// A message that counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every kind of channel, by its capacity.
fn every_kind<T>() -> Vec<(Sender<T>, Receiver<T>)> {
    vec![
        host::rendezvous(),
        host::bounded(1),
        host::bounded(2),
        host::bounded(3),
        host::bounded(64),
        host::unbounded(),
    ]
}

fn kinds_with_room<T>() -> Vec<(Sender<T>, Receiver<T>)> {
    every_kind().split_off(1)
}

#[test]
fn messages_come_in_order() {
    for (sender, receiver) in kinds_with_room() {
        let most = if cfg!(miri) { 12 } else { 200 };
        let room = sender.capacity().unwrap_or(most).min(most);
        for round in 0..5 {
            for number in 0..room {
                assert_eq!(sender.len(), number);
                assert_eq!(sender.try_send(round * 1_000 + number), Ok(()));
            }
            if sender.capacity() == Some(room) {
                assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
            }
            for number in 0..room {
                assert_eq!(receiver.len(), room - number);
                assert_eq!(receiver.try_recv(), Ok(round * 1_000 + number));
            }
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            assert!(receiver.is_empty());
        }
    }
}

#[test]
fn capacity_is_what_was_asked_for() {
    assert_eq!(host::bounded::<u8>(3).0.capacity(), Some(3));
    assert_eq!(host::rendezvous::<u8>().1.capacity(), Some(0));
    assert_eq!(host::unbounded::<u8>().1.capacity(), None);
    assert_eq!(mpsc::bounded::<u8>(5).1.capacity(), Some(5));
}

#[test]
fn the_last_sender_closes_and_what_is_left_comes() {
    for (sender, receiver) in kinds_with_room() {
        let second = sender.clone();
        assert_eq!(second.send(1), Ok(()));
        drop(sender);
        assert!(!receiver.is_closed());
        drop(second);
        assert!(receiver.is_closed());
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv(), Err(RecvError));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(receiver.recv_timeout(SOON), Err(RecvTimeoutError::Closed));
    }
}

#[test]
fn the_last_receiver_closes_and_messages_come_back() {
    for (sender, receiver) in every_kind() {
        let second = receiver.clone();
        drop(receiver);
        assert!(!sender.is_closed());
        drop(second);
        assert_eq!(sender.send(1), Err(SendError(1)));
        assert_eq!(sender.try_send(2), Err(TrySendError::Closed(2)));
        assert_eq!(
            sender.send_timeout(3, SOON),
            Err(SendTimeoutError::Closed(3))
        );
    }
}

#[test]
fn close_ends_the_sending_only() {
    for (sender, receiver) in kinds_with_room() {
        assert_eq!(sender.send('a'), Ok(()));
        assert!(receiver.close());
        assert!(!sender.close());
        assert_eq!(sender.send('b'), Err(SendError('b')));
        assert_eq!(receiver.recv(), Ok('a'));
        assert_eq!(receiver.recv(), Err(RecvError));
    }
}

#[test]
fn close_wakes_those_who_wait() {
    for (sender, receiver) in every_kind::<u32>() {
        thread::scope(|scope| {
            let waits: Vec<_> = (0..2).map(|_| scope.spawn(|| receiver.recv())).collect();
            sender.close();
            for wait in waits {
                assert_eq!(wait.join().expect("it ends"), Err(RecvError));
            }
        });
    }
    for (sender, receiver) in [host::rendezvous(), host::bounded(1)] {
        let _ = sender.try_send(0);
        thread::scope(|scope| {
            let waits: Vec<_> = (0..2).map(|_| scope.spawn(|| sender.send(1))).collect();
            receiver.close();
            for wait in waits {
                assert_eq!(wait.join().expect("it ends"), Err(SendError(1)));
            }
        });
    }
}

#[test]
fn a_timeout_gives_the_message_back() {
    for (sender, receiver) in every_kind() {
        assert_eq!(receiver.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
        let Some(room) = sender.capacity() else {
            continue;
        };
        for number in 0..room {
            assert_eq!(sender.send_timeout(number, SOON), Ok(()));
        }
        assert_eq!(
            sender.send_timeout(99, SOON),
            Err(SendTimeoutError::Timeout(99))
        );
        assert_eq!(receiver.len(), room);
    }
}

#[test]
fn no_message_leaks() {
    for (sender, receiver) in kinds_with_room() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let room = sender.capacity().unwrap_or(100);
        for _ in 0..room {
            assert!(sender.send(Counted(Arc::clone(&dropped))).is_ok());
        }
        drop(receiver.recv());
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        drop(receiver);
        // The last receiver drops what is left, though senders are there.
        assert_eq!(dropped.load(Ordering::Relaxed), room);
        drop(sender.send(Counted(Arc::clone(&dropped))));
        assert_eq!(dropped.load(Ordering::Relaxed), room + 1);
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let (sender, mut receiver) = mpsc::unbounded();
    for _ in 0..100 {
        assert!(sender.send(Counted(Arc::clone(&dropped))).is_ok());
    }
    drop(receiver.recv());
    drop(sender);
    drop(receiver);
    assert_eq!(dropped.load(Ordering::Relaxed), 100);
}

#[test]
fn iterators_end_with_the_channel() {
    let (sender, receiver) = host::unbounded();
    for number in 0..4 {
        assert_eq!(sender.send(number), Ok(()));
    }
    assert_eq!(receiver.try_iter().take(2).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(receiver.try_iter().next(), None);
    assert_eq!(sender.send(4), Ok(()));
    drop(sender);
    assert_eq!((&receiver).into_iter().collect::<Vec<_>>(), [4]);
    assert_eq!(receiver.into_iter().next(), None);

    let (sender, mut receiver) = mpsc::bounded(4);
    assert_eq!(sender.send(1), Ok(()));
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1]);
    assert_eq!(sender.send(2), Ok(()));
    drop(sender);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [2]);
    assert_eq!(receiver.into_iter().next(), None);
}

#[test]
fn messages_of_no_size_and_of_much() {
    for (sender, receiver) in kinds_with_room() {
        assert_eq!(sender.send(()), Ok(()));
        assert_eq!(receiver.recv(), Ok(()));
    }
    for (sender, receiver) in kinds_with_room() {
        assert_eq!(sender.send([7_u8; 3_000]), Ok(()));
        assert_eq!(receiver.recv(), Ok([7; 3_000]));
    }
}

/// How the senders and receivers of a stress test go about it.
#[derive(Clone, Copy)]
enum Way {
    Block,
    Try,
    Wait,
    Task,
}

const WAYS: [Way; 4] = [Way::Block, Way::Try, Way::Wait, Way::Task];

fn send_all(sender: &Sender<(usize, usize)>, name: usize, way: Way) {
    for number in 0..MANY {
        let mut message = (name, number);
        match way {
            Way::Block => assert_eq!(sender.send(message), Ok(())),
            Way::Task => assert_eq!(block_on(sender.send_async(message)), Ok(())),
            Way::Try => {
                while let Err(error) = sender.try_send(message) {
                    message = error.into_inner();
                    thread::yield_now();
                }
            }
            Way::Wait => {
                while let Err(error) = sender.send_timeout(message, SOON) {
                    message = error.into_inner();
                }
            }
        }
    }
}

fn receive_all(receiver: &Receiver<(usize, usize)>, way: Way) -> Vec<(usize, usize)> {
    let mut messages = Vec::new();
    loop {
        let message = match way {
            Way::Block => receiver.recv().map_err(TryRecvError::from),
            Way::Task => block_on(receiver.recv_async()).map_err(TryRecvError::from),
            Way::Try => receiver.try_recv(),
            Way::Wait => receiver.recv_timeout(SOON).map_err(|error| match error {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Closed => TryRecvError::Closed,
            }),
        };
        match message {
            Ok(message) => messages.push(message),
            Err(TryRecvError::Empty) => thread::yield_now(),
            Err(TryRecvError::Closed) => return messages,
        }
    }
}

/// Each message once; those of one sender in order, for each receiver.
fn check(senders: usize, received: Vec<Vec<(usize, usize)>>) {
    for messages in &received {
        for name in 0..senders {
            let mine = messages.iter().filter(|message| message.0 == name);
            assert!(mine.is_sorted(), "messages of sender {name} out of order");
        }
    }
    let mut all: Vec<_> = received.into_iter().flatten().collect();
    all.sort_unstable();
    let expected: Vec<_> = (0..senders)
        .flat_map(|name| (0..MANY).map(move |number| (name, number)))
        .collect();
    assert!(all == expected, "not the messages that were sent");
}

fn stress(sender: Sender<(usize, usize)>, receiver: Receiver<(usize, usize)>, ways: &[(Way, Way)]) {
    let received = thread::scope(|scope| {
        let mut receivers = Vec::new();
        for (name, &(sends, receives)) in ways.iter().enumerate() {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            scope.spawn(move || send_all(&sender, name, sends));
            receivers.push(scope.spawn(move || receive_all(&receiver, receives)));
        }
        drop((sender, receiver));
        let join = |handle: thread::ScopedJoinHandle<'_, _>| handle.join().expect("it ends");
        receivers.into_iter().map(join).collect()
    });
    check(ways.len(), received);
}

#[test]
fn stress_blocking() {
    for (sender, receiver) in every_kind() {
        stress(sender, receiver, &[(Way::Block, Way::Block); 3]);
    }
}

#[test]
fn stress_tasks() {
    for (sender, receiver) in every_kind() {
        stress(sender, receiver, &[(Way::Task, Way::Task); 2]);
    }
}

#[test]
fn stress_every_way_at_once() {
    // `try_send` finds only receivers that block, and there are some.
    let ways: Vec<_> = WAYS.into_iter().zip(WAYS.into_iter().rev()).collect();
    for (sender, receiver) in kinds_with_room() {
        stress(sender, receiver, &ways);
    }
}

#[test]
fn stress_of_one_receiver() {
    let (sender, mut receiver) = mpsc::unbounded();
    let received = thread::scope(|scope| {
        for name in 0..3 {
            let sender = sender.clone();
            scope.spawn(move || send_all(&sender, name, Way::Block));
        }
        drop(sender);
        receiver.iter().collect()
    });
    check(3, vec![received]);
}

#[test]
fn stress_of_select() {
    for (sender, receiver) in every_kind() {
        let (other_sender, other_receiver) = host::bounded(1);
        let received = thread::scope(|scope| {
            for (name, sender) in [sender, other_sender].into_iter().enumerate() {
                scope.spawn(move || send_all(&sender, name, Way::Block));
            }
            let mut open = [true; 2];
            let mut messages = Vec::new();
            while open[0] || open[1] {
                let (mut first, mut second) = (receiver.receiving(), other_receiver.receiving());
                let (chosen, result) = if open[0] && open[1] {
                    match select::wait(&mut [&mut first, &mut second]) {
                        0 => (0, first.take()),
                        _ => (1, second.take()),
                    }
                } else if open[0] {
                    (select::wait(&mut [&mut first]), first.take())
                } else {
                    (1 + select::wait(&mut [&mut second]), second.take())
                };
                match result.expect("the chosen one has a result") {
                    Ok(message) => messages.push(message),
                    Err(RecvError) => open[chosen] = false,
                }
            }
            messages
        });
        check(2, vec![received]);
    }
}

#[test]
fn selects_on_both_sides_meet() {
    // Each thread sends on one rendezvous and receives on the other, whichever
    // is first, until both have done all.
    let (left, to_right) = host::rendezvous::<usize>();
    let (right, to_left) = host::rendezvous::<usize>();
    let work = |sender: &Sender<usize>, receiver: &Receiver<usize>| {
        let (mut sent, mut got) = (0, 0);
        while sent < MANY || got < MANY {
            let mut send = sender.sending(sent);
            let mut receive = receiver.receiving();
            if sent == MANY {
                select::wait(&mut [&mut receive]);
            } else if got == MANY {
                select::wait(&mut [&mut send]);
            } else {
                select::wait(&mut [&mut send, &mut receive]);
            }
            if let Some(result) = send.take() {
                assert_eq!(result, Ok(()));
                sent += 1;
            }
            if let Some(result) = receive.take() {
                assert_eq!(result, Ok(got));
                got += 1;
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| work(&left, &to_left));
        scope.spawn(|| work(&right, &to_right));
    });
}

#[test]
fn a_select_does_not_meet_itself() {
    let (sender, receiver) = host::rendezvous();
    let (mut send, mut receive) = (sender.sending(1), receiver.receiving());
    assert_eq!(
        select::wait_timeout(&mut [&mut send, &mut receive], SOON),
        None
    );
    assert_eq!(send.into_message(), Some(1));
}

#[test]
fn a_select_chooses_what_is_possible() {
    let (full, _keep) = host::bounded(1);
    assert_eq!(full.send(1), Ok(()));
    let (free, receiver) = host::bounded(1);
    let (mut first, mut second) = (full.sending(2), free.sending(3));
    assert_eq!(select::wait(&mut [&mut first, &mut second]), 1);
    assert_eq!(second.take(), Some(Ok(())));
    assert_eq!(second.take(), None);
    assert_eq!(receiver.recv(), Ok(3));
    // The one that was done is not done again.
    assert_eq!(select::try_now(&mut [&mut first, &mut second]), None);
    assert_eq!(second.into_message(), None);
    assert_eq!(first.into_message(), Some(2));
}

#[test]
fn a_select_tells_of_a_closed_channel() {
    let (sender, receiver) = host::bounded(1);
    drop(receiver);
    let mut send = sender.sending(5);
    assert_eq!(select::wait(&mut [&mut send]), 0);
    assert_eq!(send.take(), Some(Err(SendError(5))));
    assert_eq!(send.take(), None);
}

#[test]
fn a_select_prefers_nobody() {
    let (first_sender, first) = host::unbounded();
    let (second_sender, second) = host::unbounded();
    let rounds = 100;
    for number in 0..rounds {
        assert_eq!(first_sender.send(number), Ok(()));
        assert_eq!(second_sender.send(number), Ok(()));
    }
    let mut chosen = [0; 2];
    for _ in 0..rounds {
        let (mut one, mut two) = (first.receiving(), second.receiving());
        chosen[select::wait(&mut [&mut one, &mut two])] += 1;
    }
    assert!(chosen.iter().all(|count| *count > 0), "{chosen:?}");
}

/// The text of a panic.
fn panic_text(f: impl FnOnce() + core::panic::UnwindSafe) -> String {
    let payload = std::panic::catch_unwind(f).expect_err("it panics");
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .expect("a text")
}

#[test]
fn panics_say_why() {
    assert_eq!(
        panic_text(|| {
            select::wait::<crate::blocking::Futex>(&mut []);
        }),
        "a select needs an operation"
    );
    assert_eq!(
        panic_text(|| drop(host::bounded::<()>(usize::MAX / 4))),
        "a channel's capacity is below a quarter of the address space"
    );
    assert_eq!(
        panic_text(|| {
            let (sender, _receiver) = host::bounded(1);
            let mut send = pin!(sender.send_async(1));
            let _ = poll(send.as_mut(), Waker::noop());
            let _ = poll(send, Waker::noop());
        }),
        "a future was polled after it was ready"
    );
}

#[test]
fn a_dropped_receive_passes_its_wake_up_on() {
    for (sender, receiver) in every_kind() {
        let (first, first_waker) = alarm();
        let (second, second_waker) = alarm();
        let mut one = Box::pin(receiver.recv_async());
        let mut two = Box::pin(receiver.recv_async());
        assert!(poll(one.as_mut(), &first_waker).is_pending());
        assert!(poll(two.as_mut(), &second_waker).is_pending());
        let mut send = Box::pin(sender.send_async(1));
        let sent = poll(send.as_mut(), Waker::noop());
        assert_eq!(sent.is_pending(), sender.capacity() == Some(0));
        assert_eq!(first.rung.load(Ordering::Relaxed), 1);
        assert_eq!(second.rung.load(Ordering::Relaxed), 0);
        drop(one);
        assert_eq!(second.rung.load(Ordering::Relaxed), 1);
        assert_eq!(poll(two.as_mut(), &second_waker), Poll::Ready(Ok(1)));
    }
}

#[test]
fn a_dropped_send_passes_its_wake_up_on_and_keeps_its_message() {
    let (sender, receiver) = host::bounded(1);
    assert_eq!(sender.send(0), Ok(()));
    let (first, first_waker) = alarm();
    let (second, second_waker) = alarm();
    let mut one = Box::pin(sender.send_async(1));
    let mut two = Box::pin(sender.send_async(2));
    assert!(poll(one.as_mut(), &first_waker).is_pending());
    assert!(poll(two.as_mut(), &second_waker).is_pending());
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!(first.rung.load(Ordering::Relaxed), 1);
    assert_eq!(one.as_mut().cancel(), Some(1));
    assert_eq!(second.rung.load(Ordering::Relaxed), 1);
    assert_eq!(poll(two.as_mut(), &second_waker), Poll::Ready(Ok(())));
    assert_eq!(receiver.recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_dropped_offer_is_gone_and_a_taken_one_is_not_given_back() {
    let (sender, receiver) = host::rendezvous();
    let mut offer = Box::pin(sender.send_async(1));
    assert!(poll(offer.as_mut(), Waker::noop()).is_pending());
    assert_eq!(offer.as_mut().cancel(), Some(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));

    let mut offer = Box::pin(sender.send_async(2));
    assert!(poll(offer.as_mut(), Waker::noop()).is_pending());
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(offer.as_mut().cancel(), None);
}

#[test]
fn a_task_is_woken_with_its_last_waker() {
    let (sender, receiver) = host::bounded(1);
    let (old, old_waker) = alarm();
    let (new, new_waker) = alarm();
    let mut receive = Box::pin(receiver.recv_async());
    assert!(poll(receive.as_mut(), &old_waker).is_pending());
    assert!(poll(receive.as_mut(), &new_waker).is_pending());
    assert_eq!(sender.send(3), Ok(()));
    assert_eq!(old.rung.load(Ordering::Relaxed), 0);
    assert_eq!(new.rung.load(Ordering::Relaxed), 1);
    assert_eq!(poll(receive.as_mut(), &new_waker), Poll::Ready(Ok(3)));
}

#[test]
fn a_receive_future_is_a_stream() {
    let (sender, receiver) = host::unbounded();
    let mut stream = Box::pin(receiver.recv_async());
    let context = &mut Context::from_waker(Waker::noop());
    assert!(stream.as_mut().poll_next(context).is_pending());
    assert_eq!(sender.send(1), Ok(()));
    assert_eq!(sender.send(2), Ok(()));
    assert_eq!(stream.as_mut().poll_next(context), Poll::Ready(Some(1)));
    assert_eq!(block_on(stream.as_mut().next()), Ok(2));
    drop(sender);
    assert_eq!(stream.as_mut().poll_next(context), Poll::Ready(None));
}

#[test]
fn a_wake_may_drop_the_waker_of_another_channel() {
    // Dropping a waker may run anything, so no lock may be held then.
    struct Owner(#[expect(dead_code, reason = "dropped with its waker")] Receiver<u32>);
    impl std::task::Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    let (sender, receiver) = host::bounded::<u32>(1);
    let mut receive = Box::pin(receiver.recv_async());
    let owner = Waker::from(Arc::new(Owner(receiver.clone())));
    assert!(poll(receive.as_mut(), &owner).is_pending());
    drop(owner);
    assert!(poll(receive.as_mut(), Waker::noop()).is_pending());
    assert_eq!(sender.send(1), Ok(()));
    assert_eq!(block_on(receive), Ok(1));
}

#[test]
fn stress_of_cancelled_receives() {
    for (sender, receiver) in every_kind() {
        let received = thread::scope(|scope| {
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    let receiver = receiver.clone();
                    scope.spawn(move || {
                        let mut messages = Vec::new();
                        loop {
                            // Polled once and dropped; then waited for.
                            let mut first = Box::pin(receiver.recv_async());
                            if let Poll::Ready(Ok(message)) = poll(first.as_mut(), Waker::noop()) {
                                messages.push(message);
                            }
                            drop(first);
                            match block_on(receiver.recv_async()) {
                                Ok(message) => messages.push(message),
                                Err(RecvError) => return messages,
                            }
                        }
                    })
                })
                .collect();
            for name in 0..2 {
                let sender = sender.clone();
                scope.spawn(move || send_all(&sender, name, Way::Task));
            }
            drop(sender);
            let join = |handle: thread::ScopedJoinHandle<'_, _>| handle.join().expect("it ends");
            receivers.into_iter().map(join).collect()
        });
        check(2, received);
    }
}

#[test]
fn errors_say_what_happened() {
    assert_eq!(SendError(()).to_string(), "sending on a closed channel");
    assert_eq!(format!("{:?}", SendError(())), "SendError(..)");
    assert_eq!(
        TrySendError::Full(()).to_string(),
        "sending on a full channel"
    );
    assert_eq!(format!("{:?}", TrySendError::Full(())), "Full(..)");
    let timeout = SendTimeoutError::Timeout(());
    assert_eq!(
        timeout.to_string(),
        "timed out waiting for room in a channel"
    );
    assert_eq!(
        RecvError.to_string(),
        "receiving on a closed and empty channel"
    );
    assert_eq!(
        TryRecvError::Empty.to_string(),
        "receiving on an empty channel"
    );
    assert_eq!(
        RecvTimeoutError::Timeout.to_string(),
        "timed out waiting for a message"
    );
    assert_eq!(SendError(7).into_inner(), 7);
    assert_eq!(TrySendError::from(SendError(7)), TrySendError::Closed(7));
    assert_eq!(SendTimeoutError::Timeout(8).into_inner(), 8);
}
