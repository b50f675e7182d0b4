//! The place of one message: whether one is there, its owner knows.

use core::mem::MaybeUninit;

use crate::maybe_const;
use crate::primitive::UnsafeCell;

/// Holds a message or nothing, and drops nothing.
pub(super) struct Place<T>(UnsafeCell<MaybeUninit<T>>);

impl<T> Place<T> {
    maybe_const! {
        pub(super) fn new() -> Place<T> {
            Place(UnsafeCell::new(MaybeUninit::uninit()))
        }
    }

    /// Puts a message there.
    ///
    /// # Safety
    /// Nobody else uses the place, and it holds nothing.
    #[inline]
    pub(super) unsafe fn put(&self, message: T) {
        self.0.with_mut(|cell| {
            // SAFETY: nobody else uses the place.
            unsafe { cell.write(MaybeUninit::new(message)) };
        });
    }

    /// Takes the message.
    ///
    /// # Safety
    /// Nobody else uses the place, and it holds a message, and holds nothing after this.
    #[inline]
    pub(super) unsafe fn take(&self) -> T {
        // SAFETY: nobody else uses the place.
        let message = self.0.with(|cell| unsafe { cell.read() });
        // SAFETY: it held a message.
        unsafe { message.assume_init() }
    }

    /// Nothing; but under loom, notices if somebody uses the place still.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(super) fn assert_unused(&self) {
        self.0.with_mut(|_| ());
    }
}
