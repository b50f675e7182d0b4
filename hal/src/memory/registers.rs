//! Device registers in memory, through a typed cursor.
//!
//! [`Registers`] is the only way to a device's registers: 32-bit volatile
//! accesses, aligned and inside the block.

use core::ptr::NonNull;

/// A block of 32-bit device registers.
#[derive(Debug)]
pub(crate) struct Registers {
    base: NonNull<u32>,
    count: usize,
}

// SAFETY: the block is mapped for ever and for every processor; an access is
// one volatile instruction, and what racing accesses mean is the device's affair.
unsafe impl Send for Registers {}
// SAFETY: as above.
unsafe impl Sync for Registers {}

impl Registers {
    /// Maps `bytes` of device registers at a physical address. `None` if the
    /// place is misaligned or cannot be mapped.
    ///
    /// # Safety
    /// A device's registers, and not memory, must be there, and no access to
    /// them may affect memory safety, except as the caller sees to.
    pub(crate) unsafe fn map(physical: u64, bytes: usize) -> Option<Registers> {
        if !physical.is_multiple_of(4) {
            return None;
        }
        let base = super::mmio::map(physical, bytes).ok()?.cast();
        Some(Registers {
            base,
            count: bytes / 4,
        })
    }

    /// Reads the register `offset` bytes into the block.
    #[inline]
    pub(crate) fn read(&self, offset: usize) -> u32 {
        let register = self.register(offset);
        // SAFETY: `register` is aligned, inside the mapped block, and `map`
        // was promised that accesses are harmless.
        unsafe { register.read_volatile() }
    }

    /// Writes the register `offset` bytes into the block.
    #[inline]
    pub(crate) fn write(&self, offset: usize, value: u32) {
        let register = self.register(offset);
        // SAFETY: as in `read`.
        unsafe { register.write_volatile(value) };
    }

    #[inline]
    fn register(&self, offset: usize) -> NonNull<u32> {
        let index = offset / 4;
        assert!(
            offset.is_multiple_of(4) && index < self.count,
            "a register outside its block"
        );
        // SAFETY: inside the block, by the check above.
        unsafe { self.base.add(index) }
    }
}
