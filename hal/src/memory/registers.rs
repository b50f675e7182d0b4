//! Device registers in memory, through a typed cursor.
//!
//! [`Registers`] and [`Bytes`] are the only ways to a device's registers:
//! volatile accesses of 32 or 8 bits, aligned and inside the block.

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

    /// Memory that plays a device, for a test on a host.
    #[cfg(test)]
    pub(crate) fn played_by(memory: &'static mut [u32]) -> Registers {
        Registers {
            count: memory.len(),
            base: NonNull::from(memory).cast(),
        }
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

/// A block of device registers of one byte each.
#[derive(Debug)]
pub(crate) struct Bytes {
    base: NonNull<u8>,
    count: usize,
}

// SAFETY: the block is mapped for ever and for every processor; an access is
// one volatile instruction, and what racing accesses mean is the device's affair.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// Maps `count` registers at a physical address.
    ///
    /// # Safety
    /// A device's registers, and not memory, must be there, and no access to
    /// them may affect memory safety.
    pub(crate) unsafe fn map(physical: u64, count: usize) -> Option<Bytes> {
        let base = super::mmio::map(physical, count).ok()?;
        Some(Bytes { base, count })
    }

    /// Reads the register `offset` bytes into the block.
    pub(crate) fn read(&self, offset: usize) -> u8 {
        let register = self.register(offset);
        // SAFETY: inside the mapped block, and `map` was promised that
        // accesses are harmless.
        unsafe { register.read_volatile() }
    }

    /// Writes the register `offset` bytes into the block.
    pub(crate) fn write(&self, offset: usize, value: u8) {
        let register = self.register(offset);
        // SAFETY: as in `read`.
        unsafe { register.write_volatile(value) };
    }

    fn register(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.count, "a register outside its block");
        // SAFETY: inside the block, by the check above.
        unsafe { self.base.add(offset) }
    }
}
