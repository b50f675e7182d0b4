//! A heap of slabs for one owner: objects of a few sizes cut from pages,
//! larger requests in whole pages.
//!
//! ```text
//! sizes   16   32   48  ...  2032          larger
//!          |    |    |         |              |
//!        pages with a free object         whole pages
//!          |    |    |         |              |
//!        +-------------------------------------------+
//!        |                PageSource                 |
//!        +-------------------------------------------+
//! ```
//!
//! What a page of objects looks like is in `class.rs`. The heap for several
//! processors, which puts magazines before the same classes, is
//! [`Magazines`](crate::Magazines).

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::class::{CLASSES, Class, SizeUse, class_of};
use crate::heap::{Heap, OutOfMemory};
use crate::source::{PAGE_SIZE, PageSource};

/// A heap over the pages of `P`.
#[derive(Debug)]
pub struct Slab<P> {
    classes: [Class; CLASSES],
    source: P,
    /// Whole pages handed out.
    whole: usize,
}

impl<P: PageSource> Slab<P> {
    /// An empty heap.
    pub const fn new(source: P) -> Slab<P> {
        Slab {
            classes: [const { Class::new() }; CLASSES],
            source,
            whole: 0,
        }
    }

    /// Pages taken from the source and not given back.
    pub fn pages(&self) -> usize {
        self.whole + self.classes.iter().map(Class::pages).sum::<usize>()
    }

    /// What there is of each size, the smallest first.
    pub fn sizes(&self) -> [SizeUse; CLASSES] {
        let mut sizes = [SizeUse::default(); CLASSES];
        for (number, (class, size)) in self.classes.iter().zip(&mut sizes).enumerate() {
            *size = class.usage(number);
        }
        sizes
    }

    /// Where the pages come from.
    pub fn source(&self) -> &P {
        &self.source
    }
}

/// Whether memory of layout `old` serves `new_size` bytes where it is, and is
/// freed alike.
#[inline]
pub(crate) fn same_place(old: Layout, new_size: usize) -> bool {
    let Ok(new) = Layout::from_size_align(new_size, old.align()) else {
        return false;
    };
    match (class_of(old), class_of(new)) {
        (Some(old), Some(new)) => old == new,
        (None, None) => pages_of(old.size()) == pages_of(new_size),
        _ => false,
    }
}

/// How many pages a size that has no class takes; one at least.
#[inline]
pub(crate) fn pages_of(size: usize) -> usize {
    size.div_ceil(PAGE_SIZE).max(1)
}

// SAFETY: objects and pages are handed out once, by the classes' invariants
// and the source's contract; both are large and aligned enough by `class_of`
// and the checks below.
unsafe impl<P: PageSource> Heap for Slab<P> {
    #[inline]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        if let Some(class) = class_of(layout) {
            let objects = self.classes.get_mut(class).ok_or(OutOfMemory)?;
            return objects.take_one(class, &self.source).ok_or(OutOfMemory);
        }
        if layout.align() > PAGE_SIZE {
            return Err(OutOfMemory);
        }
        let count = pages_of(layout.size());
        let pages = self.source.allocate_pages(count).ok_or(OutOfMemory)?;
        self.whole += count;
        Ok(pages)
    }

    #[inline]
    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        match class_of(layout) {
            Some(class) => {
                if let Some(objects) = self.classes.get_mut(class) {
                    // SAFETY: the caller's promise; the layout has a class, so
                    // `allocate` had the object from it.
                    unsafe { objects.give(class, &self.source, memory) }
                }
            }
            None => {
                let count = pages_of(layout.size());
                self.whole = self.whole.saturating_sub(count);
                // SAFETY: `allocate` took these pages from the source with this count.
                unsafe { self.source.free_pages(memory, count) }
            }
        }
    }

    #[inline]
    unsafe fn resize(&mut self, _: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        same_place(old, new_size)
    }

    fn reclaim(&mut self) {
        for class in &mut self.classes {
            class.reclaim(&self.source);
        }
    }
}

#[cfg(test)]
mod tests;
