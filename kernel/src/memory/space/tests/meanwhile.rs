//! What others do to a space while a fault makes what it needs.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::mman::Protection;
use ochre_hal::memory::{self, UserFrame, host};
use ochre_hal::user::Access;
use ochre_sync::SpinLock;

use super::{BASE, File, RW, fixed, load, new_space, signal, store};
use crate::memory::area::PAGE;
use crate::memory::fault::Refusal;
use crate::memory::made::{Made, Stop, Wanted};
use crate::memory::{AddressSpace, Backing, Identity, Source};

/// Makes a page accessible for a store, `meanwhile` coming before each attempt
/// but the first; how many attempts that took.
fn store_while(
    space: &AddressSpace,
    page: u64,
    mut meanwhile: impl FnMut(),
) -> Result<usize, Refusal> {
    let mut made = Made::default();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let address = BASE + page * PAGE;
        let attempt = space.inner().attempt(address, Access::Write, &mut made);
        match attempt {
            Ok(()) => return Ok(attempts),
            Err(Stop::Refused(refusal)) => return Err(refusal),
            Err(Stop::Wants(wanted)) => {
                made.make(wanted)?;
                meanwhile();
            }
        }
    }
}

/// A space whose page 0 has 7 in it and is shared with a child.
fn forked() -> (Arc<AddressSpace>, Arc<AddressSpace>) {
    let space = new_space();
    space.map(fixed(0..4, RW)).expect("there is room");
    store(&space, 0, 7).expect("it is writable");
    let child = space.fork().expect("there is memory");
    (space, child)
}

#[test]
fn a_copy_is_not_put_over_what_another_thread_stored() {
    let _memory = host::start();
    let (space, child) = forked();
    let attempts = store_while(&space, 0, || store(&space, 0, 8).expect("it is writable"));
    assert_eq!(attempts, Ok(2));
    assert_eq!(load(&space, 0), Ok(8));
    assert_eq!(load(&child, 0), Ok(7));
}

#[test]
fn a_copy_is_not_taken_for_that_of_another_frame() {
    let _memory = host::start();
    let (space, child) = forked();
    let mut second = None;
    let attempts = store_while(&space, 0, || {
        // What is there then is another frame, and shared as well.
        if second.is_none() {
            store(&space, 0, 8).expect("it is writable");
            second = space.fork().ok();
        }
    });
    assert_eq!(attempts, Ok(3));
    assert_eq!((load(&space, 0), load(&child, 0)), (Ok(8), Ok(7)));
}

#[test]
fn a_copy_is_used_whoever_forks_or_ends() {
    let _memory = host::start();
    let (space, child) = forked();
    let mut second = None;
    let attempts = store_while(&space, 0, || second = space.fork().ok());
    assert_eq!(attempts, Ok(2));
    store(&space, 0, 8).expect("it is writable");
    assert_eq!(load(&child, 0), Ok(7));
    assert_eq!(load(&second.expect("there is memory"), 0), Ok(7));

    let (space, child) = forked();
    let mut child = Some(child);
    assert_eq!(store_while(&space, 0, || child = None), Ok(2));
    assert_eq!(load(&space, 0), Ok(7));
}

#[test]
fn who_writes_in_place_waits_for_no_copy() {
    let _memory = host::start();
    let (space, child) = forked();
    // The child would be the only one to have the page, but for the copy that
    // is being made of it.
    let attempts = store_while(&space, 0, || {
        space.unmap(BASE, PAGE).expect("it is mapped");
        space.map(fixed(0..1, RW)).expect("there is room");
        store(&child, 0, 9).expect("it is writable");
    });
    assert_eq!(attempts, Ok(2), "no copy is wanted of the new page");
    assert_eq!(load(&space, 0), Ok(0));
    assert_eq!(load(&child, 0), Ok(9));
}

#[test]
fn what_is_taken_away_meanwhile_is_missed() {
    let _memory = host::start();
    let (space, _child) = forked();
    let gone = store_while(&space, 0, || {
        space.unmap(BASE, PAGE).expect("it is mapped");
    });
    assert_eq!(gone, Err(Refusal::NotMapped));
    let (space, child) = forked();
    let forbidden = store_while(&space, 0, || {
        let read = space.protect(BASE, PAGE, Protection::READ, false);
        assert!(read.is_ok_and(|rest| rest.is_none()));
    });
    assert_eq!(forbidden, Err(Refusal::NotAllowed));
    assert_eq!(load(&space, 0), Ok(7));
    assert_eq!(load(&child, 0), Ok(7));
}

#[test]
fn a_copy_of_a_file_is_not_older_than_the_mapping() {
    let _memory = host::start();
    let space = new_space();
    let file = File::new(1);
    let map = || {
        let mut request = fixed(0..1, RW);
        request.source = Some(Source {
            backing: Arc::clone(&file) as Arc<dyn Backing>,
            first: 0,
        });
        space.map(request).expect("there is room");
    };
    map();
    let mut times = 0;
    let attempts = store_while(&space, 0, || {
        times += 1;
        let frame = file.page(0).expect("it has one");
        frame.write(0, &[times]);
        map();
    });
    // The last copy is made with the space locked.
    assert_eq!(attempts, Ok(4));
    assert_eq!(load(&space, 0), Ok(times));
    assert_eq!(times, 3);
}

