//! `MADV_FREE`: content that may go, and what keeps it.

use ochre_abi::Errno;
use ochre_abi::mman::{Advice, Protection, RemapFlags};
use ochre_hal::memory::{self, host};

use super::{BASE, File, RW, fixed, load, new_space, of_file, signal, store};
use crate::memory::area::PAGE;
use crate::memory::{AddressSpace, RemapRequest};

/// A space with `count` pages, each with its number and one in it, of which
/// the program can spare all.
fn spared(count: u64) -> alloc::sync::Arc<AddressSpace> {
    let space = new_space();
    space.map(fixed(0..count, RW)).expect("room");
    for page in 0..count {
        store(&space, page, page as u8 + 1).expect("it may be written");
    }
    assert_eq!(advise(&space, 0..count), Ok(()));
    space
}

fn advise(space: &AddressSpace, pages: core::ops::Range<u64>) -> Result<(), Errno> {
    let len = (pages.end - pages.start) * PAGE;
    let mut rest = space.advise(BASE + pages.start * PAGE, len, Advice::Free)?;
    while let Some(left) = &mut rest
        && !left.step(space)?
    {}
    Ok(())
}

/// Pages in `smaps` that may go.
fn lazy(space: &AddressSpace) -> u64 {
    let areas = space.areas();
    let sum = areas.iter().map(|area| space.residence_of(area).lazy_free);
    sum.sum::<u64>() / PAGE
}

fn take(space: &AddressSpace, most: usize) -> usize {
    space.inner().take_spares(most)
}

#[test]
fn what_was_stored_to_since_stays() {
    let _memory = host::start();
    let free = memory::stats().free;
    let space = spared(8);
    assert_eq!(lazy(&space), 8);
    assert_eq!(load(&space, 3), Ok(4));
    assert_eq!(store(&space, 5, 77), Ok(()));
    assert_eq!(lazy(&space), 7);
    assert_eq!(take(&space, 1000), 7);
    assert_eq!((space.resident_pages(), lazy(&space)), (1, 0));
    assert_eq!((load(&space, 5), load(&space, 3)), (Ok(77), Ok(0)));
    assert_eq!(space.usage().peak_pages, 8);
    assert_eq!(take(&space, 1000), 0);
    assert!(space.inner().spares.is_empty());
    drop(space);
    assert_eq!(memory::stats().free, free);
}

#[test]
fn a_large_range_is_taken_by_parts() {
    let _memory = host::start();
    let tables = 3;
    let space = new_space();
    let pages = tables * 512;
    space.map(fixed(0..pages, RW)).expect("room");
    for table in 0..tables {
        store(&space, table * 512, 1).expect("it may be written");
        store(&space, table * 512 + 9, 1).expect("it may be written");
    }
    assert_eq!(advise(&space, 0..pages), Ok(()));
    assert_eq!(take(&space, 1), 2);
    assert_eq!(take(&space, 3), 4);
    assert_eq!(take(&space, 1), 0);
}

#[test]
fn only_memory_without_an_object_that_is_not_locked_can_be_spared() {
    let _memory = host::start();
    let space = new_space();
    let file = File::new(2);
    space.map(fixed(0..1, RW)).expect("room");
    let private = of_file(fixed(1..2, RW), &file, 0, false);
    space.map(private).expect("room");
    let shared = of_file(fixed(2..3, RW), &file, 0, true);
    space.map(shared).expect("room");
    space.map(fixed(3..4, RW)).expect("room");
    let locked = BASE + 3 * PAGE..BASE + 4 * PAGE;
    assert!(space.lock(locked, true, true).is_ok());
    for page in 0..4 {
        store(&space, page, 9).expect("it may be written");
    }
    for (pages, expected) in [
        (0..1, Ok(())),
        (1..2, Err(Errno::EINVAL)),
        (2..3, Err(Errno::EINVAL)),
        (3..4, Err(Errno::EINVAL)),
        (4..5, Err(Errno::ENOMEM)),
        // What comes before is done.
        (0..2, Err(Errno::EINVAL)),
    ] {
        assert_eq!(advise(&space, pages.clone()), expected, "{pages:?}");
    }
    assert_eq!(lazy(&space), 1);
    assert_eq!(take(&space, 1000), 1);
    for page in 1..4 {
        assert_eq!(load(&space, page), Ok(9));
    }
}

#[test]
fn what_is_locked_afterwards_stays() {
    let _memory = host::start();
    let space = spared(2);
    let range = BASE..BASE + PAGE;
    assert!(space.lock(range.clone(), true, true).is_ok());
    assert_eq!(take(&space, 1000), 1);
    assert_eq!((load(&space, 0), load(&space, 1)), (Ok(1), Ok(0)));
    assert_eq!(space.unlock(range), Ok(()));
    assert_eq!(take(&space, 1000), 1, "it was not forgotten");
}

#[test]
fn mprotect_keeps_it() {
    let _memory = host::start();
    let space = spared(2);
    for protection in [Protection::empty(), RW] {
        let answer = space.protect(BASE, PAGE, protection, false);
        assert!(answer.is_ok());
    }
    assert_eq!(take(&space, 1000), 1);
    assert_eq!((load(&space, 0), load(&space, 1)), (Ok(1), Ok(0)));
}

#[test]
fn what_moved_can_be_spared_where_it_is() {
    let _memory = host::start();
    let space = spared(2);
    let moved = space.remap(&RemapRequest {
        address: BASE,
        old_len: 2 * PAGE,
        new_len: 2 * PAGE,
        flags: RemapFlags::MAYMOVE | RemapFlags::FIXED,
        new_address: BASE + 4096 * PAGE,
        privileged: false,
        may_lock: true,
    });
    assert!(moved.is_ok());
    assert_eq!(store(&space, 4097, 5), Ok(()));
    assert_eq!(take(&space, 1000), 1);
    assert_eq!((load(&space, 4096), load(&space, 4097)), (Ok(0), Ok(5)));
}

#[test]
fn what_came_into_its_place_is_not_taken() {
    let _memory = host::start();
    let space = spared(2);
    space.map(fixed(0..1, RW)).expect("room");
    assert_eq!(store(&space, 0, 50), Ok(()));
    space.unmap(BASE + PAGE, PAGE).expect("it is mapped");
    assert_eq!(take(&space, 1000), 0);
    assert_eq!(load(&space, 0), Ok(50));
    assert_eq!(signal(load(&space, 1)), (11, 1));
}

#[test]
fn a_child_has_zeroes_in_place_of_it() {
    let _memory = host::start();
    let free = memory::stats().free;
    let space = spared(4);
    assert_eq!(store(&space, 1, 61), Ok(()));
    let child = space.fork().expect("there is memory");
    assert_eq!((load(&child, 0), load(&child, 1)), (Ok(0), Ok(61)));
    assert_eq!((load(&space, 0), lazy(&child)), (Ok(1), 0));
    assert_eq!(store(&child, 1, 60), Ok(()));
    assert_eq!((take(&space, 1000), take(&child, 1000)), (3, 0));
    assert_eq!((load(&space, 1), load(&space, 2)), (Ok(61), Ok(0)));
    assert_eq!(load(&child, 1), Ok(60));
    drop((space, child));
    assert_eq!(memory::stats().free, free);
}
