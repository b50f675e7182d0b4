//! A parking lot: one table of sleepers for any number of locks.
//!
//! A lock that may have sleepers needs a queue for them; kept in the lock it is
//! paid for by every lock, though few ever have one. Here the queues stand in a
//! table, found by the lock's address, and a lock needs two bits:
//! [`ByteMutex`] is one byte. The entries are on the sleepers' stacks, so
//! nothing is allocated. It is futex(2) as a library.
//!
//! ```text
//!   address --hash--> bucket { lock, queue of (address, word) in order of arrival }
//!   a sleeper's word:  WAITING --taken out of the queue, token written--> UNPARKED
//! ```
//!
//! # What must hold
//! - A bucket's lock guards its queue, the links of the entries in it, and their
//!   addresses. An entry whose address is `a` is in the bucket of `a`.
//! - Who takes an entry out writes its token, then its word, and touches it no
//!   more. Until its word is written its owner stays, even if its time is over.
//!
//! # Lock protocol
//! Bucket locks are innermost. Two are taken only to move sleepers, the one with
//! the lower index first. The callers' closures run with them held: they must
//! not come back to the lot.

use core::fmt;

use crate::blocking::Blocking;
use crate::lock::RawMutex;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::wait_list::{List, Node};

mod byte_mutex;

pub use byte_mutex::{ByteMutex, Lot};

const WAITING: u32 = 0;
const UNPARKED: u32 = 1;

/// Each so many wake-ups at a bucket one is to be fair.
const FAIR_EVERY: u32 = 16;

/// Queues of sleeping threads, found by address.
///
/// `N` is the number of buckets; more of them let more unrelated addresses be
/// used at once. Wants to be a `static`.
///
/// ```
/// use core::sync::atomic::{AtomicBool, Ordering};
/// use std::thread;
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::parking_lot::{Park, ParkingLot};
///
/// static LOT: ParkingLot<Futex> = ParkingLot::new();
/// let ready = AtomicBool::new(false);
/// let address = (&raw const ready).addr();
/// thread::scope(|scope| {
///     scope.spawn(|| {
///         // Sleeps only if it is not ready yet, as one step beside `unpark_all`.
///         let not_ready = || !ready.load(Ordering::Relaxed);
///         while LOT.park(address, not_ready, || (), |_| (), None) != Park::Invalid {}
///     });
///     ready.store(true, Ordering::Relaxed);
///     // SAFETY: nothing else parks at the address of `ready`.
///     unsafe { LOT.unpark_all(address, 0) };
/// });
/// ```
pub struct ParkingLot<B: Blocking, const N: usize = 64> {
    buckets: [Bucket<B>; N],
}

/// A queue of sleepers. Alone in its cache line: buckets are unrelated.
#[repr(align(64))]
struct Bucket<B> {
    lock: RawMutex<B>,
    queue: UnsafeCell<Queue>,
}

struct Queue {
    sleepers: List<Sleeper>,
    /// How many were woken, for [`FAIR_EVERY`].
    woken: u32,
}

struct Sleeper {
    address: AtomicUsize,
    word: AtomicU32,
    token: UnsafeCell<usize>,
}

// SAFETY: what the pointers in the queues lead to is reached under the buckets'
// locks, or by the one who took it out.
unsafe impl<B: Blocking, const N: usize> Send for ParkingLot<B, N> {}
// SAFETY: as above.
unsafe impl<B: Blocking, const N: usize> Sync for ParkingLot<B, N> {}

/// How a [`ParkingLot::park`] ended.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::parking_lot::{Park, ParkingLot};
///
/// static LOT: ParkingLot<Futex> = ParkingLot::new();
/// let word = 0_u8;
/// // What it would wait for has come.
/// let end = LOT.park((&raw const word).addr(), || false, || (), |_| (), None);
/// assert_eq!(end, Park::Invalid);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Park {
    /// Somebody unparked it, with this token.
    Unparked(usize),
    /// It did not sleep, because `validate` said so.
    Invalid,
    /// The deadline came first.
    TimedOut,
}

