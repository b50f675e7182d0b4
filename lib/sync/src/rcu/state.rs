//! Grace periods, and the lists of what waits for them.
//!
//! # Who touches what
//! | field | read | written |
//! | --- | --- | --- |
//! | `current` | readers, when they report | who begins a period |
//! | `slots` | collectors | registration; slots are reused, never freed |
//! | `Slot::seen` | collectors | its owner |
//! | `pending` | | anybody pushes; a collector takes all |
//! | `busy` | whoever collects | the collector, under the lock of `waiting` |
//! | `waiting` | the collector, under its lock | the same |
//! | `Header::next` | the collector | who took the node out of reach; then the collector |

use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use crate::maybe_const;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};
use crate::spin::SpinLock;

/// Belongs to nobody.
pub(super) const FREE: u64 = u64::MAX;
/// Reads nothing.
pub(super) const OFFLINE: u64 = u64::MAX - 1;

/// Those who read the same cells and free what those held.
///
/// ```
/// use ochre_sync::rcu::{Domain, State};
///
/// struct Kernel;
///
/// // SAFETY: there is one state, and it is this one.
/// unsafe impl Domain for Kernel {
///     fn state() -> &'static State {
///         static STATE: State = State::new();
///         &STATE
///     }
/// }
/// ```
///
/// # Safety
/// `state` must return the same state whenever it is called, and another type
/// must not return that one.
pub unsafe trait Domain: Sized + 'static {
    /// The domain's state.
    fn state() -> &'static State;
}

/// Whoever has this is reading in the domain: nothing it can find is freed.
///
/// ```
/// use ochre_sync::rcu::{Host, Protects, RcuBox, RcuCell, pinned};
///
/// /// Whoever reads somehow may call this.
/// fn limit<'g>(cell: &'g RcuCell<u32, Host>, guard: &'g impl Protects<Host>) -> &'g u32 {
///     cell.read(guard)
/// }
///
/// let cell = RcuCell::new(RcuBox::new(3));
/// assert_eq!(pinned(|guard| *limit(&cell, guard)), 3);
/// ```
///
/// # Safety
/// As long as a value of the type exists, its owner's slot must hold back every
/// period that begins.
pub unsafe trait Protects<D> {}

/// What a domain knows.
///
/// ```
/// use ochre_sync::rcu::{Domain, State};
///
/// struct Routes;
///
/// // SAFETY: there is one state, and it is this one.
/// unsafe impl Domain for Routes {
///     fn state() -> &'static State {
///         static STATE: State = State::new();
///         &STATE
///     }
/// }
/// ```
pub struct State {
    current: AtomicU64,
    slots: AtomicPtr<Slot>,
    pending: AtomicPtr<Header>,
    /// Whether `waiting` has anything, or is about to.
    busy: AtomicBool,
    waiting: SpinLock<Waiting>,
}

/// A reader's, alone on its cache lines: its owner writes it when it reads.
#[repr(align(128))]
pub(super) struct Slot {
    seen: AtomicU64,
    /// Written before the slot is in the list, never after.
    next: *const Slot,
}

// SAFETY: `next` is not written once the slot can be found, and leads to a slot.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

/// What waits for a period to end.
struct Waiting {
    list: *mut Header,
    target: u64,
}

// SAFETY: the nodes are out of everybody's reach but the list's owner, and can be
// dropped anywhere: what is retired is `Send`.
unsafe impl Send for Waiting {}

/// What anything that is freed later begins with.
pub(crate) struct Header {
    /// Atomic only because readers may have references to the whole node while
    /// it is in a list. Relaxed; the list's head orders it.
    next: AtomicPtr<Header>,
    /// Drops the node that begins with this header, whatever it is.
    drop: unsafe fn(*mut Header),
    /// Accessed as the value is: loom watches this.
    access: UnsafeCell<()>,
}

/// A value that can be freed later without needing memory for that.
#[repr(C)]
pub(crate) struct Node<T> {
    header: Header,
    value: T,
}

impl<T> Node<T> {
    pub(crate) fn new(value: T) -> Box<Node<T>> {
        Box::new(Node {
            header: Header {
                next: AtomicPtr::new(ptr::null_mut()),
                drop: drop_node::<T>,
                access: UnsafeCell::new(()),
            },
            value,
        })
    }

    /// The value. While others may hold the node, through `&Node` only.
    #[inline]
    pub(crate) fn value(&self) -> &T {
        self.header.access.with(|_| ());
        &self.value
    }

    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    pub(crate) fn into_value(self) -> T {
        self.value
    }
}

/// Drops a node.
///
/// # Safety
/// The header must be the first field of a `Node<T>` from `Box::into_raw` that
/// nobody will reach again.
unsafe fn drop_node<T>(header: *mut Header) {
    // SAFETY: as the caller promises; `repr(C)` puts the header first.
    let node = unsafe { Box::from_raw(header.cast::<Node<T>>()) };
    node.header.access.with_mut(|_| ());
    drop(node);
}

