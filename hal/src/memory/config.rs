//! Which allocators the kernel is built with.
//!
//! The designs are `ochre-alloc`'s. Without a feature it is the one for several
//! processors of each kind; a feature `heap-..` or `frames-..` takes another,
//! to compare them or to look at one at work.
//!
//! | feature | the kernel's heap |
//! | --- | --- |
//! | - | [`Magazines`]: slabs, magazines for each processor |
//! | `heap-slab` | [`Slab`] behind a lock |
//! | `heap-buddy` | [`BuddyHeap`] behind a lock |
//! | `heap-fixed-blocks` | [`FixedBlocks`] behind a lock |
//! | `heap-first-fit` | [`FirstFit`] behind a lock |
//! | `heap-bump` | [`Bump`] behind a lock; it runs full |
//!
//! | feature | the machine's frames |
//! | --- | --- |
//! | - | [`Frames`]: caches for each processor, locked sections |
//! | `frames-cached` | [`Buddy`] with one cache, behind a lock |
//! | `frames-buddy` | [`Buddy`] behind a lock |
//!
//! With several features of a kind, the first of the table is taken.
#![expect(
    clippy::declare_interior_mutable_const,
    reason = "a trait cannot have a const fn; each is used for one static"
)]

use ochre_alloc::{
    Buddy, BuddyHeap, Bump, CLASSES, Cached, FirstFit, FixedBlocks, Frames, Growing, Locked,
    MAX_ORDER, Magazines, OneLock, Record, SizeUse, Slab,
};

use crate::cpu::MAX_CPUS;

use super::heap::{Here, Pages};

/// The heap that the kernel is built with.
pub(super) type Heap = <Choice<HEAP> as HeapDesign>::Heap;

/// An empty heap.
pub(super) const NEW_HEAP: Heap = <Choice<HEAP> as HeapDesign>::NEW;

/// The machine's frames.
pub(super) static FRAMES: <Choice<FRAME_DESIGN> as FrameDesign>::Frames =
    <Choice<FRAME_DESIGN> as FrameDesign>::NEW;

/// Free blocks, by order.
pub(super) type Blocks = [usize; MAX_ORDER as usize + 1];

/// Free blocks of each order.
pub(super) fn blocks() -> Blocks {
    Choice::<FRAME_DESIGN>::blocks(&FRAMES)
}

/// What a heap has of each size of objects; a size of 0 is none.
pub(super) type Sizes = [SizeUse; CLASSES];

/// What a heap has of each size of objects.
pub(super) fn sizes(heap: &Heap) -> Sizes {
    Choice::<HEAP>::sizes(heap)
}

/// Says where the records are; once, before anything else.
pub(super) fn start(records: &'static [Record]) {
    Choice::<FRAME_DESIGN>::start(&FRAMES, records);
}

/// The line of the first table.
pub(super) const HEAP: usize = if cfg!(feature = "heap-slab") {
    1
} else if cfg!(feature = "heap-buddy") {
    2
} else if cfg!(feature = "heap-fixed-blocks") {
    3
} else if cfg!(feature = "heap-first-fit") {
    4
} else if cfg!(feature = "heap-bump") {
    5
} else {
    0
};

/// The line of the second table.
pub(super) const FRAME_DESIGN: usize = if cfg!(feature = "frames-cached") {
    1
} else if cfg!(feature = "frames-buddy") {
    2
} else {
    0
};

/// A line of a table.
pub(super) struct Choice<const N: usize>;

/// One way to have a heap.
pub(super) trait HeapDesign {
    /// The heap's type.
    type Heap;
    /// An empty heap.
    const NEW: Self::Heap;
    /// What there is of each size of objects, where the design has sizes.
    fn sizes(heap: &Self::Heap) -> Sizes {
        let _ = heap;
        Sizes::default()
    }
}

impl HeapDesign for Choice<0> {
    type Heap = Magazines<Pages, Here, MAX_CPUS>;
    const NEW: Self::Heap = Magazines::new(Pages);

    fn sizes(heap: &Self::Heap) -> Sizes {
        heap.sizes()
    }
}

impl HeapDesign for Choice<1> {
    type Heap = Locked<Slab<Pages>>;
    const NEW: Self::Heap = Locked::new(Slab::new(Pages));

    fn sizes(heap: &Self::Heap) -> Sizes {
        heap.with(|heap| heap.sizes())
    }
}

impl HeapDesign for Choice<2> {
    type Heap = Locked<Growing<BuddyHeap, Pages>>;
    const NEW: Self::Heap = Locked::new(Growing::new(BuddyHeap::new(), Pages));
}

impl HeapDesign for Choice<3> {
    type Heap = Locked<Growing<FixedBlocks, Pages>>;
    const NEW: Self::Heap = Locked::new(Growing::new(FixedBlocks::new(), Pages));
}

impl HeapDesign for Choice<4> {
    type Heap = Locked<Growing<FirstFit, Pages>>;
    const NEW: Self::Heap = Locked::new(Growing::new(FirstFit::new(), Pages));
}

impl HeapDesign for Choice<5> {
    type Heap = Locked<Growing<Bump, Pages>>;
    const NEW: Self::Heap = Locked::new(Growing::new(Bump::new(), Pages));
}

/// One way to have frames.
pub(super) trait FrameDesign {
    /// The allocator's type.
    type Frames;
    /// An allocator without frames.
    const NEW: Self::Frames;
    /// Says where the records are.
    fn start(frames: &Self::Frames, records: &'static [Record]);
    /// Free blocks of each order.
    fn blocks(frames: &Self::Frames) -> Blocks;
}

impl FrameDesign for Choice<0> {
    type Frames = Frames<'static, MAX_CPUS>;
    /// What a program of a few megabytes gives back when it ends serves the next one.
    const NEW: Self::Frames = Frames::without_records(512);

    fn start(frames: &Self::Frames, records: &'static [Record]) {
        frames.start(records);
    }

    fn blocks(frames: &Self::Frames) -> Blocks {
        frames.blocks_by_order().0
    }
}

impl FrameDesign for Choice<1> {
    type Frames = OneLock<Cached<'static, Buddy<'static>, 1024>>;
    const NEW: Self::Frames = OneLock::new(Cached::new(&[], Buddy::new(&[])));

    fn start(frames: &Self::Frames, records: &'static [Record]) {
        frames.replace(Cached::new(records, Buddy::new(records)));
    }

    fn blocks(frames: &Self::Frames) -> Blocks {
        frames.with(|cached| cached.inner().blocks_by_order())
    }
}

impl FrameDesign for Choice<2> {
    type Frames = OneLock<Buddy<'static>>;
    const NEW: Self::Frames = OneLock::new(Buddy::new(&[]));

    fn start(frames: &Self::Frames, records: &'static [Record]) {
        frames.replace(Buddy::new(records));
    }

    fn blocks(frames: &Self::Frames) -> Blocks {
        frames.with(|buddy| buddy.blocks_by_order())
    }
}
