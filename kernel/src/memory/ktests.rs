//! Address spaces with a processor that walks their tables.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::mman::{Advice, Protection, RemapFlags};
use ochre_hal::ktest;
use ochre_hal::memory::{self, HUGE_SIZE, PAGE_SIZE, USER_END};

use super::area::PAGE;
use super::{
    AddressSpace, AreaFlags, Limits, MapRequest, Placement, Population, RemapRequest, SharedMemory,
    Source,
};

const RW: Protection = Protection::READ.union(Protection::WRITE);

fn space() -> Arc<AddressSpace> {
    AddressSpace::new(Limits::default()).expect("the machine has memory")
}

fn map(space: &AddressSpace, pages: u64, source: Option<Source>) -> u64 {
    let mut flags = AreaFlags::empty();
    flags.set(AreaFlags::SHARED, source.is_some());
    space
        .map(MapRequest {
            placement: Placement::Hint(0),
            len: pages * PAGE,
            protection: RW,
            flags,
            source,
            privileged: false,
            refusal: None,
            may_lock: true,
        })
        .expect("there is room")
}

fn byte(space: &AddressSpace, at: u64) -> Result<u8, Errno> {
    let mut byte = [0];
    space.read(at, &mut byte)?;
    Ok(byte[0])
}

#[ktest]
fn copies_fault_pages_in() {
    let space = space();
    let at = map(&space, 3, None);
    let bytes: Vec<u8> = (0..2 * PAGE_SIZE + 9).map(|n| n as u8).collect();
    assert_eq!(space.write(at + 5, &bytes), Ok(()));
    let mut back = vec![0; bytes.len()];
    assert_eq!(space.read(at + 5, &mut back), Ok(()));
    assert_eq!(back, bytes);
    assert_eq!(byte(&space, at), Ok(0));
    for wild in [
        0,
        PAGE,
        at - 1,
        at + 3 * PAGE,
        USER_END - 1,
        USER_END,
        u64::MAX,
    ] {
        assert_eq!(byte(&space, wild), Err(Errno::EFAULT), "{wild:#x}");
        assert_eq!(space.write(wild, &[1]), Err(Errno::EFAULT), "{wild:#x}");
    }
    assert_eq!(space.write(at + 3 * PAGE - 1, &[1, 2]), Err(Errno::EFAULT));
}

#[ktest]
fn strings_end_at_their_nul_or_at_the_limit() {
    let space = space();
    let at = map(&space, 2, None);
    let start = at + PAGE - 100;
    assert_eq!(space.write(start, &[b'a'; 200]), Ok(()));
    let read = |limit| space.read_string(start, limit, Errno::ENAMETOOLONG);
    assert_eq!(read(4096), Ok(vec![b'a'; 200]));
    assert_eq!(read(201), Ok(vec![b'a'; 200]));
    assert_eq!(read(200), Err(Errno::ENAMETOOLONG));
    assert_eq!(space.write(at + PAGE, &[b'a'; PAGE_SIZE]), Ok(()));
    assert_eq!(read(100_000), Err(Errno::EFAULT));
}

#[ktest]
fn a_fork_copies_what_is_written() {
    let parent = space();
    let at = map(&parent, 2, None);
    let object = Source {
        backing: Arc::new(SharedMemory::new(1)),
        first: 0,
    };
    let shared = map(&parent, 1, Some(object));
    for address in [at, at + PAGE, shared] {
        assert_eq!(parent.write(address, &[1]), Ok(()));
    }
    let child = parent.fork().expect("the machine has memory");
    assert_eq!(parent.write(at, &[2]), Ok(()));
    assert_eq!(child.write(at + PAGE, &[3]), Ok(()));
    assert_eq!(child.write(shared, &[4]), Ok(()));
    assert_eq!((byte(&parent, at), byte(&child, at)), (Ok(2), Ok(1)));
    assert_eq!(
        (byte(&parent, at + PAGE), byte(&child, at + PAGE)),
        (Ok(1), Ok(3))
    );
    assert_eq!(byte(&parent, shared), Ok(4));
}

#[ktest]
fn the_page_of_zeroes_stays_so() {
    let space = space();
    let at = map(&space, 2, None);
    assert_eq!(byte(&space, at), Ok(0));
    assert_eq!(byte(&space, at + PAGE), Ok(0));
    assert_eq!(space.write(at, &[7]), Ok(()));
    assert_eq!((byte(&space, at), byte(&space, at + PAGE)), (Ok(7), Ok(0)));
}

