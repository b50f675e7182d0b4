//! Every frame of the machine: who has it, and handing it out.
//!
//! A frame's [`Record`] says its kind; the payload and the word belong to the
//! kind's owner:
//!
//! | kind | payload | word | owner |
//! |---|---|---|---|
//! | [`USER`] | of the first of a huge page: the leaf table behind it | handles; on a [`FrameList`]: the next frame | `user_frame` |
//! | [`TABLE`] | used entries: first, last, count | root: handles; on a [`FrameList`]: the next frame | `table` |
//! | [`KERNEL`] | - | - | heap, stacks, the image, the loader's gifts |
//!
//! # Invariants
//! 1. A frame number in a [`UserFrame`], a page-table entry
//!    or a [`FrameList`] has a record, and its memory is in the direct map.
//! 2. A frame is owned once: by the allocator, by one typed owner, or by the
//!    handles that its word counts.
//!
//! # Lock protocol
//! What each processor has at hand has a lock of its own, taken before the
//! allocator's, which are innermost of all: nothing is called with one held.
//! Nobody holds two processors' locks.

use core::ops::Range;
use core::ptr::NonNull;

use ochre_alloc::Record;
use ochre_sync::primitive::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use ochre_sync::{Counter, Processor, SpinLock};

use crate::arch::machine::layout;
use crate::cpu::{self, MAX_CPUS};

use super::config::{self, FRAMES};
use super::{OutOfMemory, PAGE_SIZE, Stats, UserFrame, direct, reclaim, shortage};

/// A program's page.
pub(super) const USER: u8 = 3;
/// A page table.
pub(super) const TABLE: u8 = 4;
/// Kernel data of any other kind.
pub(super) const KERNEL: u8 = 5;

/// Empty tables kept for the next one who needs a table, already zeroed.
const TABLES_AT_HAND: usize = 64;

/// Roots kept for the next address space, the kernel's half filled in.
const ROOTS_AT_HAND: usize = 16;

/// The reserve is 1/64 of memory, between these numbers of frames: enough for
/// the kernel objects of the calls under way, little enough for 32 MiB.
const RESERVE_SHARE: usize = 64;
const RESERVE_MIN: usize = 64;
const RESERVE_MAX: usize = 4096;

/// A huge page has `1 << BLOCK_ORDER` frames, as a table has entries.
pub(super) const BLOCK_ORDER: u8 = 9;

/// Frames in a huge page.
pub(super) const BLOCK: u32 = 1 << BLOCK_ORDER;

/// No object of the kernel's is larger than 4 MiB.
const LARGEST_RUN: usize = 1024;

/// The reserve is for objects up to this; larger ones are refused as a
/// program's pages are.
const SMALL_RUN: usize = 16;

/// The first record; set before anything else here is used.
static RECORDS: AtomicPtr<Record> = AtomicPtr::new(core::ptr::null_mut());
static RECORD_COUNT: AtomicU32 = AtomicU32::new(0);

/// The frame of the first record: there are none for what is below the machine's
/// memory. The allocator counts from it.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// The shared frame of zeroes.
static ZERO: AtomicU32 = AtomicU32::new(0);

/// Frames of memory; set at boot.
static TOTAL: AtomicUsize = AtomicUsize::new(0);
static RESERVE: AtomicUsize = AtomicUsize::new(0);

/// Who asks.
struct Here;

impl Processor for Here {
    #[inline]
    fn index() -> usize {
        here()
    }
}

static PAGE_TABLES: Counter<Here, MAX_CPUS> = Counter::new();
static HEAP: Counter<Here, MAX_CPUS> = Counter::new();

/// What each processor has ready.
static READY: [Ready; MAX_CPUS] = [const { Ready::new() }; MAX_CPUS];

/// Frames that are ready for their next use; they count as free.
#[repr(align(128))]
struct Ready {
    hands: SpinLock<Hands>,
    /// How many there are; written with the lock held.
    held: AtomicUsize,
    /// A frame of zeroes for a program's page; 0 for none. The processor puts
    /// it there; anybody may take it.
    zeroed: AtomicU32,
}

