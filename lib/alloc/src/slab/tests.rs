//! The slab heap over a source that counts, fails on demand and checks what it gets back.

use core::alloc::Layout;

use proptest::prelude::{prop_assert_eq, proptest};

use super::{Slab, same_place};
use crate::class::{SIZES, align_of_class, class_of};
use crate::heap::Heap as _;
use crate::testing::{Pages, agrees_with_the_model, config, refuses_the_impossible, steps};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a small layout")
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
    let objects: Vec<_> = core::iter::from_fn(|| slab.allocate(layout).ok()).collect();
    assert_eq!(objects.len(), 40);
    assert_eq!(slab.pages(), 10);
    let use_of_the_size = |slab: &Slab<Pages>| {
        let of = slab.sizes().into_iter().find(|of| of.size == 1008);
        let of = of.expect("there is the size");
        (of.per_page, of.pages, of.in_use)
    };
    assert_eq!(use_of_the_size(&slab), (4, 10, 40));
    for (gone, object) in objects.into_iter().enumerate() {
        // SAFETY: allocated above with this layout.
        unsafe { slab.free(object, layout) };
        let (_, pages, in_use) = use_of_the_size(&slab);
        assert_eq!(in_use, 39 - gone, "of {pages} pages");
    }
    assert_eq!(slab.pages(), 1);
    assert_eq!(use_of_the_size(&slab), (4, 1, 0));
    slab.reclaim();
    assert_eq!((slab.pages(), slab.source().held()), (0, 0));
}

#[test]
fn refuses_what_it_cannot_align() {
    let mut slab = Slab::new(Pages::with_limit(10));
    assert!(slab.allocate(layout(16, 8192)).is_err());
    refuses_the_impossible(&mut slab);
    for page in [layout(16, 4096), layout(0, 4096)] {
        let at = slab.allocate(page).expect("one page is free");
        assert_eq!(at.addr().get() % 4096, 0);
        // SAFETY: allocated above with this layout.
        unsafe { slab.free(at, page) };
    }
    assert_eq!(slab.pages(), 0);
}

#[test]
fn knows_what_fits_in_place() {
    let check = |old, new| same_place(layout(old, 8), new);
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
    #![proptest_config(config())]
    #[test]
    fn agrees_with_the_model_and_all_pages_come_back(steps in steps(12_000, 12)) {
        let mut slab = Slab::new(Pages::with_limit(64));
        agrees_with_the_model(&mut slab, steps);
        prop_assert_eq!(slab.pages(), slab.source().held());
        slab.reclaim();
        prop_assert_eq!(slab.source().held(), 0);
    }
}
