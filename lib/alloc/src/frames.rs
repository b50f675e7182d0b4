//! The page allocator for several processors: a cache for each in front of
//! buddies that are locked range by range.
//!
//! ```text
//! processor 0                 processor 1
//! [in use] [spare]            [in use] [spare]        single frames, a lock each,
//!     |  a chain at a time        |                   which is hardly ever waited for
//!     v                           v
//! +-----------+-----------+-----------+-----------+
//! | section 0 | section 1 | section 2 | section 3 |   a buddy allocator and a
//! | node 0    | node 0    | node 1    | node 1    |   lock each: 4 KiB to 1 GiB
//! +-----------+-----------+-----------+-----------+
//! ```
//!
//! A cache is two *chains* of single frames, linked through their records, so
//! that a cache takes no memory. Frees go on the first chain; when it is as
//! long as a batch, it becomes the spare one, and the spare one before goes
//! back to the buddies. Allocations take from the first chain, then from the
//! spare one, then fetch a batch in blocks as large as can be had. What was
//! freed last is handed out first: it is still in the processor's cache.
//!
//! A *section* is an aligned range of a gigabyte or more, so that each order up
//! to [`MAX_ORDER`] fits, with a buddy allocator of its own: processors that
//! fetch at once do so in different sections, where there are several. Each
//! belongs to a *node*; a processor is served from its own node while it has
//! any, and frames of other nodes are never cached.
//!
//! # Lock protocol
//! A cache's lock before a section's; never two caches', never two sections'.
//! Another processor's cache is emptied only by a call that holds no lock.
//!
//! # Invariants
//! 1. A frame is free in one section's buddy, or on one chain of one cache
//!    (kind [`Record::CACHED`]), or allocated.
//! 2. `free` of a section is what its buddy has free; `held` of a cache is what
//!    its chains hold. Both change with the lock held; read without, they are a
//!    moment old.

use core::ops::Range;

use ochre_sync::primitive::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use ochre_sync::{Once, SpinLock};

use crate::buddy::Buddy;
use crate::record::Record;
use crate::source::{FrameSource as _, MAX_ORDER, blocks};

/// How many sections there are at most.
const SECTIONS: usize = 64;

/// The largest order that is fetched at once.
const FETCH_ORDER: u8 = 6;

/// Frames for `N` processors.
#[derive(Debug)]
pub struct Frames<'m, const N: usize> {
    records: Once<&'m [Record]>,
    caches: [Cache; N],
    sections: [Section<'m>; SECTIONS],
    /// A section has `1 << shift` frames.
    shift: AtomicU32,
    /// Frames in a batch, once frames were added.
    batch: AtomicU32,
    most: u32,
    /// Free frames of all sections.
    free: AtomicUsize,
    /// Frames that were added.
    added: AtomicUsize,
    /// Whether there is more than one node.
    nodes: AtomicBool,
}

#[repr(align(128))]
#[derive(Debug)]
struct Cache {
    chains: SpinLock<Chains>,
    held: AtomicUsize,
    node: AtomicU8,
}

#[derive(Debug)]
struct Chains {
    first: Chain,
    spare: Chain,
}

/// Frames linked through the payloads of their records.
#[derive(Debug, Default)]
struct Chain {
    head: Option<u32>,
    len: u32,
}

#[repr(align(128))]
#[derive(Debug)]
struct Section<'m> {
    buddy: SpinLock<Buddy<'m>>,
    free: AtomicUsize,
    node: AtomicU8,
}

impl<'m, const N: usize> Frames<'m, N> {
    /// An allocator without frames. `records[n]` describes frame `n`; a cache
    /// holds up to twice `batch` frames, less on a small machine.
    #[must_use]
    pub fn new(records: &'m [Record], batch: u32) -> Frames<'m, N> {
        let frames = Frames::without_records(batch);
        frames.start(records);
        frames
    }

    /// As [`new`](Frames::new), for a static: the records come later, with
    /// [`start`](Frames::start).
    #[must_use]
    pub const fn without_records(batch: u32) -> Frames<'m, N> {
        Frames {
            records: Once::new(),
            caches: [const { Cache::new() }; N],
            sections: [const { Section::new() }; SECTIONS],
            shift: AtomicU32::new(MAX_ORDER as u32),
            batch: AtomicU32::new(1),
            most: batch,
            free: AtomicUsize::new(0),
            added: AtomicUsize::new(0),
            nodes: AtomicBool::new(false),
        }
    }

