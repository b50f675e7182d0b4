//! Address spaces on a host: real tables and frames, no processor that walks
//! them. Programs' accesses are made here: a fault, then the frame.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::sync::Arc;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::{Advice, Protection, RemapFlags};
use ochre_hal::memory::{self, Rights, UserFrame, host};
use ochre_hal::user::Access;
use ochre_sync::SpinLock;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

use super::{AddressSpace, Fault};
use crate::memory::area::{GUARD_GAP, PAGE};
use crate::memory::{
    AreaFlags, Backing, Identity, Limits, MapRequest, Placement, RemapRequest, SharedMemory, Source,
};

mod by_parts;
mod cut_files;
mod huge;
mod meanwhile;
mod spare;

const BASE: u64 = 0x10_0000_0000;
const RW: Protection = Protection::READ.union(Protection::WRITE);

/// A file of a few pages.
struct File {
    pages: SpinLock<BTreeMap<u64, UserFrame>>,
    len: u64,
}

impl File {
    fn new(len: u64) -> Arc<File> {
        Arc::new(File {
            pages: SpinLock::new(BTreeMap::new()),
            len,
        })
    }
}

impl Backing for File {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        if index >= self.len {
            return Err(Errno::ENXIO);
        }
        let mut pages = self.pages.lock();
        let frame = match pages.entry(index) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => entry
                .insert(UserFrame::zeroed().map_err(|_| Errno::ENOMEM)?)
                .clone(),
        };
        Ok(frame)
    }
    fn present(&self, range: Range<u64>, visit: &mut dyn FnMut(u64, UserFrame)) {
        for (index, frame) in self.pages.lock().range(range) {
            visit(*index, frame.clone());
        }
    }
    fn size(&self) -> u64 {
        self.len * PAGE
    }
    fn identity(&self) -> Identity {
        Identity {
            device: 0,
            inode: 1,
        }
    }
    fn path(&self) -> Vec<u8> {
        b"/file".to_vec()
    }
}

fn new_space() -> Arc<AddressSpace> {
    AddressSpace::new(Limits::default()).expect("there is memory")
}

fn fixed(pages: Range<u64>, protection: Protection) -> MapRequest {
    MapRequest {
        placement: Placement::Fixed(BASE + pages.start * PAGE),
        len: (pages.end - pages.start) * PAGE,
        protection,
        flags: AreaFlags::empty(),
        source: None,
        privileged: false,
        refusal: None,
        may_lock: true,
    }
}

fn of_file(mut request: MapRequest, file: &Arc<File>, first: u64, shared: bool) -> MapRequest {
    let backing: Arc<dyn Backing> = Arc::clone(file) as Arc<dyn Backing>;
    request.source = Some(Source { backing, first });
    request.flags.set(AreaFlags::SHARED, shared);
    request
}

/// A program's load of a page's first byte.
fn load(space: &AddressSpace, page: u64) -> Result<u8, Fault> {
    access(space, page, Access::Read, |frame| {
        let mut byte = [0];
        frame.read(0, &mut byte);
        byte[0]
    })
}

/// A program's store to a page's first byte.
fn store(space: &AddressSpace, page: u64, byte: u8) -> Result<(), Fault> {
    access(space, page, Access::Write, |frame| frame.write(0, &[byte]))
}

fn access<R>(
    space: &AddressSpace,
    page: u64,
    access: Access,
    act: impl FnOnce(&UserFrame) -> R,
) -> Result<R, Fault> {
    let address = BASE + page * PAGE;
    let needed = match access {
        Access::Read => Rights::READ,
        Access::Write => Rights::WRITE,
        Access::Execute => Rights::EXECUTE,
    };
    let is_ready = || {
        let inner = space.inner();
        inner
            .table
            .query(address)
            .filter(|mapping| mapping.rights.contains(needed))
    };
    if is_ready().is_none() {
        space.fault(address, access)?;
    }
    let mapping = is_ready().expect("a fault that is resolved needs no second");
    Ok(act(&mapping.frame))
}

fn signal<T: core::fmt::Debug>(result: Result<T, Fault>) -> (u32, i32) {
    let fault = result.expect_err("it is refused");
    (fault.signal, fault.code)
}

