//! The heap of slabs for several processors: each has magazines of its own.
//!
//! A *magazine* is a stack of free objects of one size. An allocation pops the
//! processor's own magazine, a free pushes: no lock, no atomic instruction, and
//! the object itself is not touched. Only an empty or a full magazine goes to
//! the class behind, which all processors share, under that class's lock, and
//! half a magazine moves at once, [`AT_ONCE`] objects at the most; a few such
//! lots wait there as they came, for a processor that has none (depot.rs).
//!
//! ```text
//! processor 0           processor 1
//! 16 [####....]         16 [##......]     pop, push: this processor's alone
//! 32 [######..]         32 [........]
//! ..  |                 ..  |
//!     | full: half goes     | empty: half a magazine comes
//!     v                     ^
//! +--------------------------------+
//! | class 16 (lock) | class 32 ... |      pages cut into objects (class.rs)
//! +--------------------------------+
//! |           PageSource           |      whole pages, for large requests too
//! +--------------------------------+
//! ```
//!
//! *Remote free*: an object that is freed on another processor than the one
//! that allocated it goes into the magazine of the processor that frees it,
//! and from there with others to the class's depot: a processor that only frees
//! takes the lock once for a lot, as does one that only allocates, and
//! what passes from one to the other is pointers, not the objects' lines.
//!
//! Runs of a few pages have magazines as well, short ones.
//!
//! What is made larger once, as a vector is, will be so again. Where the source
//! can resize runs, it gets the first pages of a run that is longer, and the
//! rest is the source's, free for anybody: most often still free when it is to
//! grow again, and then nothing is copied.
//!
//! # What it keeps
//! A processor holds at most a magazine of each size, a depot four of them or
//! [`MOST_KEPT`] objects. How long magazines are, the [`Place`] says.
//! [`Magazines::reclaim`] empties the depots and the caller's magazines and gives
//! empty pages back; it is called when the
//! source has nothing left. What lies in other processors' magazines then stays
//! there: nobody else may touch them.
//!
//! # Lock protocol
//! A class's lock is held while the source is asked; no two classes' locks are
//! held at once; the source must not allocate from the heap.
//!
//! # Invariants
//! 1. The memory of a [`Local`] is reached only by calls that [`Place`] gave
//!    its index, one at a time.
//! 2. The pointers of a magazine from `start` to `next`, which is at most its
//!    `end`, are to free objects (or runs) of its kind, each in no other place.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::class::{CLASSES, SIZES, SizeUse, class_of};
use crate::depot::Depot;
use crate::heap::{self, OutOfMemory};
use crate::slab::{pages_of, same_place};
use crate::source::{PAGE_SIZE, PageSource};

/// Whose magazines a call uses.
///
/// # Safety
/// From the moment that [`index`](Place::index) answers a number until the
/// call into the heap that asked returns, no other call that was answered the
/// same number runs: not on another thread, and not in an interrupt or signal
/// handler in between.
pub unsafe trait Place {
    /// Runs of up to this many pages are kept in magazines.
    const RUNS: usize = 8;

    /// Magazines are shorter by this power of two than the longest, which have
    /// room for 512 objects of up to 128 bytes, 256 of up to 512, else 128. A
    /// place's magazines take about 60 KiB, shorter by 4 a page.
    const SHORTER: u32 = 2;

    /// A number for the caller; `None`, or a number that the heap has no
    /// magazines for, goes to the shared classes directly.
    fn index() -> Option<usize>;
}

/// Sizes of runs, in pages.
const RUNS: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32];

/// The number of the smallest run that has so many pages, by that number less one.
static RUN_BY_PAGES: [u8; 32] = {
    let mut table = [0; 32];
    let mut run = 0;
    let mut pages = 1;
    while pages <= 32 {
        while (RUNS[run] as usize) < pages {
            run += 1;
        }
        table[pages - 1] = run as u8;
        pages += 1;
    }
    table
};

/// So many magazines' objects wait in a depot.
const KEPT: usize = 4;

/// And no more than so many, which is what two processors pass to each other
/// while one of them comes for more. What goes round by the depot keeps its
/// order for ever, and with it how it is spread over memory; what goes to its
/// page comes back with its neighbours.
const MOST_KEPT: usize = 128;

/// No more objects than this come from what is behind a magazine at once, or go
/// there: what bounds the longest call.
const AT_ONCE: usize = 128;

/// As [`AT_ONCE`], of runs, each of which goes to the source by itself.
const RUNS_AT_ONCE: usize = 8;

