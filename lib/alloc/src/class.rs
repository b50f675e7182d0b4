//! One size of objects: pages cut into them, and the pages that have a free one.
//!
//! Every page of objects begins with a [`Header`]; the rest is objects of one
//! size. The header of an object is found by rounding its address down, so
//! that freeing needs no search. Pages with a free object form a doubly linked
//! list; a full page is on no list and comes back with its first free. A page
//! that becomes empty is given back, except the last one of its list: a size in
//! use does not take and give a page in turn.
//!
//! ```text
//! 0        32 or the size's alignment                           4096
//! | header | object | object | ...  | object | never used ...  | rest |
//!              ^ `free`: the object freed last   ^ `fresh`
//! ```
//! `free` heads a list of freed objects; each holds the offset of the next one
//! in its first two bytes, 0 ends it. Objects from `fresh` on were never handed
//! out and are not touched before.
//!
//! # Invariants
//! 1. Every page on a list or with an object handed out belongs to this class,
//!    and its header is valid.
//! 2. Offsets in `free` and in freed objects lie between the first object and
//!    `fresh`; the object there is not handed out.
//! 3. A page is on the list exactly when `free != 0 || fresh != 0`.
//! 4. `in_use` is the number of the page's objects handed out.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::source::{PAGE_SIZE, PageSource};

/// Object sizes: multiples of 16 that fill a page well beside its header.
pub(crate) const SIZES: [u16; 22] = [
    16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 496, 576, 672, 800, 1008,
    1344, 2032,
];

/// How many sizes there are.
pub const CLASSES: usize = SIZES.len();

/// Requests above get whole pages.
pub const LARGEST_OBJECT: usize = 2032;

/// Bytes kept for the header; also the least offset of an object.
const HEADER_SIZE: u16 = 32;

/// Objects are aligned to the largest power of two that divides their size, up to this.
const MAX_ALIGN: u16 = 256;

/// Class by `(size - 1) / 16`.
static CLASS_BY_SIZE: [u8; LARGEST_OBJECT / 16] = {
    let mut table = [0; LARGEST_OBJECT / 16];
    let mut class = 0;
    let mut slot = 0;
    while slot < table.len() {
        while (SIZES[class] as usize) < (slot + 1) * 16 {
            class += 1;
        }
        table[slot] = class as u8;
        slot += 1;
    }
    table
};

/// The pages of one size.
#[derive(Debug)]
pub(crate) struct Class {
    /// The first page that has a free object.
    partial: Option<NonNull<Header>>,
    /// Pages taken from the source and not given back.
    pages: usize,
}

/// What a heap has of one size of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeUse {
    /// Bytes in an object.
    pub size: usize,
    /// Objects in a page.
    pub per_page: usize,
    /// Pages that are cut into objects of the size.
    pub pages: usize,
    /// Objects handed out; those that lie in a processor's magazine are.
    pub in_use: usize,
}

/// What a page of objects begins with.
#[repr(C)]
#[derive(Debug)]
struct Header {
    previous: Option<NonNull<Header>>,
    next: Option<NonNull<Header>>,
    free: u16,
    fresh: u16,
    in_use: u16,
    class: u16,
}

const _: () = assert!(size_of::<Header>() <= HEADER_SIZE as usize);

// SAFETY: the pages behind the pointers belong to this class alone (invariant
// 1 and `PageSource`'s contract), so they move with it.
unsafe impl Send for Class {}

impl Class {
    pub(crate) const fn new() -> Class {
        Class {
            partial: None,
            pages: 0,
        }
    }

    /// Pages taken from the source and not given back.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// What there is of the class of number `class`. Looks at every page that
    /// has a free object.
    pub(crate) fn usage(&self, class: usize) -> SizeUse {
        let size = usize::from(size_of_class(class));
        let per_page = (PAGE_SIZE - usize::from(first_object(class))) / size;
        let mut in_use = self.pages * per_page;
        let mut next = self.partial;
        while let Some(page) = next {
            // SAFETY: a page on a list has a valid header (invariant 1), which
            // nobody changes while `self` is borrowed.
            let header = unsafe { page.as_ref() };
            in_use = in_use.saturating_sub(per_page.saturating_sub(usize::from(header.in_use)));
            next = header.next;
        }
        SizeUse {
            size,
            per_page,
            pages: self.pages,
            in_use,
        }
    }

