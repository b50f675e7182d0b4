//! Every frame of the machine: who has it, and handing it out.
//!
//! A frame's [`Record`] says its kind; the payload and the word belong to the
//! kind's owner:
//!
//! | kind | payload | word | owner |
//! |---|---|---|---|
//! | [`USER`] | - | handles; on a [`FrameList`]: the next frame | `user_frame` |
//! | [`TABLE`] | used entries: first, last, count | root: handles; on a [`FrameList`]: the next frame | `table` |
//! | [`KERNEL`] | - | - | heap, stacks, the image, the loader's gifts |
//!
//! # Invariants
//! 1. A frame number in a [`UserFrame`](super::UserFrame), a page-table entry
//!    or a [`FrameList`] is below the number of records, and its memory is in
//!    the direct map.
//! 2. A frame is owned once: by the allocator, by one typed owner, or by the
//!    handles that its word counts.
//!
//! # Lock protocol
//! One lock, innermost of all: nothing is called with it held.

use core::ops::Range;
use core::ptr::NonNull;

use ochre_alloc::{Buddy, Cached, FrameSource as _, Record};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::{OutOfMemory, PAGE_SIZE, Stats, UserFrame, direct};

/// A program's page.
pub(super) const USER: u8 = 3;
/// A page table.
pub(super) const TABLE: u8 = 4;
/// Kernel data of any other kind.
pub(super) const KERNEL: u8 = 5;

/// Single frames kept at hand before the buddy allocator: what a program of a
/// few megabytes gives back when it ends serves the next one.
const AT_HAND: usize = 1024;

/// Empty tables kept for the next one who needs a table, already zeroed.
const TABLES_AT_HAND: usize = 64;

/// Roots kept for the next address space, the kernel's half filled in.
const ROOTS_AT_HAND: usize = 16;

/// The reserve is 1/64 of memory, between these numbers of frames: enough for
/// the kernel objects of the calls under way, little enough for 32 MiB.
const RESERVE_SHARE: usize = 64;
const RESERVE_MIN: usize = 64;
const RESERVE_MAX: usize = 4096;

/// The first record; set before anything else here is used.
static RECORDS: AtomicPtr<Record> = AtomicPtr::new(core::ptr::null_mut());
static RECORD_COUNT: AtomicU32 = AtomicU32::new(0);

/// The shared frame of zeroes.
static ZERO: AtomicU32 = AtomicU32::new(0);

static FRAMES: SpinLock<Frames> = SpinLock::new(Frames::empty());

type Source = Cached<'static, Buddy<'static>, AT_HAND>;

struct Frames {
    source: Source,
    /// Tables of zero entries; they count as free.
    tables: AtHand<TABLES_AT_HAND>,
    /// Roots with an empty user half; they count as free.
    roots: AtHand<ROOTS_AT_HAND>,
    total: usize,
    reserve: usize,
    page_tables: usize,
    heap: usize,
}

impl Frames {
    const fn empty() -> Frames {
        Frames {
            source: Cached::new(&[], Buddy::new(&[])),
            tables: AtHand::new(),
            roots: AtHand::new(),
            total: 0,
            reserve: 0,
            page_tables: 0,
            heap: 0,
        }
    }

    #[inline]
    fn free(&self) -> usize {
        self.source.free_frames() + self.tables.len + self.roots.len
    }

    /// One frame, no questions asked.
    #[inline]
    fn one(&mut self) -> Option<u32> {
        self.source
            .allocate(0)
            .or_else(|| self.tables.pop())
            .or_else(|| self.roots.pop())
    }

    /// Lets what is kept at hand be merged to larger blocks.
    fn give_back(&mut self) {
        while let Some(frame) = self.tables.pop().or_else(|| self.roots.pop()) {
            self.source.free(frame, 0);
        }
    }
}

/// A few frames that are ready for their next use.
struct AtHand<const N: usize> {
    frames: [u32; N],
    len: usize,
}

impl<const N: usize> AtHand<N> {
    const fn new() -> AtHand<N> {
        AtHand {
            frames: [0; N],
            len: 0,
        }
    }

    /// Takes the frame put here last.
    #[inline]
    fn pop(&mut self) -> Option<u32> {
        let top = self.len.checked_sub(1)?;
        let frame = *self.frames.get(top)?;
        self.len = top;
        Some(frame)
    }

    /// Puts a frame here; false if there is no room.
    #[inline]
    fn push(&mut self, frame: u32) -> bool {
        let Some(slot) = self.frames.get_mut(self.len) else {
            return false;
        };
        *slot = frame;
        self.len += 1;
        true
    }
}

/// A frame's record.
#[inline]
pub(super) fn record(frame: u32) -> &'static Record {
    // ORDERING: Relaxed; set once, before any frame is known.
    debug_assert!(frame < RECORD_COUNT.load(Ordering::Relaxed));
    // ORDERING: as above.
    let records = RECORDS.load(Ordering::Relaxed);
    // SAFETY: invariant 1: in bounds of the records that `start` set.
    let record = unsafe { records.add(frame as usize) };
    // SAFETY: the records live for ever and are only accessed as shared atomics.
    unsafe { &*record }
}

