//! The stack before a class: what is kept, what is not, and that all comes back.

use core::ptr::{NonNull, null_mut};

use super::{Depot, SLOTS};
use crate::class::SIZES;
use crate::source::PAGE_SIZE;
use crate::testing::Pages;

/// Objects of 64 bytes.
const CLASS: usize = 3;

fn taken(depot: &mut Depot, source: &Pages, count: usize) -> Vec<*mut u8> {
    let mut places = vec![null_mut(); count];
    let taken = depot.take(CLASS, source, &mut places);
    places.truncate(taken);
    assert!(places.iter().all(|place| !place.is_null()));
    places
}

#[test]
fn what_is_kept_is_handed_out_again_before_anything_else() {
    assert_eq!(SIZES[CLASS], 64);
    let source = Pages::with_limit(16);
    let mut depot = Depot::new();
    let objects = taken(&mut depot, &source, 150);
    let pages = depot.pages();
    // SAFETY: taken above, given once.
    unsafe { depot.give(CLASS, &source, &objects[..100], 80) };
    assert_eq!(depot.len, 80);
    assert_eq!((depot.pages(), source.held()), (pages + 1, pages + 1));
    let again = taken(&mut depot, &source, 90);
    assert_eq!(again[..80], objects[..80]);
    assert!(again[80..].iter().all(|object| objects.contains(object)));
    // SAFETY: taken above, given once.
    unsafe { depot.give(CLASS, &source, &again, 8) };
    // SAFETY: as above.
    unsafe { depot.give(CLASS, &source, &objects[100..], usize::MAX) };
    assert_eq!(depot.len, 8 + 50);
    depot.reclaim(CLASS, &source);
    assert_eq!((depot.pages(), source.held()), (0, 0));
}

#[test]
fn keeps_no_more_than_a_page_of_pointers() {
    let source = Pages::with_limit(40);
    let mut depot = Depot::new();
    let objects = taken(&mut depot, &source, SLOTS + 10);
    // SAFETY: taken above, given once.
    unsafe { depot.give(CLASS, &source, &objects, usize::MAX) };
    assert_eq!(depot.len, SLOTS);
    depot.reclaim(CLASS, &source);
    assert_eq!(source.held(), 0);
}

#[test]
fn does_without_a_page() {
    let source = Pages::with_limit(1);
    let mut depot = Depot::new();
    let objects = taken(&mut depot, &source, PAGE_SIZE);
    assert_eq!(objects.len(), PAGE_SIZE / 64 - 1);
    // SAFETY: taken above, given once.
    unsafe { depot.give(CLASS, &source, &objects, 500) };
    assert_eq!((depot.len, depot.pages()), (0, 1));
    assert_eq!(
        taken(&mut depot, &source, PAGE_SIZE).len(),
        PAGE_SIZE / 64 - 1
    );
}

#[test]
fn notices_an_object_freed_twice() {
    let result = std::panic::catch_unwind(|| {
        let source = Pages::with_limit(4);
        let mut depot = Depot::new();
        let object = depot.take_one(CLASS, &source).map(NonNull::as_ptr);
        let object = [object.expect("four pages are free")];
        for _ in 0..2 {
            // SAFETY: the second time breaks the promise; it is noticed before anything is touched.
            unsafe { depot.give(CLASS, &source, &object, 8) };
        }
    });
    assert!(result.is_err());
}
