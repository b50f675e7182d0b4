//! A heap: objects of a few sizes cut from pages, larger requests in whole pages.
//!
//! Every page of objects begins with a [`Header`]; the rest is objects of one
//! size class. The header of an object is found by rounding its address down,
//! so that freeing needs no search. Pages with a free object form a doubly
//! linked list per class; a full page is on no list and comes back with its
//! first free. A page that becomes empty is given back, except the last one
//! of its list: a class in use does not take and give a page in turn.
//!
//! ```text
//! 0        32 or the class's alignment                          4096
//! | header | object | object | ...  | object | never used ...  | rest |
//!              ^ `free`: the object freed last   ^ `fresh`
//! ```
//! `free` heads a list of freed objects; each holds the offset of the next one
//! in its first two bytes, 0 ends it. Objects from `fresh` on were never handed
//! out and are not touched before.
//!
//! # Invariants
//! 1. Every page on a list or with an object handed out belongs to this slab,
//!    and its header is valid.
//! 2. Offsets in `free` and in freed objects lie between the first object and
//!    `fresh`; the object there is not handed out.
//! 3. A page is on its class's list exactly when `free != 0 || fresh != 0`.
//! 4. `in_use` is the number of the page's objects handed out.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::source::{PAGE_SIZE, PageSource};

/// Object sizes: multiples of 16 that fill a page well beside its header.
const SIZES: [u16; 22] = [
    16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 496, 576, 672, 800, 1008,
    1344, 2032,
];

/// Requests above get whole pages.
pub const LARGEST_OBJECT: usize = 2032;

/// Bytes kept for the header; also the least offset of an object.
const HEADER_SIZE: u16 = 32;

/// Objects are aligned to the largest power of two that divides their size, up to this.
const MAX_ALIGN: u16 = 256;

