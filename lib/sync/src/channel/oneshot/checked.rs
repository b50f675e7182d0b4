//! A channel for one message that checks when it runs.
//!
//! # States
//! `EMPTY -> WRITING -> READY -> READING`: `send` takes the first step with a
//! compare-exchange and the second with a Release store; `receive` takes the
//! third with an Acquire compare-exchange. There is no way back, so one send ever
//! succeeds, and one receive.

use core::fmt;

use crate::channel::place::Place;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const WRITING: u8 = 1;
const READY: u8 = 2;
const READING: u8 = 3;

/// A place through which one message goes once, from any thread to any other.
///
/// For a `static`, or where halves would be in the way. Where there are two
/// owners, [`channel()`](super::channel()) lets the compiler do the checking.
///
/// ```
/// use ochre_sync::channel::oneshot::Checked;
///
/// static ANSWER: Checked<u32> = Checked::new();
///
/// let thread = std::thread::spawn(|| ANSWER.send(42));
/// # thread.join().expect("no panic");
/// while !ANSWER.is_ready() {
///     core::hint::spin_loop();
/// }
/// assert_eq!(ANSWER.receive(), 42);
/// ```
pub struct Checked<T> {
    state: AtomicU8,
    message: Place<T>,
}

// SAFETY: the message moves from one thread to another: `T: Send`.
unsafe impl<T: Send> Send for Checked<T> {}
// SAFETY: as above; nobody gets a reference to the message.
unsafe impl<T: Send> Sync for Checked<T> {}

impl<T> Checked<T> {
    maybe_const! {
        /// A place for one message.
        ///
        /// ```
        /// use ochre_sync::channel::oneshot::Checked;
        ///
        /// static RESULT: Checked<u32> = Checked::new();
        /// assert!(!RESULT.is_ready());
        /// ```
        #[must_use]
        pub fn new() -> Checked<T> {
            Checked {
                state: AtomicU8::new(EMPTY),
                message: Place::new(),
            }
        }
    }

    /// Sends the message.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::Checked;
    ///
    /// let place = Checked::new();
    /// place.send(1);
    /// let again = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| place.send(2)));
    /// assert!(again.is_err(), "one message, once");
    /// ```
    ///
    /// # Panics
    /// If a message was sent before, received or not.
    pub fn send(&self, message: T) {
        assert!(
            self.try_send(message).is_ok(),
            "can't send more than one message!"
        );
    }

    /// Sends the message if none was sent before.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::Checked;
    ///
    /// let winner = Checked::new();
    /// assert_eq!(winner.try_send("first"), Ok(()));
    /// assert_eq!(winner.try_send("second"), Err("second"));
    /// assert_eq!(winner.receive(), "first");
    /// ```
    ///
    /// # Errors
    /// Gives the message back if one was.
    pub fn try_send(&self, message: T) -> Result<(), T> {
        // ORDERING: Relaxed; nothing is read here, and the place is new.
        if self
            .state
            .compare_exchange(EMPTY, WRITING, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
        {
            return Err(message);
        }
        // SAFETY: this thread alone made the step to WRITING, out of EMPTY.
        unsafe { self.message.put(message) };
        // ORDERING: Release publishes the message to `try_receive`.
        self.state.store(READY, Ordering::Release);
        Ok(())
    }

    /// Whether a message waits: if nobody else receives, [`receive`](Checked::receive)
    /// will not panic.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::Checked;
    ///
    /// let place = Checked::new();
    /// place.send(1);
    /// if place.is_ready() {
    ///     assert_eq!(place.receive(), 1);
    /// }
    /// assert!(!place.is_ready(), "it was received");
    /// ```
    #[must_use]
    pub fn is_ready(&self) -> bool {
        // ORDERING: Relaxed; `receive` synchronises, and sees READY or later.
        self.state.load(Ordering::Relaxed) == READY
    }

    /// Receives the message.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::Checked;
    ///
    /// let place = Checked::new();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| place.send(vec![1, 2]));
    /// });
    /// // The thread has ended, so the message is there.
    /// assert_eq!(place.receive(), [1, 2]);
    /// ```
    ///
    /// # Panics
    /// If there is none, or it was received before.
    pub fn receive(&self) -> T {
        let Some(message) = self.try_receive() else {
            panic!("no message available!");
        };
        message
    }

    /// Receives the message if there is one.
    ///
    /// ```
    /// use ochre_sync::channel::oneshot::Checked;
    ///
    /// let place = Checked::new();
    /// assert_eq!(place.try_receive(), None);
    /// place.send(1);
    /// assert_eq!((place.try_receive(), place.try_receive()), (Some(1), None));
    /// ```
    pub fn try_receive(&self) -> Option<T> {
        // ORDERING: Acquire pairs with the Release of `try_send`.
        self.state
            .compare_exchange(READY, READING, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        // SAFETY: READY means that a message is there, and this thread alone
        // made the step to READING.
        Some(unsafe { self.message.take() })
    }
}

impl<T> Default for Checked<T> {
    fn default() -> Checked<T> {
        Checked::new()
    }
}

impl<T> Drop for Checked<T> {
    fn drop(&mut self) {
        // A message that nobody received.
        drop(self.try_receive());
    }
}

impl<T> fmt::Debug for Checked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked")
            .field("is_ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}
