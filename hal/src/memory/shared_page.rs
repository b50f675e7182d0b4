//! A page of memory that a device has too.
//!
//! The device reads and writes it whenever it likes. No Rust reference ever
//! points there: it is copied from and to, one volatile access at a time, and
//! what is found there is to be checked as if anybody had written it.
//!
//! A device is told [`physical`](SharedPage::physical) addresses inside the
//! page only. Dropping the value leaves the page to the device for ever; it
//! comes back by [`give_back`](SharedPage::give_back), which is for those who
//! know that the device has forgotten it.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::ptr::NonNull;

use super::{PAGE_SIZE, direct};

/// What the page is.
const PAGE: Layout = match Layout::from_size_align(PAGE_SIZE, PAGE_SIZE) {
    Ok(layout) => layout,
    Err(_) => panic!("a page's size is a power of two"),
};

/// A page that a device has too. Numbers in it are little-endian; who shares a
/// page with a device of the other kind swaps them.
#[derive(Debug)]
pub(crate) struct SharedPage {
    base: NonNull<u8>,
}

// SAFETY: the page is nobody's but this value's and the device's; every access
// is one volatile instruction.
unsafe impl Send for SharedPage {}

impl SharedPage {
    /// A page of zeroes; `None` if there is no memory.
    pub(crate) fn new() -> Option<SharedPage> {
        // SAFETY: the layout has a size.
        let base = unsafe { alloc_zeroed(PAGE) };
        NonNull::new(base).map(|base| SharedPage { base })
    }

    /// Lets go of the page's memory.
    ///
    /// # Safety
    /// The device accesses it no more, and the value is used no more.
    pub(crate) unsafe fn give_back(&mut self) {
        // SAFETY: allocated by `new` with this layout; by this function's
        // contract nobody looks there any more, and this is not called again.
        unsafe { dealloc(self.base.as_ptr(), PAGE) };
    }

    /// Where the device finds it.
    pub(crate) fn physical(&self) -> u64 {
        u64::from(direct::frame_of(self.base.as_ptr())) * PAGE_SIZE as u64
    }

    /// The place of a value, which lies in the page and is aligned.
    fn place<T>(&self, at: usize) -> NonNull<T> {
        let size = size_of::<T>();
        assert!(
            at.is_multiple_of(size) && at <= PAGE_SIZE - size,
            "a value outside the page"
        );
        // SAFETY: inside the page, by the check above.
        unsafe { self.base.add(at) }.cast()
    }

    pub(crate) fn read_u8(&self, at: usize) -> u8 {
        let place = self.place::<u8>(at);
        // SAFETY: in the page and aligned; the device may write meanwhile,
        // which a volatile read of plain bytes can stand.
        unsafe { place.read_volatile() }
    }

    pub(crate) fn read_u16(&self, at: usize) -> u16 {
        let place = self.place::<u16>(at);
        // SAFETY: as in `read_u8`.
        u16::from_le(unsafe { place.read_volatile() })
    }

    pub(crate) fn read_u32(&self, at: usize) -> u32 {
        let place = self.place::<u32>(at);
        // SAFETY: as in `read_u8`.
        u32::from_le(unsafe { place.read_volatile() })
    }

    pub(crate) fn read_u64(&self, at: usize) -> u64 {
        let place = self.place::<u64>(at);
        // SAFETY: as in `read_u8`.
        u64::from_le(unsafe { place.read_volatile() })
    }

    pub(crate) fn write_u8(&self, at: usize, value: u8) {
        let place = self.place::<u8>(at);
        // SAFETY: in the page and aligned, and no reference points there.
        unsafe { place.write_volatile(value) };
    }

    pub(crate) fn write_u16(&self, at: usize, value: u16) {
        let place = self.place::<u16>(at);
        // SAFETY: as in `write_u8`.
        unsafe { place.write_volatile(value.to_le()) };
    }

    pub(crate) fn write_u32(&self, at: usize, value: u32) {
        let place = self.place::<u32>(at);
        // SAFETY: as in `write_u8`.
        unsafe { place.write_volatile(value.to_le()) };
    }

    pub(crate) fn write_u64(&self, at: usize, value: u64) {
        let place = self.place::<u64>(at);
        // SAFETY: as in `write_u8`.
        unsafe { place.write_volatile(value.to_le()) };
    }
}
