//! A shortage of memory made to order, for a kernel that is to be tested.
//!
//! In a kernel with the feature `shortage`, whoever serves a system call may
//! say that its n-th allocation fails ([`begin`]). What counts is what can fail
//! politely: frames and tables of programs, questions for headroom, and what
//! the heap is asked for inside of [`may_fail`]. Anything else the heap is asked
//! for meanwhile cannot be refused; where it was asked is noted ([`site`]), so
//! that one knows by measure and not by reading what is left of it.
//!
//! In any other kernel [`AVAILABLE`] is false and all of it comes to nothing.
//!
//! # Who may use what when
//! A `Here` is one processor's, and only its own calls touch it: kernel code
//! is not interrupted and stays where it is until the call waits, when
//! [`end`] has been said.

use core::alloc::{GlobalAlloc, Layout};

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::backtrace;
use crate::cpu::{self, MAX_CPUS};

/// Whether shortages can be ordered from this kernel.
pub const AVAILABLE: bool = cfg!(feature = "shortage");

/// Calls that are noted of a place, innermost first.
const DEPTH: usize = 14;

/// Places that are noted: a kernel that never notes one has no room for it.
const SITES: usize = if AVAILABLE { 1024 } else { 0 };

/// What a processor serves just now.
///
/// ORDERING: Relaxed throughout; one processor's alone.
#[repr(align(64))]
struct Here {
    /// Whether a program's call is served.
    serves: AtomicBool,
    /// Allocations up to the one that fails, that one included; 0 for none.
    left: AtomicU32,
    /// How many [`may_fail`] we are in.
    polite: AtomicU32,
}

static HERE: [Here; MAX_CPUS] = [const {
    Here {
        serves: AtomicBool::new(false),
        left: AtomicU32::new(0),
        polite: AtomicU32::new(0),
    }
}; MAX_CPUS];

#[inline]
fn here() -> &'static Here {
    &HERE[cpu::current().index() % MAX_CPUS]
}

/// A program's call is served from here on, and its `nth` allocation that can
/// fail does; none if that is 0.
#[inline]
pub fn begin(nth: u32) {
    if AVAILABLE {
        let here = here();
        here.left.store(nth, Ordering::Relaxed);
        here.serves.store(true, Ordering::Relaxed);
    }
}

/// No call is served any more. Answers how many allocations there still were to
/// be before the one that fails, that one included: 0 if it has failed.
#[inline]
pub fn end() -> u32 {
    if !AVAILABLE {
        return 0;
    }
    let here = here();
    here.serves.store(false, Ordering::Relaxed);
    here.left.swap(0, Ordering::Relaxed)
}

/// Does `work`, which answers for every allocation in it that fails.
#[inline(always)]
pub fn may_fail<R>(work: impl FnOnce() -> R) -> R {
    if !AVAILABLE {
        return work();
    }
    let polite = &here().polite;
    polite.store(polite.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let result = work();
    // Nobody moves us to another processor before a call waits.
    polite.store(polite.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    result
}

/// Something is asked for that can be refused: whether it is to be.
#[inline]
pub(super) fn strikes() -> bool {
    if !AVAILABLE {
        return false;
    }
    let here = here();
    let left = here.left.load(Ordering::Relaxed);
    if left == 0 || !here.serves.load(Ordering::Relaxed) {
        return false;
    }
    here.left.store(left - 1, Ordering::Relaxed);
    left == 1
}

/// A heap that fails to order.
#[derive(Debug)]
pub(super) struct Short<H>(H);

impl<H> Short<H> {
    pub(super) const fn new(heap: H) -> Short<H> {
        Short(heap)
    }

    pub(super) fn heap(&self) -> &H {
        &self.0
    }

    /// Whether to refuse so many bytes.
    #[inline]
    fn refuses(&self, size: usize) -> bool {
        if !AVAILABLE {
            return false;
        }
        if here().polite.load(Ordering::Relaxed) > 0 {
            return strikes();
        }
        if here().serves.load(Ordering::Relaxed) {
            note(size);
        }
        false
    }
}

// SAFETY: what is not refused is the heap's answer, and all that is freed was
// its answer once.
unsafe impl<H: GlobalAlloc> GlobalAlloc for Short<H> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.refuses(layout.size()) {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(memory, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.refuses(layout.size()) {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.refuses(new_size) {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { self.0.realloc(memory, layout, new_size) }
    }
}

/// A place where the heap was asked and could not have refused.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// How often.
    pub count: u64,
    /// The most bytes.
    pub size: usize,
    /// The calls that led there, innermost first; 0 behind the last.
    pub calls: [u64; DEPTH],
}

struct Sites {
    known: [Site; SITES],
    len: usize,
    /// What found no room.
    beyond: u64,
}

// A shipped kernel does not pay for it.
const _: () = assert!(AVAILABLE || size_of::<Sites>() <= 64);

static PLACES: SpinLock<Sites> = SpinLock::new(Sites {
    known: [Site {
        count: 0,
        size: 0,
        calls: [0; DEPTH],
    }; SITES],
    len: 0,
    beyond: 0,
});

/// Notes who asks.
#[cold]
#[inline(never)]
fn note(size: usize) {
    let mut calls = [0; DEPTH];
    backtrace::callers(&mut calls);
    let mut sites = PLACES.lock();
    let len = sites.len;
    let known = sites.known[..len]
        .iter_mut()
        .find(|site| site.calls == calls);
    if let Some(site) = known {
        site.count += 1;
        site.size = site.size.max(size);
        return;
    }
    let count = 1;
    match sites.known.get_mut(len) {
        Some(free) => {
            *free = Site { count, size, calls };
            sites.len += 1;
        }
        None => sites.beyond += 1,
    }
}

/// The places by number, in the order in which they were met.
#[must_use]
pub fn site(index: usize) -> Option<Site> {
    let sites = PLACES.lock();
    sites.known[..sites.len].get(index).copied()
}

/// How many calls were not noted because there was no room.
#[must_use]
pub fn beyond() -> u64 {
    PLACES.lock().beyond
}

/// Forgets every place.
pub fn forget() {
    let mut sites = PLACES.lock();
    sites.len = 0;
    sites.beyond = 0;
}
