//! What a heap is, whatever its design: the cores' trait, and the lock around
//! a core that makes it a program's allocator.
//!
//! A core is plain data: it knows no global, takes `&mut self`, and answers
//! [`OutOfMemory`] instead of anything worse. [`Locked`] makes a
//! [`GlobalAlloc`] of any core.
//!
//! ```text
//!            Box, Vec, ..                  Growing: a region heap that asks a
//!                 |                        page source for more when it is full
//!   GlobalAlloc   v                                    |
//!        +----------------+   &mut self   +------------+-----------+
//!        |  Locked<H>     | ------------> |  H: Heap               |
//!        +----------------+               |  Bump, FirstFit, Slab..|
//!                                         +------------------------+
//! ```

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::NonNull;

use ochre_sync::spin::{Lock, RawSpin, TestAndSet};

/// There is no memory for what was asked: too little is left, or the size or
/// the alignment is more than the design can ever serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for OutOfMemory {}

/// A heap's core.
///
/// ```
/// use core::alloc::Layout;
/// use core::ptr::NonNull;
/// use ochre_alloc::{Bump, Heap, OutOfMemory, Region};
///
/// let mut memory = [0_u128; 64];
/// let mut heap = Bump::new();
/// let start = NonNull::from(&mut memory).cast::<u8>();
/// // SAFETY: the array is used by nobody else and outlives the heap.
/// unsafe { heap.add(start, size_of_val(&memory)) };
/// assert!(heap.allocate(Layout::new::<[u64; 8]>()).is_ok());
/// assert_eq!(heap.allocate(Layout::new::<[u64; 800]>()), Err(OutOfMemory));
/// ```
///
/// # Safety
/// What [`allocate`](Heap::allocate) answers is valid for reads and writes of
/// the layout's size, aligned as it says, and nobody else's until it is freed.
/// It stays so when the heap is moved. No method unwinds in a build without
/// debug assertions.
pub unsafe trait Heap {
    /// Memory for `layout`, content unspecified. A size of zero is served like
    /// any other; what comes back must be freed, too.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory>;

    /// Gives memory back.
    ///
    /// # Safety
    /// `memory` came from [`allocate`](Heap::allocate) of this heap with the
    /// same layout (or has it by [`resize`](Heap::resize)), and nobody uses it
    /// any more.
    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout);

    /// Makes memory larger or smaller where it is; false if it cannot be done
    /// there, and then nothing has changed. After true the memory has the
    /// layout of `new_size` and the old alignment.
    ///
    /// # Safety
    /// As for [`free`](Heap::free), but the memory may be in use.
    unsafe fn resize(&mut self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        let _ = (memory, old, new_size);
        false
    }

    /// Gives what is kept without need back to where it came from, where the
    /// design can do that.
    fn reclaim(&mut self) {}
}

/// A heap over regions of memory that it is given.
///
/// # Safety
/// As for [`Heap`]; and after [`add`](Region::add) of a region of
/// [`room_for`](Region::room_for) bytes, one allocation of that layout succeeds.
pub unsafe trait Region: Heap {
    /// How long a region must be for an allocation of `layout` to succeed in
    /// it, however the region is aligned; `None` if that overflows.
    fn room_for(layout: Layout) -> Option<usize>;

    /// Gives a region to the heap. One that is too short to be of use is left alone.
    ///
    /// # Safety
    /// The `len` bytes from `start` are valid for reads and writes, and the
    /// heap's alone for as long as it or anything allocated from it is used.
    unsafe fn add(&mut self, start: NonNull<u8>, len: usize);
}

/// A heap's core behind a lock of `ochre-sync`: a `#[global_allocator]`.
///
/// `R` is how others wait; see `ochre_sync::spin`.
///
/// ```
/// use std::alloc::{GlobalAlloc, Layout};
/// use ochre_alloc::{Growing, FirstFit, Locked, PageSource};
/// # use core::ptr::NonNull;
/// # struct Pages;
/// # // SAFETY: it never answers.
/// # unsafe impl PageSource for Pages {
/// #     fn allocate_pages(&self, _: usize) -> Option<NonNull<u8>> { None }
/// #     unsafe fn free_pages(&self, _: NonNull<u8>, _: usize) {}
/// # }
/// static HEAP: Locked<Growing<FirstFit, Pages>> =
///     Locked::new(Growing::new(FirstFit::new(), Pages));
///
/// // SAFETY: the size is not zero.
/// assert!(unsafe { HEAP.alloc(Layout::new::<u64>()) }.is_null());
/// ```
pub struct Locked<H, R = TestAndSet> {
    core: Lock<R, H>,
}