#[test]
fn pages_come_when_they_are_touched() {
    let _memory = host::start();
    let space = new_space();
    let start = space.map(fixed(0..4, RW)).expect("there is room");
    assert_eq!(start, BASE);
    assert_eq!(space.inner().table.resident_pages(), 0);
    assert_eq!(load(&space, 1), Ok(0));
    let free = memory::stats().free;
    assert_eq!(load(&space, 2), Ok(0), "a read takes no frame");
    assert_eq!(memory::stats().free, free);
    assert_eq!(store(&space, 1, 7), Ok(()));
    assert_eq!(load(&space, 1), Ok(7));
    assert_eq!(load(&space, 2), Ok(0));
    assert_eq!(signal(load(&space, 4)), (11, 1));
    assert_eq!(signal(access(&space, 1, Access::Execute, |_| ())), (11, 2));
}

#[test]
fn a_program_without_the_right_is_told_so() {
    let _memory = host::start();
    let space = new_space();
    let none = Protection::empty();
    for (page, protection) in [(0, none), (1, Protection::READ), (2, Protection::WRITE)] {
        space
            .map(fixed(page..page + 1, protection))
            .expect("there is room");
    }
    assert_eq!(signal(load(&space, 0)), (11, 2));
    assert_eq!(signal(store(&space, 1, 1)), (11, 2));
    assert_eq!(load(&space, 2), Ok(0), "what can be written can be read");
}

#[test]
fn a_private_file_page_is_copied_before_it_is_written() {
    let _memory = host::start();
    let space = new_space();
    let file = File::new(3);
    file.page(1).expect("it is there").write(0, &[42]);
    space
        .map(of_file(fixed(0..4, RW), &file, 0, false))
        .expect("there is room");
    assert_eq!(load(&space, 1), Ok(42));
    assert_eq!(store(&space, 1, 43), Ok(()));
    assert_eq!(store(&space, 0, 44), Ok(()));
    assert_eq!((load(&space, 1), load(&space, 0)), (Ok(43), Ok(44)));
    for (index, expected) in [(0, 0), (1, 42)] {
        let mut byte = [1];
        file.page(index).expect("it is there").read(0, &mut byte);
        assert_eq!(byte, [expected]);
    }
    assert_eq!(signal(load(&space, 3)), (7, 2), "past the end");
}

#[test]
fn a_read_maps_what_is_around_it() {
    let _memory = host::start();
    let space = new_space();
    let file = File::new(64);
    for index in 0..40 {
        file.page(index).expect("it is there");
    }
    space
        .map(of_file(fixed(0..64, Protection::READ), &file, 0, false))
        .expect("there is room");
    assert_eq!(load(&space, 20), Ok(0));
    let inner = space.inner();
    let mapped: Vec<u64> = (0..64)
        .filter(|page| inner.table.query(BASE + page * PAGE).is_some())
        .collect();
    assert_eq!(mapped, (16..32).collect::<Vec<_>>());
    drop(inner);
    assert_eq!(load(&space, 39), Ok(0));
    assert_eq!(
        space.inner().table.resident_pages(),
        24,
        "only what is there"
    );
}

#[test]
fn shared_memory_is_shared_with_a_child_and_private_memory_is_not() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..2, RW)).expect("there is room");
    let mut request = fixed(2..4, RW);
    request.flags.insert(AreaFlags::SHARED);
    request.source = Some(Source {
        backing: Arc::new(SharedMemory::new(2)),
        first: 0,
    });
    space.map(request).expect("there is room");
    for page in 0..3 {
        store(&space, page, 1).expect("it is writable");
    }
    let child = space.fork().expect("there is memory");
    store(&child, 0, 2).expect("it is writable");
    store(&space, 1, 3).expect("it is writable");
    for page in 2..4 {
        store(&child, page, 4).expect("it is writable");
    }
    assert_eq!((load(&space, 0), load(&child, 0)), (Ok(1), Ok(2)));
    assert_eq!((load(&space, 1), load(&child, 1)), (Ok(3), Ok(1)));
    assert_eq!((load(&space, 2), load(&space, 3)), (Ok(4), Ok(4)));
}

