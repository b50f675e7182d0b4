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

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_hal::smp;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering, fence};
use ochre_sync::{Chain, List, Node, Once, SpinLock, SpinLockGuard, Verdict};

use super::key::Key;
use super::pi::{self, Candidate, Grant, Mutex, Obstacle, Seen, Taken};
use super::wait::Target;
use super::word::{self, Change};
use crate::memory::{AddressSpace, MakeRoom};
use crate::sched::TaskRef;

/// Buckets for each processor.
const BUCKETS: usize = 256;

/// The mutex that a waiter is to be moved to (`FUTEX_WAIT_REQUEUE_PI`).
#[derive(Debug)]
pub(super) struct Onward {
    pub(super) target: Key,
    pub(super) candidate: Candidate,
    pub(super) grant: Arc<Grant>,
}

/// What everybody may see of a waiter.
#[derive(Debug)]
pub(super) struct Waiter {
    task: Task,
    onward: Option<Box<Onward>>,
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

/// The table of a machine with programs.
static TABLE: Once<&'static [Bucket]> = Once::new();

/// The table before there is one.
static SMALLEST: [Bucket; 1] = [Bucket::new()];

/// Makes the table; once, before there are programs.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<(), Errno> {
    let count = BUCKETS * smp::present();
    let mut buckets = Vec::new();
    buckets.make_room_exact(count)?;
    buckets.extend((0..count).map(|_| Bucket::new()));
    let _ = TABLE.set(buckets.leak());
    Ok(())
}

#[inline]
fn table() -> &'static [Bucket] {
    TABLE.get().copied().unwrap_or(&SMALLEST)
}

/// The place of a key in the table.
fn index(key: &Key) -> u32 {
    let share = u128::from(key.hash()) * table().len() as u128;
    // CAST: a share of what is less than 2^64, so less than the length.
    (share >> u64::BITS) as u32
}

/// The bucket of a place that [`index`] found.
fn bucket(index: u32) -> &'static Bucket {
    &table()[index as usize]
}

impl Bucket {
    const fn new() -> Bucket {
        Bucket {
            waiting: AtomicU32::new(0),
            list: SpinLock::new(List::new()),
        }
    }