/// What grows to a run gets one with as much room behind it as it would need to
/// become so many times as large, where runs of that many pages are kept.
const ROOM: usize = 8;

/// Classes of objects, then sizes of runs.
const KINDS: usize = CLASSES + RUNS.len();

/// How many slots the longest magazine of a kind has.
const fn longest(kind: usize) -> u16 {
    if kind < CLASSES {
        match SIZES[kind] {
            0..=128 => 512,
            129..=512 => 256,
            _ => 128,
        }
    } else {
        match RUNS[kind - CLASSES] {
            1 | 2 => 256,
            3..=8 => 128,
            _ => 64,
        }
    }
}

/// A magazine: the slots of a [`Local`] from `start` to `end`, of which those
/// before `next` hold objects. It knows its ends itself, so that a call looks
/// at its line and no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct Magazine {
    next: u16,
    start: u16,
    end: u16,
}

/// The magazines of a place.
struct Layouts<L>(PhantomData<L>);

impl<L: Place> Layouts<L> {
    /// Each of them, empty.
    const ALL: [Magazine; KINDS] = {
        let mut all = [Magazine {
            next: 0,
            start: 0,
            end: 0,
        }; KINDS];
        let mut start = 0;
        let mut kind = 0;
        while kind < KINDS {
            let kept = kind < CLASSES || RUNS[kind - CLASSES] as usize <= L::RUNS;
            let capacity = if kept { longest(kind) >> L::SHORTER } else { 0 };
            let end = start + capacity;
            all[kind] = Magazine {
                next: start,
                start,
                end,
            };
            start = end;
            kind += 1;
        }
        all
    };

    // For use when it runs: a constant indexed by a variable may be copied first.
    const TABLE: &'static [Magazine; KINDS] = &Self::ALL;

    const BYTES: usize =
        size_of::<Local>() + Self::ALL[KINDS - 1].end as usize * size_of::<*mut u8>();

    const PAGES: usize = Self::BYTES.div_ceil(PAGE_SIZE);
}

/// One processor's magazines; their slots follow.
#[repr(C, align(8))]
struct Local {
    magazines: [Magazine; KINDS],
}

/// A heap for `N` processors over the pages of `P`; see the module's picture in the README.
pub struct Magazines<P, L, const N: usize> {
    locals: [AtomicPtr<Local>; N],
    classes: [SpinLock<Depot>; CLASSES],
    source: P,
    /// Pages taken from the source that are not in classes.
    whole: AtomicUsize,
    place: PhantomData<fn() -> L>,
}

// SAFETY: what is shared is locked or atomic; a `Local` is one caller's at a
// time by `Place`'s contract, and may move from thread to thread.
unsafe impl<P: Sync, L, const N: usize> Sync for Magazines<P, L, N> {}

impl<P, L, const N: usize> fmt::Debug for Magazines<P, L, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Magazines").finish_non_exhaustive()
    }
}

/// What serves a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A magazine, by a number below [`KINDS`], and what is behind it.
    Kept(usize),
    /// Pages of the source, so many.
    Pages(usize),
    /// Nothing.
    Never,
}

#[inline]
fn kind_of(layout: Layout, runs: usize) -> Kind {
    if let Some(class) = class_of(layout) {
        return Kind::Kept(class);
    }
    if layout.align() > PAGE_SIZE {
        return Kind::Never;
    }
    let pages = pages_of(layout.size());
    match RUN_BY_PAGES.get(pages - 1) {
        Some(&run) if pages <= runs => Kind::Kept(CLASSES + usize::from(run)),
        _ => Kind::Pages(pages),
    }
}

impl<P, L, const N: usize> Magazines<P, L, N> {
    /// An empty heap.
    pub const fn new(source: P) -> Magazines<P, L, N> {
        Magazines {
            locals: [const { AtomicPtr::new(core::ptr::null_mut()) }; N],
            classes: [const { SpinLock::new(Depot::new()) }; CLASSES],
            source,
            whole: AtomicUsize::new(0),
            place: PhantomData,
        }
    }

    /// Where the pages come from.
    pub fn source(&self) -> &P {
        &self.source
    }
}

