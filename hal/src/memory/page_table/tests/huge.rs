//! Huge pages: they are pages as any others, and become them when need be.

use super::super::super::{
    HUGE_SIZE, PageTable, Rights, Sharing, USER_END, UserBlock, UserFrame, frames, free_blocks,
    has_headroom,
};
use super::super::{HugePages, huge_pages};
use super::{PAGE, check, frame, mark, rw, space};

const HUGE: u64 = HUGE_SIZE as u64;

/// A space with huge pages at these places, each page with its number in it.
fn with(places: &[u64]) -> PageTable {
    let mut table = space();
    for &place in places {
        let block = UserBlock::zeroed().expect("the arena has blocks");
        table.map_huge(place * HUGE, block, rw()).expect("room");
        for page in 0..512 {
            let found = table.query(place * HUGE + page * PAGE).expect("mapped");
            assert_eq!(mark(&found.frame), 0, "a fresh page is zero");
            found.frame.write(0, &[number(place, page)]);
        }
    }
    table
}

fn number(place: u64, page: u64) -> u8 {
    (place * 7 + page) as u8
}

/// That these pages of a place are mapped, with what was written to them.
fn holds(table: &PageTable, place: u64, pages: core::ops::Range<u64>) {
    for page in pages {
        let found = table.query(place * HUGE + page * PAGE).expect("mapped");
        assert_eq!(mark(&found.frame), number(place, page), "page {page}");
    }
}

fn is_huge(table: &PageTable, place: u64) -> bool {
    let seen = table.query(place * HUGE + 5 * PAGE).expect("mapped");
    let mut levels = Vec::new();
    table.walk(place * HUGE + 5 * PAGE, |step| levels.push(step.level));
    assert_eq!(seen.is_huge, levels == [3, 2, 1]);
    assert!(seen.is_huge || levels == [3, 2, 1, 0]);
    seen.is_huge
}

/// What a test made and had split of huge pages, and how many there are then.
fn counted(test: impl FnOnce()) -> HugePages {
    let before = huge_pages();
    test();
    let after = huge_pages();
    HugePages {
        mapped: after.mapped,
        made: after.made - before.made,
        split: after.split - before.split,
    }
}

#[test]
fn a_huge_page_is_512_pages_behind_one_entry() {
    check(|| {
        let counts = counted(|| {
            let table = with(&[1, 3]);
            assert_eq!(table.resident_pages(), 1024);
            assert!(is_huge(&table, 1) && is_huge(&table, 3));
            holds(&table, 3, 0..512);
            let first = table.query(HUGE).expect("mapped").frame.number();
            assert_eq!(first % 512, 0);
            let mut next = 0;
            table.visit(HUGE..2 * HUGE, |address, page| {
                assert_eq!(address, HUGE + next * PAGE);
                assert_eq!(page.frame.number(), first + next);
                assert_eq!((page.rights, page.owners, page.holders()), (rw(), 1, 1));
                assert!(page.is_huge && page.accessed);
                next += 1;
            });
            assert_eq!(next, 512);
            assert!(!table.is_vacant_block(HUGE + 5 * PAGE) && !table.is_vacant(2 * HUGE - PAGE));
            assert!(table.is_vacant_block(2 * HUGE));
            assert_eq!(huge_pages().mapped, 2);
        });
        assert_eq!((counts.mapped, counts.made, counts.split), (0, 2, 0));
    });
}

#[test]
fn all_of_it_goes_without_being_split_and_stays_a_block() {
    check(|| {
        let mut table = with(&[0, 1, 2]);
        let before = free_blocks();
        let mut budget = 528;
        let all = 0..USER_END;
        let answer = table.unmap_some(all.clone(), &mut budget).expect("room");
        answer.0.flush();
        assert_eq!((answer.1, budget), (HUGE, 0), "a part has a budget");
        let counts = counted(|| table.unmap(all).expect("room").flush());
        assert_eq!(counts.split, 0);
        assert_eq!(table.resident_pages(), 0);
        let frames = |blocks: [usize; 19]| {
            let large = blocks.iter().enumerate().skip(9);
            large.map(|(order, blocks)| blocks << order).sum::<usize>()
        };
        assert_eq!(frames(free_blocks()), frames(before) + 3 * 512);
    });
}

#[test]
fn what_changes_a_part_finds_pages() {
    type Change = fn(&mut PageTable);
    let changes: [(&str, Change); 8] = [
        ("unmap", |table| {
            let flush = table.unmap(HUGE + 7 * PAGE..HUGE + 9 * PAGE);
            flush.expect("room").flush();
            assert_eq!(table.resident_pages(), 510);
        }),
        ("protect", |table| {
            let flush = table.protect(HUGE + 7 * PAGE..HUGE + 9 * PAGE, Rights::READ);
            flush.expect("room").flush();
            let rights = |page| table.query(HUGE + page * PAGE).map(|page| page.rights);
            assert_eq!((rights(6), rights(7)), (Some(rw()), Some(Rights::READ)));
        }),
        ("write_protect", |table| {
            let flush = table.write_protect(0..USER_END);
            flush.expect("room").flush();
            let rights = table.query(HUGE + 511 * PAGE).map(|page| page.rights);
            assert_eq!(rights, Some(Rights::READ));
        }),
        ("set_rights", |table| {
            let flush = table.set_rights(HUGE + 7 * PAGE, Rights::READ);
            flush.expect("room").flush();
        }),
        ("replace", |table| {
            let flush = table.replace(HUGE + 7 * PAGE, frame(99), rw());
            flush.expect("room").flush();
            let seen = table.query(HUGE + 7 * PAGE).expect("mapped");
            assert_eq!(mark(&seen.frame), 99);
        }),
        ("own", |table| {
            assert_eq!(table.own(HUGE + 7 * PAGE), Ok(true));
            assert_eq!(table.own(HUGE + 7 * PAGE), Ok(false));
        }),
        ("relocate", |table| {
            let flush = table.relocate(HUGE + 7 * PAGE, 9 * HUGE, 2 * PAGE);
            flush.expect("room").flush();
            let moved = table.query(9 * HUGE).expect("moved");
            assert_eq!(mark(&moved.frame), number(1, 7));
        }),
        ("share", |table| {
            let mut child = space();
            let range = HUGE + 7 * PAGE..HUGE + 9 * PAGE;
            let flush = table.share_into(&mut child, range, Sharing::CopyOnWrite);
            flush.expect("room").flush();
            assert_eq!(child.resident_pages(), 2);
        }),
    ];
    for (name, change) in changes {
        check(|| {
            let mut table = with(&[1]);
            let counts = counted(|| change(&mut table));
            assert_eq!((counts.split, huge_pages().mapped), (1, 0), "{name}");
            holds(&table, 1, 0..7);
            holds(&table, 1, 9..512);
            assert!(!is_huge(&table, 1), "{name}");
        });
    }
}

