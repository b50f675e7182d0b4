//! Large ranges and large spaces, of which each poll does a part.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::mman::{Advice, Protection};
use ochre_hal::memory::host;
use ochre_hal::user::Access;

use super::{BASE, RW, fixed, load, new_space, signal, store};
use crate::memory::area::PAGE;
use crate::memory::{AddressSpace, AreaFlags, Population};

/// What is there after each step.
fn parts(space: &AddressSpace, mut pages: Population) -> Vec<usize> {
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
    let ways: [fn(&AddressSpace) -> Option<Population>; 4] = [
        |_| Some(Population::early(BASE..BASE + 1100 * PAGE)),
        |space| {
            space
                .lock(BASE..BASE + 1100 * PAGE, false, true)
                .map(Some)
                .expect("no limit counts")
        },
        |space| {
            space
                .lock_all(true, false, false, true)
                .expect("no limit counts")
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
    let (_, grown) = space.set_heap_end(BASE + len);
    assert_eq!(
        parts(&space, grown.expect("the heap is locked")),
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
    assert_eq!(fork.step(&space), Ok(true));
    let child = fork.into_child();
    assert_eq!(child.areas().len(), 3);
    assert_eq!(child.resident_pages(), 282);
    assert_eq!(load(&child, 5), Ok(5));
    assert_eq!(signal(load(&child, 6)), (11, 1));
}
