//! Pages that a program can spare: what keeps them, and what does not.

use super::super::super::{HUGE_SIZE, PageTable, Rights, Sharing, USER_END, UserBlock};
use super::{PAGE, check, frame, mark, rw, space};

const HUGE: u64 = HUGE_SIZE as u64;

/// A space with pages `0..count` at addresses from 0 on, each with its number in it.
fn with(count: u64) -> PageTable {
    let mut table = space();
    for page in 0..count {
        let numbered = frame(number(page));
        table.map(page * PAGE, numbered, rw()).expect("room");
    }
    table
}

fn number(page: u64) -> u8 {
    page as u8 + 1
}

/// Marks pages; how many became spare.
fn spare(table: &mut PageTable, pages: core::ops::Range<u64>) -> usize {
    let range = pages.start * PAGE..pages.end * PAGE;
    let (flush, next, count) = table.mark_spare(range.clone(), &mut usize::MAX.clone());
    flush.flush();
    assert_eq!(next, range.end);
    count
}

/// Takes all spare pages; how many, and whether some are held.
fn take(table: &mut PageTable) -> (usize, bool) {
    let taken = table.take_spare(0..USER_END, usize::MAX);
    taken.flush.flush();
    assert_eq!(taken.next, USER_END);
    (taken.count, taken.are_held)
}

fn content(table: &PageTable, page: u64) -> Option<u8> {
    table.query(page * PAGE).map(|found| mark(&found.frame))
}

#[test]
fn a_spare_page_is_there_until_it_is_taken() {
    check(|| {
        let mut table = with(8);
        assert_eq!(spare(&mut table, 2..6), 4);
        for page in 0..8 {
            let found = table.query(page * PAGE).expect("still there");
            let is_spare = (2..6).contains(&page);
            let rights = if is_spare { Rights::READ } else { rw() };
            assert_eq!((found.spare, found.rights), (is_spare, rights));
            assert_eq!(mark(&found.frame), number(page));
            assert!(!is_spare || !found.dirty);
        }
        assert_eq!(spare(&mut table, 0..4), 2, "the others are");
        assert_eq!(take(&mut table), (6, false));
        assert_eq!(table.resident_pages(), 2);
        assert_eq!((content(&table, 5), content(&table, 6)), (None, Some(7)));
        assert_eq!(take(&mut table), (0, false));
    });
}

#[test]
fn whoever_gives_rights_keeps_it() {
    check(|| {
        let mut table = with(6);
        assert_eq!(spare(&mut table, 0..6), 6);
        table.set_rights(PAGE, rw()).expect("room").flush();
        let none = Rights::empty();
        let change = |table: &mut PageTable, pages: core::ops::Range<u64>, rights| {
            let range = pages.start * PAGE..pages.end * PAGE;
            table.protect(range, rights).expect("room").flush();
        };
        change(&mut table, 2..4, none);
        change(&mut table, 3..4, Rights::READ);
        let copy = frame(99);
        table.replace(4 * PAGE, copy, rw()).expect("room").flush();
        assert_eq!(take(&mut table), (2, false));
        let left: Vec<_> = (0..6).map(|page| content(&table, page)).collect();
        assert_eq!(left, [None, Some(2), Some(3), Some(4), Some(99), None]);
    });
}

#[test]
fn a_page_without_rights_can_be_spared() {
    check(|| {
        let mut table = with(2);
        let none = table.protect(0..PAGE, Rights::empty());
        none.expect("room").flush();
        assert_eq!(spare(&mut table, 0..2), 2);
        assert_eq!(
            table.query(0).map(|page| page.rights),
            Some(Rights::empty())
        );
        assert_eq!(take(&mut table), (2, false));
        assert_eq!(table.resident_pages(), 0);
    });
}

#[test]
fn what_others_hold_is_left_alone() {
    check(|| {
        let mut table = with(4);
        let held = table.query(PAGE).expect("mapped").frame;
        assert_eq!(spare(&mut table, 0..4), 3);
        let late = table.query(2 * PAGE).expect("mapped").frame;
        assert_eq!(take(&mut table), (2, true));
        assert_eq!((mark(&held), content(&table, 1)), (2, Some(2)));
        drop(late);
        assert_eq!(take(&mut table), (1, false));
        assert_eq!(content(&table, 2), None);
    });
}

