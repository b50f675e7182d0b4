//! Spaces that share tables after forks: what one does, the others never see.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use proptest::prop_oneof;
use proptest::test_runner::TestCaseError;

use super::super::super::{
    BlockState, PageTable, Rights, Sharing, USER_END, UserBlock, UserFrame, frames, host,
};
use super::{PAGE, check, frame, mark, rw, space};

/// A store as the kernel's fault path makes it possible, and does it.
fn store(table: &mut PageTable, page: u64, value: u8) {
    let address = page * PAGE;
    if table.is_vacant(address) {
        table.map(address, frame(value), rw()).expect("room");
        return;
    }
    let rights = |table: &PageTable| table.query(address).map(|page| page.rights);
    if !rights(table).expect("mapped").contains(Rights::WRITE) {
        table.own(address).expect("room");
    }
    let found = table.query(address).expect("mapped");
    if !found.rights.contains(Rights::WRITE) {
        if found.frame.handles() == 2 {
            table.set_rights(address, rw()).expect("room").flush();
        } else {
            let copy = found.frame.duplicate().expect("room");
            table.replace(address, copy, rw()).expect("room").flush();
        }
    }
    assert_eq!(rights(table), Some(rw()));
    let found = table.query(address).expect("mapped");
    assert!(!found.spare, "what is stored to stays");
    found.frame.write(0, &[value]);
}

fn load(table: &PageTable, page: u64) -> Option<u8> {
    table.query(page * PAGE).map(|page| mark(&page.frame))
}

fn fork(parent: &mut PageTable) -> PageTable {
    let mut child = space();
    let flush = parent.share_into(&mut child, 0..USER_END, Sharing::Tables);
    flush.expect("room").flush();
    child
}

/// A space with pages `0..count` that say their numbers.
fn filled(count: u64) -> PageTable {
    let mut table = space();
    for page in 0..count {
        store(&mut table, page, page as u8);
    }
    table
}

fn tables() -> usize {
    frames::stats().page_tables
}

#[test]
fn a_fork_takes_no_table_for_many_pages_until_somebody_stores() {
    check(|| {
        let mut parent = filled(100);
        let before = tables();
        let mut child = fork(&mut parent);
        assert_eq!(tables(), before + 3, "a root and two above the leaf");
        assert_eq!(child.resident_pages(), 100);
        let seen = child.query(5 * PAGE).expect("shared");
        assert_eq!((seen.rights, seen.owners), (Rights::READ, 2));
        assert_eq!(seen.frame.handles(), 2, "the table's, and this");
        drop(seen);

        store(&mut child, 5, 200);
        assert_eq!(tables(), before + 4);
        assert_eq!((load(&parent, 5), load(&child, 5)), (Some(5), Some(200)));
        store(&mut parent, 6, 201);
        assert_eq!(tables(), before + 4, "the parent has the old one alone");
        assert_eq!((load(&parent, 6), load(&child, 6)), (Some(201), Some(6)));
    });
}

#[test]
fn a_parent_whose_child_is_gone_has_its_pages_back() {
    check(|| {
        let mut parent = filled(100);
        let number = |table: &PageTable| table.query(7 * PAGE).map(|page| page.frame.number());
        let before = number(&parent);
        drop(fork(&mut parent));
        assert_eq!(parent.own(7 * PAGE), Ok(true));
        let found = parent.query(50 * PAGE).expect("mapped");
        assert_eq!((found.rights, found.owners), (rw(), 1));
        store(&mut parent, 7, 1);
        assert_eq!(number(&parent), before, "nothing was copied");
        assert_eq!(parent.own(7 * PAGE), Ok(false));
    });
}

#[test]
fn the_last_owner_has_the_pages_whoever_it_is() {
    check(|| {
        let mut parent = filled(100);
        let mut child = fork(&mut parent);
        let mut grandchild = fork(&mut child);
        assert_eq!(child.query(0).map(|page| page.owners), Some(3));
        drop(parent);
        drop(child);
        store(&mut grandchild, 3, 9);
        assert_eq!(load(&grandchild, 99), Some(99));
    });
}