    /// Says that somebody is about to look at a word and join.
    fn announce(&self) {
        // ORDERING: SeqCst pairs with the fence of `may_skip`. It keeps no load
        // behind it by itself but one that is SeqCst as well: the look at the
        // word is one, whose barriers come with it (`SpaceRef::load_u32`).
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// One more is in the list than before, while somebody who [announced]
    /// himself has not withdrawn yet.
    ///
    /// [announced]: Bucket::announce
    fn count_one(&self) {
        // ORDERING: Relaxed; the announcement is what others see.
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    fn withdraw(&self, count: u32) {
        // ORDERING: Relaxed; too high a count costs a look, and who is in the
        // list is taken out of it and of the count under the lock.
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
pub(super) fn place(task: TaskRef, onward: Option<Box<Onward>>) -> Arc<Place> {
    Arc::new(Node::new(Waiter {
        task: Task(task),
        onward,
        woken: AtomicU32::new(0),
        bucket: AtomicU32::new(NOWHERE),
    }))
}

/// Whether a wake chose the waiter.
pub(super) fn is_woken(place: &Place) -> bool {
    // ORDERING: Acquire pairs with the Release of `choose`.
    place.shared().woken.load(Ordering::Acquire) != 0
}

/// The word that a task waits at. Looks at all of the table, for people.
pub(super) fn word_of(task: &TaskRef) -> Option<Key> {
    table().iter().find_map(|bucket| {
        // ORDERING: Relaxed; who comes meanwhile may be missed.
        if bucket.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let list = bucket.list.lock();
        list.iter()
            .find(|(_, waiter)| Arc::ptr_eq(&waiter.task.0, task))
            .map(|(entry, _)| entry.key)
    })
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

/// Takes up to `count` of those who wait at `key` out of a bucket. Those who
/// wait for a mutex, or to be moved to one, are not to be woken so.
///
/// # Errors
/// EINVAL if there are such.
fn take(
    bucket: &Bucket,
    list: &mut List<Entry, Waiter>,
    key: &Key,
    count: usize,
    bits: u32,
    woken: &mut Woken,
) -> Result<usize, Errno> {
    if pi::is_waited_for(key) {
        return Err(Errno::EINVAL);
    }
    let (mut taken, mut is_mixed) = (0, false);
    let judge = |entry: &mut Entry, waiter: &Waiter| {
        if taken >= count {
            return Verdict::Stop;
        }
        if entry.key != *key || entry.bits & bits == 0 {
            return Verdict::Keep;
        }
        if waiter.onward.is_some() {
            is_mixed = true;
            return Verdict::Stop;
        }
        taken += 1;
        choose(waiter);
        Verdict::Take
    };
    list.sift(judge, |place, _| {
        bucket.withdraw(1);
        woken.push(place);
    });
    if is_mixed {
        return Err(Errno::EINVAL);
    }
    Ok(taken)
}

/// Wakes those taken out, with no lock held.
fn wake_all(mut woken: Woken) {
    while let Some(place) = woken.pop() {
        place.shared().task.0.wake();
    }
}

/// Wakes up to `count` waiters at `key` whose bits meet `bits`, in the order
/// in which they came; returns how many.
///
/// # Errors
/// EINVAL if somebody waits there for a mutex with priority inheritance.
pub fn wake(key: &Key, count: usize, bits: u32) -> Result<usize, Errno> {
    let bucket = bucket(index(key));
    if bucket.may_skip() {
        return Ok(0);
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
    loop {
        let mut pair = Pair::lock(from, to);
        let Some(is_met) = change.try_make(space, address)? else {
            drop(pair);
            word::fault_in(space, address)?;
            continue;
        };
        let (list, other) = pair.lists();
        let both = || {
            let mut taken = take(bucket(from), list, first, first_count, u32::MAX, &mut woken)?;
            if is_met {
                let list = other.unwrap_or(list);
                let bucket = bucket(to);
                taken += take(bucket, list, second, second_count, u32::MAX, &mut woken)?;
            }
            Ok(taken)
        };
        let result = both();
        drop(pair);
        wake_all(woken);
        return result;
    }
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

/// Looks whether a word holds what it must, without a fault, as the lists are
/// locked. Gives its address if its page has to be brought in first.
///
/// # Errors
/// EAGAIN if it holds something else.
fn expect(space: &AddressSpace, expected: Option<(u64, u32)>) -> Result<Option<u64>, Errno> {
    let Some((address, expected)) = expected else {
        return Ok(None);
    };
    match word::try_load(space, address) {
        Some(value) if value == expected => Ok(None),
        Some(_) => Err(Errno::EAGAIN),
        None => Ok(Some(address)),
    }
}

/// Wakes some of those who wait at one word and moves others to another;
/// returns how many both were.
///
/// # Errors
/// EAGAIN if the word does not hold what it must; EFAULT; ENOMEM.
pub fn requeue(space: &AddressSpace, request: &Move) -> Result<usize, Errno> {
    // Before the look at the word, as for one that waits: who changes it, finds
    // nobody where they go and wakes there has either come first, and the word
    // is another one, or finds this.
    let bucket = bucket(index(&request.to));
    bucket.announce();
    let moved = requeue_announced(space, request);
    bucket.withdraw(1);
    moved
}

fn requeue_announced(space: &AddressSpace, request: &Move) -> Result<usize, Errno> {
    let (from, to) = (index(&request.from), index(&request.to));
    let mut woken = Woken::new();
    let moved = loop {
        let mut pair = Pair::lock(from, to);
        if let Some(absent) = expect(space, request.expected)? {
            drop(pair);
            word::load(space, absent)?;
            continue;
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
        break match taken {
            Ok(taken) => shift(request, list, other).map(|moved| taken + moved),
            Err(errno) => Err(errno),
        };
    };
    wake_all(woken);
    moved
}

/// Moves waiters from one bucket's list to another's, or renames their key if
/// both are one.
fn shift(
    request: &Move,
    list: &mut List<Entry, Waiter>,
    mut other: Option<&mut List<Entry, Waiter>>,
) -> Result<usize, Errno> {
    let (from, to) = (index(&request.from), index(&request.to));
    let stays = other.is_none();
    let (mut moved, mut is_mixed) = (0, false);
    let judge = |entry: &mut Entry, waiter: &Waiter| {
        if moved >= request.requeue {
            return Verdict::Stop;
        }
        if entry.key != request.from {
            return Verdict::Keep;
        }
        if waiter.onward.is_some() {
            is_mixed = true;
            return Verdict::Stop;
        }
        moved += 1;
        entry.key = request.to;
        if stays { Verdict::Keep } else { Verdict::Take }
    };
    list.sift(judge, |place, entry| {
        if let Some(other) = other.as_deref_mut() {
            bucket(from).withdraw(1);
            bucket(to).count_one();
            // ORDERING: Relaxed; under both buckets' locks.
            place.shared().bucket.store(to, Ordering::Relaxed);
            other.push_back(&place, entry);
        }
    });
    if is_mixed {
        return Err(Errno::EINVAL);
    }
    Ok(moved)
}

/// Somebody waits in the graph at a word of this key, so that a wake looks.
pub(super) fn announce(key: &Key) {
    bucket(index(key)).announce();
}

/// One less does.
pub(super) fn withdraw(key: &Key) {
    bucket(index(key)).withdraw(1);
}

/// Runs `f` under the lock of a key's bucket, told whether somebody waits at
/// the key.
pub(super) fn with_others<R>(key: &Key, f: impl FnOnce(bool) -> R) -> R {
    let list = bucket(index(key)).list.lock();
    let has_others = list.iter().any(|(entry, _)| entry.key == *key);
    f(has_others)
}

/// `FUTEX_CMP_REQUEUE_PI`: gives the mutex at `address`, which is `to`'s, to the
/// first who waits at `from`, or has it wait there, and the others after it;
/// returns how many.
///
/// # Errors
/// EAGAIN if the word does not hold what it must, EINVAL if somebody waits
/// there for anything else; as for taking a mutex.
pub fn requeue_inheriting(
    space: &AddressSpace,
    request: &Move,
    address: u64,
) -> Result<usize, Errno> {
    let mutex = Mutex {
        space,
        address,
        key: request.to,
    };
    let (from, to) = (index(&request.from), index(&request.to));
    let limit = request.requeue.saturating_add(1);
    let mut moved = 0;
    loop {
        let mut seen = pi::look(space, address)?;
        let mut pair = Pair::lock(from, to);
        // Once: what was moved may have changed what the program compares.
        if let Some(absent) = expect(space, request.expected.filter(|_| moved == 0))? {
            drop(pair);
            word::load(space, absent)?;
            continue;
        }
        let (list, other) = pair.lists();
        let has_others = other
            .as_deref()
            .unwrap_or(list)
            .iter()
            .any(|(entry, _)| entry.key == request.to);
        let (mut obstacle, mut woken) = (None, Woken::new());
        let judge = |entry: &mut Entry, waiter: &Waiter| {
            if moved >= limit {
                return Verdict::Stop;
            }
            if entry.key != request.from {
                return Verdict::Keep;
            }
            let onward = waiter.onward.as_ref();
            let Some(onward) = onward.filter(|onward| onward.target == request.to) else {
                obstacle = Some(Obstacle::Refused(Errno::EINVAL));
                return Verdict::Stop;
            };
            let (candidate, marks) = (&onward.candidate, request.requeue > 0);
            let grant = Some(&onward.grant);
            match pi::attempt(&mutex, &seen, candidate, grant, (has_others, marks)) {
                Ok(Taken::Now) => {
                    pi::give_taken(&onward.grant);
                    seen = Seen::after(&mutex, Some(candidate), &seen);
                }
                Ok(Taken::Later) => seen = Seen::after(&mutex, None, &seen),
                Err(why) => {
                    obstacle = Some(why);
                    return Verdict::Stop;
                }
            }
            moved += 1;
            choose(waiter);
            Verdict::Take
        };
        list.sift(judge, |place, _| {
            bucket(from).withdraw(1);
            let onward = place.shared().onward.as_ref();
            if onward.is_some_and(|onward| pi::has(&onward.grant)) {
                woken.push(place);
            }
        });
        drop(pair);
        wake_all(woken);
        match obstacle {
            None => return Ok(moved),
            Some(obstacle) => obstacle.clear(&mutex)?,
        }
    }
}