    /// One object.
    #[inline]
    pub(crate) fn take_one(
        &mut self,
        class: usize,
        source: &impl PageSource,
    ) -> Option<NonNull<u8>> {
        let mut page = match self.partial {
            Some(page) => page,
            None => self.grow(class, source)?,
        };
        // SAFETY: a page on a list has a valid header (invariant 1), and `&mut
        // self` makes this the only reference to it.
        let header = unsafe { page.as_mut() };
        // SAFETY: the header is this page's.
        let object = unsafe { next_object(page, header, class) };
        header.in_use += 1;
        if header.free == 0 && header.fresh == 0 {
            self.unlink(page);
        }
        Some(object)
    }

    /// Objects for as many places as can be had, the first places first; how
    /// many that is. Their addresses fall from place to place, mostly.
    pub(crate) fn take(
        &mut self,
        class: usize,
        source: &impl PageSource,
        places: &mut [*mut u8],
    ) -> usize {
        let mut taken = 0;
        while taken < places.len() {
            let Some(mut page) = self.partial.or_else(|| self.grow(class, source)) else {
                break;
            };
            // SAFETY: as in `take_one`.
            let header = unsafe { page.as_mut() };
            let before = taken;
            while (header.free != 0 || header.fresh != 0)
                && let Some(place) = places.get_mut(taken)
            {
                // SAFETY: the header is this page's.
                *place = unsafe { next_object(page, header, class) }.as_ptr();
                taken += 1;
            }
            // CAST: at most a page's objects.
            header.in_use += (taken - before) as u16;
            if header.free == 0 && header.fresh == 0 {
                self.unlink(page);
            }
        }
        if let Some(taken) = places.get_mut(..taken) {
            taken.reverse();
        }
        taken
    }

    /// Takes an object back.
    ///
    /// # Safety
    /// `memory` is an object handed out by this class of number `class`, not used any more.
    #[inline]
    pub(crate) unsafe fn give(
        &mut self,
        class: usize,
        source: &impl PageSource,
        memory: NonNull<u8>,
    ) {
        // CAST: below PAGE_SIZE.
        let offset = (memory.addr().get() % PAGE_SIZE) as u16;
        // SAFETY: objects lie in the page that begins `offset` bytes before them.
        let start = unsafe { memory.sub(usize::from(offset)) };
        let mut page = start.cast::<Header>();
        if cfg!(debug_assertions) {
            // SAFETY: `page` is the start of a page of this class.
            unsafe { check_handed_out(page, offset, class) };
        }
        // SAFETY: a page with an object handed out has a valid header
        // (invariant 1), and `&mut self` makes this the only reference to it.
        let header = unsafe { page.as_mut() };
        let was_full = header.free == 0 && header.fresh == 0;
        // SAFETY: the object is the caller's to give, at least 16 bytes and aligned to 16.
        unsafe { memory.cast::<u16>().write(header.free) };
        header.free = offset;
        header.in_use = header.in_use.wrapping_sub(1);
        let in_use = header.in_use;
        if was_full {
            self.link(page);
        }
        if in_use == 0 {
            // SAFETY: as above; the reference above is not used any more.
            let header = unsafe { page.as_ref() };
            if header.previous.is_some() || header.next.is_some() {
                self.unlink(page);
                self.release(page, source);
            }
        }
    }

    /// Gives back the empty page that is kept, if one is.
    pub(crate) fn reclaim(&mut self, source: &impl PageSource) {
        let Some(page) = self.partial else {
            return;
        };
        // SAFETY: a page on a list has a valid header (invariant 1).
        let empty = unsafe { page.as_ref() }.in_use == 0;
        if empty {
            self.unlink(page);
            self.release(page, source);
        }
    }

    #[cold]
    fn grow(&mut self, class: usize, source: &impl PageSource) -> Option<NonNull<Header>> {
        let page = source.allocate_pages(1)?.cast::<Header>();
        self.pages += 1;
        let header = Header {
            previous: None,
            next: None,
            free: 0,
            fresh: first_object(class),
            in_use: 0,
            // CAST: 22 classes.
            class: class as u16,
        };
        // SAFETY: the page is ours alone and aligned, by `PageSource`'s contract.
        unsafe { page.write(header) };
        self.link(page);
        Some(page)
    }

