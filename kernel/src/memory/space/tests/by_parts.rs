//! Large ranges and large spaces, of which each poll does a part.

use alloc::sync::Arc;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::{Advice, Protection};
use ochre_hal::memory::{self, host};
use ochre_hal::user::Access;

use super::{BASE, RW, fixed, load, new_space, signal, store};
use crate::memory::area::PAGE;
use crate::memory::{
    AddressSpace, AreaFlags, Backing, MapRequest, Population, Removal, Rest, SharedMemory, Source,
};

/// What is there after each step.
fn parts(space: &AddressSpace, pages: impl Into<Rest>) -> Vec<usize> {
    let mut pages = pages.into();
    let mut counts = Vec::new();
    loop {
        let is_over = pages.step(space).expect("there is memory");
        counts.push(space.resident_pages());
        if is_over {
            return counts;
        }
    }
}

#[test]
fn a_large_range_is_faulted_in_by_parts() {
    let _memory = host::start();
    let len = 1100 * PAGE;
    let ways: [fn(&AddressSpace) -> Option<Rest>; 4] = [
        |_| Some(Population::early(BASE..BASE + 1100 * PAGE).into()),
        |space| {
            space
                .lock(BASE..BASE + 1100 * PAGE, false, true)
                .map(|pages| Some(pages.into()))
                .expect("no limit counts")
        },
        |space| {
            space
                .lock_all(true, false, false, true)
                .expect("no limit counts")
                .map(Rest::from)
        },
        |space| {
            space
                .advise(BASE, 1100 * PAGE, Advice::PopulateWrite)
                .expect("it is mapped")
        },
    ];
    for way in ways {
        let space = new_space();
        space.map(fixed(0..1100, RW)).expect("there is room");
        let pages = way(&space).expect("there is something to do");
        assert_eq!(parts(&space, pages), [512, 1024, 1100]);
    }
    let space = new_space();
    space
        .lock_all(false, true, false, true)
        .expect("no limit counts");
    space.set_heap_start(BASE);
    let heap = space.set_heap_end(BASE + len, false);
    assert_eq!(
        parts(&space, heap.grown.expect("the heap is locked")),
        [512, 1024, 1100]
    );
}

#[test]
fn locked_memory_that_becomes_writable_is_faulted_in_by_parts() {
    let _memory = host::start();
    let space = new_space();
    space
        .map(fixed(0..1100, Protection::READ))
        .expect("there is room");
    // The last pages are not locked.
    let range = BASE..BASE + 1000 * PAGE;
    let _ = space.lock(range, false, true).expect("no limit counts");
    let pages = space
        .protect(BASE, 1100 * PAGE, RW, false)
        .expect("it is mapped");
    assert_eq!(space.resident_pages(), 0);
    let pages = pages.expect("some of it is locked");
    assert_eq!(parts(&space, pages), [512, 1000]);
    // An error comes at once, with a part of what came before it.
    let space = new_space();
    space
        .map(fixed(0..1100, Protection::READ))
        .expect("there is room");
    let range = BASE..BASE + 1100 * PAGE;
    let _ = space.lock(range, false, true).expect("no limit counts");
    let refused = space.protect(BASE, 1101 * PAGE, RW, false);
    assert_eq!(refused, Err(Errno::ENOMEM));
    assert_eq!(space.resident_pages(), 512);
}

#[test]
fn what_is_unmapped_between_two_parts_is_not_waited_for() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..1100, RW)).expect("there is room");
    let range = BASE..BASE + 1100 * PAGE;
    let mut pages = space.lock(range, false, true).expect("no limit counts");
    assert_eq!(pages.step(&space), Ok(false));
    space.unmap(BASE + 500 * PAGE, 590 * PAGE).expect("a range");
    assert_eq!(pages.step(&space), Ok(true));
    assert_eq!(space.resident_pages(), 510);
    let mut pages = Population::advised(BASE..BASE + 1100 * PAGE, Access::Read);
    assert_eq!(pages.step(&space), Err(Errno::ENOMEM));
}

