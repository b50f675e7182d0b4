//! The slab heap over a source that counts, fails on demand and checks what it gets back.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::HashMap;

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::{SIZES, Slab, align_of_class, class_of};
use crate::source::{PAGE_SIZE, PageSource};

struct Pages {
    held: HashMap<NonNull<u8>, usize>,
    limit: usize,
}

fn layout_of(count: usize) -> Layout {
    Layout::from_size_align(count * PAGE_SIZE, PAGE_SIZE).expect("a few pages")
}

impl Pages {
    fn with_limit(limit: usize) -> Pages {
        Pages {
            limit,
            held: HashMap::new(),
        }
    }
}

// SAFETY: the pages come from the host's allocator and are freed only in `free_pages`.
unsafe impl PageSource for Pages {
    fn allocate_pages(&mut self, count: usize) -> Option<NonNull<u8>> {
        if count == 0 || self.held.values().sum::<usize>() + count > self.limit {
            return None;
        }
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout_of(count)) })?;
        self.held.insert(start, count);
        Some(start)
    }

    unsafe fn free_pages(&mut self, start: NonNull<u8>, count: usize) {
        assert_eq!(self.held.remove(&start), Some(count));
        // SAFETY: `held` said that it came from `alloc` with this layout.
        unsafe { std::alloc::dealloc(start.as_ptr(), layout_of(count)) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // What a slab still holds at the end of a test.
        for (&start, &count) in &self.held {
            // SAFETY: it came from `alloc` with this layout, and was not freed.
            unsafe { std::alloc::dealloc(start.as_ptr(), layout_of(count)) };
        }
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a small layout")
}

fn fill(at: NonNull<u8>, layout: Layout, value: u8) {
    // SAFETY: the slab handed out `layout.size()` bytes here.
    unsafe { at.write_bytes(value, layout.size()) };
}

fn holds(at: NonNull<u8>, layout: Layout, value: u8) -> bool {
    // SAFETY: the slab handed out these bytes and `fill` initialised them.
    let bytes = unsafe { core::slice::from_raw_parts(at.as_ptr(), layout.size()) };
    bytes.iter().all(|&byte| byte == value)
}

#[test]
fn classes_hold_what_they_are_asked_for() {
    for size in (0..5000).step_by(if cfg!(miri) { 97 } else { 1 }) {
        for shift in 0..13 {
            let layout = layout(size, 1 << shift);
            if let Some(class) = class_of(layout) {
                assert!(usize::from(SIZES[class]) >= size);
                assert!(usize::from(align_of_class(class)) >= layout.align());
            } else {
                assert!(size > 1344 || layout.align() > 16, "{layout:?}");
            }
        }
    }
}

#[test]
fn keeps_one_empty_page_per_class_until_reclaimed() {
    let mut slab = Slab::new(Pages::with_limit(10));
    let layout = layout(1000, 8);
    let objects: Vec<_> = core::iter::from_fn(|| slab.allocate(layout)).collect();
    assert_eq!(objects.len(), 40);
    assert_eq!(slab.pages(), 10);
    for object in objects {
        // SAFETY: allocated above with this layout.
        unsafe { slab.free(object, layout) };
    }
    assert_eq!(slab.pages(), 1);
    slab.reclaim();
    assert_eq!(slab.pages(), 0);
    assert!(slab.source().held.is_empty());
}

#[test]
fn refuses_what_it_cannot_align() {
    let mut slab = Slab::new(Pages::with_limit(10));
    assert!(slab.allocate(layout(16, 8192)).is_none());
    let page = layout(16, 4096);
    let at = slab.allocate(page).expect("one page is free");
    assert_eq!(at.addr().get() % 4096, 0);
    // SAFETY: allocated above with this layout.
    unsafe { slab.free(at, page) };
}

#[test]
fn knows_what_fits_in_place() {
    let check = |old, new| Slab::<Pages>::same_place(layout(old, 8), new);
    assert!(check(17, 32));
    assert!(!check(17, 33));
    assert!(!check(17, 16));
    assert!(check(4097, 8192));
    assert!(!check(4097, 8193));
    assert!(!check(2000, 2048));
}

#[test]
fn notices_an_object_freed_twice() {
    let result = std::panic::catch_unwind(|| {
        let mut slab = Slab::new(Pages::with_limit(1));
        let layout = layout(64, 8);
        let keep = slab.allocate(layout);
        let object = slab.allocate(layout).expect("one page is free");
        for _ in 0..2 {
            // SAFETY: the second time breaks the promise: checked builds notice before they touch anything.
            unsafe { slab.free(object, layout) };
        }
        keep
    });
    assert!(result.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn objects_do_not_overlap_and_all_pages_come_back(
        steps in proptest::collection::vec(
            (0_usize..6000, 0_u32..13, 0_usize..8, proptest::bool::ANY),
            0..if cfg!(miri) { 60 } else { 400 },
        ),
    ) {
        let mut slab = Slab::new(Pages::with_limit(64));
        let mut held: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
        for (round, (size, shift, which, free)) in steps.into_iter().enumerate() {
            if free && !held.is_empty() {
                let (at, layout, value) = held.swap_remove(which % held.len());
                prop_assert!(holds(at, layout, value), "{layout:?} was overwritten");
                // SAFETY: allocated below with this layout, removed from the list.
                unsafe { slab.free(at, layout) };
                continue;
            }
            let layout = layout(size >> which, 1 << shift);
            if let Some(at) = slab.allocate(layout) {
                prop_assert_eq!(at.addr().get() % layout.align(), 0);
                let value = (round % 251) as u8;
                fill(at, layout, value);
                held.push((at, layout, value));
            }
        }
        prop_assert_eq!(slab.pages(), slab.source().held.values().sum::<usize>());
        for (at, layout, value) in held {
            prop_assert!(holds(at, layout, value));
            // SAFETY: allocated above with this layout, freed once.
            unsafe { slab.free(at, layout) };
        }
        slab.reclaim();
        prop_assert!(slab.source().held.is_empty());
    }
}
