//! Address spaces on a host: tables in an arena, against a model.

mod forks;
mod huge;
mod spare;

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, Strategy, prop_assert_eq, proptest};
use proptest::prop_oneof;

use super::super::{
    PAGE_SIZE, PageTable, Rights, Sharing, USER_END, UserBlock, UserFrame, frames, host,
};
use super::PAGE;

fn rw() -> Rights {
    Rights::READ | Rights::WRITE
}

fn frame(mark: u8) -> UserFrame {
    let frame = UserFrame::zeroed().expect("the arena has frames");
    frame.write(0, &[mark]);
    frame
}

fn mark(frame: &UserFrame) -> u8 {
    let mut byte = [0];
    frame.read(0, &mut byte);
    byte[0]
}

fn space() -> PageTable {
    PageTable::new().expect("the arena has frames")
}

/// Runs a test and sees that it gave back every frame and every table.
fn check(test: impl FnOnce()) {
    let _arena = host::start();
    let before = frames::stats();
    test();
    let after = frames::stats();
    assert_eq!(after.free, before.free, "frames are lost");
    assert_eq!(after.page_tables, before.page_tables, "tables are lost");
}

/// Where an entry leads may not change under a processor that remembers it: one
/// would use the old page while another has stored to the new one.
#[test]
fn a_page_is_forgotten_before_another_takes_its_place() {
    check(|| {
        let mut table = space();
        table.map(PAGE, frame(1), rw()).expect("room");
        let _ = host::forgotten();
        let new = frame(2);
        let flush = table.replace(PAGE, new.clone(), rw()).expect("room");
        assert_eq!(host::forgotten(), [(PAGE, 0)], "nothing is there meanwhile");
        assert!(table.query(PAGE).expect("a page").frame.same_as(&new));
        flush.flush();
        assert_eq!(host::forgotten(), [], "once is enough");
    });
}

/// Neither may its size.
#[test]
fn a_huge_page_is_forgotten_before_its_pages_take_its_place() {
    check(|| {
        let (mut table, huge) = (space(), 2 << 20);
        let block = UserBlock::zeroed().expect("the arena has blocks");
        table.map_huge(huge, block, rw()).expect("room");
        let _ = host::forgotten();
        let page = huge + 5 * PAGE;
        table.unmap(page..page + PAGE).expect("room").flush();
        let [(opened, found), (unmapped, _)] = host::forgotten()[..] else {
            panic!("forgotten twice: as a block, and the page");
        };
        assert_eq!((opened, found, unmapped), (huge, 0, page));
    });
}

#[test]
fn a_mapped_page_is_found_and_goes() {
    check(|| {
        let mut table = space();
        for address in [0, PAGE, 0x7fff_ffff_e000, 1 << 39, 0x1234_5678_9000] {
            let page = frame(7);
            table.map(address, page.clone(), rw()).expect("room");
            let found = table.query(address).expect("it was just mapped");
            assert!(found.frame.same_as(&page));
            assert_eq!(found.rights, rw());
            assert!(!found.accessed && !found.dirty);
            assert!(table.query(address ^ (1 << 21)).is_none());
            assert_eq!(table.resident_pages(), 1);
            table.unmap(address..address + PAGE).expect("room").flush();
            assert!(table.query(address).is_none());
            assert_eq!(table.resident_pages(), 0);
            drop(found);
            assert!(page.is_unique());
        }
    });
}

#[test]
fn tables_go_when_their_last_page_goes() {
    check(|| {
        let mut table = space();
        let before = frames::stats().page_tables;
        for page in 0..3 {
            let address = (page << 30) + 0x5000;
            table.map(address, frame(1), rw()).expect("room");
        }
        assert_eq!(frames::stats().page_tables, before + 7);
        assert_eq!(table.tables(), 7);
        table
            .unmap(PAGE * 6..(1 << 30) + 0x6000)
            .expect("room")
            .flush();
        assert_eq!(frames::stats().page_tables, before + 5);
        assert_eq!(table.tables(), 5);
        table.unmap(0..USER_END).expect("room").flush();
        assert_eq!(frames::stats().page_tables, before);
    });
}

