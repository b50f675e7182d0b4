//! What all processors share of one size: a class, and before it a stack of
//! objects that are on their way from one processor to another.
//!
//! ```text
//! magazine, full ----half----> [ stack: up to a page of pointers ] ----half----> magazine, empty
//!                                   | full, or reclaimed   ^ empty
//!                                   v                      |
//!                              [ Class: pages cut into objects ]
//! ```
//!
//! Where one processor allocates what another one frees, the objects go round
//! by the stack: pointers are copied, and neither an object nor the header of
//! its page is touched, which the other processor wrote last.
//!
//! The stack's page comes from the source with the first objects, and goes back
//! when the depot is reclaimed. Without a page, all goes to the class.
//!
//! # Invariants
//! 1. The first `len` pointers of the page are to free objects of the class,
//!    each in no other place.
//! 2. `len` is zero while there is no page.

use core::ptr::NonNull;

use crate::class::{Class, SizeUse};
use crate::source::{PAGE_SIZE, PageSource};

/// How many pointers a page holds.
const SLOTS: usize = PAGE_SIZE / size_of::<*mut u8>();

/// A class, and the objects kept before it.
#[derive(Debug)]
pub(crate) struct Depot {
    class: Class,
    page: Option<NonNull<[*mut u8; SLOTS]>>,
    len: usize,
}

// SAFETY: the page and the objects belong to the depot alone (invariant 1), so
// they move with it.
unsafe impl Send for Depot {}

impl Depot {
    pub(crate) const fn new() -> Depot {
        Depot {
            class: Class::new(),
            page: None,
            len: 0,
        }
    }

    /// Pages taken from the source and not given back.
    pub(crate) fn pages(&self) -> usize {
        self.class.pages() + usize::from(self.page.is_some())
    }

    /// What there is of the class; what lies on the stack is not in use.
    pub(crate) fn usage(&self, class: usize) -> SizeUse {
        let usage = self.class.usage(class);
        SizeUse {
            in_use: usage.in_use.saturating_sub(self.len),
            ..usage
        }
    }

    /// One object.
    pub(crate) fn take_one(
        &mut self,
        class: usize,
        source: &impl PageSource,
    ) -> Option<NonNull<u8>> {
        self.class.take_one(class, source)
    }

    /// Objects for as many places as can be had, the first places first; how
    /// many that is.
    pub(crate) fn take(
        &mut self,
        class: usize,
        source: &impl PageSource,
        places: &mut [*mut u8],
    ) -> usize {
        let count = self.len.min(places.len());
        let left = self.len - count;
        if count > 0
            && let Some(kept) = self.slots().and_then(|slots| slots.get(left..left + count))
            && let Some(first) = places.get_mut(..count)
        {
            first.copy_from_slice(kept);
            self.len = left;
        }
        match places.get_mut(count..) {
            Some([]) | None => count,
            Some(rest) => count + self.class.take(class, source, rest),
        }
    }

    /// Takes objects back, and keeps at most `limit` of all for whoever takes next.
    ///
    /// # Safety
    /// They are objects handed out by this class of number `class`, not used any more.
    pub(crate) unsafe fn give(
        &mut self,
        class: usize,
        source: &impl PageSource,
        objects: &[*mut u8],
        limit: usize,
    ) {
        if self.page.is_none() && limit > 0 {
            self.page = source.allocate_pages(1).map(NonNull::cast);
            if let Some(page) = self.page {
                // SAFETY: the page is ours alone, by `PageSource`'s contract.
                unsafe { page.write_bytes(0, 1) };
            }
        }
        let len = self.len;
        let mut kept = 0;
        if let Some(slots) = self.slots() {
            kept = objects.len().min(limit.min(SLOTS).saturating_sub(len));
            if cfg!(debug_assertions) {
                let held = slots.get(..len).unwrap_or_default();
                let twice = objects.iter().any(|object| held.contains(object));
                assert!(!twice, "an object is freed twice");
            }
            if let Some(free) = slots.get_mut(len..len + kept)
                && let Some(objects) = objects.get(..kept)
            {
                free.copy_from_slice(objects);
            }
        }
        self.len += kept;
        let rest = objects.get(kept..).unwrap_or_default();
        // SAFETY: the caller's promise.
        unsafe { self.class.give_all(class, source, rest) };
    }

    /// Takes one object back, to its page.
    ///
    /// # Safety
    /// As for `give`.
    pub(crate) unsafe fn give_one(
        &mut self,
        class: usize,
        source: &impl PageSource,
        object: NonNull<u8>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.class.give(class, source, object) }
    }

    /// Gives the objects to their pages, and back the pages that are empty.
    pub(crate) fn reclaim(&mut self, class: usize, source: &impl PageSource) {
        while let Some(left) = self.len.checked_sub(1) {
            self.len = left;
            let object = self.slots().and_then(|slots| slots.get(left).copied());
            if let Some(object) = object.and_then(NonNull::new) {
                // SAFETY: invariant 1; it is on the stack no more.
                unsafe { self.class.give(class, source, object) };
            }
        }
        if let Some(page) = self.page.take() {
            // SAFETY: `give` took the page from the source with count 1; the
            // stack is empty.
            unsafe { source.free_pages(page.cast(), 1) };
        }
        self.class.reclaim(source);
    }

    fn slots(&mut self) -> Option<&mut [*mut u8; SLOTS]> {
        // SAFETY: the page is the depot's alone and was written when it came;
        // `&mut self` makes this the only reference to it.
        Some(unsafe { self.page?.as_mut() })
    }
}

#[cfg(test)]
mod tests;