#[test]
fn a_child_has_nothing_of_it() {
    // A table is copied, or would be shared as a whole.
    for sharing in [Sharing::CopyOnWrite, Sharing::Tables, Sharing::ForGood] {
        check(|| {
            let mut parent = with(9);
            assert_eq!(spare(&mut parent, 0..2), 2);
            assert_eq!(spare(&mut parent, 4..5), 1);
            assert_eq!(spare(&mut parent, 8..9), 1);
            let mut child = space();
            let flush = parent.share_into(&mut child, 0..USER_END, sharing);
            flush.expect("room").flush();
            let has: Vec<_> = (0..9)
                .filter(|&page| content(&child, page).is_some())
                .collect();
            assert_eq!(has, [2, 3, 5, 6, 7], "{sharing:?}");
            assert_eq!(child.resident_pages(), 5);
            assert_eq!(spare(&mut parent, 2..4), 0, "others have it");
            assert_eq!(take(&mut parent), (4, false), "{sharing:?}");
            assert_eq!(take(&mut child), (0, false));
            drop(parent);
            assert_eq!(
                (2..4).map(|page| content(&child, page)).collect::<Vec<_>>(),
                [Some(3), Some(4)]
            );
        });
    }
}

#[test]
fn a_table_of_two_has_nothing_to_spare() {
    check(|| {
        let mut parent = with(4);
        let mut child = space();
        let flush = parent.share_into(&mut child, 0..USER_END, Sharing::Tables);
        flush.expect("room").flush();
        assert_eq!(child.query(0).map(|page| page.owners), Some(2));
        for side in [&mut parent, &mut child] {
            assert_eq!((spare(side, 0..4), take(side)), (0, (0, false)));
        }
        drop(parent);
        assert_eq!(spare(&mut child, 0..2), 2, "it is the only one now");
        assert_eq!(take(&mut child), (2, false));
    });
}

#[test]
fn a_child_of_nothing_else_has_no_table() {
    check(|| {
        let mut parent = with(3);
        assert_eq!(spare(&mut parent, 0..3), 3);
        let mut child = space();
        let flush = parent.share_into(&mut child, 0..USER_END, Sharing::Tables);
        flush.expect("room").flush();
        assert_eq!(child.resident_pages(), 0);
        assert!(child.is_vacant_block(0));
        assert_eq!(take(&mut parent), (3, false));
    });
}

#[test]
fn what_moves_stays_spare() {
    check(|| {
        let mut table = with(2);
        assert_eq!(spare(&mut table, 0..1), 1);
        let flush = table.relocate(0, HUGE, 2 * PAGE);
        flush.expect("room").flush();
        assert_eq!(take(&mut table), (1, false));
        assert!(table.query(HUGE).is_none() && table.query(HUGE + PAGE).is_some());
    });
}

#[test]
fn a_huge_page_goes_at_once_and_a_part_of_one_by_pages() {
    check(|| {
        let mut table = space();
        for place in [1, 2] {
            let block = UserBlock::zeroed().expect("the arena has blocks");
            table.map_huge(place * HUGE, block, rw()).expect("room");
        }
        assert_eq!(spare(&mut table, 512..1024 + 10), 512 + 10);
        assert_eq!(table.resident_pages(), 512);
        assert!(table.is_vacant_block(HUGE));
        assert_eq!(take(&mut table), (10, false));
        assert!(table.query(2 * HUGE + 9 * PAGE).is_none());
        assert!(table.query(2 * HUGE + 10 * PAGE).is_some());
    });
}

#[test]
fn both_end_before_the_next_table_when_they_had_enough() {
    check(|| {
        let mut table = space();
        for place in 0..3 {
            for page in 0..2 {
                let address = place * HUGE + page * PAGE;
                table.map(address, frame(1), rw()).expect("room");
            }
        }
        let mut budget = 1;
        let (flush, next, count) = table.mark_spare(0..USER_END, &mut budget);
        flush.flush();
        assert_eq!((next, count, budget), (HUGE, 2, 0));
        assert_eq!(spare(&mut table, 512..3 * 512), 4);
        let taken = table.take_spare(0..USER_END, 3);
        taken.flush.flush();
        assert_eq!((taken.next, taken.count), (2 * HUGE, 4));
        assert_eq!(table.resident_pages(), 2);
    });
}