struct Hands {
    /// Tables of zero entries.
    tables: AtHand<TABLES_AT_HAND>,
    /// Roots with an empty user half.
    roots: AtHand<ROOTS_AT_HAND>,
}

impl Ready {
    const fn new() -> Ready {
        Ready {
            hands: SpinLock::new(Hands {
                tables: AtHand::new(),
                roots: AtHand::new(),
            }),
            held: AtomicUsize::new(0),
            zeroed: AtomicU32::new(0),
        }
    }

    #[inline]
    fn held(&self) -> usize {
        // ORDERING: Relaxed; a count.
        self.held.load(Ordering::Relaxed) + usize::from(self.has_zeroed())
    }

    #[inline]
    fn has_zeroed(&self) -> bool {
        // ORDERING: Relaxed; who wants the frame swaps it out.
        self.zeroed.load(Ordering::Relaxed) != 0
    }

    /// Takes the frame of zeroes.
    #[inline]
    fn take_zeroed(&self) -> Option<u32> {
        // ORDERING: Acquire pairs with the Release in `prepare_zeroed`: the
        // zeroes come before what is written next.
        let frame = self.zeroed.swap(0, Ordering::Acquire);
        (frame != 0).then_some(frame)
    }

    /// Does something with what is ready.
    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut Hands) -> R) -> R {
        let mut hands = self.hands.lock();
        let result = work(&mut hands);
        let held = hands.tables.len + hands.roots.len;
        // ORDERING: Relaxed; a count.
        self.held.store(held, Ordering::Relaxed);
        result
    }
}

/// The processor that asks.
#[inline]
fn here() -> usize {
    cpu::current().index()
}

/// What the processor that asks has ready.
#[inline]
fn ready() -> &'static Ready {
    &READY[here() % MAX_CPUS]
}

/// Whether more than so many frames are free; quick where it is so without
/// what lies ready.
#[inline]
fn has_more_than(count: usize) -> bool {
    FRAMES.has_more_than(count) || free() > count
}

fn free() -> usize {
    FRAMES.free_frames() + READY.iter().map(Ready::held).sum::<usize>()
}

#[inline]
fn reserve() -> usize {
    // ORDERING: Relaxed; set at boot.
    RESERVE.load(Ordering::Relaxed)
}

/// The frame that the allocator calls 0.
#[inline]
fn first() -> u32 {
    if layout::MEMORY_BEGINS_AT_0 {
        return 0;
    }
    // ORDERING: Relaxed; set once, before any frame is known.
    FIRST.load(Ordering::Relaxed)
}

/// The first of `1 << order` frames of the allocator's.
#[inline]
fn take(order: u8) -> Option<u32> {
    take_on(here(), order)
}

/// [`take`] by the processor with this number, the caller's.
#[inline]
fn take_on(here: usize, order: u8) -> Option<u32> {
    Some(FRAMES.allocate(here, order)? + first())
}

/// Consecutive frames of the allocator's.
fn take_run(count: u32) -> Option<u32> {
    Some(FRAMES.allocate_run(here(), count)? + first())
}

/// Gives `1 << order` frames back to the allocator.
#[inline]
fn give(frame: u32, order: u8) {
    FRAMES.free(here(), frame - first(), order);
}

/// Gives frames back to it.
#[inline]
fn give_all(frames: impl Iterator<Item = u32>) {
    let first = first();
    FRAMES.free_all(here(), frames.map(|frame| frame - first));
}

/// One frame, no questions asked.
#[inline]
fn one() -> Option<u32> {
    take(0).or_else(one_that_is_ready)
}

/// A table, a root or a frame of zeroes, of any processor.
#[cold]
fn one_that_is_ready() -> Option<u32> {
    READY
        .iter()
        .filter(|ready| ready.held() > 0)
        .find_map(|ready| {
            let frame = ready.with(|hands| hands.tables.pop().or_else(|| hands.roots.pop()));
            frame.or_else(|| ready.take_zeroed())
        })
}

