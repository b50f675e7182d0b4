//! What the tests of all designs share: memory that notices leaks, and the
//! model that every heap must agree with.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::{BTreeMap, HashMap};

use ochre_sync::SpinLock;

use proptest::prelude::{ProptestConfig, Strategy};
use proptest::{collection, prop_oneof};

pub(crate) mod frames;

use crate::heap::{Heap, OutOfMemory, Region};
use crate::source::{PAGE_SIZE, PageSource};
use crate::{Frames, Growing, LEAST_PAGES, Record};

/// How many random cases a property is tried with.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        // `cargo xtask fuzz` asks for more by the variable that proptest knows.
        cases: match std::env::var("PROPTEST_CASES") {
            _ if cfg!(miri) => 4,
            Ok(cases) => cases.parse().expect("PROPTEST_CASES is a number"),
            Err(_) => 128,
        },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Pages from the host's allocator, up to a limit; it knows what is held.
#[derive(Debug)]
pub(crate) struct Pages {
    held: SpinLock<HashMap<usize, (NonNull<u8>, usize)>>,
    limit: usize,
}

// SAFETY: the pointers are only kept here to free them.
unsafe impl Send for Pages {}
// SAFETY: as above; the map is locked.
unsafe impl Sync for Pages {}

fn layout_of(count: usize) -> Layout {
    Layout::from_size_align(count * PAGE_SIZE, PAGE_SIZE).expect("a few pages")
}

impl Pages {
    pub(crate) fn with_limit(limit: usize) -> Pages {
        Pages {
            limit,
            held: SpinLock::default(),
        }
    }

    /// Pages that were not given back.
    pub(crate) fn held(&self) -> usize {
        let held = self.held.lock();
        held.values().map(|&(_, count)| count).sum()
    }
}

// SAFETY: the pages come from the host's allocator and are freed only in `free_pages`.
unsafe impl PageSource for Pages {
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        if count == 0 || self.held().checked_add(count)? > self.limit {
            return None;
        }
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout_of(count)) })?;
        let mut held = self.held.lock();
        held.insert(start.addr().get(), (start, count));
        Some(start)
    }

    unsafe fn free_pages(&self, start: NonNull<u8>, count: usize) {
        let mut held = self.held.lock();
        let (ours, was) = held
            .remove(&start.addr().get())
            .expect("pages of this source");
        assert_eq!(was, count, "freed with another count");
        // SAFETY: it came from `alloc` with this layout.
        unsafe { std::alloc::dealloc(ours.as_ptr(), layout_of(count)) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // What a heap still holds at the end of a test.
        let held = self.held.get_mut();
        for &(start, count) in held.values() {
            // SAFETY: it came from `alloc` with this layout, and was not freed.
            unsafe { std::alloc::dealloc(start.as_ptr(), layout_of(count)) };
        }
    }
}

/// The frames of an arena as pages, which can be resized where they are.
#[derive(Debug)]
pub(crate) struct Framed<'m> {
    frames: Frames<'m, 1>,
    start: NonNull<u8>,
    count: usize,
}

// SAFETY: the arena is only reached by who was given a part of it; the frames are locked.
unsafe impl Sync for Framed<'_> {}

impl<'m> Framed<'m> {
    /// As many pages as there are records.
    pub(crate) fn new(records: &'m [Record]) -> Framed<'m> {
        let frames = Frames::new(records, 1);
        let count = records.len();
        frames.add(0..u32::try_from(count).expect("a few pages"));
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout_of(count)) });
        Framed {
            frames,
            start: start.expect("the host has memory"),
            count,
        }
    }

    /// Pages that were not given back.
    pub(crate) fn held(&self) -> usize {
        self.count - self.frames.free_frames()
    }

    fn frame(&self, start: NonNull<u8>) -> u32 {
        let offset = start.addr().get() - self.start.addr().get();
        u32::try_from(offset / PAGE_SIZE).expect("a few pages")
    }
}

// SAFETY: frames are handed out once; each is a page of the arena, aligned.
unsafe impl PageSource for Framed<'_> {
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        let frame = self.frames.allocate_run(0, u32::try_from(count).ok()?)?;
        // SAFETY: the frame is one of the arena's.
        Some(unsafe { self.start.add(frame as usize * PAGE_SIZE) })
    }

    unsafe fn free_pages(&self, start: NonNull<u8>, count: usize) {
        self.frames.free_run(0, self.frame(start), count as u32);
    }

    fn resizes(&self) -> bool {
        true
    }

    unsafe fn resize_pages(&self, start: NonNull<u8>, old: usize, new: usize) -> bool {
        let frame = self.frame(start);
        u32::try_from(new).is_ok_and(|new| self.frames.resize_run(0, frame, old as u32, new))
    }
}

impl Drop for Framed<'_> {
    fn drop(&mut self) {
        // SAFETY: it came from `alloc` with this layout; tests are done with it.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), layout_of(self.count)) };
    }
}

/// A heap, whoever locks it.
pub(crate) trait Subject {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory>;
    /// # Safety
    /// As for `Heap::free`.
    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout);
    /// # Safety
    /// As for `Heap::resize`.
    unsafe fn resize(&mut self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool;
    fn reclaim(&mut self);
}