#[test]
fn what_is_forgotten_is_held_until_it_is_dropped() {
    // Few pages, which go one by one, and so many that their table goes as it is;
    // one of them somebody else has, too.
    for pages in [2_u64, 100] {
        check(|| {
            let mut table = space();
            let others = frame(9);
            let empty = frames::stats();
            table.map(0, others.clone(), rw()).expect("room");
            for page in 1..pages {
                table.map(page * PAGE, frame(1), rw()).expect("room");
            }
            let gone = table.unmap(0..pages * PAGE).expect("room").forgotten();
            assert!(table.query(PAGE).is_none());
            assert_eq!(table.resident_pages(), 0);
            // What comes to the same place is another page.
            table.map(PAGE, frame(2), rw()).expect("room");
            let before = frames::stats().free;
            drop(gone);
            let own = (pages - 1) as usize;
            assert!(frames::stats().free >= before + own);
            assert!(others.is_unique());
            let now = table.query(PAGE).expect("it was just mapped");
            assert_eq!(mark(&now.frame), 2);
            table.unmap(0..USER_END).expect("room").flush();
            drop(now);
            assert_eq!(frames::stats().free, empty.free);
        });
    }
}

#[test]
fn inaccessible_pages_keep_their_frames() {
    check(|| {
        let mut table = space();
        table.map(0x5000, frame(9), rw()).expect("room");
        table
            .protect(0..0x10_0000, Rights::empty())
            .expect("room")
            .flush();
        let kept = table.query(0x5000).expect("the frame is kept");
        assert_eq!(kept.rights, Rights::empty());
        assert_eq!(mark(&kept.frame), 9);
        assert_eq!(table.resident_pages(), 1);
        let all = rw() | Rights::EXECUTE;
        table.protect(0x5000..0x6000, all).expect("room").flush();
        assert_eq!(table.query(0x5000).map(|page| page.rights), Some(all));
        table.write_protect(0..USER_END).expect("room").flush();
        let rights = table.query(0x5000).map(|page| page.rights);
        assert_eq!(rights, Some(Rights::READ | Rights::EXECUTE));
    });
}

#[test]
fn a_visit_lends_the_handles_of_the_table() {
    check(|| {
        let mut table = space();
        let page = frame(7);
        table.map(0, page.clone(), rw()).expect("room");
        table.map(PAGE, page.clone(), rw()).expect("room");
        table.map(2 * PAGE, frame(8), rw()).expect("room");
        let mut seen = Vec::new();
        let mut kept = Vec::new();
        table.visit(0..3 * PAGE, |_, found| {
            seen.push((found.frame.handles(), found.holders()));
            kept.push(found.frame.clone());
        });
        // Each visit's clone of the page is one more for the next one.
        assert_eq!(seen, [(3, 3), (4, 4), (1, 1)]);
        drop(kept);
        assert_eq!(page.handles(), 3);
        // A handle of one's own is counted, and is nobody's mapping.
        let found = table.query(0).expect("it is mapped");
        assert_eq!((found.frame.handles(), found.holders()), (4, 3));
        drop(found);
        table.unmap(0..3 * PAGE).expect("room").flush();
        assert!(page.is_unique());
    });
}

#[test]
fn one_page_can_be_changed_alone() {
    check(|| {
        let mut table = space();
        for page in 0..2 {
            table
                .map(page * PAGE, frame(1), rw())
                .expect("the arena has room");
        }
        table.set_rights(PAGE, Rights::READ).expect("room").flush();
        let rights = |page| table.query(page * PAGE).map(|page| page.rights);
        assert_eq!((rights(0), rights(1)), (Some(rw()), Some(Rights::READ)));
        assert!(!table.is_vacant(0) && !table.is_vacant(PAGE));
        assert!(table.is_vacant(2 * PAGE) && table.is_vacant(1 << 40));
    });
}

