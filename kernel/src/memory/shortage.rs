//! What a thread ordered: that an allocation of its next system call fails, or of
//! what is next done for it outside of calls: a page fault, or a handler's frame.
//!
//! | state | `next` | `now` | `left` |
//! | --- | --- | --- | --- |
//! | nothing ordered | 0 | false | what the last order came to |
//! | ordered, by a write to `/proc/ochre/shortage/fail_nth` | n | false | of the order before |
//! | the next call runs | 0 | true | what [`end`](machine::end) said when it waited last |
//!
//! The order is for one call, whether it comes to n allocations or not, so that
//! what surrounds it (the order itself, the look at what came of it) is not
//! counted. An order for outside of calls (`fail_nth_outside`) is `outside` until a
//! fault or a signal takes it, and `left` says from the start what is left of it,
//! so that one that nothing took has not struck. A kernel without the feature `shortage` takes no orders.

use ochre_hal::memory::shortage as machine;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU32, Ordering};

pub use machine::AVAILABLE;

/// A thread's order. Nothing, in a kernel that takes none: there may be very
/// many threads.
#[derive(Debug, Default)]
pub struct Order([Words; AVAILABLE as usize]);

/// ORDERING: Relaxed throughout; only the thread's own poll touches them.
#[derive(Debug, Default)]
struct Words {
    next: AtomicU32,
    outside: AtomicU32,
    now: AtomicBool,
    left: AtomicU32,
}

impl Order {
    #[inline]
    fn words(&self) -> Option<&Words> {
        self.0.first()
    }

    /// The `nth` allocation of the next call fails; none if that is 0.
    pub fn set(&self, nth: u32) {
        if let Some(words) = self.words() {
            words.next.store(nth, Ordering::Relaxed);
        }
    }

    /// The `nth` allocation of the next page fault or signal fails; none if that is 0.
    pub fn set_outside(&self, nth: u32) {
        if let Some(words) = self.words() {
            words.outside.store(nth, Ordering::Relaxed);
            words.left.store(nth, Ordering::Relaxed);
        }
    }

    /// Does what a page fault or a signal of the thread takes.
    #[inline(always)]
    pub fn outside<R>(&self, work: impl FnOnce() -> R) -> R {
        let Some(words) = self.words() else {
            return work();
        };
        let nth = words.outside.swap(0, Ordering::Relaxed);
        if nth == 0 {
            return work();
        }
        machine::begin(nth);
        let result = work();
        words.left.store(machine::end(), Ordering::Relaxed);
        result
    }

    /// How many allocations the call that was meant had left; 0 if one failed.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.words()
            .map_or(0, |words| words.left.load(Ordering::Relaxed))
    }

    /// A call begins.
    #[inline]
    pub fn begin(&self) {
        if let Some(words) = self.words() {
            let nth = words.next.swap(0, Ordering::Relaxed);
            words.now.store(nth != 0, Ordering::Relaxed);
            if nth != 0 {
                words.left.store(nth, Ordering::Relaxed);
            }
            machine::begin(nth);
        }
    }

    /// A call that waited goes on.
    #[inline]
    pub fn resume(&self) {
        if let Some(words) = self.words() {
            let is_meant = words.now.load(Ordering::Relaxed);
            machine::begin(if is_meant { self.left() } else { 0 });
        }
    }

    /// It ends, or waits.
    #[inline]
    pub fn pause(&self) {
        if let Some(words) = self.words() {
            let left = machine::end();
            if words.now.load(Ordering::Relaxed) {
                words.left.store(left, Ordering::Relaxed);
            }
        }
    }
}