/// Lets what lies ready be merged to larger blocks.
#[cold]
fn give_back() {
    while let Some(frame) = one_that_is_ready() {
        give(frame, 0);
    }
}

/// A few frames, the last one first.
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

    #[inline]
    fn has_room(&self) -> bool {
        self.len < N
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
    let index = frame - first();
    // ORDERING: Relaxed; set once, before any frame is known.
    debug_assert!(index < RECORD_COUNT.load(Ordering::Relaxed));
    // ORDERING: as above.
    let records = RECORDS.load(Ordering::Relaxed);
    // SAFETY: invariant 1: one of the records that `start` set.
    let record = unsafe { records.add(index as usize) };
    // SAFETY: the records live for ever and are only accessed as shared atomics.
    unsafe { &*record }
}

/// Takes possession of the records, which describe frames from `first` on, which
/// is a multiple of the largest block; once, before anything else.
pub(super) fn start(first: u32, records: &'static [Record]) {
    // ORDERING: Relaxed; other processors start later.
    FIRST.store(first, Ordering::Relaxed);
    // CAST: the boot code makes at most `Record::MAX_FRAMES` records.
    RECORD_COUNT.store(records.len() as u32, Ordering::Relaxed);
    // ORDERING: Relaxed; other processors start later.
    RECORDS.store(records.as_ptr().cast_mut(), Ordering::Relaxed);
    config::start(records);
}

/// Gives free memory to the allocator.
pub(super) fn add(frames: Range<u32>) {
    // ORDERING: Relaxed; a count.
    TOTAL.fetch_add(frames.len(), Ordering::Relaxed);
    FRAMES.add(frames.start - first()..frames.end - first());
}

/// Marks memory that is in use from the beginning: the image, the records,
/// what the loader left.
pub(super) fn add_used(frames: Range<u32>) {
    // ORDERING: Relaxed; a count.
    TOTAL.fetch_add(frames.len(), Ordering::Relaxed);
    for frame in frames {
        record(frame).set(KERNEL, 0);
    }
}

