//! The memory of a context: its registers and its floating-point image, in as
//! little as they need, for there may be very many.
//!
//! ```text
//! base ──► 0 ................. 464 .................... 640 ...... 656
//!          | narrow image, FXSAVE | Registers, pushed by traps | Bases |
//! wide ──► save_bytes, if the program ever had more than the narrow form holds
//! ```
//! `base` does not move. With `wide` the first part is not in use. The
//! registers begin where an image is the software's to use: what FXSAVE does
//! not write and FXRSTOR does not look at.
//!
//! # Invariants
//! `base` is an allocation of [`LAYOUT`], `wide` one of [`wide_layout`], both
//! zero or written through the methods here: initialised. Whoever writes the
//! narrow image says whether x87 is initial in it. They belong to the
//! `Area` alone, except that while its context is in user mode the processor
//! writes the registers; then the context is exclusively borrowed by `run`.
//! There is a wide image only where there is XSAVE.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::memory::OutOfMemory;

use super::fpu::Extent;
use super::registers::Registers;
use super::{features, fpu};

/// What XSAVE wants.
const WIDE_ALIGN: usize = 64;

/// Where the registers begin.
const REGISTERS: usize = fpu::SOFTWARE;

/// Where the bases are.
const BASES: usize = REGISTERS + size_of::<Registers>();

/// The narrow image, the registers, the bases.
const LAYOUT: Layout = {
    assert!(REGISTERS.is_multiple_of(align_of::<Registers>()));
    assert!(BASES.is_multiple_of(align_of::<Bases>()) && BASES >= fpu::HEADER);
    match Layout::from_size_align(BASES + size_of::<Bases>(), align_of::<Registers>()) {
        Ok(layout) => layout,
        Err(_) => panic!("16 is a power of two"),
    }
};

/// A program's base registers, where the processor does not hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bases {
    pub(super) fs: u64,
    pub(super) gs: u64,
}