    /// Says where the records are, which describe frames from 0 on; false if
    /// that was said before.
    pub fn start(&self, records: &'m [Record]) -> bool {
        if self.records.get().is_some() {
            return false;
        }
        let mut shift = u32::from(MAX_ORDER);
        while records.len() > SECTIONS << shift {
            shift += 1;
        }
        // ORDERING: Relaxed; the records are published after it.
        self.shift.store(shift, Ordering::Relaxed);
        for section in &self.sections {
            *section.buddy.lock() = Buddy::new(records);
        }
        self.records.set(records).is_ok()
    }

    /// Gives frames to the allocator, to the sections they lie in. Frames
    /// without a record are left alone.
    pub fn add(&self, frames: Range<u32>) {
        let end = u32::try_from(self.records().len()).unwrap_or(u32::MAX);
        let end = end.min(Record::MAX_FRAMES);
        let (mut start, end) = (frames.start.min(end), frames.end.min(end));
        while start < end {
            let section_end = ((start >> self.shift()) + 1) << self.shift();
            let stop = section_end.min(end);
            if let Some(section) = self.section(start) {
                let mut buddy = section.buddy.lock();
                buddy.add(start..stop);
                self.count(section, &buddy);
            }
            // ORDERING: Relaxed; counts.
            self.added
                .fetch_add((stop - start) as usize, Ordering::Relaxed);
            start = stop;
        }
        // A cache may have 1/32 of memory.
        // ORDERING: Relaxed; counts.
        let share = self.added.load(Ordering::Relaxed) / 64;
        let batch = u32::try_from(share).unwrap_or(u32::MAX).min(self.most);
        self.batch.store(batch.max(1), Ordering::Relaxed);
    }

    /// Says which node the sections of a range belong to; a section that the
    /// range has only a part of belongs to it, too. All are node 0's at first.
    pub fn set_node(&self, frames: Range<u32>, node: u8) {
        let last = frames.end.saturating_sub(1);
        for index in frames.start >> self.shift()..=last >> self.shift() {
            if let Some(section) = self.sections.get(index as usize) {
                // ORDERING: Relaxed; where a frame comes from is no promise.
                section.node.store(node, Ordering::Relaxed);
            }
        }
        self.has_node(node);
    }

    /// Says which node a processor belongs to.
    pub fn set_processor_node(&self, processor: usize, node: u8) {
        if let Some(cache) = self.caches.get(processor) {
            // ORDERING: Relaxed; as above.
            cache.node.store(node, Ordering::Relaxed);
            self.has_node(node);
        }
    }

    fn has_node(&self, node: u8) {
        if node != 0 {
            // ORDERING: Relaxed; as above.
            self.nodes.store(true, Ordering::Relaxed);
        }
    }

    /// A block of `1 << order` frames, aligned to its size; `None` if there is
    /// none. Processors without a cache may ask, too.
    #[inline]
    pub fn allocate(&self, processor: usize, order: u8) -> Option<u32> {
        if order == 0
            && let Some(cache) = self.caches.get(processor)
        {
            let mut chains = cache.chains.lock();
            if let Some(frame) = chains.first.pop(self.records()) {
                cache.holds(&chains);
                drop(chains);
                self.make_used(frame);
                return Some(frame);
            }
            return self.fetch(processor, cache, chains);
        }
        let node = self.node_of(processor);
        self.take_near(processor, node, order).or_else(|| {
            self.drain();
            self.take_near(processor, node, order)
        })
    }

    /// As [`allocate`](Frames::allocate), of one node's frames only.
    pub fn allocate_on(&self, node: u8, order: u8) -> Option<u32> {
        let on_node = || {
            self.sections()
                .filter(|section| section.node() == node)
                .find_map(|section| self.take_from(section, order))
        };
        on_node().or_else(|| {
            self.drain();
            on_node()
        })
    }

