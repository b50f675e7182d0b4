//! An address space: areas and page table.

use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_hal::memory::SpaceRef;
use ochre_hal::user::Access;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::syscall::Ptr;

/// A fault that cannot be resolved, as a signal tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `SIGSEGV` or `SIGBUS`.
    pub signal: u32,
    /// `si_code`: `SEGV_MAPERR`, `SEGV_ACCERR`, `BUS_ADRERR`...
    pub code: i32,
    /// The address.
    pub address: u64,
}

/// A program's address space.
#[derive(Debug)]
pub struct AddressSpace {
    _private: (),
}

impl AddressSpace {
    /// The root, with which the program is run.
    #[must_use]
    pub fn root(&self) -> &SpaceRef {
        unimplemented!()
    }

    /// Resolves a fault: makes `address` accessible for `access`, or says why not.
    ///
    /// # Errors
    /// The signal to send.
    pub fn fault(&self, address: u64, access: Access) -> Result<(), Fault> {
        let _ = (address, access);
        unimplemented!()
    }

    /// Copies from the program's memory, faulting pages in.
    ///
    /// # Errors
    /// EFAULT; then nothing may be assumed of `to`.
    pub fn read(&self, from: u64, to: &mut [u8]) -> Result<(), Errno> {
        let _ = (from, to);
        unimplemented!()
    }

    /// Copies to the program's memory, faulting pages in.
    ///
    /// # Errors
    /// EFAULT; part may be written.
    pub fn write(&self, to: u64, from: &[u8]) -> Result<(), Errno> {
        let _ = (to, from);
        unimplemented!()
    }

    /// Reads a plain structure.
    ///
    /// # Errors
    /// EFAULT.
    pub fn read_value<T: FromBytes + IntoBytes>(&self, from: Ptr<T>) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        self.read(from.address(), value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a plain structure.
    ///
    /// # Errors
    /// EFAULT.
    pub fn write_value<T: IntoBytes + Immutable>(
        &self,
        to: Ptr<T>,
        value: &T,
    ) -> Result<(), Errno> {
        self.write(to.address(), value.as_bytes())
    }

    /// Reads a NUL-terminated string of at most `limit` bytes, the NUL included.
    ///
    /// # Errors
    /// EFAULT, ENOMEM; `too_long` if no NUL came within the limit.
    pub fn read_string(&self, from: u64, limit: usize, too_long: Errno) -> Result<Vec<u8>, Errno> {
        let _ = (from, limit, too_long);
        unimplemented!()
    }
}
