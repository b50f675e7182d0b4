//! How to wait for something that another thread is about to finish, and two
//! words that do not share a cache line.
//!
//! Looking costs the one who is looked at: each look takes the cache line that
//! it has to write next. So looks become rarer, and soon they are apart by a
//! call that lets others run, who may be the ones to finish; after some of those
//! it is time to sleep.

use core::marker::PhantomData;
#[cfg(feature = "alloc")]
use core::ops::Deref;

use crate::blocking::Blocking;
use crate::primitive::spin_loop;

/// How a thread waits: it spins between its looks, then lets others run between
/// them, then it sleeps.
///
/// Measured with `cargo xtask bench sync`.
struct Patience {
    /// The step to begin with: at each, there are 2 to its power spins.
    first: u32,
    /// The first step at which others are let run instead.
    yields: u32,
    /// The step at which it is time to sleep.
    sleeps: u32,
}

/// Waiting for messages or room. The more the first spins are, the more messages
/// wait when a receiver looks again, and the less often two processors fight for
/// one message's cache line.
#[cfg(feature = "alloc")]
const MESSAGES: Patience = Patience {
    first: 5,
    yields: 7,
    sleeps: 24,
};

/// Waiting for somebody who has to meet this thread: nothing piles up meanwhile.
const STEPS: Patience = Patience {
    first: 3,
    yields: 7,
    sleeps: 24,
};

/// Waiting for a lock: its holder needs the cache line, and is soon done unless
/// it waits for a processor. So there is one look after as many hints as the line
/// takes to the holder and back, as an earlier one would find what the last one
/// found and make the holder fetch the line again; the next comes after others
/// were let run.
const HOLDERS: Patience = Patience {
    first: 3,
    yields: 4,
    sleeps: 10,
};

/// After losing a compare-exchange to somebody who came on. Whoever tries again
/// at once takes the cache line from the winner, who needs it for its next step;
/// who keeps losing stays away twice as long each time, up to some moves of a
/// line: there are no more in the race than processors. Nobody sleeps over it.
const RACES: Patience = Patience {
    first: 0,
    yields: 4,
    sleeps: u32::MAX,
};

/// Under a checker every look is one more schedule to explore: sleep at once.
const CHECKED: bool = cfg!(any(loom, shuttle, miri));

/// Waits longer each time.
pub(crate) struct Backoff<B> {
    step: u32,
    patience: &'static Patience,
    blocking: PhantomData<fn() -> B>,
}

impl<B: Blocking> Backoff<B> {
    /// For who waits for a step of another thread.
    pub(crate) fn new() -> Backoff<B> {
        Backoff::with(&STEPS)
    }

    /// For who waits for messages or room, where there may be many.
    #[cfg(feature = "alloc")]
    pub(crate) fn for_messages() -> Backoff<B> {
        Backoff::with(&MESSAGES)
    }

    /// For who waits until a lock comes free.
    pub(crate) fn for_lock() -> Backoff<B> {
        Backoff::with(&HOLDERS)
    }

    /// For who loses compare-exchanges.
    pub(crate) fn for_races() -> Backoff<B> {
        Backoff::with(&RACES)
    }

    fn with(patience: &'static Patience) -> Backoff<B> {
        Backoff {
            step: patience.first,
            patience,
            blocking: PhantomData,
        }
    }

    /// After losing a compare-exchange: somebody else came on.
    pub(crate) fn lost(&mut self) {
        let spins = if CHECKED {
            1
        } else {
            1_u32 << self.step.min(self.patience.yields)
        };
        for _ in 0..spins {
            spin_loop();
        }
        self.step = self.step.saturating_add(1);
    }

    /// While another thread is between two steps: if it is not running, it
    /// needs this processor.
    pub(crate) fn between(&mut self) {
        if self.step < self.patience.yields && !CHECKED {
            self.lost();
        } else {
            self.step = self.step.saturating_add(1);
            B::relax();
        }
    }

    /// Whether it is time to sleep.
    pub(crate) fn is_over(&self) -> bool {
        CHECKED || self.step >= self.patience.sleeps
    }
}

/// A value alone on its cache lines: two of 64 bytes, because processors fetch
/// them in pairs.
#[cfg(feature = "alloc")]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

#[cfg(feature = "alloc")]
impl<T> Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
