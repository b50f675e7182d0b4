//! What the run queues keep of a task, in the task.
//!
//! | field | who writes | who reads |
//! | --- | --- | --- |
//! | `links`, `weight` | the holder of the lock of the queue that it is in | the same |
//! | `place` | whoever moves the task, holding the lock of the queue that it goes to or leaves | anyone, as a hint; to be sure, take that queue's lock and look again |
//! | `packed`, `allowed` | [`Processors`](crate::Processors)' setters | anyone; whoever queues the task reads them with the queue's lock held |
//! | `runtime`, `left_ns` | whoever runs the task, or moves it | the same |

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use crate::list::Links;
use crate::policy::{Attributes, Packed, virtual_time};

/// How long one of those that take turns runs before the next, in nanoseconds.
pub const TURN_NS: u32 = 100_000_000;

/// [`Place::list`]: in none.
pub(crate) const NOWHERE: u8 = u8::MAX;
/// [`Place::list`]: never was in one.
pub(crate) const NEW: u8 = u8::MAX - 1;

/// Where a task is. One word, so that who holds the lock of a queue and reads
/// that the task is in one of its lists knows that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The processor whose queue it is in, or was in last.
    pub(crate) cpu: u8,
    /// The list that it is in, or [`NOWHERE`], or [`NEW`].
    pub(crate) list: u8,
}

impl Place {
    #[inline]
    pub(crate) fn is_queued(self) -> bool {
        self.list < NEW
    }

    pub(crate) fn is_new(self) -> bool {
        self.list == NEW
    }
}

pub(crate) struct Node<B> {
    pub(crate) links: SpinLock<Links<B>>,
    /// The processors that it may run on, a bit each.
    pub(crate) allowed: AtomicU64,
    /// Virtual time had, by the clock of the queue `cpu`.
    pub(crate) runtime: AtomicU64,
    pub(crate) packed: AtomicU32,
    /// The weight with which it is queued.
    pub(crate) weight: AtomicU32,
    /// What is left of its turn.
    pub(crate) left_ns: AtomicU32,
    /// A [`Place`].
    place: AtomicU16,
}

// ORDERING: Relaxed on every field here: the lock of the queue, or the task's
// state word, orders the accesses; `Processors` says where a fence is needed.
impl<B> Node<B> {
    pub(crate) fn new(attributes: Attributes, allowed: u64) -> Node<B> {
        Node {
            links: SpinLock::new(Links::new()),
            allowed: AtomicU64::new(allowed),
            runtime: AtomicU64::new(0),
            packed: AtomicU32::new(Packed::new(attributes, 0).raw()),
            weight: AtomicU32::new(0),
            left_ns: AtomicU32::new(TURN_NS),
            place: AtomicU16::new(u16::from_ne_bytes([0, NEW])),
        }
    }

    #[inline]
    pub(crate) fn packed(&self) -> Packed {
        Packed::from_raw(self.packed.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn may_run_on(&self, cpu: usize) -> bool {
        (self.allowed.load(Ordering::Relaxed) >> (cpu & 63)) & 1 != 0
    }

    #[inline]
    pub(crate) fn place(&self) -> Place {
        let [cpu, list] = self.place.load(Ordering::Relaxed).to_ne_bytes();
        Place { cpu, list }
    }

    #[inline]
    pub(crate) fn set_place(&self, place: Place) {
        let bytes = [place.cpu, place.list];
        self.place
            .store(u16::from_ne_bytes(bytes), Ordering::Relaxed);
    }

    /// Notes the list of its queue that it is in now.
    #[inline]
    pub(crate) fn set_list(&self, list: u8) {
        let cpu = self.place().cpu;
        self.set_place(Place { cpu, list });
    }

    #[inline]
    pub(crate) fn cpu(&self) -> usize {
        usize::from(self.place().cpu)
    }

    /// Counts time that the task ran. Only its runner calls this.
    #[inline]
    pub(crate) fn charge(&self, ran_ns: u64) {
        let packed = self.packed();
        if packed.rank().is_fair() {
            let runtime = self.runtime.load(Ordering::Relaxed);
            let more = virtual_time(ran_ns, packed.weight());
            self.runtime
                .store(runtime.saturating_add(more), Ordering::Relaxed);
        } else if packed.takes_turns() {
            let ran = u32::try_from(ran_ns).unwrap_or(u32::MAX);
            let left = self.left_ns.load(Ordering::Relaxed).saturating_sub(ran);
            self.left_ns.store(left, Ordering::Relaxed);
        }
    }
}