#[test]
fn a_page_of_zeroes_is_wanted_where_none_lies_ready() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..4, RW)).expect("there is room");
    drop(UserFrame::zeroed_if_ready());
    assert_eq!(store_while(&space, 0, || {}), Ok(2));
    UserFrame::prepare_zeroed();
    assert_eq!(store_while(&space, 1, || {}), Ok(1));
    let faults = space.usage().faults;
    drop(UserFrame::zeroed_if_ready());
    assert_eq!(store_while(&space, 2, || {}), Ok(2));
    assert_eq!(space.usage().faults, faults + 1, "one fault");
}

#[test]
fn a_shortage_does_not_hide_what_is_wrong() {
    let _memory = host::start();
    let space = new_space();
    space.map(fixed(0..4, RW)).expect("there is room");
    space
        .map(fixed(4..5, Protection::READ))
        .expect("there is room");
    store(&space, 0, 1).expect("it is writable");
    let file = File::new(1);
    let mut request = fixed(6..7, RW);
    let backing: Arc<dyn Backing> = file;
    request.source = Some(Source { backing, first: 0 });
    space.map(request).expect("there is room");
    let free = memory::stats().free;
    let rest: Vec<UserFrame> = core::iter::from_fn(|| UserFrame::zeroed().ok()).collect();
    let (sigsegv, sigkill) = (11, 9);
    assert_eq!(signal(store(&space, 1, 1)).0, sigkill);
    assert_eq!(
        signal(load(&space, 6)).0,
        sigkill,
        "the file has none either"
    );
    assert_eq!(signal(store(&space, 4, 1)), (sigsegv, 2));
    assert_eq!(signal(store(&space, 5, 1)), (sigsegv, 1));
    assert_eq!(store(&space, 0, 2), Ok(()), "it is there");
    drop(rest);
    assert_eq!(memory::stats().free, free);
    assert_eq!(store(&space, 1, 1), Ok(()));
}

/// A file of one page that is not at hand at first, and does something when it
/// is asked for it.
struct Slow {
    file: Arc<File>,
    is_made: SpinLock<bool>,
    space: Weak<AddressSpace>,
    meanwhile: fn(&AddressSpace),
    is_cut: bool,
}

impl Backing for Slow {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        *self.is_made.lock() = true;
        if let Some(space) = self.space.upgrade() {
            (self.meanwhile)(&space);
        }
        self.file.page(index)
    }
    fn page_at_hand(&self, index: u64) -> Option<Result<UserFrame, Errno>> {
        let is_made = *self.is_made.lock();
        match (is_made, self.is_cut) {
            (false, _) => None,
            (true, true) => Some(Err(Errno::ENXIO)),
            (true, false) => Some(self.file.page(index)),
        }
    }
    fn size(&self) -> u64 {
        PAGE
    }
    fn identity(&self) -> Identity {
        self.file.identity()
    }
    fn path(&self) -> Vec<u8> {
        Vec::new()
    }
}

#[test]
fn an_object_is_asked_for_a_page_with_no_lock_held() {
    let _memory = host::start();
    let sigsegv = (11, 1);
    let sigbus = (7, 2);
    let nothing: fn(&AddressSpace) = |_| {};
    let unmap: fn(&AddressSpace) = |space| space.unmap(BASE, PAGE).expect("it is mapped");
    for (is_cut, meanwhile, expected) in [
        (false, nothing, None),
        (false, unmap, Some(sigsegv)),
        (true, nothing, Some(sigbus)),
    ] {
        let space = new_space();
        let backing = Arc::new(Slow {
            file: File::new(1),
            is_made: SpinLock::new(false),
            space: Arc::downgrade(&space),
            meanwhile,
            is_cut,
        });
        let mut request = fixed(0..1, RW);
        request.source = Some(Source { backing, first: 0 });
        space.map(request).expect("there is room");
        match expected {
            None => assert_eq!(store(&space, 0, 1), Ok(())),
            Some(expected) => assert_eq!(signal(store(&space, 0, 1)), expected),
        }
    }
}

#[test]
fn what_is_made_is_what_was_wanted() {
    let _memory = host::start();
    let original = UserFrame::zeroed().expect("there is memory");
    let mut made = Made::default();
    let wanted = Wanted::Copy(original.clone(), 0);
    assert!(made.make(wanted).is_ok());
    assert_eq!(original.handles(), 2, "nobody else is the only holder");
    drop(made);
    assert!(original.is_unique());
}

/// An object that has another frame for a page each time.
struct Fresh(Arc<File>);

impl Backing for Fresh {
    fn page(&self, _: u64) -> Result<UserFrame, Errno> {
        UserFrame::zeroed().map_err(|_| Errno::ENOMEM)
    }
    fn size(&self) -> u64 {
        PAGE
    }
    fn identity(&self) -> Identity {
        self.0.identity()
    }
    fn path(&self) -> Vec<u8> {
        Vec::new()
    }
}

#[test]
fn a_page_that_is_never_the_same_is_copied_in_the_end() {
    let _memory = host::start();
    let space = new_space();
    let mut request = fixed(0..1, RW);
    let backing = Arc::new(Fresh(File::new(1)));
    request.source = Some(Source { backing, first: 0 });
    space.map(request).expect("there is room");
    assert_eq!(store(&space, 0, 3), Ok(()));
    assert_eq!(load(&space, 0), Ok(3));
}