impl<P: PageSource, L: Place, const N: usize> Magazines<P, L, N> {
    /// Memory for `layout`, content unspecified.
    ///
    /// # Errors
    /// [`OutOfMemory`], also for alignments above a page.
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        if let Kind::Kept(kind) = kind_of(layout, L::RUNS)
            && let Some(local) = self.local()
        {
            // SAFETY: `local` is the caller's by `Place`'s contract; the kind is one.
            if let Some(memory) = unsafe { pop(local, kind) } {
                return Ok(memory);
            }
        }
        self.allocate_slowly(layout)
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// `memory` came from [`allocate`](Magazines::allocate) of this heap with
    /// the same layout, on any processor, and nobody uses it any more.
    #[inline]
    pub unsafe fn free(&self, memory: NonNull<u8>, layout: Layout) {
        if let Kind::Kept(kind) = kind_of(layout, L::RUNS)
            && let Some(local) = self.local()
        {
            // SAFETY: `local` is the caller's by `Place`'s contract; the kind is
            // one, and the memory free now, of it.
            if unsafe { push(local, kind, memory) } {
                return;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.free_slowly(memory, layout) }
    }

    /// Whether memory of layout `old` serves `new_size` bytes where it is, and
    /// is freed alike.
    #[must_use]
    #[inline]
    pub fn same_place(old: Layout, new_size: usize) -> bool {
        let Ok(new) = Layout::from_size_align(new_size, old.align()) else {
            return false;
        };
        kind_of(old, L::RUNS) == kind_of(new, L::RUNS) && {
            debug_assert!(new_size > LARGEST || same_place(old, new_size));
            true
        }
    }

    /// Makes memory larger or smaller where it is; false if it cannot be done
    /// there, and then nothing has changed. After true the memory has the
    /// layout of `new_size` and the old alignment.
    ///
    /// # Safety
    /// As for [`free`](Magazines::free), but the memory may be in use.
    #[must_use]
    #[inline]
    pub unsafe fn resize(&self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        Self::same_place(old, new_size)
            // SAFETY: the caller's promise.
            || (new_size > LARGEST && unsafe { self.resize_run(memory, old, new_size) })
    }

    /// As `resize`, of a run.
    ///
    /// # Safety
    /// As there.
    #[cold]
    unsafe fn resize_run(&self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        let Ok(new) = Layout::from_size_align(new_size, old.align()) else {
            return false;
        };
        let run = |layout| run_of(kind_of(layout, L::RUNS));
        let (Some(old), Some(new)) = (run(old), run(new)) else {
            return false;
        };
        // SAFETY: the caller's promise: `allocate` took so many.
        let is_done = self.source.resizes() && unsafe { self.resize_pages(memory, old, new) };
        debug_assert!(is_done || old < new || !self.source.resizes());
        is_done
    }

    /// Memory for what was smaller before: a run with room behind it, where one
    /// is to be had.
    #[cold]
    fn allocate_roomy(&self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        if let Some(pages) = run_of(kind_of(layout, L::RUNS)).filter(|&pages| pages > 1)
            && self.source.resizes()
            && let Some(room) = layout_of_pages((pages * ROOM).min(L::RUNS))
            && let kind @ Kind::Kept(_) = kind_of(room, L::RUNS)
            && let Some(whole) = run_of(kind).filter(|&whole| whole > pages)
            && let Some(memory) = self.pop_or_behind(kind)
        {
            // SAFETY: so many pages were allocated, which nobody uses yet.
            if unsafe { self.resize_pages(memory, whole, pages) } {
                return Ok(memory);
            }
            // SAFETY: as above.
            unsafe { self.free(memory, room) };
        }
        self.allocate(layout)
    }

    /// Empties the caller's magazines and gives back the pages that are empty.
    #[cold]
    pub fn reclaim(&self) {
        if let Some(local) = self.local() {
            for kind in 0..KINDS {
                // SAFETY: `local` is the caller's by `Place`'s contract.
                unsafe { self.flush(local, kind, usize::MAX, false) };
            }
        }
        for (kind, class) in self.classes.iter().enumerate() {
            class.lock().reclaim(kind, &self.source);
        }
    }

    /// Pages taken from the source and not given back, the magazines' own included.
    pub fn pages(&self) -> usize {
        let in_classes: usize = self.classes.iter().map(|class| class.lock().pages()).sum();
        // ORDERING: Relaxed; a count.
        in_classes + self.whole.load(Ordering::Relaxed)
    }

    /// What there is of each size, the smallest first.
    pub fn sizes(&self) -> [SizeUse; CLASSES] {
        let mut sizes = [SizeUse::default(); CLASSES];
        for (number, (class, size)) in self.classes.iter().zip(&mut sizes).enumerate() {
            *size = class.lock().usage(number);
        }
        sizes
    }

    /// The caller's magazines, if there are any yet.
    #[inline]
    fn local(&self) -> Option<NonNull<Local>> {
        let slot = self.locals.get(L::index()?)?;
        // ORDERING: Acquire pairs with the Release in `make_local`, for a
        // caller to whom its place was handed by another one.
        NonNull::new(slot.load(Ordering::Acquire))
    }

    /// Makes the caller's magazines, where it has a place and none.
    #[cold]
    fn make_local(&self) -> Option<NonNull<Local>> {
        let slot = self.locals.get(L::index()?)?;
        let local = self
            .source
            .allocate_pages(Layouts::<L>::PAGES)?
            .cast::<Local>();
        // ORDERING: Relaxed; a count.
        self.whole.fetch_add(Layouts::<L>::PAGES, Ordering::Relaxed);
        // SAFETY: large enough, aligned to a page, ours alone.
        unsafe { local.cast::<u8>().write_bytes(0, Layouts::<L>::BYTES) };
        let magazines = *Layouts::<L>::TABLE;
        // SAFETY: as above.
        unsafe { local.write(Local { magazines }) };
        // ORDERING: Release; see `local`.
        slot.store(local.as_ptr(), Ordering::Release);
        Some(local)
    }

    /// Where the magazine is empty, or there is none for the layout.
    #[cold]
    #[inline(never)]
    fn allocate_slowly(&self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        let kind = kind_of(layout, L::RUNS);
        self.allocate_behind(kind)
            .or_else(|| {
                self.reclaim();
                self.allocate_behind(kind)
            })
            .ok_or(OutOfMemory)
    }

    fn allocate_behind(&self, kind: Kind) -> Option<NonNull<u8>> {
        match kind {
            Kind::Never => None,
            Kind::Pages(count) => self.allocate_pages(count),
            Kind::Kept(kind) => match self.classes.get(kind) {
                Some(class) => match self.local().or_else(|| self.make_local()) {
                    Some(local) => {
                        // SAFETY: `local` is the caller's by `Place`'s contract.
                        unsafe { self.refill(local, kind, class) }
                    }
                    None => class.lock().take_one(kind, &self.source),
                },
                None => self.allocate_pages(run_pages(kind)),
            },
        }
    }

    /// # Safety
    /// `local` is the caller's.
    unsafe fn refill(
        &self,
        local: NonNull<Local>,
        kind: usize,
        class: &SpinLock<Depot>,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let magazine = unsafe { magazine(local, kind) };
        // SAFETY: the magazine's slots are the local's.
        let first = unsafe { slot(local, magazine.start) };
        // SAFETY: so many slots at least are the magazine's, initialised, and
        // the caller's alone.
        let places = unsafe { core::slice::from_raw_parts_mut(first, at_once::<L>(kind)) };
        let taken = class.lock().take(kind, &self.source, places);
        // The last one is the caller's.
        let left = taken.checked_sub(1)?;
        let memory = NonNull::new(*places.get(left)?);
        // CAST: less than a magazine.
        magazine.next = magazine.start + left as u16;
        memory
    }

    /// Where the magazine is full, or there is none for the layout.
    ///
    /// # Safety
    /// As for `free`.
    #[cold]
    #[inline(never)]
    unsafe fn free_slowly(&self, memory: NonNull<u8>, layout: Layout) {
        match kind_of(layout, L::RUNS) {
            // SAFETY: the caller's promise.
            Kind::Kept(kind) => unsafe { self.free_kept(memory, kind) },
            // SAFETY: the caller's promise: `allocate` took so many.
            Kind::Pages(count) => unsafe { self.free_pages(memory, count) },
            Kind::Never => debug_assert!(false, "freed, but not from here"),
        }
    }

    /// # Safety
    /// As for `free`; the memory is of this kind.
    unsafe fn free_kept(&self, memory: NonNull<u8>, kind: usize) {
        let Some(local) = self.local().or_else(|| self.make_local()) else {
            // SAFETY: the caller's promise.
            return unsafe { self.free_behind(memory, kind) };
        };
        // SAFETY: `local` is the caller's by `Place`'s contract.
        unsafe { self.flush(local, kind, at_once::<L>(kind), true) };
        // SAFETY: as above; the memory is free now, of this kind.
        if !unsafe { push(local, kind, memory) } {
            // SAFETY: the caller's promise.
            unsafe { self.free_behind(memory, kind) }
        }
    }

    /// Gives the `count` objects that lay longest in a magazine to what is behind,
    /// to be kept for others or to go to their pages. To give what came last would
    /// move no pointers, but those that stay would hold their pages for ever.
    ///
    /// # Safety
    /// `local` is the caller's.
    unsafe fn flush(&self, local: NonNull<Local>, kind: usize, count: usize, keep: bool) {
        // SAFETY: the caller's promise.
        let magazine = unsafe { magazine(local, kind) };
        let len = magazine.len();
        let count = count.min(len);
        // CAST: at most a magazine's.
        let left = magazine.start + (len - count) as u16;
        // SAFETY: the magazine's slots are the local's.
        let first = unsafe { slot(local, magazine.start) };
        // SAFETY: so many slots are the magazine's, initialised, and the caller's alone.
        let objects = unsafe { core::slice::from_raw_parts_mut(first, len) };
        let Some(given) = objects.get(..count) else {
            return;
        };
        match self.classes.get(kind) {
            Some(class) => {
                let limit = if keep {
                    (KEPT * magazine.capacity()).min(MOST_KEPT)
                } else {
                    0
                };
                // SAFETY: objects of this class, free (invariant 2).
                unsafe { class.lock().give(kind, &self.source, given, limit) };
            }
            None => {
                for run in given.iter().copied().filter_map(NonNull::new) {
                    // SAFETY: runs of this kind, free (invariant 2).
                    unsafe { self.free_pages(run, run_pages(kind)) };
                }
            }
        }
        objects.copy_within(count.., 0);
        magazine.next = left;
    }

    /// # Safety
    /// As for `free`; the memory is of this kind.
    unsafe fn free_behind(&self, memory: NonNull<u8>, kind: usize) {
        match self.classes.get(kind) {
            // SAFETY: the caller's promise.
            Some(class) => unsafe { class.lock().give_one(kind, &self.source, memory) },
            // SAFETY: the caller's promise.
            None => unsafe { self.free_pages(memory, run_pages(kind)) },
        }
    }

    /// From the caller's magazine or from what is behind it, and if neither has
    /// any, nothing is given up for it.
    fn pop_or_behind(&self, kind: Kind) -> Option<NonNull<u8>> {
        let popped = match (kind, self.local()) {
            // SAFETY: `local` is the caller's by `Place`'s contract; the kind is one.
            (Kind::Kept(kind), Some(local)) => unsafe { pop(local, kind) },
            _ => None,
        };
        popped.or_else(|| self.allocate_behind(kind))
    }

    /// # Safety
    /// As for [`PageSource::resize_pages`], of pages from `allocate_pages`.
    unsafe fn resize_pages(&self, start: NonNull<u8>, old: usize, new: usize) -> bool {
        // SAFETY: the caller's promise.
        let is_done = unsafe { self.source.resize_pages(start, old, new) };
        if is_done {
            // ORDERING: Relaxed; a count.
            self.whole
                .fetch_add(new.wrapping_sub(old), Ordering::Relaxed);
        }
        is_done
    }

    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        let pages = self.source.allocate_pages(count)?;
        // ORDERING: Relaxed; a count.
        self.whole.fetch_add(count, Ordering::Relaxed);
        Some(pages)
    }

