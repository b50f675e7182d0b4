//! The buckets: who waits where.
//!
//! # Lock protocol
//! A bucket's lock is taken with no other of the kernel's locks held, two
//! buckets in the order of their places. Under it nothing faults, allocates or
//! wakes: those chosen go into a [`Chain`] and are woken after the lock is
//! given back.
//!
//! # Looking without the lock
//! A wake at a bucket in which nobody waits takes no lock. `waiting` is raised
//! before a waiter looks at its word, and a waker changed the word before it
//! looks at `waiting`; with a full barrier on both sides at least one of the
//! two sees the other.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering, fence};
use ochre_sync::{Chain, List, Node, SpinLock, SpinLockGuard, Verdict};

use super::key::Key;
use super::wait::Target;
use super::word::{self, Change};
use crate::memory::AddressSpace;
use crate::sched::TaskRef;

/// Buckets; a power of two.
const BUCKETS: usize = 1024;

/// What everybody may see of a waiter.
#[derive(Debug)]
pub(super) struct Waiter {
    task: Task,
    /// Set by the wake that chose it, under the bucket's lock.
    woken: AtomicU32,
    /// The bucket that it is in, or [`NOWHERE`]: changed under that bucket's lock.
    bucket: AtomicU32,
}

/// [`Waiter::bucket`] of one that has not joined yet or has left.
const NOWHERE: u32 = u32::MAX;

/// A task that says nothing of itself when it is asked.
struct Task(TaskRef);

impl core::fmt::Debug for Task {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Task")
    }
}

/// What the bucket's holder knows of a waiter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    key: Key,
    /// Matched against a wake's bits.
    bits: u32,
}

/// A waiter, in a bucket or woken.
pub(super) type Place = Node<Entry, Waiter>;

type Woken = Chain<Entry, Waiter>;

/// A part of the table, a cache line of its own.
#[repr(align(64))]
struct Bucket {
    /// At least as many as are in the list.
    waiting: AtomicU32,
    list: SpinLock<List<Entry, Waiter>>,
}

static TABLE: [Bucket; BUCKETS] = [const {
    Bucket {
        waiting: AtomicU32::new(0),
        list: SpinLock::new(List::new()),
    }
}; BUCKETS];

/// The place of a key in the table.
fn index(key: &Key) -> u32 {
    // CAST: ten bits are left.
    (key.hash() >> (u64::BITS - BUCKETS.trailing_zeros())) as u32
}

fn bucket(index: u32) -> &'static Bucket {
    &TABLE[index as usize % BUCKETS]
}

