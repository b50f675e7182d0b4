//! The memory of a context: its registers, its floating-point image and, where
//! processors have such, its keys, in one allocation that does not move.
//!
//! # Invariants
//! `base` is an allocation of [`layout`], 16-byte aligned, zero or written
//! through the methods here: initialised. It belongs to the `Area` alone,
//! except that while its context is in user mode the processor writes the
//! registers; then the context is exclusively borrowed by `run`.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::memory::OutOfMemory;

use super::fpu;
use super::keys::{self, Keys};
use super::registers::Registers;

/// Enough for pairs of vector registers.
const ALIGN: usize = 16;

/// Where the floating-point image begins.
const IMAGE: usize = size_of::<Registers>().next_multiple_of(ALIGN);

/// Where the keys are.
const KEYS: usize = (IMAGE + fpu::IMAGE_BYTES).next_multiple_of(ALIGN);

/// See the module.
pub(super) struct Area {
    base: NonNull<u8>,
}

// SAFETY: the memory is the value's own; nothing about it belongs to a thread.
unsafe impl Send for Area {}
// SAFETY: a shared reference only reads, and only `&mut` writes.
unsafe impl Sync for Area {}

impl Area {
    /// A fresh program's state.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn new() -> Result<Area, OutOfMemory> {
        let layout = layout().ok_or(OutOfMemory)?;
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc_zeroed(layout) };
        let mut area = Area {
            base: NonNull::new(memory).ok_or(OutOfMemory)?,
        };
        *area.registers_mut() = Registers::user(0, 0);
        fpu::initialise(area.image_mut());
        Ok(area)
    }

    /// Where the trap code saves the registers.
    #[inline]
    pub(super) fn registers_pointer(&mut self) -> *mut Registers {
        self.base.as_ptr().cast()
    }

    /// The registers.
    #[inline]
    pub(super) fn registers(&self) -> &Registers {
        // SAFETY: initialised by `new`, aligned, and shared like `self`.
        unsafe { self.base.cast::<Registers>().as_ref() }
    }

    /// The registers, to change.
    #[inline]
    pub(super) fn registers_mut(&mut self) -> &mut Registers {
        // SAFETY: as `registers`; borrowed exclusively like `self`. (`new`
        // writes through this first: any bits are a valid `Registers`.)
        unsafe { self.base.cast::<Registers>().as_mut() }
    }

    /// Where the processor saves and loads floating-point state.
    #[inline]
    pub(super) fn image_pointer(&mut self) -> *mut u8 {
        // SAFETY: inside the allocation, by `layout`.
        unsafe { self.base.add(IMAGE) }.as_ptr()
    }

    /// The floating-point image.
    pub(super) fn image(&self) -> &[u8] {
        // SAFETY: inside the allocation, by `layout`.
        let start = unsafe { self.base.add(IMAGE) };
        // SAFETY: `save_bytes` initialised bytes, shared like `self`.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), fpu::IMAGE_BYTES) }
    }

    /// The floating-point image, to change.
    pub(super) fn image_mut(&mut self) -> &mut [u8] {
        let start = self.image_pointer();
        // SAFETY: `save_bytes` initialised bytes, borrowed exclusively like `self`.
        unsafe { core::slice::from_raw_parts_mut(start, fpu::IMAGE_BYTES) }
    }

    /// The keys, where the machine has such.
    pub(super) fn keys(&self) -> Option<&Keys> {
        if !keys::are_there() {
            return None;
        }
        // SAFETY: inside the allocation, by `layout`.
        let keys = unsafe { self.base.add(KEYS) }.cast::<Keys>();
        // SAFETY: initialised by `new`, aligned, and shared like `self`; any
        // bits are valid.
        Some(unsafe { keys.as_ref() })
    }

    /// The keys, to change.
    pub(super) fn keys_mut(&mut self) -> Option<&mut Keys> {
        if !keys::are_there() {
            return None;
        }
        // SAFETY: inside the allocation, by `layout`.
        let mut keys = unsafe { self.base.add(KEYS) }.cast::<Keys>();
        // SAFETY: as in `keys`; borrowed exclusively like `self`.
        Some(unsafe { keys.as_mut() })
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        if let Some(layout) = layout() {
            // SAFETY: allocated by `new` with the same layout, which depends on
            // the machine only.
            unsafe { dealloc(self.base.as_ptr(), layout) };
        }
    }
}

impl fmt::Debug for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registers().fmt(f)
    }
}

/// The registers, then the image, then the keys if there are any.
fn layout() -> Option<Layout> {
    let bytes = if keys::are_there() {
        KEYS + size_of::<Keys>()
    } else {
        IMAGE + fpu::IMAGE_BYTES
    };
    Layout::from_size_align(bytes, ALIGN).ok()
}
