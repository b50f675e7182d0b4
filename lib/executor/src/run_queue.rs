//! Who runs next: the one that has had least, by weight.
//!
//! Virtual-runtime scheduling: every entity carries the processor time it had,
//! divided by its weight; the smallest runs. One that slept long is set to a
//! little before the queue's minimum, so that it runs soon but cannot hoard.
//! Weights follow Linux's nice levels: each step is a factor of about 1.25
//! (`sched(7)`).
//!
//! A binary heap in a vector. Room is reserved when a task is made
//! ([`reserve`](RunQueue::reserve)), so that `push`, which wake-ups call, never
//! allocates.

use alloc::collections::{BinaryHeap, TryReserveError};
use core::cmp::Ordering;

/// The weight of nice 0.
const WEIGHT_0: u64 = 1024;

/// How far before the minimum a sleeper may come back, in nanoseconds of
/// virtual time.
const SLEEPER_CREDIT: u64 = 3_000_000;

/// The weight of a nice level from -20 to 19 (others are clamped): 1024 for 0,
/// each step a factor of 1.25.
#[must_use]
pub fn weight_of_nice(nice: i32) -> u64 {
    let mut weight = WEIGHT_0 * 1024;
    for _ in 0..nice.clamp(-20, 19).unsigned_abs() {
        weight = if nice < 0 {
            weight * 5 / 4
        } else {
            weight * 4 / 5
        };
    }
    (weight / 1024).max(1)
}

#[derive(Debug)]
struct Entry<T> {
    runtime: u64,
    serial: u64,
    item: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (u64, u64) {
        (self.runtime, self.serial)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Reversed: the heap's greatest is the least virtual runtime.
        other.key().cmp(&self.key())
    }
}

/// Runnable entities of one processor.
#[derive(Debug)]
pub struct RunQueue<T> {
    heap: BinaryHeap<Entry<T>>,
    minimum: u64,
    serial: u64,
}

impl<T> RunQueue<T> {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> RunQueue<T> {
        RunQueue {
            heap: BinaryHeap::new(),
            minimum: 0,
            serial: 0,
        }
    }

    /// Makes room for `tasks` entries in all.
    ///
    /// # Errors
    /// When memory is short.
    pub fn reserve(&mut self, tasks: usize) -> Result<(), TryReserveError> {
        self.heap.try_reserve(tasks.saturating_sub(self.heap.len()))
    }

    /// The virtual runtime at which an entity comes back that left with
    /// `runtime`: not less than the queue's minimum minus a little credit.
    #[must_use]
    pub fn placement(&self, runtime: u64) -> u64 {
        runtime.max(self.minimum.saturating_sub(SLEEPER_CREDIT))
    }

    /// Adds an entity at its [`placement`](RunQueue::placement).
    pub fn push(&mut self, runtime: u64, item: T) {
        let runtime = self.placement(runtime);
        self.serial += 1;
        self.heap.push(Entry {
            runtime,
            serial: self.serial,
            item,
        });
    }

    /// Takes the entity that has had least, with its virtual runtime.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        let entry = self.heap.pop()?;
        self.minimum = self.minimum.max(entry.runtime);
        Some((entry.runtime, entry.item))
    }

    /// The virtual runtime at which a new entity starts.
    #[must_use]
    pub fn minimum(&self) -> u64 {
        self.minimum
    }

    /// Entities waiting to run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nobody waits to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

/// What `ran` nanoseconds at nice level `nice` are in virtual time.
#[must_use]
pub fn virtual_time(ran: u64, nice: i32) -> u64 {
    if nice == 0 {
        return ran;
    }
    ran.saturating_mul(WEIGHT_0) / weight_of_nice(nice)
}

impl<T> Default for RunQueue<T> {
    fn default() -> RunQueue<T> {
        RunQueue::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{RunQueue, virtual_time, weight_of_nice};

    /// Runs two entities for a while in slices; returns how much each had.
    fn share(nice: [i32; 2]) -> [u64; 2] {
        let mut queue = RunQueue::new();
        let mut had = [0, 0];
        queue.push(0, 0_usize);
        queue.push(0, 1_usize);
        for _ in 0..10_000 {
            let (runtime, who) = queue.pop().expect("two entities run for ever");
            had[who] += 1_000;
            queue.push(runtime + virtual_time(1_000, nice[who]), who);
        }
        had
    }

    #[test]
    fn equals_share_equally() {
        let [a, b] = share([0, 0]);
        assert!(a.abs_diff(b) <= 1_000);
    }

    #[test]
    fn five_nice_levels_are_a_factor_of_about_three() {
        let [a, b] = share([0, 5]);
        let ratio = a as f64 / b as f64;
        assert!((2.9..3.2).contains(&ratio), "{ratio}");
    }

    #[test]
    fn weights_fall_with_nice() {
        assert_eq!(weight_of_nice(0), 1024);
        assert!((-20..19).all(|nice| weight_of_nice(nice) > weight_of_nice(nice + 1)));
        assert_eq!(weight_of_nice(-100), weight_of_nice(-20));
    }

    #[test]
    fn a_sleeper_cannot_hoard() {
        let mut queue = RunQueue::new();
        queue.push(1_000_000_000, "worker");
        let (runtime, worker) = queue.pop().expect("one is there");
        queue.push(runtime, worker);
        assert!(queue.placement(0) > 900_000_000);
        queue.push(0, "sleeper");
        assert_eq!(queue.pop().map(|(_, who)| who), Some("sleeper"));
    }

    #[test]
    fn pushes_do_not_allocate_after_reserve() {
        let mut queue = RunQueue::new();
        queue.reserve(8).expect("eight entries fit");
        let capacity = queue.heap.capacity();
        for item in 0..8 {
            queue.push(item, item);
        }
        assert_eq!(queue.heap.capacity(), capacity);
    }
}
