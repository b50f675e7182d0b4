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
//! 0        24                    first object                     4096
//! | header | a bit for each object | object | object | ... | object |
//!            1: free, 0: handed out
//! ```
//! What is free is known from the bits alone: an object is not touched when it is
//! handed out or taken back, and the next one is found without waiting for the
//! line of the one before. Objects of one page that are taken back together are a
//! few operations on one word.
//!
//! # Invariants
//! 1. Every page on a list or with an object handed out belongs to this class,
//!    and its header is valid.
//! 2. A bit is set exactly when its object is not handed out; bits without an
//!    object are clear.
//! 3. `free` is the number of bits that are set; a page is on the list exactly
//!    when it is not zero.

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

/// Objects are aligned to the largest power of two that divides their size, up to this.
const MAX_ALIGN: u16 = 256;

/// Class by size in units of 16, rounded up.
static CLASS_BY_UNITS: [u8; LARGEST_OBJECT / 16 + 1] = {
    let mut table = [0; LARGEST_OBJECT / 16 + 1];
    let mut class = 0;
    let mut slot = 0;
    while slot < table.len() {
        while (SIZES[class] as usize) < slot * 16 {
            class += 1;
        }
        table[slot] = class as u8;
        slot += 1;
    }
    table
};

/// Where the objects of a size lie in a page.
#[derive(Clone, Copy, Debug)]
struct Shape {
    size: u16,
    /// The offset of the first object.
    first: u16,
    count: u16,
    /// What an offset is multiplied with to be divided by the size: 2^16 times
    /// its inverse, rounded up. Exact for each object, as the offsets are below 2^12.
    inverse: u16,
}

impl Shape {
    const fn new(size: u16) -> Shape {
        let align = align_of_size(size);
        let most = (PAGE_SIZE as u16 - HEADER_SIZE) / size;
        let begin = HEADER_SIZE + most.div_ceil(BITS) * 8;
        let first = begin.next_multiple_of(align);
        Shape {
            size,
            first,
            count: (PAGE_SIZE as u16 - first) / size,
            inverse: (1_u32 << 16).div_ceil(size as u32) as u16,
        }
    }

    /// Words of bits.
    #[inline]
    fn words(self) -> usize {
        usize::from(self.count.div_ceil(BITS))
    }

    /// Where an object's bit is; whatever for an offset that is no object's.
    #[inline]
    fn bit(self, offset: u16) -> (usize, u64) {
        let scaled = u32::from(offset.wrapping_sub(self.first)) * u32::from(self.inverse);
        // CAST: the upper half of 32 bits.
        let index = (scaled >> 16) as usize;
        (index / usize::from(BITS), 1 << (index % usize::from(BITS)))
    }
}

static SHAPES: [Shape; CLASSES] = {
    let mut shapes = [Shape::new(SIZES[0]); CLASSES];
    let mut class = 0;
    while class < CLASSES {
        shapes[class] = Shape::new(SIZES[class]);
        class += 1;
    }
    shapes
};

/// Bits in a word.
const BITS: u16 = u64::BITS as u16;

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

/// What a page of objects begins with; the bits follow.
#[repr(C)]
#[derive(Debug)]
struct Header {
    previous: Option<NonNull<Header>>,
    next: Option<NonNull<Header>>,
    free: u16,
    class: u16,
}

