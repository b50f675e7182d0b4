//! The way to a channel for one message, step by step, and what each step lacks.
//!
//! 1. A queue under a mutex: right, safe, and every operation waits for every other.
//! 2. The same with room for one: nothing is allocated, but the lock remains.
//! 3. One message and one flag, the rules in the documentation: fast, unsafe
//!    (`unsafe_one_shot.rs`).
//! 4. The receiver checks: half of the rules.
//! 5. Two flags check all of them, when the program runs.
//! 6. One atomic holds both flags: [`oneshot::Checked`].
//! 7. Two halves that are used up: the compiler checks ([`oneshot::channel`]), for
//!    the price of an allocation.
//! 8. Halves that borrow: no allocation ([`oneshot::Channel`]).
//! 9. A receiver that sleeps by parking ([`oneshot::parked`]).
//!
//! ```sh
//! cargo run -p ochre-sync --example channel_steps
//! ```
#![expect(unsafe_code, reason = "two of the steps are about unsafe interfaces")]

mod unsafe_one_shot;

use core::mem::MaybeUninit;
use std::collections::VecDeque;
use std::thread;

use ochre_sync::blocking::Futex;
use ochre_sync::channel::oneshot;
use ochre_sync::host;
use ochre_sync::primitive::UnsafeCell;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use unsafe_one_shot::UnsafeOneShot;

/// Step 1. Any number of senders and receivers, first in, first out, no unsafe
/// code, and `Send` and `Sync` come by themselves. But a send waits for every
/// other send and receive, all wait while the queue grows, and it may grow
/// for ever.
struct MutexChannel<T> {
    queue: host::Mutex<VecDeque<T>>,
    item_ready: host::Condvar,
}

impl<T> MutexChannel<T> {
    fn new() -> MutexChannel<T> {
        MutexChannel {
            queue: host::Mutex::new(VecDeque::new()),
            item_ready: host::Condvar::new(),
        }
    }

    fn send(&self, message: T) {
        let mut queue = self.queue.lock().expect("nobody panics with the lock");
        queue.push_back(message);
        // Who is woken needs the lock at once, so it is given back first.
        drop(queue);
        self.item_ready.notify_one();
    }

    fn receive(&self) -> T {
        let mut queue = self.queue.lock().expect("nobody panics with the lock");
        loop {
            if let Some(message) = queue.pop_front() {
                return message;
            }
            queue = self
                .item_ready
                .wait(queue)
                .expect("nobody panics with the lock");
        }
    }
}

/// Step 2. Room for one message and no allocation: the queue is an `Option`. Every
/// operation takes the lock still, and a sender waits until the message before
/// its own was received. Senders and receivers sleep apart, or a notification
/// could wake one of the same kind, who can do nothing.
struct OneAtATime<T> {
    message: host::Mutex<Option<T>>,
    there: host::Condvar,
    gone: host::Condvar,
}

impl<T> OneAtATime<T> {
    const fn new() -> OneAtATime<T> {
        OneAtATime {
            message: host::Mutex::new(None),
            there: host::Condvar::new(),
            gone: host::Condvar::new(),
        }
    }

    fn send(&self, message: T) {
        let place = self.message.lock().expect("nobody panics with the lock");
        let mut place = self
            .gone
            .wait_while(place, |place| place.is_some())
            .expect("nobody panics with the lock");
        *place = Some(message);
        drop(place);
        self.there.notify_one();
    }

    fn receive(&self) -> T {
        let mut place = self.message.lock().expect("nobody panics with the lock");
        loop {
            if let Some(message) = place.take() {
                drop(place);
                self.gone.notify_one();
                return message;
            }
            place = self.there.wait(place).expect("nobody panics with the lock");
        }
    }
}

/// Step 5. A second flag for the senders, and `ready` is taken back by who
/// receives: safe, whatever is called. What is left to do is one byte:
/// [`oneshot::Checked`] keeps both flags in one atomic.
struct TwoFlags<T> {
    message: UnsafeCell<MaybeUninit<T>>,
    in_use: AtomicBool,
    ready: AtomicBool,
}

// SAFETY: the message moves from one thread to another, nothing is shared.
unsafe impl<T: Send> Sync for TwoFlags<T> {}

impl<T> TwoFlags<T> {
    const fn new() -> TwoFlags<T> {
        TwoFlags {
            message: UnsafeCell::new(MaybeUninit::uninit()),
            in_use: AtomicBool::new(false),
            ready: AtomicBool::new(false),
        }
    }

    fn send(&self, message: T) {
        // ORDERING: Relaxed; of all swaps one gets false, and that is all.
        let used = self.in_use.swap(true, Ordering::Relaxed);
        assert!(!used, "can't send more than one message!");
        // SAFETY: the only send, and receivers wait for `ready`.
        self.message
            .with_mut(|place| unsafe { place.write(MaybeUninit::new(message)) });
        // ORDERING: Release publishes the message.
        self.ready.store(true, Ordering::Release);
    }

    fn receive(&self) -> Option<T> {
        // ORDERING: Acquire pairs with the Release of `send`.
        if !self.ready.swap(false, Ordering::Acquire) {
            return None;
        }
        // SAFETY: this swap alone got true.
        let message = self.message.with(|place| unsafe { place.read() });
        // SAFETY: `ready` was set after the message was written.
        Some(unsafe { message.assume_init() })
    }
}

impl<T> Drop for TwoFlags<T> {
    fn drop(&mut self) {
        // A message that nobody received.
        drop(self.receive());
    }
}

pub(crate) fn main() {
    let channel = MutexChannel::new();
    let sum: u32 = thread::scope(|scope| {
        for number in 1..=4 {
            let channel = &channel;
            scope.spawn(move || channel.send(number));
        }
        (0..4).map(|_| channel.receive()).sum()
    });
    println!("1. a mutex, a queue, a condition variable: sum {sum}");

    let channel = OneAtATime::new();
    let sum: u32 = thread::scope(|scope| {
        for number in 1..=4 {
            let channel = &channel;
            scope.spawn(move || channel.send(number));
        }
        (0..4).map(|_| channel.receive()).sum()
    });
    println!("2. the same with room for one: sum {sum}");

    let channel = UnsafeOneShot::new();
    let receiver = host::current();
    thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: the only send.
            unsafe { channel.send("hello") };
            receiver.unpark();
        });
        while !channel.is_ready() {
            host::park();
        }
    });
    // SAFETY: the only receive.
    let message = unsafe { channel.receive() };
    println!("3, 4. one flag, and rules to keep: {message}");

    let channel = TwoFlags::new();
    channel.send("hello");
    let twice = (channel.receive(), channel.receive());
    println!("5. two flags: {twice:?}");

    let channel = oneshot::Checked::new();
    channel.send("hello");
    let second = channel.try_send("again");
    println!("6. one atomic: {}, and {second:?}", channel.receive());

    let (sender, receiver) = oneshot::channel::<_, Futex>();
    let thread = thread::spawn(move || sender.send("hello"));
    println!("7. two halves that own it: {:?}", receiver.recv());
    let sent = thread.join().expect("the sender ends");
    assert!(sent.is_ok());

    let mut channel = oneshot::Channel::<_, Futex>::new();
    let (sender, receiver) = channel.split();
    thread::scope(|scope| {
        scope.spawn(move || sender.send("hello"));
        println!("8. two halves that borrow: {:?}", receiver.recv());
    });

    let mut channel = oneshot::parked::Channel::new();
    let (sender, receiver) = channel.split();
    thread::scope(|scope| {
        scope.spawn(move || sender.send("hello"));
        println!("9. a receiver that parks: {:?}", receiver.receive());
    });
}