#[test]
fn a_part_that_is_unmapped_stays_with_the_others() {
    check(|| {
        let mut parent = filled(100);
        let mut child = fork(&mut parent);
        parent.unmap(10 * PAGE..90 * PAGE).expect("room").flush();
        assert_eq!(parent.resident_pages(), 20);
        child.unmap(0..USER_END).expect("room").flush();
        assert_eq!(child.resident_pages(), 0);
        assert_eq!(load(&parent, 95), Some(95));
        assert_eq!(load(&parent, 50), None);
    });
}

#[test]
fn all_that_is_unmapped_takes_no_table() {
    check(|| {
        let mut parent = filled(100);
        let child = fork(&mut parent);
        let before = tables();
        parent.unmap(0..200 * PAGE).expect("room").flush();
        assert_eq!(tables(), before - 2, "the two above the leaf");
        assert_eq!(load(&child, 42), Some(42));
    });
}

#[test]
fn without_room_for_a_table_nothing_is_changed() {
    check(|| {
        let mut parent = filled(100);
        let child = fork(&mut parent);
        let mut hog = Vec::new();
        while let Ok(frame) = UserFrame::zeroed() {
            hog.push(frame);
        }
        let mut other = space();
        let mut address = 0;
        while other
            .map(address, UserFrame::shared_zero(), Rights::READ)
            .is_ok()
        {
            address += 1 << 30;
        }
        assert!(parent.unmap(0..PAGE).is_err());
        assert!(parent.protect(0..PAGE, Rights::READ).is_err());
        assert!(parent.set_rights(0, rw()).is_err());
        assert!(parent.own(0).is_err());
        assert!(parent.relocate(0, 1 << 30, PAGE).is_err());
        assert_eq!(parent.resident_pages(), 100);
        assert_eq!(load(&parent, 0), Some(0));
        // As a whole it goes without one.
        assert!(
            parent
                .unmap(0..100 * PAGE)
                .map(|flush| flush.flush())
                .is_ok()
        );
        assert_eq!(load(&child, 99), Some(99));
        drop(hog);
    });
}

#[derive(Clone, Debug)]
enum Act {
    Store(u64, u8),
    Huge(u64),
    Collapse(u64),
    Unmap(u64, u64),
    Seal(u64, u64),
    Move(u64, u64, u64),
    Fork,
    End,
    Spare(u64, u64),
    Take,
}

fn act() -> impl Strategy<Value = Act> {
    // Some tables with many pages, around their borders.
    let page = || prop_oneof![0_u64..6, 507_u64..518, 1021_u64..1026];
    prop_oneof![
        8 => (page(), 0_u8..255).prop_map(|(page, value)| Act::Store(page, value)),
        1 => (0_u64..3).prop_map(Act::Huge),
        1 => (0_u64..3).prop_map(Act::Collapse),
        1 => (0_u64..3, 0_u64..3).prop_map(|(a, b)| Act::Move(a * 512, b * 512, 512)),
        2 => (page(), page()).prop_map(|(a, b)| Act::Unmap(a.min(b), a.max(b))),
        1 => (page(), page()).prop_map(|(a, b)| Act::Seal(a.min(b), a.max(b))),
        1 => (page(), page(), 1_u64..600).prop_map(|(a, b, len)| Act::Move(a, b, len)),
        3 => proptest::strategy::Just(Act::Fork),
        1 => proptest::strategy::Just(Act::End),
        1 => (page(), page()).prop_map(|(a, b)| Act::Spare(a.min(b), a.max(b))),
        1 => proptest::strategy::Just(Act::Take),
    ]
}

type Content = BTreeMap<u64, u8>;

fn agrees(table: &PageTable, content: &Content) -> Result<(), TestCaseError> {
    prop_assert_eq!(table.resident_pages(), content.len());
    let mut rest = content.iter();
    let mut wrong = None;
    table.visit(0..USER_END, |address, page| {
        let found = (address / PAGE, mark(&page.frame));
        let expected = rest.next().map(|(&page, &value)| (page, value));
        if expected != Some(found) {
            wrong.get_or_insert((found, expected));
        }
    });
    prop_assert_eq!(wrong, None, "visited, and expected");
    prop_assert_eq!(rest.next(), None, "not visited");
    Ok(())
}