const HEADER_SIZE: u16 = size_of::<Header>() as u16;

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
        let shape = shape_of(class);
        let per_page = usize::from(shape.count);
        let mut in_use = self.pages * per_page;
        let mut next = self.partial;
        while let Some(page) = next {
            // SAFETY: a page on a list has a valid header (invariant 1), which
            // nobody changes while `self` is borrowed.
            let header = unsafe { page.as_ref() };
            in_use = in_use.saturating_sub(usize::from(header.free));
            next = header.next;
        }
        SizeUse {
            size: usize::from(shape.size),
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
        let mut place = core::ptr::null_mut();
        self.take(class, source, core::slice::from_mut(&mut place));
        NonNull::new(place)
    }

    /// Objects for as many places as can be had, the first places first; how
    /// many that is. Addresses of one page fall from place to place.
    #[inline]
    pub(crate) fn take(
        &mut self,
        class: usize,
        source: &impl PageSource,
        mut places: &mut [*mut u8],
    ) -> usize {
        let shape = shape_of(class);
        let mut taken = 0;
        while !places.is_empty() {
            let Some(mut page) = self.partial.or_else(|| self.grow(class, source)) else {
                break;
            };
            // SAFETY: a page on a list has a valid header (invariant 1), and
            // `&mut self` makes this the only reference to it.
            let header = unsafe { page.as_mut() };
            let count = places.len().min(usize::from(header.free));
            // CAST: not more than `free`.
            header.free -= count as u16;
            let left = header.free;
            let (now, later) = places.split_at_mut(count);
            // SAFETY: a page of this class, which has so many free ones.
            unsafe { hand_out(page, shape, now) };
            taken += count;
            places = later;
            if left == 0 {
                self.unlink(page);
            }
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
        let shape = shape_of(class);
        let objects = [memory.as_ptr()];
        // SAFETY: the caller's promise.
        if let Some((mut run, _)) = unsafe { Run::first(shape, class, &objects) } {
            // SAFETY: as above.
            unsafe { run.set() };
            self.settle(&run, shape, source);
        }
    }

    /// Takes objects back; best if those of one page are together.
    ///
    /// The headers of their pages were used long ago, and mostly by another
    /// processor. So what to do is written down for several pages first, as the
    /// addresses say it; then done, without looking at what was there, so that
    /// the processor waits for all the lines at once; then looked at.
    ///
    /// # Safety
    /// They are objects handed out by this class of number `class`, not used any more.
    #[inline]
    pub(crate) unsafe fn give_all(
        &mut self,
        class: usize,
        source: &impl PageSource,
        mut objects: &[*mut u8],
    ) {
        let shape = shape_of(class);
        while !objects.is_empty() {
            let mut runs = [Run::NONE; RUNS];
            let mut count = 0;
            for run in &mut runs {
                // SAFETY: the caller's promise.
                let Some((first, rest)) = (unsafe { Run::first(shape, class, objects) }) else {
                    break;
                };
                (*run, objects) = (first, rest);
                count += 1;
            }
            let Some(runs @ [_, ..]) = runs.get_mut(..count) else {
                debug_assert!(false, "no object is null");
                return;
            };
            for run in &mut *runs {
                // SAFETY: as above.
                unsafe { run.set() };
            }
            for run in runs {
                self.settle(run, shape, source);
            }
        }
    }

    /// Puts the page of a run, whose bits are set, on the list or takes it off,
    /// as its count before says.
    #[inline]
    fn settle(&mut self, run: &Run, shape: Shape, source: &impl PageSource) {
        let page = run.page;
        if run.before == 0 {
            self.link(page);
        }
        if run.before.wrapping_add(run.count) == shape.count {
            // SAFETY: it has a valid header (invariant 1), and `&mut self` makes
            // this the only reference to it.
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
        let header = unsafe { page.as_ref() };
        if header.free == shape_of(usize::from(header.class)).count {
            self.unlink(page);
            self.release(page, source);
        }
    }

    #[cold]
    fn grow(&mut self, class: usize, source: &impl PageSource) -> Option<NonNull<Header>> {
        let page = source.allocate_pages(1)?.cast::<Header>();
        self.pages += 1;
        let shape = shape_of(class);
        let header = Header {
            previous: None,
            next: None,
            free: shape.count,
            // CAST: 22 classes.
            class: class as u16,
        };
        // SAFETY: the page is ours alone and aligned, by `PageSource`'s contract.
        unsafe { page.write(header) };
        for word in 0..shape.words() {
            let before = word * usize::from(BITS);
            let objects = usize::from(shape.count) - before;
            let bits = match objects {
                0..64 => (1 << objects) - 1,
                _ => u64::MAX,
            };
            // SAFETY: a word before the first object, in the page.
            let word_at = unsafe { bits_of(page).add(word) };
            // SAFETY: as above, and the page is ours alone.
            unsafe { word_at.write(bits) };
        }
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

/// The page of an object, and the object's offset in it.
#[inline]
fn place_of(object: *mut u8) -> Option<(NonNull<Header>, u16)> {
    // CAST: below PAGE_SIZE.
    let offset = (object.addr() % PAGE_SIZE) as u16;
    let page = NonNull::new(object.wrapping_sub(usize::from(offset)))?;
    Some((page.cast(), offset))
}

/// Where a page's bits begin.
#[inline]
fn bits_of(page: NonNull<Header>) -> NonNull<u64> {
    // SAFETY: the page is larger than its header.
    unsafe { page.add(1).cast() }
}

/// Fills the places with free objects of a page, which are so no longer; `free`
/// is the caller's to count.
///
/// # Safety
/// The page is a class's of this shape, the caller's alone, and has so many.
#[inline]
unsafe fn hand_out(page: NonNull<Header>, shape: Shape, places: &mut [*mut u8]) {
    let mut places = places.iter_mut().rev();
    for word in 0..shape.words() {
        // SAFETY: a word before the first object, in the page.
        let word_at = unsafe { bits_of(page).add(word) };
        // SAFETY: as above, written by `grow`, and the caller's alone.
        let mut bits = unsafe { word_at.read() };
        let first = word * usize::from(BITS);
        while bits != 0 {
            let Some(place) = places.next() else {
                // SAFETY: as above.
                return unsafe { word_at.write(bits) };
            };
            let index = first + bits.trailing_zeros() as usize;
            let offset = usize::from(shape.first) + index * usize::from(shape.size);
            // SAFETY: a bit that is set is an object's (invariant 2), inside of the page.
            *place = unsafe { page.cast::<u8>().add(offset) }.as_ptr();
            bits &= bits - 1;
        }
        // SAFETY: as above.
        unsafe { word_at.write(0) };
    }
}

/// How many runs are written down before they are done.
const RUNS: usize = 16;

/// Objects to be taken back that have their bits in one word.
#[derive(Clone, Copy, Debug)]
struct Run {
    page: NonNull<Header>,
    word: usize,
    bits: u64,
    count: u16,
    /// What the page had free when the bits were set.
    before: u16,
}

impl Run {
    const NONE: Run = Run {
        page: NonNull::dangling(),
        word: 0,
        bits: 0,
        count: 0,
        before: 0,
    };

    /// The objects that are together at the beginning of a slice, and the others;
    /// `None` if there are none.
    ///
    /// # Safety
    /// The objects were handed out by the class of this number, which is the
    /// caller's alone, and are not used any more.
    #[inline]
    unsafe fn first(shape: Shape, class: usize, objects: &[*mut u8]) -> Option<(Run, &[*mut u8])> {
        let (page, offset) = place_of(*objects.first()?)?;
        let (word, _) = shape.bit(offset);
        let (mut bits, mut count) = (0, 0);
        for &object in objects {
            let Some((its_page, offset)) = place_of(object) else {
                break;
            };
            let (its_word, bit) = shape.bit(offset);
            if its_page != page || its_word != word {
                break;
            }
            if cfg!(debug_assertions) {
                assert_eq!(bits & bit, 0, "an object is freed twice");
                // SAFETY: `page` is the start of a page of this class.
                unsafe { check_handed_out(page, shape, class, offset) };
            }
            bits |= bit;
            count += 1;
        }
        let run = Run {
            page,
            word,
            bits,
            // CAST: at most the bits of a word.
            count: count as u16,
            before: 0,
        };
        Some((run, objects.get(count..)?))
    }

    /// Takes the objects back, but leaves the list as it is.
    ///
    /// # Safety
    /// As for `first`; once.
    #[inline]
    unsafe fn set(&mut self) {
        let mut page = self.page;
        // SAFETY: objects of this page have their bits there.
        let word = unsafe { bits_of(page).add(self.word) };
        // SAFETY: as above, and the caller's alone.
        let bits = unsafe { word.read() };
        debug_assert_eq!(bits & self.bits, 0, "an object is freed twice");
        // SAFETY: as above.
        unsafe { word.write(bits | self.bits) };
        // SAFETY: a page with an object handed out has a valid header
        // (invariant 1), of which this is the only reference.
        let header = unsafe { page.as_mut() };
        self.before = header.free;
        header.free = header.free.wrapping_add(self.count);
    }
}

#[inline]
fn shape_of(class: usize) -> Shape {
    SHAPES
        .get(class)
        .copied()
        .unwrap_or(const { Shape::new(LARGEST_OBJECT as u16) })
}

/// The class that serves a layout, below [`CLASSES`]; `None` for whole pages.
#[inline]
pub(crate) fn class_of(layout: Layout) -> Option<usize> {
    // A layout's size is at most `isize::MAX`: nothing wraps.
    let units = layout.size().wrapping_add(15) / 16;
    let class = usize::from(*CLASS_BY_UNITS.get(units)?);
    if layout.align() <= 16 {
        return Some(class);
    }
    aligned_class(class, layout.align())
}

/// The first class from this one on whose objects are aligned so.
#[cold]
fn aligned_class(class: usize, align: usize) -> Option<usize> {
    (class..CLASSES).find(|&class| usize::from(align_of_class(class)) >= align)
}

pub(crate) const fn align_of_class(class: usize) -> u16 {
    align_of_size(SIZES[class])
}

const fn align_of_size(size: u16) -> u16 {
    let align = 1 << size.trailing_zeros();
    if align < MAX_ALIGN { align } else { MAX_ALIGN }
}

/// # Safety
/// `page` is the start of a page of objects of a class.
unsafe fn check_handed_out(page: NonNull<Header>, shape: Shape, class: usize, offset: u16) {
    // SAFETY: the caller's promise.
    let header = unsafe { page.as_ref() };
    assert_eq!(
        usize::from(header.class),
        class,
        "freed with another layout"
    );
    let from_first = offset.checked_sub(shape.first);
    assert!(
        from_first.is_some_and(|bytes| bytes.is_multiple_of(shape.size)),
        "freed at an address that is no object's"
    );
    let (word, bit) = shape.bit(offset);
    // SAFETY: an object of this page has its bit there.
    let word = unsafe { bits_of(page).add(word) };
    // SAFETY: as above.
    let bits = unsafe { word.read() };
    assert_eq!(bits & bit, 0, "an object is freed twice");
}

#[cfg(test)]
mod tests;
