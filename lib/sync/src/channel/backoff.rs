//! How to wait for something that another thread is about to finish, and two
//! words that do not share a cache line.

use core::marker::PhantomData;
#[cfg(feature = "alloc")]
use core::ops::Deref;

use crate::blocking::Blocking;
use crate::primitive::spin_loop;

/// Looks before a thread lets others run: 1 + 2 + 4 + ... spins.
const SPINS: u32 = 6;

/// Looks before a thread sleeps.
const LOOKS: u32 = 10;

/// Under a checker every look is one more schedule to explore: sleep at once.
const CHECKED: bool = cfg!(any(loom, shuttle, miri));

/// Waits longer each time.
pub(super) struct Backoff<B> {
    step: u32,
    blocking: PhantomData<fn() -> B>,
}

impl<B: Blocking> Backoff<B> {
    pub(super) fn new() -> Backoff<B> {
        Backoff {
            step: 0,
            blocking: PhantomData,
        }
    }

    /// After losing a compare-exchange: somebody else came on.
    pub(super) fn lost(&mut self) {
        let spins = if CHECKED {
            1
        } else {
            1_u32 << self.step.min(SPINS)
        };
        for _ in 0..spins {
            spin_loop();
        }
        self.step = self.step.saturating_add(1);
    }

    /// While another thread is between two steps: if it is not running, it
    /// needs this processor.
    pub(super) fn between(&mut self) {
        if self.step < SPINS && !CHECKED {
            self.lost();
        } else {
            self.step = self.step.saturating_add(1);
            B::relax();
        }
    }

    /// Whether it is time to sleep.
    pub(super) fn is_over(&self) -> bool {
        CHECKED || self.step >= LOOKS
    }
}

/// A value alone on its cache lines: two of 64 bytes, because processors fetch
/// them in pairs.
#[cfg(feature = "alloc")]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

#[cfg(feature = "alloc")]
impl<T> Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