/// Sets the reserve and the shared frame of zeroes; last at boot.
///
/// # Errors
/// There is not even one frame.
pub(super) fn finish() -> Result<(), OutOfMemory> {
    // ORDERING: Relaxed; other processors start later.
    let share = TOTAL.load(Ordering::Relaxed) / RESERVE_SHARE;
    RESERVE.store(share.clamp(RESERVE_MIN, RESERVE_MAX), Ordering::Relaxed);
    let zero = one().ok_or(OutOfMemory)?;
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

/// See [`super::total`].
#[inline]
pub(super) fn total() -> usize {
    // ORDERING: Relaxed; set at boot.
    TOTAL.load(Ordering::Relaxed)
}

/// See [`super::stats`].
pub(super) fn stats() -> Stats {
    // CAST: numbers of frames.
    Stats {
        total: total(),
        free: free(),
        reserve: reserve(),
        page_tables: PAGE_TABLES.sum() as usize,
        heap: HEAP.sum() as usize,
    }
}

/// See [`super::has_headroom`].
pub(super) fn has_headroom(frames: usize) -> bool {
    has_more_than(reserve().saturating_add(frames))
}

/// Whether a physical range touches memory that the kernel manages, rather than devices.
pub(super) fn is_memory(range: Range<u64>) -> bool {
    let begin = u64::from(first());
    // ORDERING: Relaxed; set at boot.
    let known = begin + u64::from(RECORD_COUNT.load(Ordering::Relaxed));
    let start = (range.start / PAGE_SIZE as u64).max(begin);
    let end = range.end.div_ceil(PAGE_SIZE as u64).min(known);
    // CAST: below `known`, which is 28 bits.
    (start..end).any(|frame| record(frame as u32).kind() != Record::UNMANAGED)
}

/// Whether programs get no frame any more.
#[inline]
fn is_short() -> bool {
    !has_more_than(reserve()) && !reclaim::is_spared(0)
}

// ANCHOR: allocate_user
/// A program's frame with one handle, content unspecified.
#[inline]
pub(super) fn allocate_user() -> Result<u32, OutOfMemory> {
    if is_short() || shortage::strikes() {
        return Err(OutOfMemory);
    }
    let frame = one().ok_or(OutOfMemory)?;
    give_handle(frame);
    Ok(frame)
}
// ANCHOR_END: allocate_user

/// Makes a frame a program's, with one handle.
#[inline]
fn give_handle(frame: u32) {
    let record = record(frame);
    record.set(USER, 0);
    // ORDERING: Relaxed; nobody else knows the frame yet.
    record.word().store(1, Ordering::Relaxed);
}

/// Has a frame of zeroes lie ready on this processor, if there is one at all.
#[inline]
pub(super) fn prepare_zeroed() {
    let here = here();
    let ready = &READY[here % MAX_CPUS];
    if !ready.has_zeroed()
        && let Some(frame) = take_on(here, 0)
    {
        clear(frame);
        // ORDERING: Release, as `take_zeroed` says.
        let before = ready.zeroed.swap(frame, Ordering::Release);
        // A host's threads are all one processor.
        if before != 0 {
            give(before, 0);
        }
    }
}

/// Whether a frame of zeroes lies ready on this processor.
#[inline]
pub(super) fn has_zeroed() -> bool {
    ready().has_zeroed()
}

/// A program's frame with one handle, of zeroes: the one that lies ready on
/// this processor, if one does.
#[inline]
pub(super) fn zeroed_if_ready() -> Result<Option<u32>, OutOfMemory> {
    let ready = ready();
    if !ready.has_zeroed() {
        return Ok(None);
    }
    if is_short() || shortage::strikes() {
        return Err(OutOfMemory);
    }
    Ok(ready.take_zeroed().inspect(|frame| give_handle(*frame)))
}

/// Frames for a huge page, side by side, with one handle each, content
/// unspecified. Nobody makes room for one: a page does as well.
pub(super) fn allocate_block() -> Result<u32, OutOfMemory> {
    if !has_more_than(reserve().saturating_add(BLOCK as usize)) || shortage::strikes() {
        return Err(OutOfMemory);
    }
    let first = take(BLOCK_ORDER).ok_or(OutOfMemory)?;
    for frame in first..first + BLOCK {
        let record = record(frame);
        record.set(USER, 0);
        // ORDERING: Relaxed; nobody else knows the frame yet.
        record.word().store(1, Ordering::Relaxed);
    }
    Ok(first)
}

/// Frees frames of [`allocate_block`], of which none has a handle left.
pub(super) fn free_block(first: u32) {
    give(first, BLOCK_ORDER);
}

/// Frees a program's frame that has no handle left.
#[inline]
pub(super) fn free_user(frame: u32) {
    give(frame, 0);
}

/// A table of zero entries. Tables may use half of the reserve: programs make
/// the kernel need them, but a fault that cannot have its table kills.
pub(super) fn allocate_table() -> Result<u32, OutOfMemory> {
    if !has_more_than(reserve() / 2) || shortage::strikes() {
        return Err(OutOfMemory);
    }
    let ready = ready().with(|hands| hands.tables.pop());
    let frame = match ready {
        Some(frame) => frame,
        None => one().ok_or(OutOfMemory)?,
    };
    PAGE_TABLES.add(1);
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
    let mut count = 0;
    ready().with(|hands| {
        while hands.tables.has_room()
            && let Some(frame) = list.pop()
        {
            hands.tables.push(frame);
            count += 1;
        }
    });
    let rest = core::iter::from_fn(|| list.pop()).inspect(|_| count += 1);
    give_all(rest);
    PAGE_TABLES.sub(count);
}

/// A root that was used before: the user half zero, the kernel half the kernel's.
pub(super) fn reuse_root() -> Option<u32> {
    let frame = ready().with(|hands| hands.roots.pop())?;
    PAGE_TABLES.add(1);
    record(frame).set(TABLE, 0);
    Some(frame)
}

/// Frees a root, as [`reuse_root`] gives it again.
pub(super) fn free_root(frame: u32) {
    PAGE_TABLES.sub(1);
    if !ready().with(|hands| hands.roots.push(frame)) {
        give(frame, 0);
    }
}

/// Frees a table that is not used any more, whatever its entries are.
pub(super) fn free_used_table(frame: u32) {
    PAGE_TABLES.sub(1);
    give(frame, 0);
}

/// Frees programs' frames that were unmapped, the list owning the last handle of each.
pub(super) fn free_users(mut list: FrameList) {
    if list.is_empty() {
        return;
    }
    if let Some(first) = list.as_block() {
        return free_block(first);
    }
    give_all(core::iter::from_fn(|| list.pop()));
}

/// Consecutive frames for the kernel, up to [`LARGEST_RUN`]; small runs out of
/// the reserve, too.
pub(super) fn allocate_kernel(count: usize) -> Option<NonNull<u8>> {
    if count > SMALL_RUN {
        let is_too_much = || !has_headroom(count) && !reclaim::is_spared(count);
        if count > LARGEST_RUN || is_too_much() {
            return None;
        }
    }
    let count = u32::try_from(count).ok()?;
    let start = if count == 1 {
        one()
    } else {
        take_run(count).or_else(|| {
            give_back();
            take_run(count)
        })
    }?;
    HEAP.add(u64::from(count));
    record(start).set(KERNEL, 0);
    NonNull::new(direct::pointer(start))
}

/// Takes frames back from the kernel.
///
/// # Safety
/// They came from [`allocate_kernel`] with the same count, and nobody uses them.
pub(super) unsafe fn free_kernel(start: NonNull<u8>, count: usize) {
    HEAP.sub(count as u64);
    let frame = direct::frame_of(start.as_ptr()) - first();
    // CAST: it was a `u32` when allocated.
    FRAMES.free_run(here(), frame, count as u32);
}

/// Makes a run of frames of the kernel's longer or shorter where it is; false
/// if that cannot be done, or not without asking others for memory.
///
/// # Safety
/// As for [`free_kernel`], with `old` as the count; the first `new` may be in use.
pub(super) unsafe fn resize_kernel(start: NonNull<u8>, old: usize, new: usize) -> bool {
    let more = new.saturating_sub(old);
    if more > 0 && new > SMALL_RUN && (new > LARGEST_RUN || !has_headroom(more)) {
        return false;
    }
    let frame = direct::frame_of(start.as_ptr()) - first();
    // CAST: at most `LARGEST_RUN`, or `old`, which was a `u32` when allocated.
    if !FRAMES.resize_run(here(), frame, old as u32, new as u32) {
        return false;
    }
    HEAP.add(more as u64);
    HEAP.sub(old.saturating_sub(new) as u64);
    true
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
    give(frame, 0);
}

/// Zeroes the frames of a block that the caller alone has.
pub(super) fn clear_block(first: u32) {
    let len = PAGE_SIZE << BLOCK_ORDER;
    // SAFETY: frames of memory side by side, which are so in the direct map
    // too, and the caller's alone.
    unsafe { crate::arch::machine::bytes::zero(direct::pointer(first), len) }
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

    /// The first frame, if the list has just those of a block, put on upwards.
    fn as_block(&self) -> Option<u32> {
        let first = self.tail;
        let is_likely = first.is_multiple_of(BLOCK) && self.head == first + (BLOCK - 1);
        let is_linked = |frame| {
            // ORDERING: Relaxed; as in `push`.
            record(frame).word().load(Ordering::Relaxed) == frame - 1
        };
        // The last link is the list's end.
        (is_likely && (first + 1..=self.head).all(is_linked)).then_some(first)
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