    /// Takes back `1 << order` frames that were allocated: a block, or an
    /// aligned part of one.
    #[inline]
    pub fn free(&self, processor: usize, frame: u32, order: u8) {
        if order == 0 {
            self.free_all(processor, core::iter::once(frame));
        } else {
            self.give_section(frame, order);
        }
    }

    /// Takes back single frames.
    #[inline]
    pub fn free_all(&self, processor: usize, frames: impl Iterator<Item = u32>) {
        let Some(cache) = self.caches.get(processor) else {
            return frames.for_each(|frame| self.give_section(frame, 0));
        };
        // ORDERING: Relaxed; as in `set_node` and `add`.
        let several_nodes = self.nodes.load(Ordering::Relaxed);
        let batch = self.batch.load(Ordering::Relaxed);
        let records = self.records();
        let mut chains = cache.chains.lock();
        for frame in frames {
            if cfg!(debug_assertions) {
                let record = records.get(frame as usize);
                assert!(
                    record.is_some_and(Record::is_allocated),
                    "frame {frame:#x} is freed but not allocated ({record:?})"
                );
            }
            if several_nodes && self.section(frame).map(Section::node) != Some(cache.node()) {
                self.give_section(frame, 0);
                continue;
            }
            chains.first.push(records, frame);
            if chains.first.len >= batch {
                let full = core::mem::take(&mut chains.first);
                let mut oldest = core::mem::replace(&mut chains.spare, full);
                self.give_back(&mut oldest);
            }
        }
        cache.holds(&chains);
    }

    /// A run of exactly `count` consecutive frames: the smallest block that
    /// holds them, its tail given back.
    pub fn allocate_run(&self, processor: usize, count: u32) -> Option<u32> {
        if count == 0 || count > 1 << MAX_ORDER {
            return None;
        }
        // CAST: at most MAX_ORDER.
        let order = count.next_power_of_two().trailing_zeros() as u8;
        let start = self.allocate(processor, order)?;
        if !count.is_power_of_two() {
            self.free_blocks(start + count..start + (1 << order));
        }
        Some(start)
    }

    /// Takes back consecutive frames that were allocated.
    pub fn free_run(&self, processor: usize, start: u32, count: u32) {
        if count == 1 {
            self.free(processor, start, 0);
        } else {
            self.free_blocks(start..start.saturating_add(count));
        }
    }

    /// Makes a run of `old` frames one of `new`, not zero, where it is; false
    /// if the frames behind are not free, or lie in a cache. Shorter always works.
    pub fn resize_run(&self, _processor: usize, start: u32, old: u32, new: u32) -> bool {
        let end = start + old;
        if new <= old {
            self.free_blocks(start + new..end);
            return true;
        }
        let Some(more) = start.checked_add(new).map(|stop| end..stop) else {
            return false;
        };
        let is_inside = (more.end - 1) >> self.shift() == start >> self.shift();
        let Some(section) = self.section(start).filter(|_| is_inside) else {
            return false;
        };
        // A moment old, but mostly right, and no lock is waited for.
        let record = self.records().get(end as usize);
        if record.is_none_or(|record| record.free_block().is_none()) {
            return false;
        }
        let mut buddy = section.buddy.lock();
        let is_taken = buddy.take(more);
        self.count(section, &buddy);
        is_taken
    }

    /// Free frames. While others allocate and free, a few may be counted twice
    /// or not at all.
    pub fn free_frames(&self) -> usize {
        self.behind() + self.caches.iter().map(Cache::held).sum::<usize>()
    }

    /// Whether more than `count` frames are free; quick if they are so without
    /// the caches.
    #[inline]
    pub fn has_more_than(&self, count: usize) -> bool {
        self.behind() > count || self.free_frames() > count
    }

    /// Empties all caches, to be merged to larger blocks.
    #[cold]
    pub fn drain(&self) {
        for cache in &self.caches {
            if cache.held() > 0 {
                let mut chains = cache.chains.lock();
                self.give_back(&mut chains.first);
                self.give_back(&mut chains.spare);
                cache.holds(&chains);
            }
        }
    }