impl<H: Heap> Subject for H {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        Heap::allocate(self, layout)
    }

    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { Heap::free(self, memory, layout) }
    }

    unsafe fn resize(&mut self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Heap::resize(self, memory, old, new_size) }
    }

    fn reclaim(&mut self) {
        Heap::reclaim(self);
    }
}

/// One thing done to a heap.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Allocate { size: usize, shift: u32 },
    Free(usize),
    Resize { which: usize, size: usize },
    Reclaim,
}

fn sizes(largest: usize) -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0_usize..200, 2 => 0..largest.min(3000), 1 => 0..largest]
}

/// Random steps, with sizes up to `largest` and alignments up to `1 << shift`.
pub(crate) fn steps(largest: usize, shift: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (sizes(largest), prop_oneof![3 => 0_u32..5, 1 => 0..=shift])
            .prop_map(|(size, shift)| Step::Allocate { size, shift }),
        8 => (0_usize..64).prop_map(Step::Free),
        2 => ((0_usize..64), sizes(largest)).prop_map(|(which, size)| Step::Resize { which, size }),
        1 => proptest::strategy::Just(Step::Reclaim),
    ];
    collection::vec(step, 0..if cfg!(miri) { 12 } else { 300 })
}

/// Requests that no heap can serve, and that must not do harm.
pub(crate) fn refuses_the_impossible(heap: &mut impl Subject) {
    let most = isize::MAX as usize;
    for (size, align) in [
        (most, 1),
        (most - PAGE_SIZE, PAGE_SIZE),
        (1, 1 << 62),
        (0, 1 << 62),
        (most / 2, 16),
        (1 << 50, 1 << 40),
    ] {
        let Ok(layout) = Layout::from_size_align(size, align) else {
            continue;
        };
        assert_eq!(heap.allocate(layout), Err(OutOfMemory), "{layout:?}");
    }
}

/// Does the steps and checks after each that what was handed out is disjoint,
/// aligned and as it was left; frees everything at the end.
pub(crate) fn agrees_with_the_model(heap: &mut impl Subject, steps: Vec<Step>) {
    let mut held: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
    let mut ranges: BTreeMap<usize, usize> = BTreeMap::new();
    for (round, step) in steps.into_iter().enumerate() {
        let value = (round % 251) as u8;
        match step {
            Step::Allocate { size, shift } => {
                let layout = Layout::from_size_align(size, 1 << shift).expect("a small layout");
                let Ok(at) = heap.allocate(layout) else {
                    continue;
                };
                let start = at.addr().get();
                assert_eq!(start % layout.align(), 0, "{layout:?}");
                if size > 0 {
                    assert!(is_apart(&ranges, start, size), "{layout:?} overlaps");
                    ranges.insert(start, size);
                }
                // SAFETY: the heap handed out these bytes.
                unsafe { at.write_bytes(value, size) };
                held.push((at, layout, value));
            }
            Step::Free(which) if !held.is_empty() => {
                let (at, layout, value) = held.swap_remove(which % held.len());
                check(at, layout.size(), value);
                ranges.remove(&at.addr().get());
                // SAFETY: allocated above with this layout, removed from the list.
                unsafe { heap.free(at, layout) };
            }
            Step::Resize { which, size } if !held.is_empty() => {
                let index = which % held.len();
                let (at, old, was) = held[index];
                // SAFETY: allocated above with this layout.
                if !unsafe { heap.resize(at, old, size) } {
                    continue;
                }
                check(at, old.size().min(size), was);
                let start = at.addr().get();
                ranges.remove(&start);
                if size > 0 {
                    assert!(is_apart(&ranges, start, size), "a resize overlaps");
                    ranges.insert(start, size);
                }
                // SAFETY: the heap says that these bytes are ours.
                unsafe { at.write_bytes(value, size) };
                let layout = Layout::from_size_align(size, old.align()).expect("a small layout");
                held[index] = (at, layout, value);
            }
            Step::Reclaim => heap.reclaim(),
            Step::Free(_) | Step::Resize { .. } => {}
        }
    }
    for (at, layout, value) in held {
        check(at, layout.size(), value);
        // SAFETY: allocated above with this layout, freed once.
        unsafe { heap.free(at, layout) };
    }
}

fn is_apart(ranges: &BTreeMap<usize, usize>, start: usize, size: usize) -> bool {
    let below = ranges.range(..start + size).next_back();
    below.is_none_or(|(&other, &len)| other + len <= start)
}

fn check(at: NonNull<u8>, size: usize, value: u8) {
    // SAFETY: the heap handed out these bytes and they were written.
    let bytes = unsafe { core::slice::from_raw_parts(at.as_ptr(), size) };
    // Compared as a whole: byte by byte is slow under Miri.
    assert!(bytes == vec![value; size], "it was overwritten");
}

/// Memory of its own for a region heap; lives as long as the value.
pub(crate) struct Arena {
    memory: Vec<u8>,
}

