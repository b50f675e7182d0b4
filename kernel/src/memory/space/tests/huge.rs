//! Huge pages: who gets one, and what the program sees of it afterwards.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::mman::{Advice, Protection, RemapFlags};
use ochre_hal::memory::{self, HUGE_SIZE, Rights, UserFrame, host};
use ochre_hal::user::Access;

use super::{BASE, RW, fixed, load, new_space, signal, store};
use crate::memory::area::PAGE;
use crate::memory::huge::{HugePolicy, fallbacks};
use crate::memory::{AddressSpace, AreaFlags, Backing, RemapRequest, SharedMemory, Source};

/// Pages in a huge one.
const HUGE: u64 = HUGE_SIZE as u64 / PAGE;

/// A space with an area of so many huge pages, advised so.
fn advised(places: u64) -> Arc<AddressSpace> {
    let space = new_space();
    space.map(fixed(0..places * HUGE, RW)).expect("room");
    advise(&space, 0..places * HUGE, Advice::HugePage);
    space
}

fn advise(space: &AddressSpace, pages: core::ops::Range<u64>, advice: Advice) {
    let len = (pages.end - pages.start) * PAGE;
    let answer = space.advise(BASE + pages.start * PAGE, len, advice);
    assert!(matches!(answer, Ok(None)), "{answer:?}");
}

/// Pages in huge ones.
fn huge(space: &AddressSpace) -> u64 {
    let areas = space.areas();
    let sum: u64 = areas.iter().map(|area| space.residence_of(area).huge).sum();
    sum / PAGE
}

/// Stores a number to each page of a huge one.
fn fill(space: &AddressSpace, place: u64) {
    for page in place * HUGE..(place + 1) * HUGE {
        store(space, page, number(page)).expect("it may be written");
    }
}

fn number(page: u64) -> u8 {
    (page % 251) as u8 + 1
}

fn holds(space: &AddressSpace, pages: core::ops::Range<u64>) {
    for page in pages {
        assert_eq!(load(space, page), Ok(number(page)), "page {page}");
    }
}

#[test]
fn a_store_brings_all_of_it_where_it_was_advised() {
    let _memory = host::start();
    let free = memory::stats().free;
    let space = advised(2);
    assert_eq!(store(&space, HUGE + 7, 9), Ok(()));
    assert_eq!((space.resident_pages() as u64, huge(&space)), (HUGE, HUGE));
    assert_eq!((load(&space, HUGE + 7), load(&space, HUGE)), (Ok(9), Ok(0)));
    assert_eq!(load(&space, 2 * HUGE - 1), Ok(0));
    // A load brings the zeroes that all share, and pages follow.
    assert_eq!(load(&space, 3), Ok(0));
    assert_eq!(store(&space, 4, 1), Ok(()));
    assert_eq!(huge(&space), HUGE);
    drop(space);
    assert_eq!(memory::stats().free, free);
}