    /// Free blocks of each order, and free frames that are in caches.
    pub fn blocks_by_order(&self) -> ([usize; MAX_ORDER as usize + 1], usize) {
        let mut sum = [0; MAX_ORDER as usize + 1];
        for section in self.sections() {
            let blocks = section.buddy.lock().blocks_by_order();
            for (sum, blocks) in sum.iter_mut().zip(blocks) {
                *sum += blocks;
            }
        }
        (sum, self.caches.iter().map(Cache::held).sum())
    }

    /// Free frames that are in no cache.
    #[inline]
    fn behind(&self) -> usize {
        // ORDERING: Relaxed; a count.
        self.free.load(Ordering::Relaxed)
    }

    #[inline]
    fn records(&self) -> &'m [Record] {
        self.records.get().copied().unwrap_or(&[])
    }

    #[inline]
    fn shift(&self) -> u32 {
        // ORDERING: Relaxed; set before there are records.
        self.shift.load(Ordering::Relaxed)
    }

    fn section(&self, frame: u32) -> Option<&Section<'m>> {
        self.sections.get((frame >> self.shift()) as usize)
    }

    /// Those sections that may have frames.
    fn sections(&self) -> impl Iterator<Item = &Section<'m>> {
        self.sections.iter().take(self.populated())
    }

    fn populated(&self) -> usize {
        self.records()
            .len()
            .div_ceil(1 << self.shift())
            .min(SECTIONS)
    }

    fn node_of(&self, processor: usize) -> u8 {
        self.caches.get(processor).map_or(0, Cache::node)
    }

    #[inline]
    fn make_used(&self, frame: u32) {
        if let Some(record) = self.records().get(frame as usize) {
            record.set_used();
        }
    }

    /// Takes a block, from the node's sections before those of others, and
    /// each processor from another section first.
    fn take_near(&self, processor: usize, node: u8, order: u8) -> Option<u32> {
        self.in_order(processor, node)
            .find_map(|section| self.take_from(section, order))
    }

    fn in_order(&self, processor: usize, node: u8) -> impl Iterator<Item = &Section<'m>> {
        let count = self.populated();
        [true, false].into_iter().flat_map(move |near| {
            (0..count)
                .filter_map(move |index| self.sections.get((processor + index) % count.max(1)))
                .filter(move |section| (section.node() == node) == near)
        })
    }

    fn take_from(&self, section: &Section<'m>, order: u8) -> Option<u32> {
        if section.free() < 1 << order.min(MAX_ORDER) {
            return None;
        }
        let mut buddy = section.buddy.lock();
        let frame = buddy.allocate(order)?;
        self.count(section, &buddy);
        Some(frame)
    }

    fn give_section(&self, frame: u32, order: u8) {
        if let Some(section) = self.section(frame) {
            let mut buddy = section.buddy.lock();
            buddy.free(frame, order);
            self.count(section, &buddy);
        }
    }

    fn free_blocks(&self, frames: Range<u32>) {
        let mut start = frames.start;
        while start < frames.end
            && let Some(section) = self.section(start)
        {
            let section_end = ((start >> self.shift()) + 1) << self.shift();
            let stop = section_end.min(frames.end);
            let mut buddy = section.buddy.lock();
            for (frame, order) in blocks(start..stop) {
                buddy.free(frame, order);
            }
            self.count(section, &buddy);
            start = stop;
        }
    }

    /// Brings the counts up to what the section's buddy says.
    fn count(&self, section: &Section<'m>, buddy: &Buddy<'m>) {
        let now = buddy.free_frames();
        // ORDERING: Relaxed; counts, changed with the section's lock held.
        let before = section.free.load(Ordering::Relaxed);
        section.free.store(now, Ordering::Relaxed);
        self.free
            .fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// The first chain is empty: the spare one, or a batch of new frames, or
    /// what other processors hold.
    #[cold]
    fn fetch(
        &self,
        processor: usize,
        cache: &Cache,
        mut chains: ochre_sync::SpinLockGuard<'_, Chains>,
    ) -> Option<u32> {
        chains.first = core::mem::take(&mut chains.spare);
        if chains.first.len == 0 {
            self.refill(processor, cache.node(), &mut chains.first);
        }
        let frame = chains.first.pop(self.records());
        cache.holds(&chains);
        drop(chains);
        let frame = frame.or_else(|| {
            // Into the sections, so that others who are as poor get some, too.
            self.drain();
            self.take_near(processor, cache.node(), 0)
        })?;
        self.make_used(frame);
        Some(frame)
    }

    /// Fetches a batch from the first section that has any.
    fn refill(&self, processor: usize, node: u8, chain: &mut Chain) {
        // ORDERING: Relaxed; see `add`.
        let batch = self.batch.load(Ordering::Relaxed);
        let several_nodes = self.nodes.load(Ordering::Relaxed);
        for section in self.in_order(processor, node) {
            if section.free() == 0 || (several_nodes && section.node() != node) {
                continue;
            }
            let mut buddy = section.buddy.lock();
            // In reverse, so that they are handed out upwards; the largest first.
            while chain.len < batch
                // CAST: at most FETCH_ORDER.
                && let most = (batch - chain.len).ilog2().min(u32::from(FETCH_ORDER)) as u8
                && let Some((frame, order)) = buddy.allocate_up_to(most)
            {
                for part in (frame..frame + (1 << order)).rev() {
                    chain.push(self.records(), part);
                }
            }
            self.count(section, &buddy);
            if chain.len > 0 {
                return;
            }
        }
    }

    /// Gives all frames of a chain to their sections. Frames side by side that
    /// follow each other, as those of a program mostly do, go as blocks: a run is
    /// merged once, not frame by frame.
    fn give_back(&self, chain: &mut Chain) {
        let records = self.records();
        let mut next = chain.pop(records);
        while let Some(first) = next {
            let Some(section) = self.section(first) else {
                return;
            };
            let mut buddy = section.buddy.lock();
            while let Some(frame) = next
                && frame >> self.shift() == first >> self.shift()
            {
                self.make_used(frame);
                let mut run = frame..frame + 1;
                next = chain.pop(records);
                while let Some(more) = next
                    && more >> self.shift() == first >> self.shift()
                {
                    if more + 1 == run.start {
                        run.start = more;
                    } else if more == run.end {
                        run.end = more + 1;
                    } else {
                        break;
                    }
                    self.make_used(more);
                    next = chain.pop(records);
                }
                for (block, order) in blocks(run) {
                    buddy.free(block, order);
                }
            }
            self.count(section, &buddy);
        }
    }
}

