//! A borrowed one-shot channel whose sender knows the thread that will receive.
//!
//! The channel itself is one byte beside the message: the receiver sleeps by
//! parking, and the sender unparks the thread that split the channel. That is
//! right only if this thread is the one that receives, so the [`Receiver`] is not
//! `Send`. The other channels of one message sleep at a word of their own and ask
//! for nothing of the kind.
//!
//! ```
//! use ochre_sync::channel::oneshot::parked::Channel;
//!
//! let mut channel = Channel::new();
//! std::thread::scope(|scope| {
//!     let (sender, receiver) = channel.split();
//!     scope.spawn(move || sender.send("hello"));
//!     assert_eq!(receiver.receive(), Ok("hello"));
//! });
//! ```
//!
//! ```compile_fail,E0277
//! let mut channel = ochre_sync::channel::oneshot::parked::Channel::new();
//! std::thread::scope(|scope| {
//!     let (sender, receiver) = channel.split();
//!     scope.spawn(move || receiver.receive());
//!     sender.send(1);
//! });
//! ```
//!
//! # States
//! `EMPTY -> READY` (by `send`) or `EMPTY -> CLOSED` (a sender is dropped);
//! `READY -> TAKEN` by `receive`.

use core::fmt;
use core::marker::PhantomData;

use crate::channel::RecvError;
use crate::channel::place::Place;
#[cfg(not(loom))]
use crate::host as threads;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU8, Ordering};

/// Threads that park where loom sees it.
#[cfg(loom)]
mod threads {
    use crate::Arc;
    use crate::blocking::Model;
    use crate::park::Parker;

    loom::thread_local! {
        static CURRENT: Thread = Thread(Arc::new(Parker::new()));
    }

    #[derive(Clone)]
    pub(super) struct Thread(Arc<Parker<Model>>);

    impl Thread {
        pub(super) fn unpark(&self) {
            self.0.unpark();
        }
    }

    pub(super) fn current() -> Thread {
        CURRENT.with(Thread::clone)
    }

    pub(super) fn park() {
        CURRENT.with(|thread| thread.0.park());
    }
}

const EMPTY: u8 = 0;
const READY: u8 = 1;
const CLOSED: u8 = 2;
const TAKEN: u8 = 3;

/// A channel for one message to this thread.
///
/// ```
/// use ochre_sync::channel::oneshot::parked::Channel;
///
/// let mut channel = Channel::new();
/// for round in 0..2 {
///     let (sender, receiver) = channel.split();
///     sender.send(round);
///     assert_eq!(receiver.receive(), Ok(round));
/// }
/// ```
pub struct Channel<T> {
    state: AtomicU8,
    message: Place<T>,
}

// SAFETY: the message moves from one thread to another: `T: Send`.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as above; nobody gets a reference to the message.
unsafe impl<T: Send> Sync for Channel<T> {}

impl<T> Channel<T> {
    maybe_const! {
        /// A channel that is not split.
        ///
        /// ```
        /// use ochre_sync::channel::oneshot::parked::Channel;
        ///
        /// let mut channel: Channel<u32> = Channel::new();
        /// assert!(!channel.split().1.is_ready());
        /// ```
        #[must_use]
        pub fn new() -> Channel<T> {
            Channel {
                state: AtomicU8::new(EMPTY),
                message: Place::new(),
            }
        }
    }

    /// Two halves, the receiver for this thread. What former halves left is
    /// dropped, even if they were forgotten.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::parked::Channel;
    ///
    /// let mut channel = Channel::new();
    /// let (sender, receiver) = channel.split();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || sender.send("hello")); // the sender goes elsewhere
    ///     assert_eq!(receiver.receive(), Ok("hello")); // and the receiver stays
    /// });
    /// ```
    pub fn split(&mut self) -> (Sender<'_, T>, Receiver<'_, T>) {
        *self = Channel::new();
        let channel = &*self;
        (
            Sender {
                channel,
                receiver: threads::current(),
                sent: false,
            },
            Receiver {
                channel,
                not_send: PhantomData,
            },
        )
    }
}

/// The half that sends, once, from any thread.
///
/// ```
/// use ochre_sync::channel::oneshot::parked::Channel;
///
/// let mut channel = Channel::<u32>::new();
/// let (sender, receiver) = channel.split();
/// drop(sender);
/// assert!(receiver.receive().is_err(), "none will come");
/// ```
pub struct Sender<'a, T> {
    channel: &'a Channel<T>,
    receiver: threads::Thread,
    sent: bool,
}

impl<T> Sender<'_, T> {
    /// Sends the message and wakes the receiver.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::parked::Channel;
    ///
    /// let mut channel = Channel::new();
    /// let (sender, receiver) = channel.split();
    /// sender.send(String::from("it moves"));
    /// assert_eq!(receiver.receive().as_deref(), Ok("it moves"));
    /// ```
    pub fn send(mut self, message: T) {
        // SAFETY: the only sender, used up by this; the receiver waits for READY.
        unsafe { self.channel.message.put(message) };
        // ORDERING: Release publishes the message.
        self.channel.state.store(READY, Ordering::Release);
        self.sent = true;
        // The drop wakes.
    }
}