    /// # Safety
    /// The pages came from `allocate_pages` with this count and are not used.
    unsafe fn free_pages(&self, start: NonNull<u8>, count: usize) {
        // ORDERING: Relaxed; a count.
        self.whole.fetch_sub(count, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { self.source.free_pages(start, count) }
    }
}

/// Above, there are no classes of objects.
const LARGEST: usize = crate::class::LARGEST_OBJECT;

/// The pages of a run; `None` for what is none.
#[inline]
fn run_of(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Kept(kind) if kind >= CLASSES => Some(run_pages(kind)),
        Kind::Pages(count) => Some(count),
        Kind::Kept(_) | Kind::Never => None,
    }
}

/// A layout that is served by so many pages.
fn layout_of_pages(pages: usize) -> Option<Layout> {
    Layout::from_size_align(pages.checked_mul(PAGE_SIZE)?, 1).ok()
}

/// The pages of a kind that is a run.
#[inline]
fn run_pages(kind: usize) -> usize {
    RUNS.get(kind.wrapping_sub(CLASSES))
        .map_or(0, |&pages| usize::from(pages))
}

/// How many go to what is behind a magazine, or come from there.
#[inline]
fn at_once<L: Place>(kind: usize) -> usize {
    let half = Layouts::<L>::TABLE[kind].capacity().div_ceil(2);
    let most = if kind < CLASSES {
        AT_ONCE
    } else {
        RUNS_AT_ONCE
    };
    half.clamp(1, most)
}

