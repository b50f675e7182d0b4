//! Files that get shorter, or get holes, while spaces map them.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_hal::memory::{UserFrame, host};
use ochre_sync::SpinLock;

use super::{BASE, File, RW, fixed, load, new_space, signal, store};
use crate::memory::area::PAGE;
use crate::memory::{AddressSpace, AreaFlags, Backing, Gone, Identity, Mappers, Source};

/// A file that can be cut, as those of tmpfs can.
struct Cut {
    file: Arc<File>,
    mappers: Mappers,
    pages: SpinLock<u64>,
}

impl Cut {
    fn cut(&self, pages: u64, gone: Gone<'_>) {
        if matches!(gone, Gone::End) {
            *self.pages.lock() = pages;
        }
        self.mappers
            .forget(Backing::identity(self), pages..u64::MAX, gone);
    }
}

impl Backing for Cut {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        if index >= *self.pages.lock() {
            return Err(Errno::ENXIO);
        }
        self.file.page(index)
    }
    fn size(&self) -> u64 {
        *self.pages.lock() * PAGE
    }
    fn identity(&self) -> Identity {
        self.file.identity()
    }
    fn path(&self) -> Vec<u8> {
        Vec::new()
    }
    fn mappers(&self) -> Option<&Mappers> {
        Some(&self.mappers)
    }
}

/// A space with the file shared at page 0 and private at page 8, and its child.
fn mapped_twice() -> (Arc<Cut>, [Arc<AddressSpace>; 2]) {
    let file = Arc::new(Cut {
        file: File::new(4),
        mappers: Mappers::new(),
        pages: SpinLock::new(4),
    });
    let space = new_space();
    for (first, shared) in [(0, true), (8, false)] {
        let mut request = fixed(first..first + 4, RW);
        request.source = Some(Source {
            backing: Arc::clone(&file) as Arc<dyn Backing>,
            first: 0,
        });
        request.flags.set(AreaFlags::SHARED, shared);
        space.map(request).expect("there is room");
    }
    for page in [0, 1, 2, 3, 8, 10] {
        store(&space, page, 7).expect("it is writable");
    }
    for page in [9, 11] {
        assert_eq!(load(&space, page), Ok(7));
    }
    let child = space.fork().expect("there is memory");
    (file, [space, child])
}

#[test]
fn a_file_that_gets_shorter_vanishes_everywhere() {
    let _memory = host::start();
    let (file, spaces) = mapped_twice();
    file.cut(2, Gone::End);
    for space in &spaces {
        for page in [0, 1, 8, 9] {
            assert_eq!(load(space, page), Ok(7));
        }
        for page in [2, 3, 10, 11] {
            assert_eq!(signal(load(space, page)), (7, 2), "page {page}");
        }
    }
}

#[test]
fn a_hole_leaves_private_copies() {
    let _memory = host::start();
    let (file, spaces) = mapped_twice();
    let frames: Vec<UserFrame> = (0..4).map(|n| file.file.page(n).expect("it is")).collect();
    for index in 2..4 {
        file.file.pages.lock().remove(&index);
    }
    let is_gone = |index: u64, frame: &UserFrame| {
        usize::try_from(index)
            .ok()
            .and_then(|index| frames.get(index))
            .is_some_and(|gone| gone.same_as(frame))
    };
    file.cut(2, Gone::Hole(&is_gone));
    for space in &spaces {
        for (page, expected) in [(1, 7), (2, 0), (3, 0), (9, 7), (10, 7), (11, 0)] {
            assert_eq!(load(space, page), Ok(expected), "page {page}");
        }
    }
}

#[test]
fn who_is_forked_while_a_file_gets_shorter_does_not_keep_its_pages() {
    let _memory = host::start();
    // The children are where these were: not where an address would order them.
    let before: Vec<_> = (0..8).map(|_| new_space()).collect();
    let (file, spaces) = mapped_twice();
    file.file.pages.lock().retain(|index, _| *index < 2);
    drop(before);
    let children = SpinLock::new(Vec::new());
    let is_gone = |index: u64, _: &UserFrame| {
        if children.lock().is_empty() {
            // The first space is being looked at, the second one still has all.
            let more = (0..8).map(|_| spaces[1].fork().expect("there is memory"));
            *children.lock() = more.collect();
        }
        index >= 2
    };
    file.cut(2, Gone::Hole(&is_gone));
    let children = core::mem::take(&mut *children.lock());
    assert_eq!(children.len(), 8);
    for child in &children {
        assert_eq!(load(child, 1), Ok(7));
        for page in [2, 3, 11] {
            assert_eq!(load(child, page), Ok(0), "page {page}");
        }
    }
}

#[test]
fn the_list_of_those_who_map_a_file_ends_with_them() {
    let _memory = host::start();
    let (file, spaces) = mapped_twice();
    assert_eq!(file.mappers.len(), 2);
    let [space, child] = spaces;
    drop(child);
    assert_eq!(file.mappers.len(), 1);
    drop(space);
    assert_eq!(file.mappers.len(), 0);
}

#[test]
fn who_unmapped_a_file_before_its_end_does_not_stay_in_its_list() {
    let _memory = host::start();
    let (file, spaces) = mapped_twice();
    for _ in 0..100 {
        let space = new_space();
        let mut request = fixed(0..4, RW);
        request.source = Some(Source {
            backing: Arc::clone(&file) as Arc<dyn Backing>,
            first: 0,
        });
        space.map(request).expect("there is room");
        space.unmap(BASE, 4 * PAGE).expect("a range");
    }
    assert!(file.mappers.len() <= 16);
    assert!(file.mappers.count(file.identity()) == 4);
    drop(spaces);
}
