//! One message, one flag, and rules that only the documentation keeps.
//!
//! `examples/misuse.rs` breaks each of them, and Miri has to notice.

use core::mem::MaybeUninit;

use ochre_sync::primitive::UnsafeCell;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

/// Steps 3 and 4. One message, no lock, no allocation. A second send would race
/// with the first, a second receive would copy the message, and a message that
/// nobody receives is never dropped: all that is the caller's to know.
pub(crate) struct UnsafeOneShot<T> {
    message: UnsafeCell<MaybeUninit<T>>,
    ready: AtomicBool,
}

// SAFETY: the message moves from one thread to another, nothing is shared.
unsafe impl<T: Send> Sync for UnsafeOneShot<T> {}

impl<T> UnsafeOneShot<T> {
    pub(crate) const fn new() -> UnsafeOneShot<T> {
        UnsafeOneShot {
            message: UnsafeCell::new(MaybeUninit::uninit()),
            ready: AtomicBool::new(false),
        }
    }

    /// # Safety
    /// Called once.
    pub(crate) unsafe fn send(&self, message: T) {
        // SAFETY: the only send, and receivers wait for `ready`.
        self.message
            .with_mut(|place| unsafe { place.write(MaybeUninit::new(message)) });
        // ORDERING: Release publishes the message.
        self.ready.store(true, Ordering::Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        // ORDERING: Relaxed is enough, since `receive` looks again: `ready` has one
        // order of values, and who saw true sees true.
        self.ready.load(Ordering::Relaxed)
    }

    /// Step 4: the receiver checks that there is a message.
    ///
    /// # Safety
    /// Called once.
    pub(crate) unsafe fn receive(&self) -> T {
        // ORDERING: Acquire pairs with the Release of `send`.
        assert!(self.ready.load(Ordering::Acquire), "no message available!");
        // SAFETY: `ready`, and nobody else receives.
        let message = self.message.with(|place| unsafe { place.read() });
        // SAFETY: `ready` was set after the message was written.
        unsafe { message.assume_init() }
    }
}