impl Magazine {
    #[inline]
    fn len(self) -> usize {
        usize::from(self.next.wrapping_sub(self.start))
    }

    #[inline]
    fn capacity(self) -> usize {
        usize::from(self.end.wrapping_sub(self.start))
    }
}

/// # Safety
/// `local` is the caller's, who has no other reference to its magazines; `kind`
/// is below [`KINDS`].
#[inline]
unsafe fn magazine<'l>(local: NonNull<Local>, kind: usize) -> &'l mut Magazine {
    debug_assert!(kind < KINDS);
    // SAFETY: a local begins with `KINDS` magazines.
    let mut magazine = unsafe { local.cast::<Magazine>().add(kind) };
    // SAFETY: it was written when the local was made, and the caller alone uses it.
    unsafe { magazine.as_mut() }
}

/// # Safety
/// `local` is valid; the number is at most the last magazine's `end`.
#[inline]
unsafe fn slot(local: NonNull<Local>, number: u16) -> *mut *mut u8 {
    // SAFETY: the slots follow the magazines in the same pages.
    let slots = unsafe { local.as_ptr().add(1) };
    // SAFETY: as above.
    unsafe { slots.cast::<*mut u8>().add(usize::from(number)) }
}

/// Takes what was pushed last.
///
/// # Safety
/// `local` is the caller's; `kind` is below [`KINDS`].
#[inline]
unsafe fn pop(local: NonNull<Local>, kind: usize) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    let magazine = unsafe { magazine(local, kind) };
    if magazine.next == magazine.start {
        return None;
    }
    magazine.next = magazine.next.wrapping_sub(1);
    // SAFETY: the magazine's slots are the local's.
    let top = unsafe { slot(local, magazine.next) };
    // SAFETY: as above, and an object's (invariant 2), which is not null.
    Some(unsafe { top.cast::<NonNull<u8>>().read() })
}