#[test]
fn a_fork_shares_and_both_lose_the_store_right() {
    check(|| {
        let mut parent = space();
        let mut addresses = Vec::new();
        for page in [0, 1, 511, 512, 513, 1 << 18, (1 << 27) + 5] {
            let address = page * PAGE;
            addresses.push(address);
            parent.map(address, frame(3), rw()).expect("room");
        }
        let mut child = space();
        let flush = parent.share_into(&mut child, 0..USER_END, Sharing::CopyOnWrite);
        flush.expect("room").flush();
        assert_eq!(child.resident_pages(), addresses.len());
        for &address in &addresses {
            let ours = parent.query(address).expect("mapped");
            let theirs = child.query(address).expect("shared");
            assert!(ours.frame.same_as(&theirs.frame));
            assert_eq!(ours.rights, Rights::READ);
            assert_eq!(theirs.rights, Rights::READ);
            assert_eq!(ours.frame.handles(), 4);
        }
        // Copy-on-write in the child; the parent's page is then its own.
        let copy = child.query(0).and_then(|page| page.frame.duplicate().ok());
        let copy = copy.expect("room");
        child.replace(0, copy, rw()).expect("room").flush();
        let ours = parent.query(0).expect("mapped");
        assert_eq!(ours.frame.handles(), 2);
        drop(parent);
        assert_eq!(child.query(PAGE).map(|page| mark(&page.frame)), Some(3));
    });
}

#[test]
fn sharing_a_part_shares_that_part_only() {
    check(|| {
        let mut parent = space();
        for page in 0..40 {
            parent
                .map(page * PAGE, frame(page as u8), rw())
                .expect("room");
        }
        let mut child = space();
        let range = 10 * PAGE..20 * PAGE;
        let flush = parent.share_into(&mut child, range, Sharing::ForGood);
        flush.expect("room").flush();
        assert_eq!(child.resident_pages(), 10);
        let flush = parent.share_into(&mut child, 25 * PAGE..26 * PAGE, Sharing::CopyOnWrite);
        flush.expect("room").flush();
        for page in 0..40_u64 {
            let found = child.query(page * PAGE);
            assert_eq!(found.is_some(), (10..20).contains(&page) || page == 25);
            let rights = parent.query(page * PAGE).map(|page| page.rights);
            let expected = if page == 25 { Rights::READ } else { rw() };
            assert_eq!(rights, Some(expected));
        }
        let empty = parent.share_into(&mut child, 1 << 40..1 << 41, Sharing::CopyOnWrite);
        empty.expect("room").flush();
        assert_eq!(child.resident_pages(), 11);
    });
}

#[test]
fn a_large_fork_stops_between_two_tables_and_goes_on() {
    check(|| {
        let mut parent = space();
        for page in [0, 511, 513, 700, 1 << 18, (1 << 27) + 5] {
            parent.map(page * PAGE, frame(3), rw()).expect("room");
        }
        let mut child = space();
        let mut stops = Vec::new();
        let mut next = 0;
        while next < USER_END {
            let answer =
                parent.share_some_into(&mut child, next..USER_END, Sharing::CopyOnWrite, &mut 1);
            let (flush, end) = answer.expect("room");
            flush.flush();
            next = end;
            stops.push((end / PAGE, child.resident_pages()));
        }
        let end = USER_END / PAGE;
        assert_eq!(
            stops,
            [(512, 2), (1 << 18, 4), (1 << 27, 5), (end, 6)],
            "a table at a time, and no time for those that are not there"
        );
        let nothing = parent.share_some_into(
            &mut child,
            600 * PAGE..USER_END,
            Sharing::CopyOnWrite,
            &mut 0,
        );
        assert_eq!(nothing.map(|(_, end)| end / PAGE), Ok(600));
    });
}

#[test]
fn many_shared_pages_can_be_unmapped_at_once() {
    check(|| {
        let mut table = space();
        let keep: Vec<UserFrame> = (0..200).map(|_| frame(1)).collect();
        for (frame, page) in keep.iter().zip(0..) {
            table.map(page * PAGE, frame.clone(), rw()).expect("room");
        }
        let mut flush = table.unmap(0..100 * PAGE).expect("room");
        flush.join(table.unmap(100 * PAGE..USER_END).expect("room"));
        flush.flush();
        assert!(keep.iter().all(UserFrame::is_unique));
    });
}