/// Has the node dropped when nobody in the domain can be reading it any more.
///
/// # Safety
/// The node must be from `Box::into_raw`, be out of reach of readers that begin
/// now, and be retired once; what its drop does must be allowed on any thread.
pub(crate) unsafe fn retire<D: Domain, T>(node: NonNull<Node<T>>) {
    let header = node.as_ptr().cast::<Header>();
    let pending = &D::state().pending;
    // ORDERING: Relaxed; the compare-exchange looks again.
    let mut first = pending.load(Ordering::Relaxed);
    loop {
        // SAFETY: the node is ours until it is in the list.
        let next = unsafe { &(*header).next };
        next.store(first, Ordering::Relaxed);
        // ORDERING: Release: that the node is out of reach happens before the
        // period that begins after the list was taken.
        match pending.compare_exchange_weak(first, header, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(seen) => first = seen,
        }
    }
}

/// Frees what can be freed now, of what the domain's cells have let go of, and
/// begins the period that the rest waits for. Returns whether nothing is left, as
/// far as this thread can know: what another has just begun to free is left to it.
///
/// Call it now and then, where drops may run: the timer, the idle loop. It never
/// waits.
///
/// ```
/// use ochre_sync::rcu::{self, Domain, RcuBox, RcuCell, State};
/// # struct Kernel;
/// # unsafe impl Domain for Kernel {
/// #     fn state() -> &'static State {
/// #         static STATE: State = State::new();
/// #         &STATE
/// #     }
/// # }
///
/// let cell: RcuCell<u32, Kernel> = RcuCell::new(RcuBox::new(1));
/// assert!(rcu::collect::<Kernel>(), "there is nothing");
/// cell.replace(RcuBox::new(2));
/// assert!(rcu::collect::<Kernel>(), "nobody reads: it is freed at once");
/// ```
pub fn collect<D: Domain>() -> bool {
    D::state().collect()
}

/// A moment, and whether all who were reading then are done.
///
/// ```
/// # use ochre_sync::rcu::{Domain, GracePeriod, Participant, State};
/// # struct Kernel;
/// # unsafe impl Domain for Kernel {
/// #     fn state() -> &'static State {
/// #         static STATE: State = State::new();
/// #         &STATE
/// #     }
/// # }
/// let mut processor = Participant::<Kernel>::register();
/// let period = GracePeriod::<Kernel>::begin();
/// assert!(!period.is_over());
/// processor.quiescent();
/// assert!(period.is_over());
/// ```
pub struct GracePeriod<D> {
    target: u64,
    domain: PhantomData<fn() -> D>,
}

impl<D: Domain> GracePeriod<D> {
    /// This moment.
    ///
    /// ```
    /// use ochre_sync::rcu::{GracePeriod, Host};
    ///
    /// assert!(GracePeriod::<Host>::begin().is_over(), "nobody reads");
    /// ```
    #[must_use]
    pub fn begin() -> GracePeriod<D> {
        GracePeriod {
            target: D::state().begin(),
            domain: PhantomData,
        }
    }

    /// Whether all who were reading when it began are done. Once it is over, it
    /// stays so.
    ///
    /// ```
    /// use ochre_sync::rcu::{GracePeriod, Host, Participant};
    ///
    /// let mut reader = Participant::<Host>::register();
    /// let period = GracePeriod::<Host>::begin();
    /// assert!(!period.is_over()); // so look again later
    /// reader.quiescent();
    /// assert!(period.is_over());
    /// # let _guard = reader.read();
    /// assert!(period.is_over(), "whatever is read from now on");
    /// ```
    #[must_use]
    pub fn is_over(&self) -> bool {
        D::state().is_over(self.target)
    }
}

impl<D> fmt::Debug for GracePeriod<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GracePeriod").field(&self.target).finish()
    }
}

// SAFETY: slots and pending nodes are for any thread; see the table above.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

impl State {
    maybe_const! {
        /// The state of a domain without readers.
        ///
        /// ```
        /// use ochre_sync::rcu::{self, Domain, State};
        ///
        /// struct Mounts;
        ///
        /// // SAFETY: there is one state, and it is this one.
        /// unsafe impl Domain for Mounts {
        ///     fn state() -> &'static State {
        ///         static STATE: State = State::new();
        ///         &STATE
        ///     }
        /// }
        ///
        /// assert!(rcu::collect::<Mounts>(), "it has nothing to free");
        /// ```
        #[must_use]
        pub fn new() -> State {
            State {
                current: AtomicU64::new(0),
                slots: AtomicPtr::new(ptr::null_mut()),
                pending: AtomicPtr::new(ptr::null_mut()),
                busy: AtomicBool::new(false),
                waiting: SpinLock::new(Waiting {
                    list: ptr::null_mut(),
                    target: 0,
                }),
            }
        }
    }