impl<H: fmt::Debug, R: RawSpin> fmt::Debug for Locked<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Locked").field(&self.core).finish()
    }
}

impl<H> Locked<H> {
    /// A lock around a core.
    pub const fn new(core: H) -> Locked<H> {
        Locked {
            core: Lock::with_raw(TestAndSet::new(), core),
        }
    }
}

impl<H, R> Locked<H, R> {
    /// A lock around a core that waits as `raw` does.
    pub const fn with_raw(raw: R, core: H) -> Locked<H, R> {
        Locked {
            core: Lock::with_raw(raw, core),
        }
    }
}

impl<H: Heap, R: RawSpin> Locked<H, R> {
    /// Does something with the core, alone. What is done must not allocate from this heap.
    pub fn with<T>(&self, work: impl FnOnce(&mut H) -> T) -> T {
        work(&mut self.core.lock())
    }

    /// See [`Heap::reclaim`].
    #[cold]
    pub fn reclaim(&self) {
        self.core.lock().reclaim();
    }

    /// See [`Heap::allocate`]; what is kept without need is given back before it fails.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        let mut core = self.core.lock();
        core.allocate(layout).or_else(|OutOfMemory| {
            core.reclaim();
            core.allocate(layout)
        })
    }

    /// See [`Heap::free`].
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub unsafe fn free(&self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.core.lock().free(memory, layout) }
    }

    /// See [`Heap::resize`].
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub unsafe fn resize(&self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.core.lock().resize(memory, old, new_size) }
    }
}

// SAFETY: the core hands out memory that fits the layout, to one owner at a
// time, and does not unwind; in checked builds it does so only for a caller
// that broke the contract.
unsafe impl<H: Heap, R: RawSpin> GlobalAlloc for Locked<H, R> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.allocate(layout) {
            Ok(memory) => memory.as_ptr(),
            Err(OutOfMemory) => core::ptr::null_mut(),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if let Some(memory) = NonNull::new(memory) {
            // SAFETY: the caller got it from `alloc` with this layout.
            unsafe { self.free(memory, layout) }
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let resize = |memory, old, size| {
            // SAFETY: the caller's promise for `memory` and `layout`.
            unsafe { self.resize(memory, old, size) }
        };
        let place = |layout| {
            // SAFETY: the caller promises that the size is not zero.
            unsafe { self.alloc(layout) }
        };
        // SAFETY: as above, and both are this allocator's.
        unsafe { move_to(self, memory, layout, new_size, resize, place) }
    }
}

/// `realloc` for any allocator that may be able to resize in place.
///
/// # Safety
/// As for [`GlobalAlloc::realloc`] of `allocator`; `resize` says only what is
/// so, and `place` answers what is `allocator`'s, or null.
#[inline]
pub(crate) unsafe fn move_to(
    allocator: &impl GlobalAlloc,
    memory: *mut u8,
    layout: Layout,
    new_size: usize,
    resize: impl FnOnce(NonNull<u8>, Layout, usize) -> bool,
    place: impl FnOnce(Layout) -> *mut u8,
) -> *mut u8 {
    let Some(old) = NonNull::new(memory) else {
        return memory;
    };
    if resize(old, layout, new_size) {
        return memory;
    }
    let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
        return core::ptr::null_mut();
    };
    let new = place(new_layout);
    if !new.is_null() {
        let len = layout.size().min(new_size);
        // SAFETY: both are `len` bytes at least, and different allocations.
        unsafe { core::ptr::copy_nonoverlapping(memory, new, len) };
        // SAFETY: the caller's promise for `memory` and `layout`.
        unsafe { allocator.dealloc(memory, layout) };
    }
    new
}