#[test]
fn a_flush_holds_what_was_unmapped() {
    check(|| {
        let mut table = space();
        for page in 0..4 {
            table.map(page * PAGE, frame(1), rw()).expect("room");
        }
        let before = frames::stats().free;
        let flush = table.unmap(0..USER_END).expect("room");
        assert_eq!(frames::stats().free, before);
        flush.flush();
        // Four frames and three tables.
        assert_eq!(frames::stats().free, before + 7);
    });
}

#[test]
fn relocation_moves_frames_and_rights() {
    check(|| {
        let mut table = space();
        table.map(0x1000, frame(1), Rights::READ).expect("room");
        table.map(0x5000, frame(5), rw()).expect("room");
        let to = (7 << 30) - 0x2000;
        table.relocate(0x1000, to, 0x5000).expect("room").flush();
        assert!(table.query(0x1000).is_none());
        assert!(table.query(0x5000).is_none());
        let first = table.query(to).expect("moved");
        assert_eq!((mark(&first.frame), first.rights), (1, Rights::READ));
        let last = table.query(to + 0x4000).expect("moved");
        assert_eq!((mark(&last.frame), last.rights), (5, rw()));
        assert_eq!(table.resident_pages(), 2);
        // Over a gap without tables, back again.
        table
            .relocate(1 << 30, 20 << 30, 6 << 30)
            .expect("room")
            .flush();
        assert_eq!(
            table.query(to + (19 << 30)).map(|page| mark(&page.frame)),
            Some(1)
        );
    });
}

#[test]
fn running_out_is_an_error_and_loses_nothing() {
    check(|| {
        let mut hog = Vec::new();
        while let Ok(frame) = UserFrame::zeroed() {
            hog.push(frame);
        }
        assert!(!super::super::has_headroom(0));
        assert!(frames::stats().free <= frames::stats().reserve);
        // Tables may use half of the reserve.
        let mut table = space();
        let mut address = 0;
        let zero = UserFrame::shared_zero();
        while table.map(address, zero.clone(), Rights::READ).is_ok() {
            address += 1 << 30;
        }
        assert!(table.query(address).is_none());
        let stats = frames::stats();
        assert!(stats.free >= stats.reserve / 2 && stats.free < stats.reserve);
        let mut child = PageTable::new();
        if let Ok(child) = &mut child {
            assert!(
                table
                    .share_into(child, 0..USER_END, Sharing::CopyOnWrite)
                    .is_err()
            );
        }
        let to = USER_END - (1 << 30) - 0xf000;
        assert!(table.relocate(0, to & !0xfff, 1 << 30).is_err());
        assert!(table.query(0).is_some());
        drop(hog);
        let stats = frames::stats();
        assert!(stats.free > stats.reserve);
    });
}

#[test]
fn addresses_beyond_the_user_half_are_refused() {
    let _arena = host::start();
    for address in [1, USER_END, u64::MAX - 0xfff, 1 << 63] {
        let query = std::panic::catch_unwind(|| space().query(address).is_some());
        assert!(query.is_err(), "{address:#x}");
        let unmap =
            std::panic::catch_unwind(|| space().unmap(0..address + 1).expect("room").flush());
        assert!(unmap.is_err(), "{address:#x}");
    }
}

#[test]
fn a_space_outlives_its_tables() {
    check(|| {
        let mut table = space();
        table.map(0, frame(1), rw()).expect("room");
        let space = table.space().clone();
        space.activate();
        drop(table);
        drop(space);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Map(u64, Rights),
    MapHuge(u64, Rights),
    Replace(u64, Rights),
    Protect(u64, u64, Rights),
    WriteProtect(u64, u64),
    Unmap(u64, u64),
    Relocate(u64, u64, u64),
    Fork(u64, u64, bool),
    Spare(u64, u64),
    TakeSpare(u64, u64),
}

/// Page numbers around the borders of tables of each level.
fn page() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..8,
        505_u64..520,
        (1 << 18) - 3..(1 << 18) + 3_u64,
        (1 << 27) - 2..(1 << 27) + 2_u64,
        (USER_END / PAGE - 3)..USER_END / PAGE,
    ]
}