/// What [`ParkingLot::unpark_one`] found.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::parking_lot::ParkingLot;
///
/// static LOT: ParkingLot<Futex> = ParkingLot::new();
/// let word = 0_u8;
/// // SAFETY: nothing else parks at the address of `word`.
/// unsafe {
///     LOT.unpark_one((&raw const word).addr(), |found| {
///         assert!(!found.woken && !found.more, "nobody sleeps there");
///         0
///     })
/// };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpark {
    /// Whether one is woken.
    pub woken: bool,
    /// Whether others sleep at the address still.
    pub more: bool,
    /// Whether it is time to hand the lock over rather than to let whoever is
    /// fastest have it.
    pub be_fair: bool,
}

impl<B: Blocking> Bucket<B> {
    #[cfg(not(loom))]
    const fn new() -> Bucket<B> {
        Bucket {
            lock: RawMutex::new(),
            queue: UnsafeCell::new(Queue {
                sleepers: List::new(),
                woken: 0,
            }),
        }
    }

    #[cfg(loom)]
    fn new() -> Bucket<B> {
        Bucket {
            lock: RawMutex::new(),
            queue: UnsafeCell::new(Queue {
                sleepers: List::new(),
                woken: 0,
            }),
        }
    }

    /// Runs `action` with the queue; gives the lock back even if it panics.
    fn with<R>(&self, action: impl FnOnce(&mut Queue) -> R) -> R {
        struct Locked<'a, B: Blocking>(&'a RawMutex<B>);
        impl<B: Blocking> Drop for Locked<'_, B> {
            fn drop(&mut self) {
                // SAFETY: locked when this was made.
                unsafe { self.0.unlock() };
            }
        }
        self.lock.lock();
        let _locked = Locked(&self.lock);
        // SAFETY: the lock that was just taken makes this the only access.
        self.queue.with_mut(|queue| action(unsafe { &mut *queue }))
    }
}

impl Queue {
    /// The first at the address from `node` on, or null.
    fn find(mut node: *const Node<Sleeper>, address: usize) -> *const Node<Sleeper> {
        while !node.is_null() {
            // SAFETY: it is in the queue, so it is alive.
            let entry = unsafe { &*node };
            // ORDERING: Relaxed; the bucket's lock is held.
            if entry.data.address.load(Ordering::Relaxed) == address {
                break;
            }
            // SAFETY: the bucket's lock is held, as `&mut Queue` says elsewhere.
            node = unsafe { entry.next() };
        }
        node
    }
}

impl<B: Blocking, const N: usize> ParkingLot<B, N> {
    /// An empty table.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::parking_lot::ParkingLot;
    ///
    /// static FEW: ParkingLot<Futex, 4> = ParkingLot::new();
    /// static MANY: ParkingLot<Futex, 1024> = ParkingLot::new();
    /// assert!(size_of_val(&FEW) < size_of_val(&MANY));
    /// ```
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> ParkingLot<B, N> {
        ParkingLot {
            buckets: [const { Bucket::new() }; N],
        }
    }