#[test]
fn the_last_owner_of_a_page_writes_in_place() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..1, RW)).expect("there is room");
    store(&space, 0, 1).expect("it is writable");
    let number = |space: &AddressSpace| {
        space
            .inner()
            .table
            .query(BASE)
            .map(|mapping| mapping.frame.number())
    };
    let before = number(&space);
    let child = space.fork().expect("there is memory");
    store(&child, 0, 2).expect("it is writable");
    assert_ne!(number(&child), before);
    store(&space, 0, 3).expect("it is writable");
    assert_eq!(number(&space), before);
}

#[test]
fn advice_about_forks_is_followed() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..3, RW)).expect("there is room");
    for page in 0..3 {
        store(&space, page, 9).expect("it is writable");
    }
    space
        .advise(BASE, PAGE, Advice::DontFork)
        .expect("it is mapped");
    space
        .advise(BASE + PAGE, PAGE, Advice::WipeOnFork)
        .expect("it is mapped");
    let child = space.fork().expect("there is memory");
    assert_eq!(signal(load(&child, 0)), (11, 1));
    assert_eq!(load(&child, 1), Ok(0));
    assert_eq!(load(&child, 2), Ok(9));
    space
        .advise(BASE, 3 * PAGE, Advice::DontNeed)
        .expect("it is mapped");
    assert_eq!(load(&space, 2), Ok(0));
    assert_eq!(load(&child, 2), Ok(9));
}

#[test]
fn a_stack_grows_to_its_limit_and_keeps_its_gap() {
    let _memory = host::start();
    let space = AddressSpace::new(Limits {
        stack: 64 * PAGE,
        ..Limits::default()
    })
    .expect("there is memory");
    let mut request = fixed(1000..1001, RW);
    request.flags.insert(AreaFlags::GROWS_DOWN);
    space.map(request).expect("there is room");
    assert_eq!(store(&space, 990, 1), Ok(()));
    assert_eq!(signal(store(&space, 936, 1)), (11, 1), "the limit");
    assert_eq!(store(&space, 937, 1), Ok(()));
    space.set_limits(Limits::default());
    let below = 937 - GUARD_GAP / PAGE - 2;
    space
        .map(fixed(below - 1..below, RW))
        .expect("there is room");
    assert_eq!(signal(store(&space, below + 1, 1)), (11, 1), "the gap");
    assert_eq!(store(&space, 935, 1), Ok(()));
}

#[test]
fn the_heap_moves_its_end() {
    let _memory = host::start();
    let space = new_space();
    space.set_heap_start(BASE);
    assert_eq!(space.set_heap_end(0, false).at, BASE);
    assert_eq!(space.set_heap_end(BASE + 5000, false).at, BASE + 5000);
    assert_eq!(store(&space, 1, 1), Ok(()));
    assert_eq!(signal(store(&space, 2, 1)), (11, 1));
    assert_eq!(space.set_heap_end(BASE + 100, false).at, BASE + 100);
    assert_eq!(signal(load(&space, 1)), (11, 1));
    assert_eq!(space.set_heap_end(BASE + 5000, false).at, BASE + 5000);
    assert_eq!(load(&space, 1), Ok(0), "what comes back is zero");
    space.map(fixed(4..5, RW)).expect("there is room");
    assert_eq!(space.set_heap_end(BASE + 5 * PAGE, false).at, BASE + 5000);
    assert_eq!(space.set_heap_end(u64::MAX, false).at, BASE + 5000);
}

#[test]
fn the_heaps_end_does_not_come_down_over_nothing() {
    let _memory = host::start();
    let space = new_space();
    space.set_heap_start(BASE);
    let end = BASE + 6 * PAGE;
    assert_eq!(space.set_heap_end(end, false).at, end);
    space
        .unmap(BASE + 3 * PAGE, 3 * PAGE)
        .expect("it is a range");
    assert_eq!(
        space.set_heap_end(BASE + 4 * PAGE, false).at,
        end,
        "as on Linux"
    );
    assert_eq!(space.set_heap_end(BASE + PAGE, false).at, BASE + PAGE);
    assert_eq!(signal(load(&space, 2)), (11, 1));
}