    /// Puts a page first on the list.
    fn link(&mut self, page: NonNull<Header>) {
        let next = self.partial.replace(page);
        if let Some(mut next) = next {
            // SAFETY: invariant 1, and no other reference to a header is alive.
            unsafe { next.as_mut() }.previous = Some(page);
        }
        let mut page = page;
        // SAFETY: as above; `page` is not `next`, which was on the list before.
        let header = unsafe { page.as_mut() };
        header.previous = None;
        header.next = next;
    }

    /// Takes a page off the list.
    fn unlink(&mut self, page: NonNull<Header>) {
        let mut page = page;
        // SAFETY: invariant 1, and no other reference to a header is alive.
        let header = unsafe { page.as_mut() };
        let (previous, next) = (header.previous.take(), header.next.take());
        match previous {
            // SAFETY: as above; neighbours on a list are different pages.
            Some(mut previous) => unsafe { previous.as_mut() }.next = next,
            None => self.partial = next,
        }
        if let Some(mut next) = next {
            // SAFETY: as above.
            unsafe { next.as_mut() }.previous = previous;
        }
    }

    fn release(&mut self, page: NonNull<Header>, source: &impl PageSource) {
        self.pages -= 1;
        // SAFETY: `grow` took the page from the source with count 1; it is
        // empty and off its list, so nobody uses it.
        unsafe { source.free_pages(page.cast(), 1) }
    }
}

/// The object that a page hands out next; `in_use` is the caller's to count.
///
/// # Safety
/// `header` is the header of `page`, which has a free or a fresh object.
#[inline]
unsafe fn next_object(page: NonNull<Header>, header: &mut Header, class: usize) -> NonNull<u8> {
    let offset = if header.free != 0 {
        let offset = header.free;
        // SAFETY: `free` is the offset of a freed object of this page (invariant 2).
        let object = unsafe { page.cast::<u8>().add(usize::from(offset)) };
        // SAFETY: a freed object holds the next offset in its first two
        // bytes; objects are aligned to 16.
        header.free = unsafe { object.cast::<u16>().read() };
        offset
    } else {
        let offset = header.fresh;
        header.fresh = next_fresh(offset, class);
        offset
    };
    // SAFETY: invariant 2, or `fresh`, which `next_fresh` keeps inside of the page.
    unsafe { page.cast::<u8>().add(usize::from(offset)) }
}

/// The class that serves a layout; `None` for whole pages.
#[inline]
pub(crate) fn class_of(layout: Layout) -> Option<usize> {
    let slot = layout.size().saturating_sub(1) / 16;
    let class = usize::from(*CLASS_BY_SIZE.get(slot)?);
    if layout.align() <= 16 {
        return Some(class);
    }
    (class..SIZES.len()).find(|&class| usize::from(align_of_class(class)) >= layout.align())
}

const fn size_of_class(class: usize) -> u16 {
    if class < CLASSES {
        SIZES[class]
    } else {
        u16::MAX
    }
}

pub(crate) const fn align_of_class(class: usize) -> u16 {
    let align = 1 << size_of_class(class).trailing_zeros();
    if align < MAX_ALIGN { align } else { MAX_ALIGN }
}

fn first_object(class: usize) -> u16 {
    align_of_class(class).max(HEADER_SIZE)
}

/// The offset of the object after the one at `offset`; 0 if it would leave the page.
#[inline]
fn next_fresh(offset: u16, class: usize) -> u16 {
    let size = size_of_class(class);
    let next = offset.saturating_add(size);
    if usize::from(next) + usize::from(size) <= PAGE_SIZE {
        next
    } else {
        0
    }
}

/// # Safety
/// `page` is the start of a page of objects of a class.
unsafe fn check_handed_out(page: NonNull<Header>, offset: u16, class: usize) {
    // SAFETY: the caller's promise.
    let header = unsafe { page.as_ref() };
    assert_eq!(
        usize::from(header.class),
        class,
        "freed with another layout"
    );
    assert!(header.in_use > 0, "an object of an empty page is freed");
    let from_first = offset.checked_sub(first_object(class));
    assert!(
        from_first.is_some_and(|bytes| bytes.is_multiple_of(size_of_class(class))),
        "freed at an address that is no object's"
    );
    let mut free = header.free;
    while free != 0 {
        assert_ne!(free, offset, "an object is freed twice");
        // SAFETY: offsets on the free list lie inside of the page (invariant 2).
        let object = unsafe { page.cast::<u8>().add(usize::from(free)) };
        // SAFETY: a freed object holds the next offset.
        free = unsafe { object.cast::<u16>().read() };
    }
}
