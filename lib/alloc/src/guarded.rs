//! A heap that looks at the edges of what it gave when it is given back.
//!
//! ```text
//!  start                   what the caller has                 end
//!    ▼                             ▼                            ▼
//!    │ canary, as the alignment is │ layout.size() bytes        │ canary │
//!    │ large, 16 bytes at least    │                            │ 16 B   │
//! ```
//! A canary is made of the address it lies at, so that one that was copied
//! from elsewhere is none. Memory that is given back is filled with [`FREED`],
//! so that whoever reads on finds no old values; what is given for the first
//! time is filled with [`FRESH`], so that nobody finds zeroes by chance.
//!
//! For builds that are tested: it costs 32 bytes an object and a look at all
//! of it. Whoever writes beyond the canary is not found.

use core::alloc::{GlobalAlloc, Layout};

/// What memory that was given back is filled with.
pub const FREED: u8 = 0xdf;

/// What memory is filled with that nobody wrote yet.
pub const FRESH: u8 = 0xa7;

/// Bytes of a canary, and the least alignment.
const CANARY: usize = 16;

/// Somebody wrote where nothing was his.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// The address of what was given to him.
    pub address: usize,
    /// How many bytes that were.
    pub size: usize,
    /// Whether he wrote before the beginning, not behind the end.
    pub before: bool,
}

/// `A`, looked after; see the module.
#[derive(Debug)]
pub struct Guarded<A> {
    heap: A,
    report: fn(Overrun) -> !,
}

/// The layout with room for the canaries, and where in it the caller's begins.
fn widened(layout: Layout) -> Option<(Layout, usize)> {
    let front = layout.align().max(CANARY);
    let size = layout.size().checked_add(front)?.checked_add(CANARY)?;
    let align = layout.align().max(CANARY);
    Some((Layout::from_size_align(size, align).ok()?, front))
}

/// A canary's byte at an address.
fn canary(address: usize) -> u8 {
    // CAST: the low byte of what depends on all of the address.
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | 1
}

impl<A> Guarded<A> {
    /// `heap`, and whom to tell.
    pub const fn new(heap: A, report: fn(Overrun) -> !) -> Guarded<A> {
        Guarded { heap, report }
    }

    /// The heap behind it.
    pub const fn heap(&self) -> &A {
        &self.heap
    }
}

/// Writes a canary.
///
/// # Safety
/// `start..start + len` is writable and nobody else's.
unsafe fn set(start: *mut u8, len: usize) {
    for at in 0..len {
        let place = start.wrapping_add(at);
        // SAFETY: inside of what the caller says.
        unsafe { place.write(canary(place.addr())) };
    }
}

/// Whether a canary is as it was written.
///
/// # Safety
/// `start..start + len` was written by [`set`] and is readable.
unsafe fn is_whole(start: *const u8, len: usize) -> bool {
    (0..len).all(|at| {
        let place = start.wrapping_add(at);
        // SAFETY: inside of what the caller says.
        unsafe { place.read() == canary(place.addr()) }
    })
}

// SAFETY: what is handed out lies inside of what the heap behind hands out, as
// aligned as that is, and is given back to it with the layout it was asked for.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Guarded<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((wide, front)) = widened(layout) else {
            return core::ptr::null_mut();
        };
        // SAFETY: the size is not zero.
        let start = unsafe { self.heap.alloc(wide) };
        if start.is_null() {
            return start;
        }
        let given = start.wrapping_add(front);
        // SAFETY: the first `front` bytes of what was just allocated.
        unsafe { set(start, front) };
        // SAFETY: the bytes between the canaries.
        unsafe { given.write_bytes(FRESH, layout.size()) };
        // SAFETY: the last bytes of what was just allocated.
        unsafe { set(given.wrapping_add(layout.size()), CANARY) };
        given
    }

    unsafe fn dealloc(&self, given: *mut u8, layout: Layout) {
        let Some((wide, front)) = widened(layout) else {
            return;
        };
        let start = given.wrapping_sub(front);
        // SAFETY: `alloc` wrote it.
        let before = unsafe { is_whole(start, front) };
        // SAFETY: as above.
        let behind = unsafe { is_whole(given.wrapping_add(layout.size()), CANARY) };
        if !before || !behind {
            (self.report)(Overrun {
                address: given.addr(),
                size: layout.size(),
                before: !before,
            });
        }
        // SAFETY: the caller gives it back, all of it.
        unsafe { start.write_bytes(FREED, wide.size()) };
        // SAFETY: allocated with this layout.
        unsafe { self.heap.dealloc(start, wide) }
    }
}