/// Class by `(size - 1) / 16`.
const CLASS_BY_SIZE: [u8; LARGEST_OBJECT / 16] = {
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

/// A heap over the pages of `P`.
#[derive(Debug)]
pub struct Slab<P> {
    /// The first page of each class that has a free object.
    partial: [Option<NonNull<Header>>; SIZES.len()],
    source: P,
    pages: usize,
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

// SAFETY: the pages behind the pointers belong to this slab alone (invariant 1
// and `PageSource`'s contract), so they move with it; the source may move too.
unsafe impl<P: Send> Send for Slab<P> {}

impl<P: PageSource> Slab<P> {
    /// An empty heap.
    pub const fn new(source: P) -> Slab<P> {
        Slab {
            partial: [None; SIZES.len()],
            source,
            pages: 0,
        }
    }

    /// Pages taken from the source and not given back.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Where the pages come from.
    pub fn source(&mut self) -> &mut P {
        &mut self.source
    }

    /// Memory for `layout`, content unspecified; `None` if there is none, or
    /// if the alignment is larger than a page.
    #[inline]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match class_of(layout) {
            Some(class) => self.allocate_object(class),
            None => self.allocate_pages(layout),
        }
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// `memory` came from [`allocate`](Slab::allocate) of this heap with the
    /// same layout and is not used any more.
    #[inline]
    pub unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        match class_of(layout) {
            // SAFETY: the caller's promise; the layout has a class, so `allocate` cut an object.
            Some(class) => unsafe { self.free_object(memory, class) },
            None => {
                let count = layout.size().div_ceil(PAGE_SIZE);
                self.pages -= count;
                // SAFETY: `allocate` took these pages from the source with this count.
                unsafe { self.source.free_pages(memory, count) }
            }
        }
    }

    /// Whether memory of layout `old` serves `new_size` bytes where it is,
    /// and would be freed alike.
    #[must_use]
    pub fn same_place(old: Layout, new_size: usize) -> bool {
        let Ok(new) = Layout::from_size_align(new_size, old.align()) else {
            return false;
        };
        match (class_of(old), class_of(new)) {
            (Some(old), Some(new)) => old == new,
            (None, None) => old.size().div_ceil(PAGE_SIZE) == new_size.div_ceil(PAGE_SIZE),
            _ => false,
        }
    }

    /// Gives back the empty pages that are kept for their class.
    pub fn reclaim(&mut self) {
        for class in 0..SIZES.len() {
            let Some(&Some(page)) = self.partial.get(class) else {
                continue;
            };
            // SAFETY: a page on a list has a valid header (invariant 1).
            let empty = unsafe { page.as_ref() }.in_use == 0;
            if empty {
                self.unlink(page);
                self.release(page);
            }
        }
    }

    fn allocate_pages(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if layout.align() > PAGE_SIZE {
            return None;
        }
        let count = layout.size().div_ceil(PAGE_SIZE);
        let pages = self.source.allocate_pages(count)?;
        self.pages += count;
        Some(pages)
    }

    fn allocate_object(&mut self, class: usize) -> Option<NonNull<u8>> {
        let mut page = match *self.partial.get(class)? {
            Some(page) => page,
            None => self.grow(class)?,
        };
        // SAFETY: a page on a list has a valid header (invariant 1), and `&mut
        // self` makes this the only reference to it.
        let header = unsafe { page.as_mut() };
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
        header.in_use += 1;
        if header.free == 0 && header.fresh == 0 {
            self.unlink(page);
        }
        // SAFETY: invariant 2, or `fresh`, which `next_fresh` keeps inside of the page.
        Some(unsafe { page.cast::<u8>().add(usize::from(offset)) })
    }

    /// # Safety
    /// `memory` is an object of `class` handed out by this slab, not used any more.
    unsafe fn free_object(&mut self, memory: NonNull<u8>, class: usize) {
        // CAST: below PAGE_SIZE.
        let offset = (memory.addr().get() % PAGE_SIZE) as u16;
        // SAFETY: objects lie in the page that begins `offset` bytes before them.
        let start = unsafe { memory.sub(usize::from(offset)) };
        let mut page = start.cast::<Header>();
        if cfg!(debug_assertions) {
            // SAFETY: `page` is the start of a page of this slab.
            unsafe { check_handed_out(page, offset, class) };
        }
        // SAFETY: a page with an object handed out has a valid header
        // (invariant 1), and `&mut self` makes this the only reference to it.
        let header = unsafe { page.as_mut() };
        let was_full = header.free == 0 && header.fresh == 0;
        // SAFETY: the object is the caller's to give, at least 16 bytes and aligned to 16.
        unsafe { memory.cast::<u16>().write(header.free) };
        header.free = offset;
        header.in_use -= 1;
        let in_use = header.in_use;
        if was_full {
            self.link(page, class);
        }
        if in_use == 0 {
            // SAFETY: as above; the reference above is not used any more.
            let header = unsafe { page.as_ref() };
            if header.previous.is_some() || header.next.is_some() {
                self.unlink(page);
                self.release(page);
            }
        }
    }

    #[cold]
    fn grow(&mut self, class: usize) -> Option<NonNull<Header>> {
        let page = self.source.allocate_pages(1)?.cast::<Header>();
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
        self.link(page, class);
        Some(page)
    }

    /// Puts a page first on its class's list.
    fn link(&mut self, page: NonNull<Header>, class: usize) {
        let Some(first) = self.partial.get_mut(class) else {
            return;
        };
        let next = first.replace(page);
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

    /// Takes a page off its class's list.
    fn unlink(&mut self, page: NonNull<Header>) {
        let mut page = page;
        // SAFETY: invariant 1, and no other reference to a header is alive.
        let header = unsafe { page.as_mut() };
        let (previous, next) = (header.previous.take(), header.next.take());
        let class = usize::from(header.class);
        match previous {
            // SAFETY: as above; neighbours on a list are different pages.
            Some(mut previous) => unsafe { previous.as_mut() }.next = next,
            None => {
                if let Some(first) = self.partial.get_mut(class) {
                    *first = next;
                }
            }
        }
        if let Some(mut next) = next {
            // SAFETY: as above.
            unsafe { next.as_mut() }.previous = previous;
        }
    }

    fn release(&mut self, page: NonNull<Header>) {
        self.pages -= 1;
        // SAFETY: `grow` took the page from the source with count 1; it is
        // empty and off its list, so nobody uses it.
        unsafe { self.source.free_pages(page.cast(), 1) }
    }
}

/// The class that serves a layout; `None` for whole pages.
#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    let slot = layout.size().saturating_sub(1) / 16;
    let class = usize::from(*CLASS_BY_SIZE.get(slot)?);
    if layout.align() <= 16 {
        return Some(class);
    }
    (class..SIZES.len()).find(|&class| usize::from(align_of_class(class)) >= layout.align())
}

fn size_of_class(class: usize) -> u16 {
    SIZES.get(class).copied().unwrap_or(u16::MAX)
}

fn align_of_class(class: usize) -> u16 {
    let size = size_of_class(class);
    (1 << size.trailing_zeros()).min(MAX_ALIGN)
}

fn first_object(class: usize) -> u16 {
    align_of_class(class).max(HEADER_SIZE)
}

/// The offset of the object after the one at `offset`; 0 if it would leave the page.
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
/// `page` is the start of a page of objects of a slab.
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

#[cfg(test)]
mod tests;
