//! The heap with magazines: one thread against the model, several against each other.

use core::alloc::{GlobalAlloc as _, Layout};
use core::cell::Cell;
use core::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{KINDS, Layouts, Magazines, Place, at_once};
use crate::class::SIZES;
use crate::heap::OutOfMemory;
use crate::source::{PAGE_SIZE, PageSource};
use crate::testing::frames::records;
use crate::testing::{
    Framed, Pages, Subject, agrees_with_the_model, config, refuses_the_impossible, steps,
};

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Each thread says itself which place it has.
#[derive(Debug)]
struct Here;

// SAFETY: the tests give each running thread another number.
unsafe impl Place for Here {
    const RUNS: usize = 32;

    fn index() -> Option<usize> {
        Some(PLACE.get())
    }
}

type Subjects = Magazines<Pages, Here, 4>;

/// Pages that a place's magazines take.
const PAGES: usize = Layouts::<Here>::PAGES;

/// A machine that has little memory.
#[derive(Debug)]
struct Small;

// SAFETY: as for `Here`.
unsafe impl Place for Small {
    const RUNS: usize = 4;
    const SHORTER: u32 = 4;

    fn index() -> Option<usize> {
        Some(PLACE.get())
    }
}

/// A heap whose source resizes runs.
type Resizing<'m> = Magazines<Framed<'m>, Here, 4>;

impl<P: PageSource> Subject for &Magazines<P, Here, 4> {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        Magazines::allocate(self, layout)
    }

    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { Magazines::free(self, memory, layout) }
    }

    unsafe fn resize(&mut self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Magazines::resize(self, memory, old, new_size) }
    }

    fn reclaim(&mut self) {
        Magazines::reclaim(self);
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a small layout")
}

#[test]
fn magazines_take_what_their_place_has_use_for() {
    assert_eq!((PAGES, Layouts::<Small>::PAGES), (5, 1));
    let all = Layouts::<Small>::ALL;
    for kind in 1..KINDS {
        assert_eq!(all[kind].start, all[kind - 1].end);
        assert!(all[kind].next == all[kind].start && all[kind].start <= all[kind].end);
    }
}

#[test]
fn a_small_place_keeps_what_fits_in_its_page() {
    PLACE.set(0);
    let heap: Magazines<Pages, Small, 4> = Magazines::new(Pages::with_limit(2000));
    let stride = if cfg!(miri) { 1999 } else { 16 };
    for size in (16..5 * 4096).step_by(stride) {
        let held: Vec<_> = (0..40)
            .map_while(|_| heap.allocate(layout(size)).ok())
            .collect();
        assert_eq!(held.len(), 40);
        for at in held {
            // SAFETY: allocated above, freed once.
            unsafe { heap.free(at, layout(size)) };
        }
    }
    // The magazines, the depots, and what lies in both.
    assert_eq!(heap.pages(), heap.source().held());
    heap.reclaim();
    assert_eq!(heap.source().held(), Layouts::<Small>::PAGES);
}

#[test]
fn what_was_freed_last_comes_first() {
    PLACE.set(0);
    let heap = Subjects::new(Pages::with_limit(64));
    let first = heap.allocate(layout(100)).expect("there is room");
    let second = heap.allocate(layout(100)).expect("there is room");
    // SAFETY: allocated above.
    unsafe { heap.free(first, layout(100)) };
    // SAFETY: allocated above.
    unsafe { heap.free(second, layout(100)) };
    assert_eq!(heap.allocate(layout(97)), Ok(second));
    assert_eq!(heap.allocate(layout(112)), Ok(first));
}

#[test]
fn a_full_magazine_gives_what_lay_longest() {
    PLACE.set(0);
    let heap = Subjects::new(Pages::with_limit(64));
    let kind = SIZES.iter().position(|&size| size == 64).expect("a size");
    let capacity = Layouts::<Here>::ALL[kind].capacity();
    let lot = at_once::<Here>(kind);
    assert_eq!((capacity, lot), (128, 64));
    let objects: Vec<_> = (0..=capacity)
        .map(|_| heap.allocate(layout(64)).expect("there is room"))
        .collect();
    let left = heap.allocate(layout(64)).expect("there is room");
    heap.reclaim();
    for &at in &objects {
        // SAFETY: allocated above, freed once.
        unsafe { heap.free(at, layout(64)) };
    }
    // The last one did not fit: the first ones went, and come last.
    for &at in objects.iter().rev() {
        assert_eq!(heap.allocate(layout(64)), Ok(at));
    }
    for at in objects.into_iter().chain([left]) {
        // SAFETY: allocated above, freed once.
        unsafe { heap.free(at, layout(64)) };
    }
    heap.reclaim();
    assert_eq!(heap.source().held(), PAGES);
}