#[cfg(test)]
mod tests {
    use super::{FRESH, Guarded, Overrun};
    use core::alloc::{GlobalAlloc as _, Layout};
    use std::alloc::System;
    use std::panic::catch_unwind;

    fn tell(overrun: Overrun) -> ! {
        std::panic::panic_any((overrun.size, overrun.before))
    }

    static HEAP: Guarded<System> = Guarded::new(System, tell);

    /// Allocates, writes a byte at `offset`, gives back: what was said of it.
    fn write_at(layout: Layout, offset: isize) -> Option<(usize, bool)> {
        // SAFETY: the size is not zero.
        let given = unsafe { HEAP.alloc(layout) };
        assert!(given.addr().is_multiple_of(layout.align()));
        let place = given.wrapping_offset(offset);
        // SAFETY: the byte is the allocation's, canaries included.
        let old = unsafe { place.read() };
        // SAFETY: as above.
        unsafe { place.write(!old) };
        let told = catch_unwind(|| {
            let given = place.wrapping_offset(-offset);
            // SAFETY: allocated with this layout.
            unsafe { HEAP.dealloc(given, layout) }
        });
        let told = told.err()?;
        // It was not given back: the report came first.
        // SAFETY: as above, the byte is as it was.
        unsafe { place.write(old) };
        // SAFETY: allocated with this layout.
        unsafe { HEAP.dealloc(given, layout) };
        told.downcast_ref().copied()
    }

    #[test]
    fn who_writes_beside_is_told_of() {
        for (size, align) in [(1, 1), (24, 8), (100, 64), (4096, 4096)] {
            let layout = Layout::from_size_align(size, align).expect("a layout");
            let end = size as isize;
            for inside in [0, end / 2, end - 1] {
                assert_eq!(write_at(layout, inside), None, "{size} {inside}");
            }
            for behind in [end, end + 1, end + 15] {
                assert_eq!(write_at(layout, behind), Some((size, false)), "{size}");
            }
            let front = align.max(16) as isize;
            for before in [-1, -16, -front] {
                assert_eq!(write_at(layout, before), Some((size, true)), "{size}");
            }
        }
    }

    #[test]
    fn what_is_new_is_no_zeroes_unless_that_is_asked_for() {
        let layout = Layout::from_size_align(64, 8).expect("a layout");
        // SAFETY: the size is not zero.
        let given = unsafe { HEAP.alloc(layout) };
        // SAFETY: 64 bytes were allocated and filled.
        let bytes = unsafe { core::slice::from_raw_parts(given, 64) };
        assert!(bytes.iter().all(|byte| *byte == FRESH));
        // SAFETY: allocated with this layout.
        let given = unsafe { HEAP.realloc(given, layout, 200) };
        // SAFETY: the first 64 were kept.
        let bytes = unsafe { core::slice::from_raw_parts(given, 64) };
        assert!(bytes.iter().all(|byte| *byte == FRESH));
        let layout = Layout::from_size_align(200, 8).expect("a layout");
        // SAFETY: allocated with this layout.
        unsafe { HEAP.dealloc(given, layout) };
        // SAFETY: the size is not zero.
        let given = unsafe { HEAP.alloc_zeroed(layout) };
        // SAFETY: 200 bytes were allocated and zeroed.
        let bytes = unsafe { core::slice::from_raw_parts(given, 200) };
        assert!(bytes.iter().all(|byte| *byte == 0));
        // SAFETY: allocated with this layout.
        unsafe { HEAP.dealloc(given, layout) };
    }
}