fn remap(
    space: &AddressSpace,
    pages: Range<u64>,
    new: u64,
    flags: RemapFlags,
) -> Result<u64, Errno> {
    let (start, _) = space.remap(&RemapRequest {
        address: BASE + pages.start * PAGE,
        old_len: (pages.end - pages.start) * PAGE,
        new_len: new * PAGE,
        flags,
        new_address: BASE + 100 * PAGE,
        privileged: false,
        may_lock: true,
    })?;
    Ok(start)
}

#[test]
fn a_mapping_grows_shrinks_and_moves() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..2, RW)).expect("there is room");
    store(&space, 1, 5).expect("it is writable");
    assert_eq!(remap(&space, 0..2, 4, RemapFlags::empty()), Ok(BASE));
    assert_eq!(store(&space, 3, 6), Ok(()));
    space.map(fixed(4..5, RW)).expect("there is room");
    assert_eq!(
        remap(&space, 0..4, 6, RemapFlags::empty()),
        Err(Errno::ENOMEM)
    );
    let fixed_move = RemapFlags::MAYMOVE | RemapFlags::FIXED;
    assert_eq!(remap(&space, 0..4, 6, fixed_move), Ok(BASE + 100 * PAGE));
    assert_eq!((load(&space, 101), load(&space, 103)), (Ok(5), Ok(6)));
    assert_eq!(load(&space, 105), Ok(0));
    assert_eq!(signal(load(&space, 1)), (11, 1));
    assert_eq!(
        remap(&space, 100..106, 2, RemapFlags::empty()),
        Ok(BASE + 100 * PAGE)
    );
    assert_eq!(signal(load(&space, 103)), (11, 1));
    assert_eq!(
        remap(&space, 100..101, 1, fixed_move),
        Err(Errno::EINVAL),
        "onto itself"
    );
    assert_eq!(
        remap(&space, 50..51, 1, RemapFlags::MAYMOVE),
        Err(Errno::EFAULT)
    );
    let moved = remap(&space, 100..102, 7, RemapFlags::MAYMOVE).expect("it may move or grow");
    assert!(space.is_mapped(moved..moved + 7 * PAGE).0);
}

#[test]
fn nothing_is_left_behind() {
    let _memory = host::start();
    let stats = memory::stats();
    let before = stats.free + stats.heap;
    {
        let space = new_space();
        let file = File::new(8);
        space
            .map(of_file(fixed(0..8, RW), &file, 0, false))
            .expect("there is room");
        for page in 0..8 {
            store(&space, page, 1).expect("it is writable");
        }
        let child = space.fork().expect("there is memory");
        store(&child, 3, 2).expect("it is writable");
        space.unmap(BASE + PAGE, 2 * PAGE).expect("it is a range");
    }
    let stats = memory::stats();
    assert_eq!(stats.free + stats.heap, before);
}

#[derive(Clone, Debug)]
enum Step {
    Map(Range<u64>, bool),
    MapFile(Range<u64>, u64, bool),
    Unmap(Range<u64>),
    Protect(Range<u64>, bool),
    Move(Range<u64>, u64),
    Forget(Range<u64>),
    Store(usize, u64, u8),
    Fork,
}

const PAGES: u64 = 20;
const FILE_PAGES: u64 = 8;

fn ranges() -> impl Strategy<Value = Range<u64>> {
    (0..PAGES, 1..8_u64).prop_map(|(start, len)| start..(start + len).min(PAGES))
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (ranges(), any::<bool>()).prop_map(|(range, writable)| Step::Map(range, writable)),
        2 => (ranges(), 0..FILE_PAGES, any::<bool>())
            .prop_map(|(range, first, shared)| Step::MapFile(range, first, shared)),
        1 => ranges().prop_map(Step::Unmap),
        1 => (ranges(), any::<bool>()).prop_map(|(range, writable)| Step::Protect(range, writable)),
        1 => (ranges(), 0..PAGES).prop_map(|(range, to)| Step::Move(range, to)),
        1 => ranges().prop_map(Step::Forget),
        6 => (0..3_usize, 0..PAGES, 1..=255_u8)
            .prop_map(|(space, page, byte)| Step::Store(space, page, byte)),
        1 => Just(Step::Fork),
    ]
}