/// See the module.
pub(super) struct Area {
    base: NonNull<u8>,
    wide: Option<NonNull<u8>>,
    /// Whether x87 is in its initial state in the narrow image.
    is_x87_initial: bool,
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
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc_zeroed(LAYOUT) };
        let mut area = Area {
            base: NonNull::new(memory).ok_or(OutOfMemory)?,
            wide: None,
            is_x87_initial: false,
        };
        *area.registers_mut() = Registers::user(0, 0);
        area.initialise();
        Ok(area)
    }

    /// A copy.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn duplicate(&self) -> Result<Area, OutOfMemory> {
        let mut twin = Area::new()?;
        *twin.registers_mut() = self.registers().clone();
        *twin.bases_mut() = *self.bases();
        if let Some(wide) = self.wide() {
            twin.widen()?.copy_from_slice(wide);
        } else {
            twin.legacy_mut().copy_from_slice(self.legacy());
            twin.look_at_x87();
        }
        Ok(twin)
    }

    /// Where the trap code saves the registers.
    #[inline]
    pub(super) fn registers_pointer(&mut self) -> *mut Registers {
        // SAFETY: inside the allocation, by `LAYOUT`.
        unsafe { self.base.add(REGISTERS) }.as_ptr().cast()
    }

    /// The registers.
    #[inline]
    pub(super) fn registers(&self) -> &Registers {
        // SAFETY: inside the allocation, by `LAYOUT`.
        let at = unsafe { self.base.add(REGISTERS) };
        // SAFETY: initialised by `new`, aligned, and shared like `self`.
        unsafe { at.cast::<Registers>().as_ref() }
    }

    /// The registers, to change.
    #[inline]
    pub(super) fn registers_mut(&mut self) -> &mut Registers {
        // SAFETY: as `registers`; borrowed exclusively like `self`. (`new`
        // writes through this first: any bits are a valid `Registers`.)
        unsafe { &mut *self.registers_pointer() }
    }

    /// The base registers.
    pub(super) fn bases(&self) -> &Bases {
        // SAFETY: inside the allocation, by `LAYOUT`.
        let at = unsafe { self.base.add(BASES) };
        // SAFETY: zero or written as `Bases`, aligned, and shared like `self`.
        unsafe { at.cast::<Bases>().as_ref() }
    }

    /// The base registers, to change.
    pub(super) fn bases_mut(&mut self) -> &mut Bases {
        // SAFETY: inside the allocation, by `LAYOUT`.
        let at = unsafe { self.base.add(BASES) };
        // SAFETY: as `bases`; borrowed exclusively like `self`.
        unsafe { at.cast::<Bases>().as_mut() }
    }

    /// Takes the processor's floating-point state.
    ///
    /// # Errors
    /// [`OutOfMemory`] if it needs a wide image and there is none; then it is
    /// still in the processor, and what is here is of no use.
    #[inline]
    pub(super) fn save(&mut self) -> Result<(), OutOfMemory> {
        if self.wide.is_none() {
            // SAFETY: the base is aligned, and long enough for the part that is written.
            let is_all = unsafe { fpu::save_narrow(self.base.as_ptr()) };
            self.look_at_x87();
            if is_all {
                return Ok(());
            }
            self.widen()?;
        }
        if let Some(wide) = self.wide {
            // SAFETY: aligned and long enough; a wide image means XSAVE.
            unsafe { fpu::save_wide(wide.as_ptr()) };
        }
        Ok(())
    }

    /// Gives the processor, whose own has the extent `of_registers` at most, the
    /// floating-point state; false if it refuses.
    ///
    /// # Safety
    /// The processor's state is not more than that.
    pub(super) unsafe fn load(&self, of_registers: Extent) -> bool {
        match self.wide {
            // SAFETY: aligned, long enough and initialised; a wide image means XSAVE.
            Some(wide) => unsafe { fpu::load_wide(wide.as_ptr()) },
            // SAFETY: aligned, longer than 512 bytes and initialised; `extent` is
            // the image's, and the other is the caller's promise.
            None => unsafe { fpu::load_narrow(self.base.as_ptr(), self.extent(), of_registers) },
        }
    }

    /// How much of the state here may be other than initial.
    #[inline]
    pub(super) fn extent(&self) -> Extent {
        match self.wide {
            Some(_) => Extent::All,
            None if self.is_x87_initial => Extent::Sse,
            None => Extent::Legacy,
        }
    }

    /// Notes whether x87 is in its initial state in the narrow image, which was written.
    #[inline]
    fn look_at_x87(&mut self) {
        let image = self.legacy().first_chunk();
        self.is_x87_initial = image.is_some_and(fpu::is_x87_initial);
    }

    /// Makes the floating-point state a fresh program's.
    pub(super) fn initialise(&mut self) {
        if let Some(wide) = self.wide_mut() {
            fpu::initialise_wide(wide);
        } else {
            let (legacy, _) = fpu::initial().split_at(fpu::SOFTWARE);
            self.legacy_mut().copy_from_slice(legacy);
            self.look_at_x87();
        }
    }

    /// Gives up what only a program of the past needed.
    pub(super) fn narrow(&mut self) {
        if let (Some(wide), Some(layout)) = (self.wide.take(), wide_layout()) {
            // SAFETY: allocated by `widen` with the same layout, which depends
            // on the machine only; it is out of the area.
            unsafe { dealloc(wide.as_ptr(), layout) };
        }
    }

    /// Has a wide image, with the state that is here, where there was none.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn widen(&mut self) -> Result<&mut [u8], OutOfMemory> {
        if self.wide.is_none() {
            let layout = wide_layout().ok_or(OutOfMemory)?;
            let head = self.head();
            // SAFETY: the layout has a size.
            let memory = unsafe { alloc_zeroed(layout) };
            self.wide = Some(NonNull::new(memory).ok_or(OutOfMemory)?);
            self.set_head(&head);
        }
        self.wide_mut().ok_or(OutOfMemory)
    }

    /// The head of an image with the state that is here.
    pub(super) fn head(&self) -> fpu::Head {
        let mut head = [0; fpu::HEADER_END];
        match self.wide() {
            Some(wide) => copy_start(&mut head, wide),
            None => {
                copy_start(&mut head, self.legacy());
                let components = features::get().xsave_components;
                fpu::set_bitmap(&mut head, fpu::LEGACY & components);
            }
        }
        fpu::make_explicit(&mut head);
        head
    }

    /// Takes over the head of an image that was checked. Without a wide image
    /// it names no components but x87 and SSE.
    pub(super) fn set_head(&mut self, head: &fpu::Head) {
        if let Some(wide) = self.wide_mut() {
            copy_start(wide, head);
        } else {
            let mut head = *head;
            fpu::make_explicit(&mut head);
            copy_start(self.legacy_mut(), &head);
            self.look_at_x87();
        }
    }

    /// The wide image, if there is one.
    pub(super) fn wide(&self) -> Option<&[u8]> {
        let wide = self.wide?;
        // SAFETY: `save_bytes` initialised bytes, shared like `self`.
        Some(unsafe { core::slice::from_raw_parts(wide.as_ptr(), features::get().save_bytes) })
    }

    fn wide_mut(&mut self) -> Option<&mut [u8]> {
        let wide = self.wide?;
        // SAFETY: `save_bytes` initialised bytes, borrowed exclusively like `self`.
        Some(unsafe { core::slice::from_raw_parts_mut(wide.as_ptr(), features::get().save_bytes) })
    }

    /// The narrow image, right if there is no wide one.
    fn legacy(&self) -> &[u8] {
        // SAFETY: the part of the allocation before the registers, initialised,
        // shared like `self`.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), fpu::SOFTWARE) }
    }

    fn legacy_mut(&mut self) -> &mut [u8] {
        // SAFETY: as `legacy`, borrowed exclusively like `self`.
        unsafe { core::slice::from_raw_parts_mut(self.base.as_ptr(), fpu::SOFTWARE) }
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        self.narrow();
        // SAFETY: allocated by `new` with the same layout.
        unsafe { dealloc(self.base.as_ptr(), LAYOUT) };
    }
}