/// Who may store to a page is the only one who has it.
fn writers_are_alone(spaces: &[(PageTable, Content)]) -> Result<(), TestCaseError> {
    let mut holders = Vec::new();
    for (table, _) in spaces {
        table.visit(0..USER_END, |_, page| {
            let writes = page.rights.contains(Rights::WRITE);
            holders.push((page.frame.number(), writes));
        });
    }
    holders.sort_unstable();
    let alone = |of_one: &[(u64, bool)]| of_one.len() == 1 || !of_one.iter().any(|one| one.1);
    prop_assert!(
        holders.chunk_by(|one, next| one.0 == next.0).all(alone),
        "a page with a writer is shared"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn forks_never_see_each_other(
        acts in proptest::collection::vec((0_usize..4, act()), 0..80)
    ) {
        let _arena = host::start();
        let before = frames::stats();
        let mut spaces = vec![(space(), Content::new())];
        for (whose, act) in acts {
            let count = spaces.len();
            let whose = whose % count;
            let (table, content) = &mut spaces[whose];
            match act {
                Act::Store(page, value) => {
                    store(table, page, value);
                    content.insert(page, value);
                }
                Act::Huge(place) => {
                    let first = place * 512;
                    if !table.is_vacant_block(first * PAGE) {
                        continue;
                    }
                    // Forks may have left none whole.
                    let Ok(block) = UserBlock::zeroed() else {
                        continue;
                    };
                    table.map_huge(first * PAGE, block, rw()).expect("room");
                    content.extend((first..first + 512).map(|page| (page, 0)));
                }
                Act::Collapse(place) => {
                    let first = place * 512;
                    if table.block_state(first * PAGE) != BlockState::Pages {
                        continue;
                    }
                    let Ok(block) = UserBlock::zeroed() else {
                        continue;
                    };
                    table.collapse(first * PAGE, block, rw()).expect("room");
                    for page in first..first + 512 {
                        content.entry(page).or_insert(0);
                    }
                }
                Act::Unmap(start, end) => {
                    table.unmap(start * PAGE..end * PAGE).expect("room").flush();
                    content.retain(|page, _| !(start..end).contains(page));
                }
                Act::Seal(start, end) => {
                    let range = start * PAGE..end * PAGE;
                    table.protect(range, Rights::READ).expect("room").flush();
                }
                Act::Move(from, to, len) => {
                    let overlap = from < to + len && to < from + len;
                    if overlap || content.range(to..to + len).next().is_some() {
                        continue;
                    }
                    let moved = table.relocate(from * PAGE, to * PAGE, len * PAGE);
                    moved.expect("room").flush();
                    let pages: Vec<_> =
                        content.range(from..from + len).map(|(&k, &v)| (k, v)).collect();
                    for (page, value) in pages {
                        content.remove(&page);
                        content.insert(page - from + to, value);
                    }
                }
                Act::Fork if count < 4 => {
                    let child = fork(table);
                    let mut content = content.clone();
                    table.visit(0..USER_END, |address, page| {
                        if page.spare {
                            content.remove(&(address / PAGE));
                        }
                    });
                    spaces.push((child, content));
                }
                Act::End if count > 1 => {
                    spaces.swap_remove(whose);
                }
                Act::Fork | Act::End => {}
                Act::Spare(start, end) => {
                    let is_gone = |page: u64| {
                        let first = page / 512 * 512;
                        // One that others have stays, as their pages do.
                        let is_own_huge = || {
                            let page = table.query(page * PAGE);
                            page.is_some_and(|page| page.is_huge && page.owners == 1)
                        };
                        start <= first && first + 512 <= end && is_own_huge()
                    };
                    content.retain(|&page, _| !is_gone(page));
                    let range = start * PAGE..end * PAGE;
                    let (flush, ..) = table.mark_spare(range, &mut usize::MAX.clone());
                    flush.flush();
                }
                Act::Take => {
                    let mut goes = Vec::new();
                    table.visit(0..USER_END, |address, page| {
                        if page.spare && page.holders() == 1 {
                            goes.push(address / PAGE);
                        }
                    });
                    let taken = table.take_spare(0..USER_END, usize::MAX);
                    taken.flush.flush();
                    prop_assert_eq!(taken.count, goes.len());
                    for page in goes {
                        content.remove(&page);
                    }
                }
            }
            for (table, content) in &spaces {
                agrees(table, content)?;
            }
            writers_are_alone(&spaces)?;
        }
        drop(spaces);
        let after = frames::stats();
        prop_assert_eq!(after.free, before.free);
        prop_assert_eq!(after.page_tables, before.page_tables);
    }
}