#[test]
fn refuses_and_goes_on_without_a_place() {
    PLACE.set(usize::MAX);
    let heap = Subjects::new(Pages::with_limit(64));
    refuses_the_impossible(&mut &heap);
    for size in [1, 100, 2032, 5000, 100_000] {
        let at = heap.allocate(layout(size)).expect("there is room");
        // SAFETY: allocated on the line before.
        unsafe { heap.free(at, layout(size)) };
    }
    heap.reclaim();
    assert_eq!(heap.source().held(), 0);
}

#[test]
fn what_magazines_hold_is_found_when_nothing_else_is_left() {
    PLACE.set(0);
    let heap = Subjects::new(Pages::with_limit(PAGES + 8));
    let held: Vec<_> = core::iter::from_fn(|| heap.allocate(layout(2032)).ok()).collect();
    assert_eq!(held.len(), 16);
    for at in held {
        // SAFETY: allocated above, freed once.
        unsafe { heap.free(at, layout(2032)) };
    }
    let whole = heap.allocate(layout(8 * 4096)).expect("all of it");
    // SAFETY: allocated on the line before.
    unsafe { heap.free(whole, layout(8 * 4096)) };
}

#[test]
fn content_survives_growing() {
    PLACE.set(0);
    let heap = Subjects::new(Pages::with_limit(200));
    let mut size = 1;
    // SAFETY: the size is not zero.
    let mut at = unsafe { heap.alloc(layout(size)) };
    assert!(!at.is_null());
    // SAFETY: one byte was allocated.
    unsafe { at.write(0xa5) };
    while size < 200_000 {
        let larger = size * 2 + 1;
        // SAFETY: allocated with this layout.
        at = unsafe { heap.realloc(at, layout(size), larger) };
        assert!(!at.is_null());
        // SAFETY: `larger` bytes are ours.
        unsafe { at.wrapping_add(size).write_bytes(0xa5, larger - size) };
        size = larger;
    }
    // SAFETY: all of them were written.
    let bytes = unsafe { core::slice::from_raw_parts(at, size) };
    assert!(bytes == vec![0xa5; size]);
    // SAFETY: allocated with this layout.
    unsafe { heap.dealloc(at, layout(size)) };
}

/// Grows two objects in turn, from less than a page to 2, 4, 8 and 16 pages;
/// where they were each time.
fn grow<P: PageSource>(heap: &Magazines<P, Here, 4>) -> Vec<[usize; 2]> {
    let mut size = 1000;
    let mut objects = [0xa5, 0x5a].map(|value| {
        // SAFETY: the size is not zero.
        let at = unsafe { heap.alloc(layout(size)) };
        // SAFETY: so many bytes were allocated.
        unsafe { at.write_bytes(value, size) };
        (at, value)
    });
    let mut places = vec![objects.map(|(at, _)| at.addr())];
    for larger in [2, 4, 8, 16].map(|pages| pages * PAGE_SIZE) {
        for (at, value) in &mut objects {
            // SAFETY: allocated with this layout.
            *at = unsafe { heap.realloc(*at, layout(size), larger) };
            assert!(!at.is_null());
            // SAFETY: so many were written before.
            let bytes = unsafe { core::slice::from_raw_parts(*at, size) };
            assert!(bytes == vec![*value; size]);
            // SAFETY: the bytes behind those are ours.
            unsafe { at.wrapping_add(size).write_bytes(*value, larger - size) };
        }
        places.push(objects.map(|(at, _)| at.addr()));
        size = larger;
    }
    for (at, _) in objects {
        // SAFETY: allocated with this layout.
        unsafe { heap.dealloc(at, layout(size)) };
    }
    places
}

/// How often each of them was somewhere else.
fn moves(places: &[[usize; 2]]) -> [usize; 2] {
    [0, 1].map(|which| {
        let pairs = places.windows(2);
        pairs
            .filter(|pair| pair[0][which] != pair[1][which])
            .count()
    })
}

#[test]
fn what_grew_once_has_room_to_grow_again() {
    PLACE.set(0);
    let records = records(128);
    let heap = Resizing::new(Framed::new(&records));
    for _ in 0..2 {
        assert_eq!(moves(&grow(&heap)), [1, 1]);
    }
    assert_eq!(heap.pages(), heap.source().held());
    heap.reclaim();
    assert_eq!((heap.pages(), heap.source().held()), (PAGES, PAGES));
}