#[test]
fn others_get_pages() {
    let _memory = host::start();
    type Case = (&'static str, fn(&AddressSpace));
    let cases: [Case; 6] = [
        ("not advised", |_| ()),
        ("advised against", |space| {
            advise(space, 0..HUGE, Advice::HugePage);
            advise(space, 0..HUGE, Advice::NoHugePage);
        }),
        ("a page too few at the end", |space| {
            advise(space, 0..HUGE - 1, Advice::HugePage);
        }),
        ("a page too few at the start", |space| {
            advise(space, 1..HUGE, Advice::HugePage);
        }),
        ("a page is there", |space| {
            assert_eq!(store(space, HUGE - 1, 1), Ok(()));
            advise(space, 0..HUGE, Advice::HugePage);
        }),
        ("the program wants none", |space| {
            advise(space, 0..HUGE, Advice::HugePage);
            space.refuse_huge_pages(true);
        }),
    ];
    for (name, prepare) in cases {
        let space = new_space();
        space.map(fixed(0..HUGE, RW)).expect("room");
        prepare(&space);
        assert_eq!(store(&space, 7, 9), Ok(()));
        assert_eq!(huge(&space), 0, "{name}");
    }
}

#[test]
fn pages_of_an_object_stay_its_own() {
    let _memory = host::start();
    for shared in [false, true] {
        let object: Arc<dyn Backing> = Arc::new(SharedMemory::new(HUGE));
        let mut request = fixed(0..HUGE, RW);
        request.flags.set(AreaFlags::SHARED, shared);
        request.source = Some(Source {
            backing: Arc::clone(&object),
            first: 0,
        });
        let space = new_space();
        space.map(request).expect("room");
        advise(&space, 0..HUGE, Advice::HugePage);
        assert!(!space.may_have_huge_pages(&space.areas()[0]));
        assert_eq!(store(&space, 7, 9), Ok(()));
        assert_eq!((space.resident_pages(), huge(&space)), (1, 0));
        let mut byte = [0];
        object.page(7).expect("it has one").read(0, &mut byte);
        assert_eq!(byte, [if shared { 9 } else { 0 }]);
    }
}

#[test]
fn a_child_refuses_what_its_parent_did() {
    let _memory = host::start();
    let space = advised(1);
    space.refuse_huge_pages(true);
    let child = space.fork().expect("there is memory");
    assert!(child.refuses_huge_pages());
    assert_eq!(store(&child, 7, 9), Ok(()));
    assert_eq!(huge(&child), 0);
}

#[test]
fn the_policy_is_followed() {
    let _memory = host::start();
    let of = |policy: HugePolicy, is_advised: bool| {
        policy.set();
        let space = new_space();
        space.map(fixed(0..HUGE, RW)).expect("room");
        if is_advised {
            advise(&space, 0..HUGE, Advice::HugePage);
        }
        let eligible = space
            .areas()
            .iter()
            .all(|area| space.may_have_huge_pages(area));
        assert_eq!(store(&space, 7, 9), Ok(()));
        assert_eq!(eligible, huge(&space) == HUGE);
        eligible
    };
    let answers = [HugePolicy::Always, HugePolicy::Madvise, HugePolicy::Never]
        .map(|policy| (of(policy, false), of(policy, true)));
    let against = |policy: HugePolicy| {
        policy.set();
        let space = new_space();
        space.map(fixed(0..HUGE, RW)).expect("room");
        advise(&space, 0..HUGE, Advice::NoHugePage);
        assert_eq!(store(&space, 7, 9), Ok(()));
        huge(&space)
    };
    let refused = [HugePolicy::Always, HugePolicy::Madvise].map(against);
    HugePolicy::Madvise.set();
    assert_eq!(refused, [0, 0]);
    assert_eq!(answers, [(true, true), (false, true), (false, false)]);
}

#[test]
fn a_part_that_changes_leaves_the_rest_as_it_was() {
    let _memory = host::start();
    let free = memory::stats().free;
    let space = advised(2);
    fill(&space, 0);
    fill(&space, 1);
    assert_eq!(huge(&space), 2 * HUGE);
    let at = |page: u64| BASE + page * PAGE;

    let sealed = space.protect(at(5), 2 * PAGE, Protection::READ, false);
    assert!(sealed.is_ok());
    assert_eq!(huge(&space), HUGE, "one is split");
    assert_eq!(signal(store(&space, 6, 1)), (11, 2));
    assert_eq!(store(&space, 7, number(7)), Ok(()));
    space.unmap(at(20), 3 * PAGE).expect("there is memory");
    assert_eq!(signal(load(&space, 21)), (11, 1));
    advise(&space, 30..31, Advice::DontNeed);
    assert_eq!(load(&space, 30), Ok(0));
    let moved = space.remap(&RemapRequest {
        address: at(HUGE + 40),
        old_len: 2 * PAGE,
        new_len: 2 * PAGE,
        flags: RemapFlags::MAYMOVE | RemapFlags::FIXED,
        new_address: at(4 * HUGE),
        privileged: false,
        may_lock: true,
    });
    assert!(moved.is_ok());
    assert_eq!(huge(&space), 0);
    assert_eq!(load(&space, 4 * HUGE + 1), Ok(number(HUGE + 41)));
    assert_eq!(signal(load(&space, HUGE + 40)), (11, 1));

    holds(&space, 0..20);
    holds(&space, 23..30);
    holds(&space, 31..HUGE + 40);
    holds(&space, HUGE + 42..2 * HUGE);
    assert_eq!(space.resident_pages() as u64, 2 * HUGE - 3);
    drop(space);
    assert_eq!(memory::stats().free, free);
}

#[test]
fn all_of_it_is_given_up_whole() {
    let _memory = host::start();
    let free = memory::stats().free;
    let space = advised(2);
    fill(&space, 0);
    fill(&space, 1);
    let before = memory::huge_pages().split;
    advise(&space, 0..HUGE, Advice::DontNeed);
    assert_eq!((load(&space, 8), huge(&space)), (Ok(0), HUGE));
    holds(&space, HUGE..2 * HUGE);
    space.unmap(BASE + HUGE * PAGE, HUGE * PAGE).expect("room");
    assert_eq!(space.resident_pages(), 1, "the shared zeroes");
    assert_eq!(memory::huge_pages().split, before);
    drop(space);
    assert_eq!(memory::stats().free, free);
}

#[test]
fn a_fork_copies_on_write_as_ever() {
    let _memory = host::start();
    let free = memory::stats().free;
    let space = advised(2);
    fill(&space, 0);
    let child = space.fork().expect("there is memory");
    assert_eq!(store(&child, 5, 200), Ok(()));
    assert_eq!(store(&space, 6, 201), Ok(()));
    // What neither had is each one's own, and huge still.
    assert_eq!(store(&child, HUGE, 1), Ok(()));
    assert_eq!(store(&space, HUGE, 2), Ok(()));
    assert_eq!((huge(&child), huge(&space)), (HUGE, HUGE));
    holds(&space, 0..6);
    assert_eq!((load(&child, 6), load(&space, 6)), (Ok(number(6)), Ok(201)));
    assert_eq!((load(&child, 5), load(&space, 5)), (Ok(200), Ok(number(5))));
    assert_eq!((load(&child, HUGE), load(&space, HUGE)), (Ok(1), Ok(2)));
    drop(space);
    holds(&child, 6..HUGE);
    drop(child);
    assert_eq!(memory::stats().free, free);
}

#[test]
fn pages_come_where_no_block_is_left() {
    let _memory = host::start();
    let mut hog: Vec<UserFrame> = Vec::new();
    while let Ok(frame) = UserFrame::zeroed() {
        hog.push(frame);
    }
    // Much is free, and nothing of it side by side.
    hog.retain(|frame| frame.number().is_multiple_of(8));
    let space = advised(1);
    let before = fallbacks();
    assert_eq!(store(&space, 7, 9), Ok(()));
    assert_eq!((space.resident_pages(), fallbacks()), (1, before + 1));
    assert_eq!(store(&space, 8, 9), Ok(()));
    assert_eq!(fallbacks(), before + 1, "a place is tried once");
}

#[test]
fn rights_are_the_areas() {
    let _memory = host::start();
    let space = new_space();
    let all = RW | Protection::EXECUTE;
    space.map(fixed(0..HUGE, RW)).expect("room");
    space.map(fixed(HUGE..2 * HUGE, all)).expect("room");
    advise(&space, 0..2 * HUGE, Advice::HugePage);
    assert_eq!(store(&space, 7, 9), Ok(()));
    assert_eq!(store(&space, HUGE + 7, 9), Ok(()));
    assert_eq!(huge(&space), 2 * HUGE);
    let rights = |page: u64| {
        let inner = space.inner();
        inner
            .table
            .query(BASE + page * PAGE)
            .map(|page| page.rights)
    };
    assert_eq!(rights(8), Some(Rights::READ | Rights::WRITE));
    let all = Rights::READ | Rights::WRITE | Rights::EXECUTE;
    assert_eq!(rights(HUGE + 8), Some(all));
    assert_eq!(
        signal(space.fault(BASE + 9 * PAGE, Access::Execute)),
        (11, 2)
    );
}

#[test]
fn a_locked_range_is_there_in_huge_pages() {
    let _memory = host::start();
    let space = advised(2);
    let range = BASE..BASE + 2 * HUGE * PAGE;
    let mut pages = space.lock(range, false, true).expect("no limit counts");
    while pages.step(&space) != Ok(true) {}
    assert_eq!(
        (space.resident_pages() as u64, huge(&space)),
        (2 * HUGE, 2 * HUGE)
    );
    let areas = space.areas();
    assert!(
        areas
            .iter()
            .all(|area| area.flags.contains(AreaFlags::LOCKED))
    );
}

/// Gathers pages; the call's answer, and in how many parts it came.
fn gather(space: &AddressSpace, pages: core::ops::Range<u64>) -> (Result<(), Errno>, usize) {
    let len = (pages.end - pages.start) * PAGE;
    let rest = space.advise(BASE + pages.start * PAGE, len, Advice::Collapse);
    let mut rest = match rest {
        Ok(Some(rest)) => rest,
        other => return (other.map(|_| ()), 0),
    };
    let mut parts = 1;
    loop {
        match rest.step(space) {
            Ok(false) => parts += 1,
            Ok(true) => return (Ok(()), parts),
            Err(errno) => return (Err(errno), parts),
        }
    }
}

#[test]
fn pages_are_gathered_when_the_program_asks() {
    let _memory = host::start();
    let free = memory::stats().free;
    let space = new_space();
    space.map(fixed(0..3 * HUGE, RW)).expect("room");
    assert_eq!(gather(&space, 0..HUGE).0, Err(Errno::EINVAL), "no page yet");
    for page in [0, 7, HUGE + 9] {
        store(&space, page, number(page)).expect("it may be written");
    }
    assert_eq!(gather(&space, 0..2 * HUGE).0, Ok(()));
    assert_eq!(
        (huge(&space), space.resident_pages() as u64),
        (2 * HUGE, 2 * HUGE)
    );
    holds(&space, 0..1);
    holds(&space, HUGE + 9..HUGE + 10);
    assert_eq!(load(&space, 8), Ok(0));
    assert_eq!(gather(&space, 0..2 * HUGE).0, Ok(()), "again");
    // The third has none.
    assert_eq!(gather(&space, 0..3 * HUGE).0, Err(Errno::EINVAL));
    assert_eq!(gather(&space, 1..2).0, Err(Errno::EINVAL), "within one");
    assert_eq!(gather(&space, 1..HUGE + 1).0, Ok(()), "no whole one");
    advise(&space, HUGE..2 * HUGE, Advice::NoHugePage);
    assert_eq!(gather(&space, 0..2 * HUGE).0, Err(Errno::EINVAL));
    space.unmap(BASE + HUGE * PAGE, HUGE * PAGE).expect("room");
    store(&space, 2 * HUGE, 1).expect("it may be written");
    assert_eq!(gather(&space, 0..3 * HUGE).0, Err(Errno::ENOMEM), "a hole");
    assert_eq!(huge(&space), 2 * HUGE);
    let child = space.fork().expect("there is memory");
    child.refuse_huge_pages(true);
    assert_eq!(gather(&child, 0..HUGE).0, Err(Errno::EINVAL));
    drop((space, child));
    assert_eq!(memory::stats().free, free);
}

#[test]
fn gathering_lets_others_run_and_needs_blocks() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..6 * HUGE, RW)).expect("room");
    for place in 0..6 {
        store(&space, place * HUGE, 1).expect("it may be written");
    }
    assert_eq!(gather(&space, 0..6 * HUGE), (Ok(()), 2));
    space.map(fixed(0..HUGE, RW)).expect("room");
    store(&space, 3, number(3)).expect("it may be written");
    let mut hog: Vec<UserFrame> = Vec::new();
    while let Ok(frame) = UserFrame::zeroed() {
        hog.push(frame);
    }
    assert_eq!(gather(&space, 0..HUGE).0, Err(Errno::ENOMEM));
    holds(&space, 3..4);
    drop(hog);
}