impl Arena {
    pub(crate) fn new(len: usize) -> Arena {
        Arena {
            memory: vec![0xee; len],
        }
    }

    /// Gives the heap all but the first `skipped` bytes.
    pub(crate) fn add_to(&mut self, heap: &mut impl Region, skipped: usize) {
        let rest = self.memory.get_mut(skipped..).expect("a few are skipped");
        let len = rest.len();
        let start = NonNull::from(rest).cast::<u8>();
        // SAFETY: the vector is never touched again; tests keep it longer than the heap.
        unsafe { heap.add(start, len) };
    }
}

/// What every region heap must do.
pub(crate) fn checks_of_regions<H: Region>(new: impl Fn() -> H) {
    // A heap without memory has none.
    let mut heap = new();
    assert_eq!(heap.allocate(Layout::new::<u8>()), Err(OutOfMemory));
    refuses_the_impossible(&mut heap);
    // Regions too short to be of use do no harm.
    for len in (0..80).step_by(if cfg!(miri) { 7 } else { 1 }) {
        let mut heap = new();
        let mut arena = Arena::new(len + 3);
        arena.add_to(&mut heap, 3);
        if let Ok(at) = heap.allocate(Layout::new::<u8>()) {
            // SAFETY: allocated on the line before.
            unsafe { heap.free(at, Layout::new::<u8>()) };
        }
    }
    // What `room_for` says is enough, wherever the region begins.
    for (size, shift) in [(0, 0), (1, 3), (100, 4), (500, 7), (3000, 12), (5000, 5)] {
        let layout = Layout::from_size_align(size, 1 << shift).expect("a small layout");
        let room = H::room_for(layout).expect("a small layout");
        for skipped in [0, 1, 8, 17] {
            let mut heap = new();
            let mut arena = Arena::new(room + skipped);
            arena.add_to(&mut heap, skipped);
            let at = heap.allocate(layout).expect("there is room");
            assert_eq!(at.addr().get() % layout.align(), 0);
            // SAFETY: allocated above.
            unsafe { at.write_bytes(1, size) };
            // SAFETY: allocated above, freed once.
            unsafe { heap.free(at, layout) };
        }
    }
    let most = Layout::from_size_align(isize::MAX as usize, 1).expect("the largest layout");
    assert!(H::room_for(most).is_none_or(|room| room > most.size()));
}

/// Does the steps over a few regions, then looks whether everything came back:
/// the largest piece that could be had before can be had again.
pub(crate) fn property_of_regions<H: Region>(mut heap: H, steps: Vec<Step>) {
    // Miri looks at every byte of them, often.
    let scale = if cfg!(miri) { 4 } else { 1 };
    let mut arenas = [9000, 20_000, 2000].map(|len| Arena::new(len / scale));
    for (index, arena) in arenas.iter_mut().enumerate() {
        arena.add_to(&mut heap, index * 3);
    }
    let largest = |heap: &mut H| {
        heap.reclaim();
        (0..20_000)
            .rev()
            .step_by(if cfg!(miri) { 1997 } else { 128 })
            .find(|&size| {
                let layout = Layout::from_size_align(size, 8).expect("a small layout");
                heap.allocate(layout)
                    // SAFETY: allocated on the line before.
                    .map(|at| unsafe { heap.free(at, layout) })
                    .is_ok()
            })
    };
    let before = largest(&mut heap);
    agrees_with_the_model(&mut heap, steps);
    refuses_the_impossible(&mut heap);
    assert_eq!(largest(&mut heap), before);
}

/// A heap on pages: it takes more as it needs them, up to the limit, and what
/// is freed serves again.
pub(crate) fn grows_and_says_when_it_cannot<H: Region>(heap: H) {
    let mut heap = Growing::new(heap, Pages::with_limit(LEAST_PAGES + 4));
    let layout = Layout::new::<[u64; 100]>();
    let mut held = Vec::new();
    while let Ok(at) = Heap::allocate(&mut heap, layout) {
        held.push(at);
    }
    assert!(held.len() > LEAST_PAGES * 3, "only {}", held.len());
    assert!(heap.pages() > LEAST_PAGES, "not even the rest was taken");
    for &at in &held {
        // SAFETY: allocated above, freed once.
        unsafe { Heap::free(&mut heap, at, layout) };
    }
    let again = core::iter::from_fn(|| Heap::allocate(&mut heap, layout).ok()).count();
    assert!(again >= held.len());
}

/// The tests that every design passes which is given its regions.
macro_rules! tests_of_regions {
    ($heap:ty) => {
        #[test]
        fn keeps_a_region_heaps_promises() {
            $crate::testing::checks_of_regions(<$heap>::new);
        }

        proptest::proptest! {
            #![proptest_config($crate::testing::config())]
            #[test]
            fn agrees_with_the_model(steps in $crate::testing::steps(6000, 12)) {
                $crate::testing::property_of_regions(<$heap>::new(), steps);
            }
        }

        #[test]
        fn grows_and_says_when_it_cannot() {
            $crate::testing::grows_and_says_when_it_cannot(<$heap>::new());
        }
    };
}
pub(crate) use tests_of_regions;
