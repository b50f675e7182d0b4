//! Huge pages: they are pages as any others, and become them when need be.

use super::super::super::{
    BlockState, HUGE_SIZE, PageTable, Rights, Sharing, USER_END, UserBlock, UserFrame, frames,
    free_blocks, has_headroom,
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
        collapsed: after.collapsed - before.collapsed,
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
            let flush = table.write_protect(HUGE + PAGE..USER_END);
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
fn what_changes_all_of_it_leaves_it_huge() {
    check(|| {
        let mut table = with(&[1, 2]);
        let rights = |table: &PageTable| table.query(HUGE + 9 * PAGE).map(|page| page.rights);
        let counts = counted(|| {
            for wanted in [Rights::READ, Rights::empty(), Rights::READ] {
                let flush = table.protect(HUGE..3 * HUGE, wanted);
                flush.expect("room").flush();
                assert_eq!(rights(&table), Some(wanted));
                assert_eq!(table.block_state(HUGE), BlockState::Huge);
            }
            assert_eq!(table.own_for_store(HUGE + 9 * PAGE, rw()), Ok(true));
            assert_eq!(rights(&table), Some(rw()));
            let other = table.query(2 * HUGE).map(|page| page.rights);
            assert_eq!(other, Some(Rights::READ));
        });
        assert_eq!((counts.split, counts.mapped), (0, 2));
        holds(&table, 1, 0..512);
    });
}

#[test]
fn what_moves_as_a_whole_stays_huge() {
    check(|| {
        let mut table = with(&[1, 2, 3]);
        let counts = counted(|| {
            let flush = table.relocate(2 * HUGE - PAGE, 8 * HUGE - PAGE, HUGE + PAGE);
            flush.expect("room").flush();
        });
        // The page before was a part of another one.
        assert_eq!((counts.split, counts.mapped), (1, 2));
        assert!(table.is_vacant_block(2 * HUGE) && is_huge(&table, 8) && is_huge(&table, 3));
        for page in 0..512 {
            let found = table.query(8 * HUGE + page * PAGE).expect("moved");
            assert_eq!(mark(&found.frame), number(2, page));
        }
        assert_eq!(table.resident_pages(), 3 * 512);
        // To a place that is not aligned as this one is.
        let flush = table.relocate(8 * HUGE, 20 * HUGE + PAGE, HUGE);
        flush.expect("room").flush();
        let found = table.query(21 * HUGE).expect("moved");
        assert_eq!((mark(&found.frame), found.is_huge), (number(2, 511), false));
    });
}

#[test]
fn a_fork_leaves_it_huge_to_both() {
    check(|| {
        let mut parent = with(&[0, 1]);
        let mut child = space();
        let flush = parent.share_into(&mut child, 0..USER_END, Sharing::Tables);
        flush.expect("room").flush();
        assert_eq!(huge_pages().mapped, 2);
        assert_eq!(child.resident_pages(), 1024);
        for table in [&parent, &child] {
            let seen = table.query(HUGE).expect("shared");
            assert_eq!((seen.rights, seen.owners), (Rights::READ, 2));
            assert!(is_huge(table, 0) && is_huge(table, 1));
        }
        // A store of one side: pages for that one.
        assert_eq!(child.own_for_store(HUGE, rw()), Ok(true));
        assert!(!is_huge(&child, 1) && is_huge(&parent, 1));
        let seen = child.query(HUGE).expect("copied");
        assert_eq!((seen.rights, seen.holders()), (Rights::READ, 2));
        drop(seen);
        let flush = child.replace(HUGE, frame(99), rw()).expect("room");
        flush.flush();
        // What others have a part of cannot be had as a whole.
        assert_eq!(parent.own_for_store(HUGE + PAGE, rw()), Ok(true));
        assert!(!is_huge(&parent, 1));
        let seen = parent.query(HUGE + PAGE).map(|page| page.rights);
        assert_eq!(seen, Some(Rights::READ));
        assert_eq!(huge_pages().mapped, 1);
        drop(parent);
        assert_eq!(huge_pages().mapped, 1);
        holds(&child, 0, 0..512);
        holds(&child, 1, 1..512);
        assert_eq!(child.own_for_store(PAGE, rw()), Ok(true));
        assert!(is_huge(&child, 0), "nobody else has it any more");
        let rights = child.query(0).map(|page| page.rights);
        assert_eq!(rights, Some(rw()));
    });
}

#[test]
fn a_child_of_a_part_splits_it_also_where_another_has_all() {
    check(|| {
        let mut parent = with(&[1]);
        let mut child = space();
        let mut other = space();
        let all = parent.share_into(&mut child, 0..USER_END, Sharing::Tables);
        all.expect("room").flush();
        let range = HUGE + PAGE..2 * HUGE;
        let part = parent.share_into(&mut other, range, Sharing::Tables);
        part.expect("room").flush();
        assert!(!is_huge(&parent, 1) && is_huge(&child, 1));
        drop((parent, other));
        holds(&child, 1, 0..512);
        child.unmap(0..USER_END).expect("room").flush();
        assert_eq!(huge_pages().mapped, 0);
    });
}

#[test]
fn pages_are_gathered_to_a_huge_one() {
    check(|| {
        let mut table = space();
        for page in [3, 400] {
            table
                .map(HUGE + page * PAGE, frame(page as u8), rw())
                .expect("room");
        }
        let zero = UserFrame::shared_zero();
        table
            .map(HUGE + 7 * PAGE, zero, Rights::READ)
            .expect("room");
        let held = table.query(HUGE + 3 * PAGE).expect("mapped").frame;
        let mut child = space();
        let flush = table.share_into(&mut child, 0..USER_END, Sharing::Tables);
        flush.expect("room").flush();
        let counts = counted(|| {
            let block = UserBlock::zeroed().expect("the arena has blocks");
            assert_eq!(table.block_state(HUGE + PAGE), BlockState::Pages);
            table.collapse(HUGE, block, rw()).expect("room");
        });
        assert_eq!((counts.collapsed, counts.mapped, counts.made), (1, 1, 0));
        assert!(is_huge(&table, 1));
        assert_eq!(table.resident_pages(), 512);
        for page in 0..512 {
            let found = table.query(HUGE + page * PAGE).expect("mapped");
            let expected = if [3, 400].contains(&page) {
                page as u8
            } else {
                0
            };
            assert_eq!((mark(&found.frame), found.rights), (expected, rw()));
        }
        held.write(0, &[1]);
        let copy = table.query(HUGE + 3 * PAGE).expect("mapped").frame;
        assert_eq!(mark(&copy), 3, "it is another one");
        let theirs = child.query(HUGE + 400 * PAGE).expect("mapped").frame;
        assert_eq!(mark(&theirs), 400_u16 as u8);
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