/// Takes possession of the records, which describe frames from 0 on; once,
/// before anything else.
pub(super) fn start(records: &'static [Record]) {
    // CAST: the boot code makes at most `Record::MAX_FRAMES` records.
    RECORD_COUNT.store(records.len() as u32, Ordering::Relaxed);
    // ORDERING: Relaxed; other processors start later.
    RECORDS.store(records.as_ptr().cast_mut(), Ordering::Relaxed);
    FRAMES.lock().source = Cached::new(records, Buddy::new(records));
}

/// Gives free memory to the allocator.
pub(super) fn add(frames: Range<u32>) {
    let mut all = FRAMES.lock();
    all.total += frames.len();
    all.source.add(frames);
}

/// Marks memory that is in use from the beginning: the image, the records,
/// what the loader left.
pub(super) fn add_used(frames: Range<u32>) {
    FRAMES.lock().total += frames.len();
    for frame in frames {
        record(frame).set(KERNEL, 0);
    }
}

/// Sets the reserve and the shared frame of zeroes; last at boot.
///
/// # Errors
/// There is not even one frame.
pub(super) fn finish() -> Result<(), OutOfMemory> {
    let mut all = FRAMES.lock();
    let share = all.total / RESERVE_SHARE;
    all.reserve = share.clamp(RESERVE_MIN, RESERVE_MAX);
    let zero = all.one().ok_or(OutOfMemory)?;
    drop(all);
    clear(zero);
    record(zero).set(USER, 0);
    let zero_word = record(zero).word();
    // ORDERING: Relaxed; the store of `ZERO` below comes before other processors start.
    zero_word.store(super::user_frame::PINNED, Ordering::Relaxed);
    ZERO.store(zero, Ordering::Relaxed);
    Ok(())
}

/// The shared frame of zeroes.
pub(super) fn zero_frame() -> u32 {
    // ORDERING: Relaxed; set at boot.
    ZERO.load(Ordering::Relaxed)
}

/// See [`super::stats`].
pub(super) fn stats() -> Stats {
    let all = FRAMES.lock();
    Stats {
        total: all.total,
        free: all.free(),
        reserve: all.reserve,
        page_tables: all.page_tables,
        heap: all.heap,
    }
}

/// See [`super::has_headroom`].
pub(super) fn has_headroom(frames: usize) -> bool {
    let all = FRAMES.lock();
    all.free().saturating_sub(frames) > all.reserve
}

/// Whether a physical range touches memory that the kernel manages, rather than devices.
pub(super) fn is_memory(range: Range<u64>) -> bool {
    // ORDERING: Relaxed; set at boot.
    let known = u64::from(RECORD_COUNT.load(Ordering::Relaxed));
    let first = range.start / PAGE_SIZE as u64;
    let end = range.end.div_ceil(PAGE_SIZE as u64).min(known);
    // CAST: below `known`, which is 32 bits.
    (first..end).any(|frame| record(frame as u32).kind() != Record::UNMANAGED)
}

/// A program's frame with one handle, content unspecified.
#[inline]
pub(super) fn allocate_user() -> Result<u32, OutOfMemory> {
    let mut all = FRAMES.lock();
    if all.free() <= all.reserve {
        return Err(OutOfMemory);
    }
    let frame = all.one().ok_or(OutOfMemory)?;
    drop(all);
    let record = record(frame);
    record.set(USER, 0);
    // ORDERING: Relaxed; nobody else knows the frame yet.
    record.word().store(1, Ordering::Relaxed);
    Ok(frame)
}

/// Frees a program's frame that has no handle left.
#[inline]
pub(super) fn free_user(frame: u32) {
    FRAMES.lock().source.free(frame, 0);
}

/// A table of zero entries. Tables may use half of the reserve: programs make
/// the kernel need them, but a fault that cannot have its table kills.
pub(super) fn allocate_table() -> Result<u32, OutOfMemory> {
    let mut all = FRAMES.lock();
    if all.free() <= all.reserve / 2 {
        return Err(OutOfMemory);
    }
    let ready = all.tables.pop();
    let frame = match ready {
        Some(frame) => frame,
        None => all.one().ok_or(OutOfMemory)?,
    };
    all.page_tables += 1;
    drop(all);
    if ready.is_none() {
        clear(frame);
    }
    let record = record(frame);
    record.set(TABLE, 0);
    // ORDERING: Relaxed; nobody else knows the frame yet.
    record.word().store(0, Ordering::Relaxed);
    Ok(frame)
}