#[test]
fn a_fork_shares_the_table_behind_it() {
    check(|| {
        let mut parent = with(&[0, 1]);
        let mut child = space();
        let flush = parent.share_into(&mut child, 0..USER_END, Sharing::Tables);
        flush.expect("room").flush();
        assert_eq!(huge_pages().mapped, 0);
        assert_eq!(child.resident_pages(), 1024);
        let seen = child.query(HUGE).expect("shared");
        assert_eq!((seen.rights, seen.owners), (Rights::READ, 2));
        drop(seen);
        drop(parent);
        holds(&child, 0, 0..512);
        holds(&child, 1, 0..512);
        assert_eq!(child.own(HUGE), Ok(true));
        assert_eq!(child.query(HUGE).map(|page| page.rights), Some(rw()));
    });
}

#[test]
fn pages_that_somebody_holds_outlive_the_rest() {
    check(|| {
        let mut table = with(&[4]);
        let held: Vec<UserFrame> = [0, 100, 511]
            .map(|page| table.query(4 * HUGE + page * PAGE).expect("mapped").frame)
            .into();
        table.unmap(0..USER_END).expect("room").flush();
        let marks = [0, 100, 511].map(|page| number(4, page));
        assert_eq!(held.iter().map(mark).collect::<Vec<_>>(), marks);
        assert!(held.iter().all(UserFrame::is_unique));
    });
}

#[test]
fn it_is_split_and_goes_where_no_frame_is_left() {
    check(|| {
        let mut table = with(&[1, 2]);
        let mut hog = Vec::new();
        while let Ok(frame) = UserFrame::zeroed() {
            hog.push(frame);
        }
        assert!(!has_headroom(0));
        assert!(UserBlock::zeroed().is_err());
        let part = 2 * HUGE - PAGE..2 * HUGE + PAGE;
        table.unmap(part).expect("it takes no table").flush();
        holds(&table, 1, 0..511);
        holds(&table, 2, 1..512);
        drop(hog);
    });
}

#[test]
fn none_is_had_of_the_reserve_or_of_pieces() {
    check(|| {
        let mut blocks = Vec::new();
        while let Ok(block) = UserBlock::zeroed() {
            blocks.push(block);
        }
        assert!(blocks.len() > 4);
        let stats = frames::stats();
        assert!(stats.free > stats.reserve);
        assert!(UserFrame::zeroed().is_ok(), "a page is there still");
        drop(blocks);
        // One is whole, but with it the reserve would begin to go.
        let whole = UserBlock::zeroed().expect("the arena has blocks");
        let mut hog = Vec::new();
        while let Ok(frame) = UserFrame::zeroed() {
            hog.push(frame);
        }
        drop(whole);
        assert!(free_blocks().iter().skip(9).sum::<usize>() > 0);
        assert!(UserBlock::zeroed().is_err());
    });
}

#[test]
fn without_room_for_the_table_behind_it_nothing_is_mapped() {
    check(|| {
        let block = UserBlock::zeroed().expect("the arena has blocks");
        let mut hog = Vec::new();
        while let Ok(frame) = UserFrame::zeroed() {
            hog.push(frame);
        }
        let mut table = space();
        let mut address = 0;
        let zero = UserFrame::shared_zero();
        while table.map(address, zero.clone(), Rights::READ).is_ok() {
            address += 1 << 30;
        }
        assert!(table.map_huge(HUGE, block, rw()).is_err());
        assert!(table.is_vacant_block(HUGE));
        drop(hog);
    });
}

#[test]
fn it_is_refused_where_it_does_not_fit() {
    let _arena = super::host::start();
    for (at, name) in [(HUGE + PAGE, "unaligned"), (USER_END - 511 * PAGE, "end")] {
        let result = std::panic::catch_unwind(|| {
            let block = UserBlock::zeroed().expect("the arena has blocks");
            space().map_huge(at, block, rw())
        });
        assert!(result.is_err(), "{name}");
    }
    let result = std::panic::catch_unwind(|| {
        let mut table = space();
        table.map(HUGE + PAGE, frame(1), rw()).expect("room");
        let block = UserBlock::zeroed().expect("the arena has blocks");
        table.map_huge(HUGE, block, rw())
    });
    assert!(result.is_err(), "occupied");
}
