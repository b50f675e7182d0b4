//! Pages cut into objects: where they lie, and what their bits say.

use core::ptr::null_mut;
use std::collections::HashSet;

use super::{BITS, Class, HEADER_SIZE, SHAPES, align_of_class};
use crate::source::PAGE_SIZE;
use crate::testing::Pages;

#[test]
fn every_object_has_its_place_and_its_bit() {
    for (class, shape) in SHAPES.iter().enumerate() {
        let mut bits = HashSet::new();
        for index in 0..shape.count {
            let offset = shape.first + index * shape.size;
            assert!(usize::from(offset + shape.size) <= PAGE_SIZE);
            assert!(offset.is_multiple_of(align_of_class(class)));
            let (word, bit) = shape.bit(offset);
            assert!(word < shape.words());
            assert!(bits.insert((word, bit)), "{class}: {offset}");
        }
        let behind = usize::from(HEADER_SIZE) + shape.words() * size_of::<u64>();
        assert!(behind <= usize::from(shape.first), "{class}");
        assert!(usize::from(shape.count) <= shape.words() * usize::from(BITS));
    }
}

#[test]
fn what_comes_back_together_is_counted_page_by_page() {
    let source = Pages::with_limit(64);
    for (class, shape) in SHAPES.iter().enumerate() {
        let mut pages = Class::new();
        let per_page = usize::from(shape.count);
        let mut objects = vec![null_mut(); 3 * per_page + 1];
        assert_eq!(pages.take(class, &source, &mut objects), objects.len());
        assert_eq!(pages.usage(class).in_use, objects.len());
        assert_eq!(pages.pages(), 4);
        let different: HashSet<_> = objects.iter().collect();
        assert_eq!(different.len(), objects.len());
        // As they lie, then the others from all pages in turn.
        let (apart, together): (Vec<_>, Vec<_>) =
            (0..objects.len()).partition(|index| index % 3 == 0);
        let mut apart: Vec<_> = apart.into_iter().map(|index| objects[index]).collect();
        let together: Vec<_> = together.into_iter().map(|index| objects[index]).collect();
        apart.sort_by_key(|object| object.addr() % PAGE_SIZE);
        // SAFETY: taken above, given once.
        unsafe { pages.give_all(class, &source, &together) };
        assert_eq!(pages.usage(class).in_use, apart.len());
        // As many are there to be had again, none of the others among them.
        let mut again = vec![null_mut(); together.len()];
        assert_eq!(pages.take(class, &source, &mut again), again.len());
        assert_eq!(pages.pages(), 4);
        let had: HashSet<_> = again.iter().chain(&apart).collect();
        assert_eq!(had.len(), objects.len());
        // SAFETY: taken just now, given once.
        unsafe { pages.give_all(class, &source, &again) };
        // SAFETY: taken above, given once.
        unsafe { pages.give_all(class, &source, &apart) };
        assert_eq!((pages.usage(class).in_use, pages.pages()), (0, 1));
        pages.reclaim(&source);
        assert_eq!(source.held(), 0);
    }
}

#[test]
fn a_page_hands_out_neighbours_in_turn() {
    let source = Pages::with_limit(1);
    let mut pages = Class::new();
    let mut objects = [null_mut(); 100];
    assert_eq!(pages.take(0, &source, &mut objects), 100);
    // The last place is served first.
    assert!(
        objects
            .windows(2)
            .all(|two| two[0].addr() == two[1].addr() + 16)
    );
    // SAFETY: taken above, given once.
    unsafe { pages.give_all(0, &source, &objects) };
    pages.reclaim(&source);
}

#[test]
fn notices_an_object_that_comes_back_twice_at_once() {
    let result = std::panic::catch_unwind(|| {
        let source = Pages::with_limit(1);
        let mut pages = Class::new();
        let object = pages.take_one(0, &source).expect("there is a page");
        let twice = [object.as_ptr(); 2];
        // SAFETY: it breaks the promise, which is noticed before anything is touched.
        unsafe { pages.give_all(0, &source, &twice) };
    });
    assert!(result.is_err());
}

#[test]
fn notices_an_object_that_comes_back_twice_with_another_between() {
    let result = std::panic::catch_unwind(|| {
        let source = Pages::with_limit(2);
        let mut pages = Class::new();
        let mut objects = [null_mut(); PAGE_SIZE / 16];
        assert_eq!(pages.take(0, &source, &mut objects), objects.len());
        let [first, .., last] = objects;
        assert_ne!(first.addr() / PAGE_SIZE, last.addr() / PAGE_SIZE);
        // SAFETY: it breaks the promise, which is noticed before the page is given back.
        unsafe { pages.give_all(0, &source, &[first, last, first]) };
    });
    assert!(result.is_err());
}

#[test]
fn a_page_that_fills_and_empties_at_once_comes_back() {
    // The largest: two in a page, so that many pages are written down together.
    let class = SHAPES.len() - 1;
    let source = Pages::with_limit(100);
    let mut pages = Class::new();
    let mut objects = [null_mut(); 120];
    assert_eq!(pages.take(class, &source, &mut objects), objects.len());
    assert_eq!(source.held(), 60);
    let (some, others) = objects.split_at(81);
    // SAFETY: taken above, given once.
    unsafe { pages.give_all(class, &source, some) };
    // One page has an object left in use, nineteen have both, one empty one is kept.
    assert_eq!((pages.usage(class).in_use, source.held()), (39, 21));
    // SAFETY: as above.
    unsafe { pages.give_all(class, &source, others) };
    assert_eq!((pages.usage(class).in_use, source.held()), (0, 1));
    pages.reclaim(&source);
    assert_eq!(source.held(), 0);
}