impl Bucket {
    /// Says that somebody is about to look at a word and join.
    fn announce(&self) {
        // ORDERING: SeqCst, a full barrier before the look at the word; pairs
        // with the fence of `may_skip`.
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    fn withdraw(&self, count: u32) {
        // ORDERING: Relaxed; too high a count costs a look, and this happens
        // under the lock.
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }

    /// Whether nobody waits in this bucket who may have seen the word as it
    /// was before the caller's program changed it.
    fn may_skip(&self) -> bool {
        // ORDERING: the fence orders the program's change of the word before
        // the look; see the module.
        fence(Ordering::SeqCst);
        self.waiting.load(Ordering::Relaxed) == 0
    }
}

/// A waiter for `task` that is nowhere yet.
pub(super) fn place(task: TaskRef) -> Arc<Place> {
    Arc::new(Node::new(Waiter {
        task: Task(task),
        woken: AtomicU32::new(0),
        bucket: AtomicU32::new(NOWHERE),
    }))
}

/// Whether a wake chose the waiter.
pub(super) fn is_woken(place: &Place) -> bool {
    // ORDERING: Acquire pairs with the Release of `choose`.
    place.shared().woken.load(Ordering::Acquire) != 0
}

/// Joins those who wait at a word if it still holds what is expected.
///
/// # Errors
/// EAGAIN if it does not; EFAULT; ENOMEM.
pub(super) fn join(space: &AddressSpace, target: &Target, place: &Arc<Place>) -> Result<(), Errno> {
    let (key, bits) = (target.key, target.bits);
    let at = index(&key);
    let bucket = bucket(at);
    loop {
        bucket.announce();
        let mut list = bucket.list.lock();
        match word::try_load(space, target.address) {
            Some(value) if value == target.expected => {
                // ORDERING: Relaxed; under the bucket's lock, see `leave`.
                place.shared().bucket.store(at, Ordering::Relaxed);
                let is_new = list.push_back(place, Entry { key, bits });
                debug_assert!(is_new, "a place is used once");
                return Ok(());
            }
            value => {
                bucket.withdraw(1);
                drop(list);
                if value.is_some() {
                    return Err(Errno::EAGAIN);
                }
                word::load(space, target.address)?;
            }
        }
    }
}

/// Leaves, if it has not left; false if a wake had chosen the waiter.
pub(super) fn leave(place: &Arc<Place>) -> bool {
    loop {
        if is_woken(place) {
            return false;
        }
        // ORDERING: Relaxed; what counts is asked under the lock, and only the
        // waiter itself goes from and to nowhere.
        let at = place.shared().bucket.load(Ordering::Relaxed);
        if at == NOWHERE {
            return true;
        }
        let bucket = bucket(at);
        let mut list = bucket.list.lock();
        if list.remove(place).is_some() {
            bucket.withdraw(1);
            place.shared().bucket.store(NOWHERE, Ordering::Relaxed);
            return true;
        }
        // It was woken, or moved to another bucket.
    }
}

/// Marks a waiter as chosen; under the bucket's lock, on its way out of it.
fn choose(waiter: &Waiter) {
    // ORDERING: Release; see `is_woken`.
    waiter.woken.store(1, Ordering::Release);
}

/// Takes up to `count` of those who wait at `key` out of a bucket.
fn take(
    bucket: &Bucket,
    list: &mut List<Entry, Waiter>,
    key: &Key,
    count: usize,
    bits: u32,
    woken: &mut Woken,
) -> usize {
    let mut taken = 0;
    let judge = |entry: &mut Entry, waiter: &Waiter| {
        if taken >= count {
            return Verdict::Stop;
        }
        if entry.key != *key || entry.bits & bits == 0 {
            return Verdict::Keep;
        }
        taken += 1;
        choose(waiter);
        Verdict::Take
    };
    list.sift(judge, |place, _| {
        bucket.withdraw(1);
        woken.push(place);
    });
    taken
}

/// Wakes those taken out, with no lock held.
fn wake_all(mut woken: Woken) {
    while let Some(place) = woken.pop() {
        place.shared().task.0.wake();
    }
}

/// Wakes up to `count` waiters at `key` whose bits meet `bits`, in the order
/// in which they came; returns how many.
pub fn wake(key: &Key, count: usize, bits: u32) -> usize {
    let bucket = bucket(index(key));
    if bucket.may_skip() {
        return 0;
    }
    let mut woken = Woken::new();
    let taken = take(
        bucket,
        &mut bucket.list.lock(),
        key,
        count,
        bits,
        &mut woken,
    );
    wake_all(woken);
    taken
}

/// The lists of two buckets, or of one that is both.
struct Pair {
    first: SpinLockGuard<'static, List<Entry, Waiter>>,
    second: Option<SpinLockGuard<'static, List<Entry, Waiter>>>,
    swapped: bool,
}

impl Pair {
    fn lock(one: u32, other: u32) -> Pair {
        let (low, high) = (one.min(other), one.max(other));
        Pair {
            first: bucket(low).list.lock(),
            second: (low != high).then(|| bucket(high).list.lock()),
            swapped: one > other,
        }
    }

