//! Frames of files and shared memory that are gone, given back by parts.
//!
//! An object may hold most of memory, and ends wherever its last handle does: in
//! a `close`, with a mapping, at the end of a process. None of these can wait,
//! so what is large is left here, and a task gives it back, a bounded part in
//! each of its polls.
//!
//! # What must hold
//! - Nobody is refused memory while some lies here: what would be refused asks
//!   [`give_some`] before (`spare`), as does whoever is about to have a process
//!   killed (`pressure`).
//! - The lock is a leaf: whoever lacks memory may hold any other. Nothing is
//!   allocated under it.

use alloc::collections::BTreeMap;
use core::future::poll_fn;
use core::task::Poll;

use ochre_abi::Errno;
use ochre_hal::memory::{self, UserFrame};
use ochre_sync::{Once, SpinLock};

use crate::sched;
use crate::wait::WaitQueue;

/// The frames of an object, by page.
pub type Frames<F> = BTreeMap<u64, F>;

/// Frames that one part gives back, and how many of an object are no more than
/// a part.
const AT_ONCE: usize = 512;

/// Parts that the task does in a poll.
const PARTS: usize = 4;

/// Objects that may lie here; more than that are given back where they end.
const OBJECTS: usize = 8;

/// Memory of which less than this part is free is short: frames are wanted now.
const SHORT: usize = 8;

/// What is left of objects that are gone.
struct Leftovers<F>([Frames<F>; OBJECTS]);

impl<F> Leftovers<F> {
    const fn new() -> Leftovers<F> {
        Leftovers([const { BTreeMap::new() }; OBJECTS])
    }

    /// Takes frames over; gives them back if there is no place.
    fn take(&mut self, frames: Frames<F>) -> Result<(), Frames<F>> {
        match self.0.iter_mut().find(|place| place.is_empty()) {
            Some(place) => {
                *place = frames;
                Ok(())
            }
            None => Err(frames),
        }
    }

    /// Drops so many frames at most; how many.
    fn give(&mut self, most: usize) -> usize {
        let mut left = most;
        for place in &mut self.0 {
            while left > 0 && place.pop_first().is_some() {
                left -= 1;
            }
        }
        most - left
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(BTreeMap::is_empty)
    }
}

static LEFTOVERS: SpinLock<Leftovers<UserFrame>> = SpinLock::new(Leftovers::new());

/// Wakes the task; there once it runs.
static WAKE: Once<WaitQueue> = Once::new();

/// Gives the frames of an object back, now or soon.
pub fn give_back(frames: Frames<UserFrame>) {
    let Some(wake) = WAKE.get().filter(|_| frames.len() > AT_ONCE) else {
        return;
    };
    let stats = memory::stats();
    if stats.free < stats.total / SHORT {
        return;
    }
    let taken = LEFTOVERS.lock().take(frames);
    // What found no place goes here, after the lock.
    if taken.is_ok() {
        wake.wake();
    }
}

/// Gives some frames back; how many. Whoever has them mapped as well keeps them.
pub fn give_some() -> usize {
    LEFTOVERS.lock().give(AT_ONCE)
}

/// Starts the task.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<(), Errno> {
    let wake = WaitQueue::new();
    // It is started once.
    let _ = WAKE.set(wake.clone());
    let mut registration = None;
    sched::spawn(poll_fn(move |context| {
        if registration.is_none() {
            registration = wake.register_own(context.waker()).ok();
        }
        for _ in 0..PARTS {
            give_some();
        }
        // Without its registration (no memory) it has to keep looking.
        if !LEFTOVERS.lock().is_empty() || registration.is_none() {
            context.waker().wake_by_ref();
        }
        Poll::<()>::Pending
    }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Frames, Leftovers, OBJECTS};
    use alloc::sync::Arc;

    #[test]
    fn frames_go_by_parts_and_none_is_lost() {
        let frame = Arc::new(());
        let held = || Arc::strong_count(&frame) - 1;
        let object = |len: u64| -> Frames<Arc<()>> {
            (0..len).map(|page| (page, Arc::clone(&frame))).collect()
        };
        let mut left = Leftovers::new();
        for place in 0..OBJECTS {
            assert!(left.take(object(10)).is_ok(), "{place}");
        }
        let refused = left.take(object(3)).expect_err("no place");
        assert_eq!((refused.len(), held()), (3, 10 * OBJECTS + 3));
        drop(refused);
        // A part may be of two objects, and a place is free when it is empty.
        assert_eq!((left.give(15), held()), (15, 10 * OBJECTS - 15));
        assert!(left.take(object(1)).is_ok());
        assert_eq!(left.give(1000), 10 * OBJECTS - 14);
        assert!(left.is_empty() && held() == 0);
        assert_eq!(left.give(1), 0);
    }
}