#[test]
fn what_is_behind_a_run_is_free_for_others() {
    PLACE.set(0);
    let records = records(64);
    let heap = Resizing::new(Framed::new(&records));
    let page = |count: usize| layout(count * PAGE_SIZE);
    // SAFETY: the size is not zero.
    let small = unsafe { heap.alloc(page(1)) };
    // SAFETY: allocated with this layout.
    let at = unsafe { heap.realloc(small, page(1), 2 * PAGE_SIZE) };
    let before = heap.source().held();
    let others: Vec<_> = core::iter::from_fn(|| heap.allocate(page(1)).ok()).collect();
    assert_eq!((at, others.len()), (small, 64 - before));
    // SAFETY: allocated with this layout.
    let more = unsafe { heap.realloc(at, page(2), 4 * PAGE_SIZE) };
    assert!(more.is_null(), "there is nothing left");
    // SAFETY: allocated with this layout; the second page is given up.
    let less = unsafe { heap.realloc(at, page(2), PAGE_SIZE) };
    assert_eq!(less, at);
    assert_eq!(
        heap.allocate(page(1)).map(NonNull::as_ptr),
        Ok(at.wrapping_add(PAGE_SIZE))
    );
}

#[test]
fn a_heap_whose_source_resizes_nothing_moves_what_grows() {
    PLACE.set(0);
    let heap = Subjects::new(Pages::with_limit(200));
    assert_eq!(moves(&grow(&heap)), [4, 4]);
    // Nothing larger than what was asked for came from the source; four pages
    // are cut into objects.
    assert_eq!(heap.pages(), PAGES + 4 + 2 * (2 + 4 + 8 + 16));
}

#[test]
fn notices_an_object_freed_twice() {
    let result = std::panic::catch_unwind(|| {
        PLACE.set(0);
        let heap = Subjects::new(Pages::with_limit(64));
        let at = heap.allocate(layout(64)).expect("there is room");
        for _ in 0..2 {
            // SAFETY: the second time breaks the promise; it is noticed before anything is touched.
            unsafe { heap.free(at, layout(64)) };
        }
    });
    assert!(result.is_err());
}

/// An object on its way to another thread.
struct Sent(NonNull<u8>, usize);

// SAFETY: the object is the receiver's, and nobody else's.
unsafe impl Send for Sent {}

#[test]
fn what_others_free_comes_back() {
    const THREADS: usize = 4;
    let (rounds, stride) = if cfg!(miri) { (12, 251) } else { (20_000, 37) };
    let heap = Subjects::new(Pages::with_limit(4096));
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| mpsc::sync_channel::<Sent>(64)).unzip();
    thread::scope(|scope| {
        for (index, receiver) in receivers.into_iter().enumerate() {
            let heap = &heap;
            let next = senders[(index + 1) % THREADS].clone();
            scope.spawn(move || {
                PLACE.set(index);
                for round in 0..rounds {
                    let size = 1 + (round * stride + index) % 3000;
                    let at = heap.allocate(layout(size)).expect("there is room");
                    // SAFETY: just allocated.
                    unsafe { at.write_bytes(index as u8, size) };
                    next.send(Sent(at, size)).expect("the next one listens");
                    let Sent(at, size) = receiver.recv().expect("the one before sends");
                    let from = (index + THREADS - 1) % THREADS;
                    // SAFETY: the sender allocated and wrote it.
                    let bytes = unsafe { core::slice::from_raw_parts(at.as_ptr(), size) };
                    assert!(bytes == vec![from as u8; size]);
                    // SAFETY: the sender gave it away.
                    unsafe { heap.free(at, layout(size)) };
                }
                heap.reclaim();
            });
        }
        drop(senders);
    });
    // The magazines themselves stay, and the last empty page of a class.
    heap.reclaim();
    assert_eq!(heap.source().held(), heap.pages());
    assert_eq!(heap.pages(), THREADS * PAGES);
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn agrees_with_the_model_and_all_pages_come_back(steps in steps(140_000, 12)) {
        PLACE.set(1);
        let heap = Subjects::new(Pages::with_limit(400));
        agrees_with_the_model(&mut &heap, steps);
        prop_assert_eq!(heap.pages(), heap.source().held());
        heap.reclaim();
        prop_assert!(heap.source().held() <= PAGES, "{}", heap.source().held());
    }

    #[test]
    fn agrees_with_the_model_where_runs_are_resized(steps in steps(140_000, 12)) {
        PLACE.set(1);
        let records = records(400);
        let heap = Resizing::new(Framed::new(&records));
        agrees_with_the_model(&mut &heap, steps);
        prop_assert_eq!(heap.pages(), heap.source().held());
        heap.reclaim();
        prop_assert!(heap.source().held() <= PAGES, "{}", heap.source().held());
    }
}