    /// The list of the bucket named first, and the other's if it is another.
    fn lists(&mut self) -> (&mut List<Entry, Waiter>, Option<&mut List<Entry, Waiter>>) {
        match (&mut self.second, self.swapped) {
            (Some(second), true) => (second, Some(&mut self.first)),
            (Some(second), false) => (&mut self.first, Some(second)),
            (None, _) => (&mut self.first, None),
        }
    }
}

/// `FUTEX_WAKE_OP`: changes the word at `address`, which is `second`'s, wakes
/// at `first`, and at `second` too if what the word held meets the condition.
///
/// # Errors
/// ENOSYS for an operation that there is not; EFAULT; ENOMEM.
pub fn wake_op(
    space: &AddressSpace,
    address: u64,
    encoded: u32,
    (first, first_count): (&Key, usize),
    (second, second_count): (&Key, usize),
) -> Result<usize, Errno> {
    let change = Change::decode(encoded);
    let (from, to) = (index(first), index(second));
    let mut woken = Woken::new();
    let mut taken = 0;
    loop {
        let mut pair = Pair::lock(from, to);
        let Some(is_met) = change.try_make(space, address)? else {
            drop(pair);
            word::fault_in(space, address)?;
            continue;
        };
        let (list, other) = pair.lists();
        taken += take(bucket(from), list, first, first_count, u32::MAX, &mut woken);
        if is_met {
            let list = other.unwrap_or(list);
            taken += take(bucket(to), list, second, second_count, u32::MAX, &mut woken);
        }
        break;
    }
    wake_all(woken);
    Ok(taken)
}

/// A requeue: whom to wake, whom to move, and on what condition.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// Where they wait.
    pub from: Key,
    /// Where they go.
    pub to: Key,
    /// What the word at an address must hold, if that matters.
    pub expected: Option<(u64, u32)>,
    /// How many to wake first.
    pub wake: usize,
    /// How many others to move.
    pub requeue: usize,
}

/// Wakes some of those who wait at one word and moves others to another;
/// returns how many both were.
///
/// # Errors
/// EAGAIN if the word does not hold what it must; EFAULT; ENOMEM.
pub fn requeue(space: &AddressSpace, request: &Move) -> Result<usize, Errno> {
    let (from, to) = (index(&request.from), index(&request.to));
    let mut woken = Woken::new();
    let moved = loop {
        let mut pair = Pair::lock(from, to);
        if let Some((address, expected)) = request.expected {
            match word::try_load(space, address) {
                Some(value) if value == expected => {}
                Some(_) => return Err(Errno::EAGAIN),
                None => {
                    drop(pair);
                    word::load(space, address)?;
                    continue;
                }
            }
        }
        let (list, other) = pair.lists();
        let taken = take(
            bucket(from),
            list,
            &request.from,
            request.wake,
            u32::MAX,
            &mut woken,
        );
        break taken + shift(request, list, other);
    };
    wake_all(woken);
    Ok(moved)
}

/// Moves waiters from one bucket's list to another's, or renames their key if
/// both are one.
fn shift(
    request: &Move,
    list: &mut List<Entry, Waiter>,
    mut other: Option<&mut List<Entry, Waiter>>,
) -> usize {
    let (from, to) = (index(&request.from), index(&request.to));
    let stays = other.is_none();
    let mut moved = 0;
    let judge = |entry: &mut Entry, _: &Waiter| {
        if moved >= request.requeue {
            return Verdict::Stop;
        }
        if entry.key != request.from {
            return Verdict::Keep;
        }
        moved += 1;
        entry.key = request.to;
        if stays { Verdict::Keep } else { Verdict::Take }
    };
    list.sift(judge, |place, entry| {
        if let Some(other) = other.as_deref_mut() {
            bucket(from).withdraw(1);
            bucket(to).announce();
            // ORDERING: Relaxed; under both buckets' locks.
            place.shared().bucket.store(to, Ordering::Relaxed);
            other.push_back(&place, entry);
        }
    });
    moved
}