/// A space with a page in each of so many tables, and two areas.
fn scattered(tables: u64) -> Arc<AddressSpace> {
    let space = new_space();
    let mut request = fixed(0..tables * 512, Protection::READ);
    request.flags = AreaFlags::NO_RESERVE;
    space.map(request).expect("there is room");
    let last = tables * 512 + 1;
    space.map(fixed(last..last + 1, RW)).expect("there is room");
    store(&space, last, 7).expect("it is writable");
    for table in 0..tables {
        assert_eq!(load(&space, table * 512), Ok(0));
    }
    space
}

#[test]
fn a_large_space_is_forked_by_parts() {
    let _memory = host::start();
    let space = scattered(300);
    let (mut fork, mut is_over) = space.start_fork().expect("there is memory");
    let mut parts = 1;
    while !is_over {
        // What is touched meanwhile is shared, or not, but never twice.
        store(&space, 300 * 512 + 1, parts).expect("it is writable");
        is_over = fork.step(&space).expect("there is memory");
        parts += 1;
    }
    assert_eq!(parts, 3);
    let child = fork.into_child();
    assert_eq!(child.resident_pages(), 301);
    store(&space, 300 * 512 + 1, 9).expect("it is writable");
    assert_eq!(load(&child, 300 * 512 + 1), Ok(2));
    assert_eq!(child.areas().len(), 2);
}

#[test]
fn areas_that_change_during_a_fork_are_copied_as_they_are_then() {
    let _memory = host::start();
    let space = scattered(300);
    let (mut fork, is_over) = space.start_fork().expect("there is memory");
    assert!(!is_over);
    space.unmap(BASE, 20 * 512 * PAGE).expect("a range");
    space.map(fixed(5..6, RW)).expect("there is room");
    store(&space, 5, 5).expect("it is writable");
    while !fork.step(&space).expect("there is memory") {}
    let child = fork.into_child();
    assert_eq!(child.areas().len(), 3);
    assert_eq!(child.resident_pages(), 282);
    assert_eq!(load(&child, 5), Ok(5));
    assert_eq!(signal(load(&child, 6)), (11, 1));
}

/// A space of so many areas that do not join, each with its first page.
fn patchwork(areas: u64) -> Arc<AddressSpace> {
    let space = new_space();
    for area in 0..areas {
        let page = area * 2;
        space.map(fixed(page..page + 1, RW)).expect("there is room");
    }
    for area in (0..areas).step_by(100) {
        store(&space, area * 2, 1).expect("it is writable");
    }
    space
}

#[test]
fn many_areas_are_forked_by_parts() {
    let _memory = host::start();
    let space = patchwork(1200);
    let (mut fork, mut is_over) = space.start_fork().expect("there is memory");
    let mut counts = vec![fork.child_areas()];
    while !is_over {
        is_over = fork.step(&space).expect("there is memory");
        counts.push(fork.child_areas());
    }
    assert_eq!(counts[..3], [512, 1024, 1200]);
    assert!(counts[3..].iter().all(|count| *count == 1200));
    let child = fork.into_child();
    assert_eq!(child.resident_pages(), 12);
    assert_eq!(load(&child, 200), Ok(1));
    store(&child, 200, 2).expect("it is writable");
    assert_eq!(load(&space, 200), Ok(1));
}

#[test]
fn a_fork_comes_to_an_end_however_busy_others_are() {
    let _memory = host::start();
    let before = memory::stats().free;
    let space = patchwork(3000);
    let (mut fork, mut is_over) = space.start_fork().expect("there is memory");
    let mut parts = 1;
    while !is_over {
        // Each time something else.
        let page = 10_000 + parts * 2;
        space.map(fixed(page..page + 1, RW)).expect("there is room");
        is_over = fork.step(&space).expect("there is memory");
        parts += 1;
        assert!(parts < 10);
    }
    let child = fork.into_child();
    assert_eq!(child.areas().len(), space.areas().len());
    drop((child, space));
    assert_eq!(memory::stats().free, before);
}

#[test]
fn a_fork_that_is_given_up_leaves_nothing() {
    let _memory = host::start();
    let before = memory::stats().free;
    let space = scattered(300);
    let (mut fork, is_over) = space.start_fork().expect("there is memory");
    assert!(!is_over);
    while !fork.wind_down() {}
    drop((fork, space));
    assert_eq!(memory::stats().free, before);
}