/// A page as the model has it.
#[derive(Clone, Debug)]
struct Page {
    writable: bool,
    /// The page's own content, once it was written.
    own: Option<u8>,
    /// The file's page, and whether stores go there.
    file: Option<(u64, bool)>,
}

type Pages = BTreeMap<u64, Page>;

fn check_space(space: &AddressSpace, model: &Pages, file: &BTreeMap<u64, u8>) {
    for page in 0..PAGES {
        let expected = match model.get(&page) {
            None => Err((11, 1)),
            Some(Page {
                own: Some(byte), ..
            }) => Ok(*byte),
            Some(Page {
                file: Some((index, _)),
                ..
            }) if *index >= FILE_PAGES => Err((7, 2)),
            Some(Page {
                file: Some((index, _)),
                ..
            }) => Ok(file.get(index).copied().unwrap_or(0)),
            Some(_) => Ok(0),
        };
        let found = load(space, page).map_err(|fault| (fault.signal, fault.code));
        assert_eq!(found, expected, "page {page}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_a_model_of_pages(
        steps in prop::collection::vec((steps(), any::<bool>()), 1..40),
    ) {
        let _memory = host::start();
        let file = File::new(FILE_PAGES);
        let mut content: BTreeMap<u64, u8> = BTreeMap::new();
        let mut spaces: Vec<(Arc<AddressSpace>, Pages)> =
            vec![(new_space(), Pages::new())];
        for (step, look) in steps {
            let (space, model) = spaces.first_mut().expect("one is always there");
            let range_of = |pages: &Range<u64>| (BASE + pages.start * PAGE, (pages.end - pages.start) * PAGE);
            match step {
                Step::Map(pages, writable) => {
                    let protection = if writable { RW } else { Protection::READ };
                    space.map(fixed(pages.clone(), protection)).expect("there is room");
                    for page in pages {
                        model.insert(page, Page { writable, own: None, file: None });
                    }
                }
                Step::MapFile(pages, first, shared) => {
                    space
                        .map(of_file(fixed(pages.clone(), RW), &file, first, shared))
                        .expect("there is room");
                    for page in pages.clone() {
                        let file = Some((first + page - pages.start, shared));
                        model.insert(page, Page { writable: true, own: None, file });
                    }
                }
                Step::Unmap(pages) => {
                    let (start, len) = range_of(&pages);
                    space.unmap(start, len).expect("it is a range");
                    model.retain(|page, _| !pages.contains(page));
                }
                Step::Protect(pages, writable) => {
                    let (start, len) = range_of(&pages);
                    let protection = if writable { RW } else { Protection::READ };
                    let result = space.protect(start, len, protection, false);
                    let reached = pages
                        .clone()
                        .find(|page| !model.contains_key(page))
                        .unwrap_or(pages.end);
                    assert_eq!(result.is_ok(), reached == pages.end);
                    for (_, page) in model.range_mut(pages.start..reached) {
                        page.writable = writable;
                    }
                }
                Step::Move(pages, to) => {
                    let len = pages.end - pages.start;
                    let result = space.remap(&RemapRequest {
                        address: BASE + pages.start * PAGE,
                        old_len: len * PAGE,
                        new_len: len * PAGE,
                        flags: RemapFlags::MAYMOVE | RemapFlags::FIXED,
                        new_address: BASE + to * PAGE,
                        privileged: false,
        may_lock: true,
                    });
                    let overlap = to < pages.end && pages.start < to + len;
                    if overlap {
                        assert_eq!(result, Err(Errno::EINVAL));
                    } else if !model.contains_key(&pages.start) {
                        assert_eq!(result, Err(Errno::EFAULT));
                    } else {
                        // As on Linux, gaps stay gaps, and under them nothing
                        // goes away.
                        assert!(result.is_ok());
                        for page in pages.clone() {
                            if let Some(moved) = model.remove(&page) {
                                model.insert(to + page - pages.start, moved);
                            }
                        }
                    }
                    // Pages beyond the model's window would go unseen.
                    space.unmap(BASE + PAGES * PAGE, 16 * PAGE).expect("it is a range");
                    model.retain(|page, _| *page < PAGES);
                }
                Step::Forget(pages) => {
                    let (start, len) = range_of(&pages);
                    let all = pages.clone().all(|page| model.contains_key(&page));
                    assert_eq!(space.advise(start, len, Advice::DontNeed).is_ok(), all);
                    for (_, page) in model.range_mut(pages) {
                        page.own = None;
                    }
                }
                Step::Store(which, page, byte) => {
                    let count = spaces.len();
                    let (space, model) = &mut spaces[which % count];
                    let result = store(space, page, byte).map_err(|fault| (fault.signal, fault.code));
                    let expected = match model.get_mut(&page) {
                        None => Err((11, 1)),
                        Some(page) if !page.writable => Err((11, 2)),
                        Some(Page { own: own @ Some(_), .. }) => {
                            *own = Some(byte);
                            Ok(())
                        }
                        Some(Page { file: Some((index, _)), .. }) if *index >= FILE_PAGES => Err((7, 2)),
                        Some(Page { file: Some((index, true)), .. }) => {
                            content.insert(*index, byte);
                            Ok(())
                        }
                        Some(page) => {
                            page.own = Some(byte);
                            Ok(())
                        }
                    };
                    assert_eq!(result, expected, "page {page}");
                }
                Step::Fork => {
                    if spaces.len() < 3 {
                        let (space, model) = spaces.first().expect("one is always there");
                        let child = (space.fork().expect("there is memory"), model.clone());
                        spaces.push(child);
                    }
                }
            }
            if look {
                for (space, model) in &spaces {
                    check_space(space, model, &content);
                }
            }
        }
        for (space, model) in &spaces {
            check_space(space, model, &content);
        }
    }
}

#[test]
fn areas_with_pages_of_their_own_join_as_their_sets_do() {
    let _memory = host::start();
    let space = new_space();
    let count = || space.areas().len();
    space.map(fixed(0..2, RW)).expect("there is room");
    space.map(fixed(4..6, RW)).expect("there is room");
    store(&space, 0, 1).expect("it is writable");
    store(&space, 5, 1).expect("it is writable");
    // Untouched, it joins the one below it, and then cannot join the other.
    space.map(fixed(2..4, RW)).expect("there is room");
    assert_eq!(count(), 2);
    let child = space.fork().expect("there is memory");
    child.map(fixed(6..7, RW)).expect("there is room");
    assert_eq!(
        child.areas().len(),
        3,
        "what a parent has, too, joins nothing"
    );
}

#[test]
fn areas_are_listed_from_an_address_on() {
    let _memory = host::start();
    let space = new_space();
    for page in [0, 2, 4, 6] {
        space.map(fixed(page..page + 1, RW)).expect("there is room");
    }
    let all = space.areas();
    let listed = |address, most| {
        let areas = space.areas_above(address, most).expect("there is memory");
        areas.iter().map(|area| area.start).collect::<Vec<_>>()
    };
    let starts = |range: Range<usize>| all[range].iter().map(|area| area.start).collect::<Vec<_>>();
    assert_eq!(listed(0, 9), starts(0..4));
    assert_eq!(listed(0, 3), starts(0..3));
    assert_eq!(listed(all[1].end, 2), starts(2..4));
    // One that an address is in the middle of is listed.
    assert_eq!(listed(all[1].end - 1, 2), starts(1..3));
    assert_eq!(listed(all[3].end, 2), starts(0..0));
}

#[test]
fn an_advice_that_is_followed_already_changes_nothing() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..4, RW)).expect("there is room");
    let start = space.areas()[0].start;
    let advise = |page: u64, pages: u64| {
        space
            .advise(start + page * PAGE, pages * PAGE, Advice::DontDump)
            .map(drop)
    };
    let changes = || space.inner().areas.changes();
    let before = changes();
    advise(1, 2).expect("it is mapped");
    assert_ne!(changes(), before);
    assert_eq!(space.areas().len(), 3);
    let before = changes();
    advise(1, 2).expect("it is mapped");
    advise(2, 1).expect("it is mapped");
    assert_eq!(changes(), before);
    // All is looked at, not the first area only; holes are told all the same.
    advise(1, 3).expect("it is mapped");
    assert_eq!(space.areas().len(), 2);
    assert_eq!(advise(3, 2), Err(Errno::ENOMEM));
}