/// Frees tables of which every entry is zero and that no processor uses.
pub(super) fn free_tables(mut list: FrameList) {
    if list.is_empty() {
        return;
    }
    let mut all = FRAMES.lock();
    while let Some(frame) = list.pop() {
        all.page_tables -= 1;
        if !all.tables.push(frame) {
            all.source.free(frame, 0);
        }
    }
}

/// A root that was used before: the user half zero, the kernel half the kernel's.
pub(super) fn reuse_root() -> Option<u32> {
    let mut all = FRAMES.lock();
    let frame = all.roots.pop()?;
    all.page_tables += 1;
    drop(all);
    record(frame).set(TABLE, 0);
    Some(frame)
}

/// Frees a root, as [`reuse_root`] gives it again.
pub(super) fn free_root(frame: u32) {
    let mut all = FRAMES.lock();
    all.page_tables -= 1;
    if !all.roots.push(frame) {
        all.source.free(frame, 0);
    }
}

/// Frees programs' frames that were unmapped, the list owning the last handle of each.
pub(super) fn free_users(mut list: FrameList) {
    if list.is_empty() {
        return;
    }
    let mut all = FRAMES.lock();
    while let Some(frame) = list.pop() {
        all.source.free(frame, 0);
    }
}

/// Consecutive frames for the kernel, out of the reserve too.
pub(super) fn allocate_kernel(count: usize) -> Option<NonNull<u8>> {
    let count = u32::try_from(count).ok()?;
    let mut all = FRAMES.lock();
    let start = if count == 1 {
        all.one()
    } else {
        all.source.allocate_run(count).or_else(|| {
            all.give_back();
            all.source.allocate_run(count)
        })
    }?;
    all.heap += count as usize;
    drop(all);
    record(start).set(KERNEL, 0);
    NonNull::new(direct::pointer(start))
}

/// Takes frames back from the kernel.
///
/// # Safety
/// They came from [`allocate_kernel`] with the same count, and nobody uses them.
pub(super) unsafe fn free_kernel(start: NonNull<u8>, count: usize) {
    let mut all = FRAMES.lock();
    all.heap -= count;
    // CAST: it was a `u32` when allocated.
    all.source
        .free_run(direct::frame_of(start.as_ptr()), count as u32);
}

/// Makes a page that the loader left (the archive) a program's frame, with its content.
///
/// # Safety
/// `physical` is the address of a frame of memory that was reserved at boot and
/// neither adopted nor released before, and nobody uses its memory any more.
pub(crate) unsafe fn adopt(physical: u64) -> UserFrame {
    // CAST: memory that was reserved at boot has a 28-bit frame number.
    let frame = (physical / PAGE_SIZE as u64) as u32;
    let record = record(frame);
    debug_assert_eq!(record.kind(), KERNEL, "adopted but not reserved");
    record.set(USER, 0);
    // ORDERING: Relaxed; nobody else knows the frame yet.
    record.word().store(1, Ordering::Relaxed);
    UserFrame::from_raw(frame)
}

/// Frees a page that the loader left.
///
/// # Safety
/// As for [`adopt`].
pub(crate) unsafe fn release(physical: u64) {
    // CAST: as in `adopt`.
    let frame = (physical / PAGE_SIZE as u64) as u32;
    debug_assert_eq!(record(frame).kind(), KERNEL, "released but not reserved");
    FRAMES.lock().source.free(frame, 0);
}

/// Zeroes a frame that the caller alone has.
#[inline]
pub(super) fn clear(frame: u32) {
    // SAFETY: a frame of memory in the direct map (invariant 1), the caller's alone.
    unsafe { crate::arch::machine::bytes::zero(direct::pointer(frame), PAGE_SIZE) }
}

/// Frames linked through the words of their records, so that any number can be
/// held without memory for it. Dropping a list that is not empty leaks it.
#[derive(Debug, Default)]
pub(super) struct FrameList {
    /// The first frame; 0, which is never managed, ends the list.
    head: u32,
    /// The last one, where there is a first.
    tail: u32,
}

impl FrameList {
    pub(super) const fn new() -> FrameList {
        FrameList { head: 0, tail: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == 0
    }

    /// Puts a frame on; the caller owned it alone, and its word.
    #[inline]
    pub(super) fn push(&mut self, frame: u32) {
        // ORDERING: Relaxed; the list's owner owns the frame.
        record(frame).word().store(self.head, Ordering::Relaxed);
        if self.head == 0 {
            self.tail = frame;
        }
        self.head = frame;
    }

    /// Takes the frame put on last.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        if self.head == 0 {
            return None;
        }
        let frame = self.head;
        // ORDERING: Relaxed; as in `push`.
        self.head = record(frame).word().load(Ordering::Relaxed);
        Some(frame)
    }

    /// Puts all of another list on.
    pub(super) fn append(&mut self, other: FrameList) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = other;
            return;
        }
        // ORDERING: Relaxed; as in `push`.
        record(other.tail)
            .word()
            .store(self.head, Ordering::Relaxed);
        self.head = other.head;
    }
}