    /// An empty table.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> ParkingLot<B, N> {
        ParkingLot {
            buckets: core::array::from_fn(|_| Bucket::new()),
        }
    }

    fn index(address: usize) -> usize {
        // Multiplying by 2^64 / phi spreads what differs in any bit over the top.
        let spread = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        spread as usize % N
    }

    fn bucket(&self, address: usize) -> &Bucket<B> {
        &self.buckets[Self::index(address)]
    }

    /// Sleeps at an address until unparked.
    ///
    /// `validate` runs with the bucket locked and says whether to sleep at all:
    /// who changes what it looks at and then unparks is not missed.
    /// `before_sleep` runs when others may already unpark this thread.
    /// `timed_out` runs, with the bucket locked, if the deadline came first; it
    /// is told whether others sleep at the address still.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::parking_lot::{Park, ParkingLot};
    ///
    /// static LOT: ParkingLot<Futex> = ParkingLot::new();
    /// let lock = 0_u8;
    /// let deadline = Futex::after(Duration::from_millis(1));
    /// let mut others_wait = None;
    /// // Nobody unparks; what the lock says of its waiters can be put right.
    /// let end = LOT.park((&raw const lock).addr(), || true, || (), |more| others_wait = Some(more), deadline);
    /// assert_eq!((end, others_wait), (Park::TimedOut, Some(false)));
    /// ```
    pub fn park(
        &self,
        address: usize,
        validate: impl FnOnce() -> bool,
        before_sleep: impl FnOnce(),
        timed_out: impl FnOnce(bool),
        deadline: Option<B::Instant>,
    ) -> Park {
        let node = Node::new(Sleeper {
            address: AtomicUsize::new(address),
            word: AtomicU32::new(WAITING),
            token: UnsafeCell::new(0),
        });
        let valid = self.bucket(address).with(|queue| {
            let valid = validate();
            if valid {
                // SAFETY: the node is new; it stays until its word is written
                // or it took itself out, both below.
                unsafe { queue.sleepers.push_back(&raw const node) };
            }
            valid
        });
        if !valid {
            return Park::Invalid;
        }
        let leaving = Leaving {
            lot: self,
            node: &node,
        };
        before_sleep();
        core::mem::forget(leaving);

        let mut in_time = true;
        let mut timed_out = Some(timed_out);
        // ORDERING: Acquire pairs with the Release in `let_go`: the token is
        // there, and the one who took the node out is done with it.
        while node.data.word.load(Ordering::Acquire) == WAITING {
            match deadline {
                Some(deadline) if in_time => {
                    in_time = B::wait_until(&node.data.word, WAITING, deadline);
                    if !in_time && self.leave(&node, &mut timed_out) {
                        return Park::TimedOut;
                    }
                }
                _ => B::wait(&node.data.word, WAITING),
            }
        }
        // SAFETY: it was written before the word, and nobody writes it again.
        Park::Unparked(node.data.token.with(|token| unsafe { *token }))
    }

    /// Sleeps until the word is written.
    fn sleep(node: &Node<Sleeper>) {
        // ORDERING: Acquire pairs with the Release in `let_go`, as in `park`.
        // UNMODELLED: only a panic comes by here, which loom's threads do not survive.
        while node.data.word.load(Ordering::Acquire) == WAITING {
            B::wait(&node.data.word, WAITING);
        }
    }

    /// Takes a node out whose time is over; false if somebody else has.
    fn leave(&self, node: &Node<Sleeper>, timed_out: &mut Option<impl FnOnce(bool)>) -> bool {
        loop {
            // ORDERING: Relaxed; looked at again with the lock.
            let address = node.data.address.load(Ordering::Relaxed);
            let left = self.bucket(address).with(|queue| {
                // ORDERING: Relaxed; if it is the same, the bucket is the right
                // one, whose lock every other change of the node needs.
                if node.data.address.load(Ordering::Relaxed) != address {
                    return None;
                }
                // SAFETY: the bucket it is in, or was in last, is locked.
                if !unsafe { node.is_linked() } {
                    return Some(false);
                }
                // SAFETY: it is linked, here.
                unsafe { queue.sleepers.remove(node) };
                if let Some(timed_out) = timed_out.take() {
                    timed_out(!Queue::find(queue.sleepers.front(), address).is_null());
                }
                Some(true)
            });
            if let Some(left) = left {
                return left;
            }
        }
    }

    /// Wakes the one that has slept longest at the address, if any.
    ///
    /// `token` runs with the bucket locked, is told what was found, and says
    /// which token the sleeper gets.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::parking_lot::{Park, ParkingLot};
    ///
    /// static LOT: ParkingLot<Futex> = ParkingLot::new();
    /// let ticket = 0_u8;
    /// let address = (&raw const ticket).addr();
    /// std::thread::scope(|scope| {
    ///     let sleeper = scope.spawn(|| LOT.park(address, || true, || (), |_| (), None));
    ///     // SAFETY: nothing else parks at the address of `ticket`.
    ///     while !unsafe { LOT.unpark_one(address, |_| 7) }.woken {
    ///         std::thread::yield_now(); // it is not there yet
    ///     }
    ///     assert_eq!(sleeper.join().expect("no panic"), Park::Unparked(7));
    /// });
    /// ```
    ///
    /// # Safety
    /// All who park at the address agree on what the tokens mean: it is the
    /// address of something of the caller's. (Elsewhere a token may say that a
    /// lock was handed over.)
    pub unsafe fn unpark_one(&self, address: usize, token: impl FnOnce(Unpark) -> usize) -> Unpark {
        let (node, found, token) = self.bucket(address).with(|queue| {
            let node = Queue::find(queue.sleepers.front(), address);
            let mut found = Unpark {
                woken: !node.is_null(),
                more: false,
                be_fair: false,
            };
            if found.woken {
                // SAFETY: it is in this queue, which is locked.
                let next = unsafe { Self::behind(node) };
                found.more = !Queue::find(next, address).is_null();
                queue.woken = queue.woken.wrapping_add(1);
                found.be_fair = queue.woken % FAIR_EVERY == 0;
            }
            // Before the node leaves the queue: this may panic.
            let token = token(found);
            if found.woken {
                // SAFETY: it is in this queue.
                unsafe { queue.sleepers.remove(node) };
            }
            (node, found, token)
        });
        if found.woken {
            // SAFETY: this thread took it out.
            unsafe { Self::let_go(node, token) };
        }
        found
    }

    /// Wakes all that sleep at the address; says how many.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::parking_lot::{Park, ParkingLot};
    ///
    /// static LOT: ParkingLot<Futex> = ParkingLot::new();
    /// let door = 0_u8;
    /// let address = (&raw const door).addr();
    /// std::thread::scope(|scope| {
    ///     let sleepers = [(); 2].map(|()| scope.spawn(|| LOT.park(address, || true, || (), |_| (), None)));
    ///     let mut woken = 0;
    ///     while woken < 2 {
    ///         // SAFETY: nothing else parks at the address of `door`.
    ///         woken += unsafe { LOT.unpark_all(address, 0) };
    ///         std::thread::yield_now();
    ///     }
    ///     assert_eq!(sleepers.map(|thread| thread.join().expect("no panic")), [Park::Unparked(0); 2]);
    /// });
    /// ```
    ///
    /// # Safety
    /// As for [`unpark_one`](ParkingLot::unpark_one).
    pub unsafe fn unpark_all(&self, address: usize, token: usize) -> usize {
        self.bucket(address).with(|queue| {
            let mut count = 0;
            let mut node = Queue::find(queue.sleepers.front(), address);
            while !node.is_null() {
                // SAFETY: it is in this queue.
                let next = unsafe { queue.sleepers.remove(node) };
                // SAFETY: this thread took it out.
                unsafe { Self::let_go(node, token) };
                count += 1;
                node = Queue::find(next, address);
            }
            count
        })
    }

    /// Lets those who sleep at `from` sleep at `to`, in their order, behind
    /// those who do already; says how many. `validate` runs with both buckets
    /// locked, and can call it off.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::parking_lot::{Park, ParkingLot};
    ///
    /// static LOT: ParkingLot<Futex> = ParkingLot::new();
    /// let (condition, mutex) = (0_u8, 0_u8);
    /// let (from, to) = ((&raw const condition).addr(), (&raw const mutex).addr());
    /// std::thread::scope(|scope| {
    ///     let sleeper = scope.spawn(|| LOT.park(from, || true, || (), |_| (), None));
    ///     // SAFETY: nothing else parks at these addresses.
    ///     while unsafe { LOT.requeue(from, to, || true) } == 0 {
    ///         std::thread::yield_now(); // it is not there yet
    ///     }
    ///     // It did not wake; whoever gives the mutex back wakes it.
    ///     // SAFETY: as above.
    ///     assert!(unsafe { LOT.unpark_one(to, |_| 1) }.woken);
    ///     assert_eq!(sleeper.join().expect("no panic"), Park::Unparked(1));
    /// });
    /// ```
    ///
    /// # Safety
    /// As for [`unpark_one`](ParkingLot::unpark_one), for both addresses: who
    /// unparks at `to` also means those who come from `from`.
    pub unsafe fn requeue(&self, from: usize, to: usize, validate: impl FnOnce() -> bool) -> usize {
        let (source, target) = (Self::index(from), Self::index(to));
        if source == target {
            return self.buckets[source].with(|queue| {
                let mut node = core::ptr::null();
                if validate() {
                    node = Queue::find(queue.sleepers.front(), from);
                }
                let mut count = 0;
                while !node.is_null() && from != to {
                    // SAFETY: it is in this queue.
                    let next = unsafe { queue.sleepers.remove(node) };
                    // SAFETY: this thread took it out, and its owner, who was
                    // told nothing, stays.
                    unsafe { Self::put(&mut queue.sleepers, node, to) };
                    count += 1;
                    node = Queue::find(next, from);
                }
                count
            });
        }
        let move_all = |source: &mut Queue, target: &mut Queue| {
            let mut count = 0;
            if !validate() {
                return count;
            }
            let mut node = Queue::find(source.sleepers.front(), from);
            while !node.is_null() {
                // SAFETY: it is in this queue.
                let next = unsafe { source.sleepers.remove(node) };
                // SAFETY: as above.
                unsafe { Self::put(&mut target.sleepers, node, to) };
                count += 1;
                node = Queue::find(next, from);
            }
            count
        };
        let (source_bucket, target_bucket) = (&self.buckets[source], &self.buckets[target]);
        if source < target {
            source_bucket.with(|source| target_bucket.with(|target| move_all(source, target)))
        } else {
            target_bucket.with(|target| source_bucket.with(|source| move_all(source, target)))
        }
    }

    /// The node behind one, or null.
    ///
    /// # Safety
    /// The node is in a queue whose lock is held.
    unsafe fn behind(node: *const Node<Sleeper>) -> *const Node<Sleeper> {
        // SAFETY: it is in a queue, so it is alive.
        let node = unsafe { &*node };
        // SAFETY: the lock is held.
        unsafe { node.next() }
    }

    /// Puts a node at the back of the queue of another address.
    ///
    /// # Safety
    /// The node is in no queue, alive, and `queue` is the one of `address`.
    unsafe fn put(queue: &mut List<Sleeper>, node: *const Node<Sleeper>, address: usize) {
        // SAFETY: it is alive.
        let entry = unsafe { &*node };
        // ORDERING: Relaxed; both buckets' locks are held.
        entry.data.address.store(address, Ordering::Relaxed);
        // SAFETY: it is in no queue, and stays alive until it is told something.
        unsafe { queue.push_back(node) };
    }

    /// Tells a sleeper to go.
    ///
    /// # Safety
    /// The caller took the node out of its queue and has not told it anything.
    unsafe fn let_go(node: *const Node<Sleeper>, token: usize) {
        // SAFETY: until its word is written, its owner does not leave.
        let sleeper = unsafe { &(*node).data };
        // SAFETY: the owner reads it when the word is written.
        sleeper.token.with_mut(|place| unsafe { *place = token });
        let word = &raw const sleeper.word;
        // ORDERING: Release pairs with the Acquire in `park`.
        sleeper.word.store(UNPARKED, Ordering::Release);
        B::wake_one(word);
    }
}

/// Takes a node out if `before_sleep` panics: it may not leave its place before.
struct Leaving<'a, B: Blocking, const N: usize> {
    lot: &'a ParkingLot<B, N>,
    node: &'a Node<Sleeper>,
}

impl<B: Blocking, const N: usize> Drop for Leaving<'_, B, N> {
    fn drop(&mut self) {
        if !self.lot.leave(self.node, &mut None::<fn(bool)>) {
            ParkingLot::<B, N>::sleep(self.node);
        }
    }
}

impl<B: Blocking, const N: usize> Default for ParkingLot<B, N> {
    fn default() -> ParkingLot<B, N> {
        ParkingLot::new()
    }
}

impl<B: Blocking, const N: usize> fmt::Debug for ParkingLot<B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkingLot").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod by_address;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