/// More than there is memory for.
fn wide(pages: Range<u64>) -> MapRequest {
    let mut request = fixed(pages, RW);
    request.flags = AreaFlags::NO_RESERVE;
    request
}

#[test]
fn a_large_range_is_given_up_by_parts() {
    let _memory = host::start();
    let pages = 20_000;
    let filled = || {
        let space = new_space();
        space.map(wide(0..pages)).expect("there is room");
        for page in 0..pages {
            assert_eq!(load(&space, page), Ok(0));
        }
        space
    };
    let before = memory::stats().free;
    let unmap: fn(&AddressSpace) -> Option<Rest> = |space| {
        let left = space.start_unmap(BASE, 20_000 * PAGE).expect("a range");
        left.map(Rest::from)
    };
    let drop_pages: fn(&AddressSpace) -> Option<Rest> = |space| {
        let left = space.advise(BASE, 20_000 * PAGE, Advice::DontNeed);
        left.expect("it is mapped")
    };
    for (begin, areas) in [(unmap, 0), (drop_pages, 1)] {
        let space = filled();
        let mut count = space.resident_pages();
        let mut left = begin(&space);
        let mut parts = 0;
        let mut is_over = false;
        while !is_over {
            let gone = count - space.resident_pages();
            assert!((1..=8192 + 512).contains(&gone), "{gone} in part {parts}");
            count = space.resident_pages();
            parts += 1;
            is_over = count == 0;
            if let Some(rest) = &mut left {
                is_over = rest.step(&space).expect("nobody shares it") && is_over;
            }
        }
        assert_eq!(parts, 3);
        assert_eq!(space.areas().len(), areas);
    }
    assert_eq!(memory::stats().free, before);
}

#[test]
fn a_large_heap_comes_down_by_parts() {
    let _memory = host::start();
    let space = new_space();
    space.set_heap_start(BASE);
    for pages in [5_000, 10_000] {
        let end = BASE + pages * PAGE;
        assert_eq!(space.set_heap_end(end, false).at, end);
    }
    for page in 0..10_000 {
        assert_eq!(load(&space, page), Ok(0));
    }
    // What is no end is refused at once, and nothing moves.
    let heap = space.set_heap_end(BASE - 1, false);
    assert_eq!((heap.at, heap.is_over), (BASE + 10_000 * PAGE, true));
    let mut ends = Vec::new();
    loop {
        let heap = space.set_heap_end(BASE + 100, false);
        ends.push((heap.at - BASE, space.resident_pages()));
        if heap.is_over {
            break;
        }
    }
    let after = |pages: u64| {
        (
            pages * PAGE,
            usize::try_from(pages).expect("a number of pages"),
        )
    };
    assert_eq!(ends, [after(10_000 - 8192), (100, 1)]);
}

#[test]
fn a_large_hole_is_made_by_parts() {
    let _memory = host::start();
    let before = memory::stats().free;
    let space = new_space();
    let object = Arc::new(SharedMemory::new(1 << 40));
    let shared = |pages: Range<u64>, first: u64| MapRequest {
        source: Some(Source {
            backing: Arc::clone(&object) as Arc<dyn Backing>,
            first,
        }),
        flags: AreaFlags::SHARED,
        ..fixed(pages, RW)
    };
    space.map(shared(0..6000, 0)).expect("there is room");
    space
        .map(shared(6000..6010, 1 << 30))
        .expect("there is room");
    for page in 0..6010 {
        store(&space, page, 1).expect("it is writable");
    }
    assert_eq!((object.resident(), space.resident_pages()), (6010, 6010));
    let hole = space.advise(BASE, 6009 * PAGE, Advice::Remove);
    let hole = hole
        .expect("it is mapped")
        .expect("there is something to do");
    assert_eq!(parts(&space, hole), [6010 - 4096, 1]);
    assert_eq!((load(&space, 5999), load(&space, 6009)), (Ok(0), Ok(1)));
    // What is not mapped is told when what is behind it is done.
    space.map(shared(6020..6021, 7000)).expect("there is room");
    store(&space, 6020, 1).expect("it is writable");
    assert_eq!(object.resident(), 3);
    let hole = space.advise(BASE, 6021 * PAGE, Advice::Remove);
    let mut hole = hole.expect("a range").expect("there is something to do");
    assert_eq!(hole.step(&space), Err(Errno::ENOMEM));
    assert_eq!((object.resident(), space.resident_pages()), (0, 0));
    drop((space, object));
    assert_eq!(memory::stats().free, before);
}