#[test]
fn what_a_thread_does_to_all_of_it_leaves_it_huge() {
    let _memory = host::start();
    let free = memory::stats().free;
    let space = advised(1);
    fill(&space, 0);
    for rights in [Protection::READ, Protection::empty(), RW] {
        assert!(space.protect(BASE, HUGE * PAGE, rights, false).is_ok());
        assert_eq!(huge(&space), HUGE);
    }
    let before = memory::huge_pages().split;
    assert_eq!(store(&space, 9, number(9)), Ok(()));
    let child = space.fork().expect("there is memory");
    assert_eq!((huge(&space), huge(&child)), (HUGE, HUGE));
    holds(&child, 0..HUGE);
    drop(child);
    assert_eq!(store(&space, 9, number(9)), Ok(()));
    let moved = space.remap(&RemapRequest {
        address: BASE,
        old_len: HUGE * PAGE,
        new_len: HUGE * PAGE,
        flags: RemapFlags::MAYMOVE | RemapFlags::FIXED,
        new_address: BASE + 3 * HUGE * PAGE,
        privileged: false,
        may_lock: true,
    });
    assert!(moved.is_ok());
    assert_eq!((huge(&space), memory::huge_pages().split), (HUGE, before));
    assert_eq!(load(&space, 3 * HUGE + 9), Ok(number(9)));
    drop(space);
    assert_eq!(memory::stats().free, free);
}