impl<'m> Section<'m> {
    const fn new() -> Section<'m> {
        Section {
            buddy: SpinLock::new(Buddy::new(&[])),
            free: AtomicUsize::new(0),
            node: AtomicU8::new(0),
        }
    }

    fn free(&self) -> usize {
        // ORDERING: Relaxed; a count.
        self.free.load(Ordering::Relaxed)
    }

    fn node(&self) -> u8 {
        // ORDERING: Relaxed; see `Frames::set_node`.
        self.node.load(Ordering::Relaxed)
    }
}

impl Cache {
    const fn new() -> Cache {
        Cache {
            chains: SpinLock::new(Chains {
                first: Chain::EMPTY,
                spare: Chain::EMPTY,
            }),
            held: AtomicUsize::new(0),
            node: AtomicU8::new(0),
        }
    }

    fn held(&self) -> usize {
        // ORDERING: Relaxed; a count.
        self.held.load(Ordering::Relaxed)
    }

    fn node(&self) -> u8 {
        // ORDERING: Relaxed; see `Frames::set_node`.
        self.node.load(Ordering::Relaxed)
    }

    /// Says what the chains hold, before they are unlocked.
    #[inline]
    fn holds(&self, chains: &Chains) {
        let held = chains.first.len + chains.spare.len;
        // ORDERING: Relaxed; a count, changed with the lock held.
        self.held.store(held as usize, Ordering::Relaxed);
    }
}

impl Chain {
    const EMPTY: Chain = Chain { head: None, len: 0 };

    #[inline]
    fn push(&mut self, records: &[Record], frame: u32) {
        if let Some(record) = records.get(frame as usize) {
            record.set_cached(self.head);
            self.head = Some(frame);
            self.len += 1;
        }
    }

    #[inline]
    fn pop(&mut self, records: &[Record]) -> Option<u32> {
        let frame = self.head?;
        self.head = records.get(frame as usize).and_then(Record::cached);
        self.len = self.len.saturating_sub(1);
        Some(frame)
    }
}

#[cfg(test)]
mod tests;