fn rights() -> impl Strategy<Value = Rights> {
    prop_oneof![
        proptest::strategy::Just(Rights::empty()),
        proptest::strategy::Just(Rights::READ),
        proptest::strategy::Just(Rights::READ | Rights::WRITE),
        proptest::strategy::Just(Rights::READ | Rights::EXECUTE),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (page(), rights()).prop_map(|(page, rights)| Step::Map(page, rights)),
        1 => (page(), rights()).prop_map(|(page, rights)| Step::MapHuge(page / 512 * 512, rights)),
        2 => (page(), rights()).prop_map(|(page, rights)| Step::Replace(page, rights)),
        1 => (page(), page(), rights()).prop_map(|(a, b, r)| Step::Protect(a.min(b), a.max(b), r)),
        1 => (page(), page()).prop_map(|(a, b)| Step::WriteProtect(a.min(b), a.max(b))),
        2 => (page(), page()).prop_map(|(a, b)| Step::Unmap(a.min(b), a.max(b))),
        1 => (page(), page(), 1_u64..20).prop_map(|(a, b, len)| Step::Relocate(a, b, len)),
        1 => (page(), page(), proptest::bool::ANY)
            .prop_map(|(a, b, cow)| Step::Fork(a.min(b), a.max(b), cow)),
        1 => (page(), page()).prop_map(|(a, b)| Step::Spare(a.min(b), a.max(b))),
        1 => (page(), page()).prop_map(|(a, b)| Step::TakeSpare(a.min(b), a.max(b))),
    ]
}

fn how(copy_on_write: bool) -> Sharing {
    if copy_on_write {
        Sharing::CopyOnWrite
    } else {
        Sharing::ForGood
    }
}

/// What a page is to be: its frame, its rights, whether it can be spared.
type Expected = (u64, Rights, bool);
type Model = BTreeMap<u64, Expected>;

fn seen(page: &super::super::Mapping) -> Expected {
    (page.frame.number(), page.rights, page.spare)
}