impl<T> Drop for Sender<'_, T> {
    fn drop(&mut self) {
        if !self.sent {
            // ORDERING: Release: what was done before is seen by who finds it closed.
            self.channel.state.store(CLOSED, Ordering::Release);
        }
        self.receiver.unpark();
    }
}

/// The half that receives, once, on the thread that split the channel.
///
/// ```
/// use ochre_sync::channel::oneshot::parked::Channel;
///
/// let mut channel = Channel::new();
/// let (sender, receiver) = channel.split();
/// assert!(!receiver.is_ready());
/// sender.send(1);
/// assert!(receiver.is_ready());
/// assert_eq!(receiver.receive(), Ok(1));
/// ```
pub struct Receiver<'a, T> {
    channel: &'a Channel<T>,
    not_send: PhantomData<*const ()>,
}

impl<T> Receiver<'_, T> {
    /// Whether a message is there.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::parked::Channel;
    ///
    /// let mut channel = Channel::new();
    /// let (sender, receiver) = channel.split();
    /// assert!(!receiver.is_ready());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || sender.send(1));
    /// });
    /// assert!(receiver.is_ready());
    /// ```
    #[must_use]
    pub fn is_ready(&self) -> bool {
        // ORDERING: Relaxed; `receive` synchronises.
        self.channel.state.load(Ordering::Relaxed) == READY
    }

    /// Sleeps until the message is there. It does not mind being unparked by
    /// others: it looks again.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::parked::Channel;
    ///
    /// let mut channel = Channel::new();
    /// let (sender, receiver) = channel.split();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || sender.send((1..=10).sum::<u32>()));
    ///     assert_eq!(receiver.receive(), Ok(55));
    /// });
    /// ```
    ///
    /// # Errors
    /// If the sender was dropped instead.
    pub fn receive(self) -> Result<T, RecvError> {
        loop {
            // ORDERING: Acquire pairs with the Release of `send` and of the drop.
            match self.channel.state.load(Ordering::Acquire) {
                READY => {
                    // ORDERING: Relaxed; the sender is done.
                    self.channel.state.store(TAKEN, Ordering::Relaxed);
                    // SAFETY: READY means that a message is there, for this half.
                    return Ok(unsafe { self.channel.message.take() });
                }
                CLOSED => return Err(RecvError),
                _ => threads::park(),
            }
        }
    }
}

impl<T> Drop for Channel<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self` means that no other thread is here.
        if self.state.load(Ordering::Relaxed) == READY {
            // SAFETY: READY means that a message is there, which nobody took.
            drop(unsafe { self.message.take() });
        }
    }
}

impl<T> Default for Channel<T> {
    fn default() -> Channel<T> {
        Channel::new()
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parked::Channel")
    }
}

impl<T> fmt::Debug for Sender<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parked::Sender")
    }
}

impl<T> fmt::Debug for Receiver<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parked::Receiver")
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Channel;
    use super::threads;
    use crate::channel::RecvError;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// What loom watches: written before, read after.
    struct Note(UnsafeCell<u32>);

    // SAFETY: loom tells if it is used out of order.
    unsafe impl Send for Note {}
    // SAFETY: as above.
    unsafe impl Sync for Note {}

    impl Note {
        fn new() -> Note {
            Note(UnsafeCell::new(0))
        }

        fn write(&self) {
            // SAFETY: loom tells if somebody else is there.
            self.0.with_mut(|note| unsafe { *note = 7 });
        }

        fn read(&self) -> u32 {
            // SAFETY: as above.
            self.0.with(|note| unsafe { *note })
        }
    }

    /// Lends a channel to threads that have to own what they use.
    fn lent<T: 'static>() -> &'static mut Channel<T> {
        Box::leak(Box::new(Channel::new()))
    }

    #[test]
    fn strangers_may_unpark_the_receiver() {
        loom::model(|| {
            let (sender, receiver) = lent().split();
            let me = threads::current();
            let stranger = thread::spawn(move || me.unpark());
            let note = Note::new();
            let sending = thread::spawn(move || {
                note.write();
                sender.send(note);
            });
            let note = receiver.receive().expect("it is sent");
            assert_eq!(note.read(), 7);
            for thread in [stranger, sending] {
                thread.join().expect("both end");
            }
        });
    }

    #[test]
    fn the_end_of_the_sender_comes_after_what_it_did() {
        loom::model(|| {
            let (sender, receiver) = lent::<u32>().split();
            let note = Arc::new(Note::new());
            let other = Arc::clone(&note);
            let sending = thread::spawn(move || {
                other.write();
                drop(sender);
            });
            assert_eq!(receiver.receive(), Err(RecvError));
            assert_eq!(note.read(), 7);
            sending.join().expect("it ends");
        });
    }
}