impl fmt::Debug for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registers().fmt(f)
    }
}

/// The layout of a wide image; `None` where there is no XSAVE.
fn wide_layout() -> Option<Layout> {
    let features = features::get();
    if features.xsave_components == 0 {
        return None;
    }
    Layout::from_size_align(features.save_bytes, WIDE_ALIGN).ok()
}

/// Copies as much as both have.
fn copy_start(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::{Area, features, fpu};

    #[test]
    fn the_parts_are_aligned_and_apart() {
        let mut area = Area::new().expect("memory");
        assert_eq!(area.registers_pointer().addr() % 16, 0);
        area.legacy_mut().fill(0xff);
        assert_eq!(area.registers().r15, 0);
        assert_eq!(area.registers().rip, 0);
        area.registers_mut().r15 = 5;
        assert_eq!(area.legacy()[fpu::SOFTWARE - 1], 0xff);
    }

    #[test]
    fn a_state_keeps_what_it_says_when_it_gets_wide() {
        if features::get().xsave_components == 0 {
            return;
        }
        let mut area = Area::new().expect("memory");
        let mut head = area.head();
        head[fpu::XMM + 5] = 7;
        area.set_head(&head);
        let wide = area.widen().expect("memory");
        assert_eq!(wide.as_ptr().addr() % 64, 0);
        assert_eq!(wide[fpu::XMM + 5], 7);
        assert_eq!(area.head()[fpu::XMM + 5], 7);
        let twin = area.duplicate().expect("memory");
        assert_eq!(twin.head(), area.head());
        assert!(twin.wide().is_some());
        area.narrow();
        area.initialise();
        assert_eq!(area.head()[fpu::XMM + 5], 0);
        assert_eq!(
            area.head()[..fpu::SOFTWARE],
            fpu::initial()[..fpu::SOFTWARE]
        );
    }
}