/// Does the rest.
fn finish(space: &AddressSpace, left: &mut Option<Removal>) {
    while let Some(rest) = left
        && !rest.step(space).expect("there is memory")
    {}
}

#[test]
fn tables_and_areas_count_when_a_range_is_given_up() {
    let _memory = host::start();
    let space = scattered(1500);
    let mut left = space.start_unmap(BASE, 1500 * 512 * PAGE).expect("a range");
    let first = space.resident_pages();
    assert!((1500 - 512..1500).contains(&first), "{first}");
    finish(&space, &mut left);
    assert_eq!(space.resident_pages(), 1);
    let space = patchwork(1200);
    let left = space.start_unmap(BASE, 2400 * PAGE).expect("a range");
    assert_eq!(space.areas().len(), 1200 - 512);
    let mut left = left.expect("there are more");
    assert_eq!(left.step(&space), Ok(false));
    assert_eq!(left.step(&space), Ok(true));
    assert_eq!(space.areas().len(), 0);
}

/// A space with 20,000 pages, the last one of its own.
fn with_many_pages() -> Arc<AddressSpace> {
    let space = new_space();
    space.map(wide(0..20_000)).expect("there is room");
    for page in 0..20_000 {
        assert_eq!(load(&space, page), Ok(0));
    }
    store(&space, 19_999, 1).expect("it is writable");
    space
}

#[test]
fn what_others_do_while_a_range_is_given_up_stays() {
    let _memory = host::start();
    let space = with_many_pages();
    let mut left = space.start_unmap(BASE, 20_000 * PAGE).expect("a range");
    // What is gone already is free for the next mapping; the rest still there,
    // for a fork, too.
    assert_eq!(signal(load(&space, 0)), (11, 1));
    assert_eq!(load(&space, 19_999), Ok(1));
    space.map(fixed(3..5, RW)).expect("there is room");
    store(&space, 3, 3).expect("it is writable");
    let child = space.fork().expect("there is memory");
    finish(&space, &mut left);
    assert_eq!(load(&space, 3), Ok(3));
    assert_eq!(signal(load(&space, 19_999)), (11, 1));
    assert_eq!(space.resident_pages(), 1);
    assert_eq!(load(&child, 19_999), Ok(1));
    assert_eq!(space.areas().len(), 1);
}

#[test]
fn what_is_wrong_with_an_advice_is_told_when_the_rest_is_done() {
    let _memory = host::start();
    let space = with_many_pages();
    let left = space.advise(BASE, 20_001 * PAGE, Advice::DontNeed);
    let mut left = left.expect("a part").expect("there is more");
    let last = loop {
        match left.step(&space) {
            Ok(false) => {}
            last => break last,
        }
    };
    assert_eq!(last, Err(Errno::ENOMEM));
    assert_eq!(space.resident_pages(), 0);
}

#[test]
fn a_large_space_winds_down_by_parts() {
    let _memory = host::start();
    let before = memory::stats().free;
    let space = scattered(1500);
    let dense = 1600 * 512..1600 * 512 + 20_000;
    space.map(wide(dense.clone())).expect("there is room");
    for page in dense {
        assert_eq!(load(&space, page), Ok(0));
    }
    let mut count = space.resident_pages();
    let mut parts = 0;
    while !space.wind_down() {
        let gone = count - space.resident_pages();
        assert!((1..=8192 + 512).contains(&gone), "{gone}");
        count = space.resident_pages();
        parts += 1;
    }
    assert_eq!(parts, 5);
    assert!(count <= 8192);
    drop(space);
    assert_eq!(memory::stats().free, before);
    assert!(new_space().wind_down());
}