#[ktest]
fn changes_are_seen_at_once() {
    let space = space();
    let at = map(&space, 4, None);
    assert_eq!(space.write(at, &[1]), Ok(()));
    assert_eq!(space.protect(at, PAGE, Protection::READ, false), Ok(None));
    assert_eq!(space.write(at, &[2]), Err(Errno::EFAULT));
    assert_eq!(byte(&space, at), Ok(1));
    assert_eq!(
        space.protect(at, PAGE, Protection::empty(), false),
        Ok(None)
    );
    assert_eq!(byte(&space, at), Err(Errno::EFAULT));
    assert_eq!(space.protect(at, PAGE, RW, false), Ok(None));
    assert_eq!(space.write(at, &[3]), Ok(()));
    let moved = space.remap(&RemapRequest {
        address: at,
        old_len: PAGE,
        new_len: 5 * PAGE,
        flags: RemapFlags::MAYMOVE,
        new_address: 0,
        privileged: false,
        may_lock: true,
    });
    let (moved, _) = moved.expect("there is room");
    assert_eq!(byte(&space, at), Err(Errno::EFAULT));
    assert_eq!(byte(&space, moved), Ok(3));
    assert_eq!(space.advise(moved, PAGE, Advice::DontNeed), Ok(None));
    assert_eq!(byte(&space, moved), Ok(0));
    assert_eq!(space.unmap(moved, PAGE), Ok(()));
    assert_eq!(byte(&space, moved), Err(Errno::EFAULT));
}

#[ktest]
fn huge_pages_are_pages_that_come_together() {
    const HUGE: u64 = HUGE_SIZE as u64;
    let available = || {
        let stats = memory::stats();
        stats.free + stats.heap
    };
    drop(space().fork());
    let before = available();
    {
        let parent = space();
        let at = map(&parent, 4 * HUGE / PAGE, None).next_multiple_of(HUGE);
        let len = 3 * HUGE;
        assert_eq!(parent.advise(at, len, Advice::HugePage), Ok(None));
        let bytes: Vec<u8> = (0..3 * PAGE_SIZE)
            .map(|n| n as u8 ^ (n >> 8) as u8)
            .collect();
        // Over the border of two.
        let start = at + HUGE - PAGE - 100;
        assert_eq!(parent.write(start, &bytes), Ok(()));
        assert_eq!(parent.write(at + 2 * HUGE, &[1]), Ok(()));
        assert_eq!(memory::huge_pages().mapped, 3);
        assert_eq!(parent.resident_pages() as u64, len / PAGE);
        assert_eq!(byte(&parent, at + HUGE / 2), Ok(0));
        let back = |space: &AddressSpace| {
            let mut back = vec![0; bytes.len()];
            space.read(start, &mut back).map(|()| back)
        };
        assert_eq!(back(&parent), Ok(bytes.clone()));

        // Each kind of change to a part: the rest is there, and rights count at once.
        let second = at + HUGE + HUGE / 2;
        assert_eq!(parent.write(second, &[5]), Ok(()));
        let sealed = parent.protect(second, PAGE, Protection::READ, false);
        assert_eq!(sealed, Ok(None));
        assert_eq!(memory::huge_pages().mapped, 2);
        assert_eq!(parent.write(second, &[6]), Err(Errno::EFAULT));
        assert_eq!(byte(&parent, second), Ok(5));
        assert_eq!(parent.write(second + PAGE, &[7]), Ok(()));
        assert_eq!(parent.unmap(at + 2 * HUGE, HUGE), Ok(()));
        assert_eq!(byte(&parent, at + 2 * HUGE), Err(Errno::EFAULT));
        let child = parent.fork().expect("the machine has memory");
        assert_eq!(memory::huge_pages().mapped, 1);
        assert_eq!(parent.write(start, &[99]), Ok(()));
        assert_eq!(back(&child), Ok(bytes.clone()));
        assert_eq!(memory::huge_pages().mapped, 1);
        assert_eq!(child.write(at, &[98]), Ok(()));
        assert_eq!(memory::huge_pages().mapped, 0);
        assert_eq!((byte(&parent, at), byte(&child, at)), (Ok(0), Ok(98)));
        assert_eq!(parent.advise(at, PAGE, Advice::DontNeed), Ok(None));
        assert_eq!(byte(&parent, start), Ok(99));
        assert_eq!(parent.advise(at, len - HUGE, Advice::DontNeed), Ok(None));
        assert_eq!(byte(&parent, start), Ok(0));
    }
    assert_eq!(available(), before);
    assert_eq!(memory::huge_pages().mapped, 0);
}

#[ktest]
fn an_address_space_gives_everything_back() {
    let available = || {
        let stats = memory::stats();
        stats.free + stats.heap
    };
    // What the heap keeps for the next time is not lost.
    drop(space().fork());
    let before = available();
    {
        let space = space();
        let at = map(&space, 600, None);
        let mut pages = Population::early(at..at + 600 * PAGE);
        while pages.step(&space) != Ok(true) {}
        assert!(available() + 600 <= before);
        let child = space.fork().expect("the machine has memory");
        assert_eq!(child.write(at, &[1]), Ok(()));
    }
    assert_eq!(available(), before);
}