/// Whether a table has the pages of the model and no others. All are visited;
/// asked for are those at the edges of tables, which steps name, and some
/// between them.
fn agrees(table: &PageTable, model: &Model) -> Result<(), proptest::test_runner::TestCaseError> {
    prop_assert_eq!(table.resident_pages(), model.len());
    for (&page, &expected) in model {
        let in_table = page % 512;
        if (20..500).contains(&in_table) && in_table % 61 != 0 {
            continue;
        }
        let found = table.query(page * PAGE).as_ref().map(seen);
        prop_assert_eq!(found, Some(expected), "page {:#x}", page);
    }
    let mut rest = model.iter();
    let mut wrong = None;
    table.visit(0..USER_END, |address, page| {
        let found = (address / PAGE, seen(page));
        let expected = rest.next().map(|(&page, &expected)| (page, expected));
        if expected != Some(found) {
            wrong.get_or_insert((found, expected));
        }
    });
    prop_assert_eq!(wrong, None, "visited, and expected");
    prop_assert_eq!(rest.next(), None, "not visited");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_a_map_of_pages(steps in proptest::collection::vec(step(), 0..60)) {
        let _arena = host::start();
        let before = frames::stats();
        let mut table = space();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Map(page, rights) => {
                    let fresh = frame(1);
                    let number = fresh.number();
                    if model.contains_key(&page) {
                        continue;
                    }
                    table.map(page * PAGE, fresh, rights).expect("room");
                    model.insert(page, (number, rights, false));
                }
                Step::MapHuge(first, rights) => {
                    let range = first..first + 512;
                    let is_vacant = model.range(range.clone()).next().is_none();
                    prop_assert_eq!(table.is_vacant_block(first * PAGE), is_vacant);
                    if !is_vacant || range.end * PAGE > USER_END {
                        continue;
                    }
                    // None may be left whole.
                    let Ok(block) = UserBlock::zeroed() else {
                        continue;
                    };
                    table.map_huge(first * PAGE, block, rights).expect("room");
                    let number = |page: u64| table.query(page * PAGE).map(|page| page.frame.number());
                    let frame = number(first).expect("mapped");
                    model.extend(range.map(|page| (page, (frame + page - first, rights, false))));
                }
                Step::Replace(page, rights) => {
                    let fresh = frame(1);
                    let number = fresh.number();
                    table.replace(page * PAGE, fresh, rights).expect("room").flush();
                    model.insert(page, (number, rights, false));
                }
                Step::Protect(start, end, rights) => {
                    table.protect(start * PAGE..end * PAGE, rights).expect("room").flush();
                    for (_, entry) in model.range_mut(start..end) {
                        (entry.1, entry.2) = (rights, false);
                    }
                }
                Step::WriteProtect(start, end) => {
                    table.write_protect(start * PAGE..end * PAGE).expect("room").flush();
                    for (_, entry) in model.range_mut(start..end) {
                        entry.1.remove(Rights::WRITE);
                    }
                }
                Step::Unmap(start, end) => {
                    table.unmap(start * PAGE..end * PAGE).expect("room").flush();
                    model.retain(|page, _| !(start..end).contains(page));
                }
                Step::Relocate(from, to, len) => {
                    let overlap = from < to + len && to < from + len;
                    let outside = (from.max(to) + len) * PAGE > USER_END;
                    if overlap || outside || model.range(to..to + len).next().is_some() {
                        continue;
                    }
                    let moved = table.relocate(from * PAGE, to * PAGE, len * PAGE);
                    moved.expect("room").flush();
                    let moved: Vec<_> = model.range(from..from + len).map(|(&k, &v)| (k, v)).collect();
                    for (page, entry) in moved {
                        model.remove(&page);
                        model.insert(page - from + to, entry);
                    }
                }
                Step::Fork(start, end, copy_on_write) => {
                    let mut child = space();
                    let range = start * PAGE..end * PAGE;
                    let flush = table.share_into(&mut child, range, how(copy_on_write));
                    flush.expect("room").flush();
                    if copy_on_write {
                        for (_, entry) in model.range_mut(start..end) {
                            entry.1.remove(Rights::WRITE);
                        }
                    }
                    let part = model.range(start..end).filter(|(_, entry)| !entry.2);
                    let part = part.map(|(&k, &v)| (k, v)).collect();
                    agrees(&child, &part)?;
                }
                Step::Spare(start, end) => {
                    let is_huge = |page: u64| table.query(page * PAGE).is_some_and(|page| page.is_huge);
                    let is_gone = |page: u64| {
                        let first = page / 512 * 512;
                        start <= first && first + 512 <= end && is_huge(page)
                    };
                    model.retain(|&page, _| !is_gone(page));
                    let range = start * PAGE..end * PAGE;
                    let (flush, next, _) = table.mark_spare(range, &mut usize::MAX.clone());
                    flush.flush();
                    prop_assert_eq!(next, end * PAGE);
                    for (_, entry) in model.range_mut(start..end) {
                        entry.1.remove(Rights::WRITE);
                        entry.2 = true;
                    }
                }
                Step::TakeSpare(start, end) => {
                    let taken = table.take_spare(start * PAGE..end * PAGE, usize::MAX);
                    taken.flush.flush();
                    let before = model.len();
                    model.retain(|page, entry| !(start..end).contains(page) || !entry.2);
                    prop_assert_eq!((taken.count, taken.are_held), (before - model.len(), false));
                }
            }
            agrees(&table, &model)?;
        }
        drop(table);
        let after = frames::stats();
        prop_assert_eq!(after.free, before.free);
        prop_assert_eq!(after.page_tables, before.page_tables);
    }
}

const _: () = assert!(PAGE as usize == PAGE_SIZE);