/// Puts an object on a magazine; false if it is full.
///
/// # Safety
/// `local` is the caller's; `kind` is below [`KINDS`], and the memory a free
/// object of it.
#[inline]
unsafe fn push(local: NonNull<Local>, kind: usize, memory: NonNull<u8>) -> bool {
    // SAFETY: the caller's promise.
    let magazine = unsafe { magazine(local, kind) };
    if magazine.next == magazine.end {
        return false;
    }
    if cfg!(debug_assertions) {
        // SAFETY: the magazine's slots are the local's.
        let first = unsafe { slot(local, magazine.start) };
        // SAFETY: so many slots are initialised (invariant 2).
        let held = unsafe { core::slice::from_raw_parts(first, magazine.len()) };
        assert!(!held.contains(&memory.as_ptr()), "an object is freed twice");
    }
    // SAFETY: as above.
    let top = unsafe { slot(local, magazine.next) };
    magazine.next = magazine.next.wrapping_add(1);
    // SAFETY: below the magazine's end.
    unsafe { top.write(memory.as_ptr()) };
    true
}

// SAFETY: objects and runs are handed out once (invariant 2, the classes'
// invariants, the source's contract), large and aligned enough by `kind_of`;
// nothing unwinds but for a caller that broke the contract, in checked builds.
unsafe impl<P: PageSource, L: Place, const N: usize> GlobalAlloc for Magazines<P, L, N> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.allocate(layout) {
            Ok(memory) => memory.as_ptr(),
            Err(OutOfMemory) => core::ptr::null_mut(),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        debug_assert!(!memory.is_null());
        // SAFETY: the caller got it from `alloc`, and it was not null.
        let memory = unsafe { NonNull::new_unchecked(memory) };
        // SAFETY: the caller got it with this layout.
        unsafe { self.free(memory, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let resize = |memory, old, size| {
            // SAFETY: the caller's promise for `memory` and `layout`.
            unsafe { self.resize(memory, old, size) }
        };
        let place = |new: Layout| {
            let memory = if new.size() > LARGEST.max(layout.size()) {
                self.allocate_roomy(new)
            } else {
                self.allocate(new)
            };
            memory.map_or(core::ptr::null_mut(), NonNull::as_ptr)
        };
        // SAFETY: the caller's promise; both are this heap's.
        unsafe { heap::move_to(self, memory, layout, new_size, resize, place) }
    }
}

#[cfg(test)]
mod tests;