    /// A slot for a reader, OFFLINE.
    pub(super) fn register(&self) -> &'static Slot {
        for slot in self.slots() {
            // ORDERING: Relaxed, both; the slot is one word.
            if slot.seen.load(Ordering::Relaxed) == FREE
                && slot
                    .seen
                    .compare_exchange(FREE, OFFLINE, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
            {
                return slot;
            }
        }
        let slot = Box::into_raw(Box::new(Slot {
            seen: AtomicU64::new(OFFLINE),
            next: ptr::null(),
        }));
        // ORDERING: Relaxed; the compare-exchange looks again.
        let mut first = self.slots.load(Ordering::Relaxed);
        loop {
            // SAFETY: the slot is ours until it is in the list.
            unsafe { (*slot).next = first };
            // ORDERING: Release publishes the slot to collectors.
            match self.slots.compare_exchange_weak(
                first,
                slot,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                // SAFETY: slots are never freed.
                Ok(_) => return unsafe { &*slot },
                Err(seen) => first = seen,
            }
        }
    }

    /// All slots there are.
    fn slots(&self) -> impl Iterator<Item = &'static Slot> {
        // ORDERING: Acquire pairs with the Release of a registration.
        let mut next = self.slots.load(Ordering::Acquire).cast_const();
        core::iter::from_fn(move || {
            // SAFETY: slots are never freed, and published with Release.
            let slot = unsafe { next.as_ref() }?;
            next = slot.next;
            Some(slot)
        })
    }

    /// The slot's owner reads nothing now, and may read again after this.
    #[inline]
    pub(super) fn quiescent(&self, slot: &Slot) {
        // ORDERING: Acquire pairs with the Release of `begin`: what was taken out
        // of reach before is not found by what is read after this.
        let current = self.current.load(Ordering::Acquire);
        // ORDERING: Release pairs with the Acquire of `is_over`: what was read
        // before this happens before the freeing.
        slot.seen.store(current, Ordering::Release);
    }

    /// The slot's owner was OFFLINE and begins to read.
    #[inline]
    pub(super) fn online(&self, slot: &Slot) {
        self.quiescent(slot);
        // ORDERING: SeqCst pairs with the fence of `is_over`: either that sees our
        // slot in use, or we see what was taken out of reach before it.
        fence(Ordering::SeqCst);
    }

    /// The slot's owner stops reading.
    #[inline]
    pub(super) fn offline(slot: &Slot) {
        // ORDERING: Release as in `quiescent`.
        slot.seen.store(OFFLINE, Ordering::Release);
    }

    /// The slot's owner goes.
    pub(super) fn free(slot: &Slot) {
        // ORDERING: Release as in `quiescent`.
        slot.seen.store(FREE, Ordering::Release);
    }

    /// Begins a period; its number.
    fn begin(&self) -> u64 {
        // ORDERING: Release pairs with the Acquire of `quiescent`, also for those
        // who see a later number: every later one is a read-modify-write.
        self.current.fetch_add(1, Ordering::Release) + 1
    }

    /// Whether every reader has seen `target`, or reads nothing.
    fn is_over(&self, target: u64) -> bool {
        // ORDERING: SeqCst; see `online`.
        fence(Ordering::SeqCst);
        // ORDERING: Acquire pairs with the Release of `quiescent` and `offline`.
        self.slots()
            .all(|slot| slot.seen.load(Ordering::Acquire) >= target)
    }

    fn collect(&self) -> bool {
        // Where there is nothing to free nothing is written: many ask, often.
        // ORDERING: Relaxed, both; that a collector has just taken something is its
        // to say.
        if self.pending.load(Ordering::Relaxed).is_null() && !self.busy.load(Ordering::Relaxed) {
            return true;
        }
        let Some(mut waiting) = self.waiting.try_lock() else {
            return false;
        };
        if waiting.list.is_null() {
            // ORDERING: Relaxed, here and below: who knows of what was taken knows
            // of this, too.
            self.busy.store(true, Ordering::Relaxed);
            // ORDERING: Acquire pairs with the Release of `retire`: the nodes are
            // whole, and out of reach before the period begins.
            waiting.list = self.pending.swap(ptr::null_mut(), Ordering::Acquire);
            if waiting.list.is_null() {
                self.busy.store(false, Ordering::Relaxed);
                return true;
            }
            waiting.target = self.begin();
        }
        if !self.is_over(waiting.target) {
            return false;
        }
        let mut next = core::mem::replace(&mut waiting.list, ptr::null_mut());
        self.busy.store(false, Ordering::Relaxed);
        // Drops may retire, collect, or take long.
        drop(waiting);
        while !next.is_null() {
            let header = next;
            // SAFETY: `retire` put the node into the list, whose owner we are.
            let node = unsafe { &*header };
            next = node.next.load(Ordering::Relaxed);
            let drop = node.drop;
            // SAFETY: the node came to `retire` from `Box::into_raw`, and every
            // reader that may have found it is done.
            unsafe { drop(header) };
        }
        // ORDERING: Relaxed; a number to look at.
        self.pending.load(Ordering::Relaxed).is_null()
    }
}

impl Default for State {
    fn default() -> State {
        State::new()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
