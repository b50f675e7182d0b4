//! What is mapped from files: objects that give out their pages.
//!
//! A backing is the page cache of one object seen by address spaces: a file of
//! tmpfs, a shared anonymous object. Its frames are shared with it: an address
//! space maps them, and copies before a private mapping writes.
//!
//! # Lock protocol
//! Methods are called with the address space locked, [`page`](Backing::page)
//! mostly without. A backing may take its own
//! locks, and must never touch user memory or an address space under them other
//! than through cursors, which resolve no fault.

use alloc::vec::Vec;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_hal::memory::UserFrame;

use super::Mappers;

/// Which file it is, as `/proc/PID/maps` and shared futexes tell files apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// An object whose pages can be mapped.
pub trait Backing: Send + Sync {
    /// The frame of page `index`, made present if it was not (a hole).
    ///
    /// # Errors
    /// ENOMEM when there is no frame; anything else (ENXIO past the last page)
    /// becomes SIGBUS.
    fn page(&self, index: u64) -> Result<UserFrame, Errno>;

    /// What [`page`](Backing::page) answers, if that takes no time; `None` where
    /// the page has to be made first, for which nobody is to hold a lock.
    fn page_at_hand(&self, index: u64) -> Option<Result<UserFrame, Errno>> {
        Some(self.page(index))
    }

    /// Visits pages of a range that are present already, in any order; pages
    /// not visited are faulted in one by one. Makes neighbours cheap.
    fn present(&self, pages: Range<u64>, visit: &mut dyn FnMut(u64, UserFrame)) {
        let _ = (pages, visit);
    }

    /// Bytes in the object.
    fn size(&self) -> u64;

    /// Which object it is.
    fn identity(&self) -> Identity;

    /// The name for `/proc/PID/maps`.
    fn path(&self) -> Vec<u8>;

    /// The list of those who map it; `None` for an object that never loses a
    /// page.
    fn mappers(&self) -> Option<&Mappers> {
        None
    }

    /// Whether a shared mapping may be made, and may ever write; `writable` if
    /// it shall at once. Called with the space that maps it in the list of
    /// [`mappers`](Backing::mappers), and locked.
    ///
    /// # Errors
    /// EPERM for a seal.
    fn admit(&self, writable: bool) -> Result<bool, Errno> {
        let _ = writable;
        Ok(true)
    }

    /// A space has it mapped, once more. Called with the space locked.
    fn mapped(&self) {}

    /// A space has an area of it less, or a smaller one. Called with the space
    /// locked.
    fn unmapped(&self) {}

    /// Makes pages a hole, for whoever has a mapping that may write, as many as
    /// a poll has time for; up to which page, which is the range's end if
    /// nothing is left.
    ///
    /// # Errors
    /// EOPNOTSUPP where the object has none.
    fn punch(&self, pages: Range<u64>) -> Result<u64, Errno> {
        let _ = pages;
        Err(Errno::EOPNOTSUPP)
    }

    /// Whether mapping it means anonymous memory (`/dev/zero`).
    fn is_anonymous(&self) -> bool {
        false
    }

    /// Whether it is nothing but memory, as what is in tmpfs and in segments: all
    /// files are, for the time being.
    fn is_memory(&self) -> bool {
        true
    }
}

/// The backing of `/dev/zero`: mapping it is mapping no file at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZeroBacking;

impl Backing for ZeroBacking {
    fn page(&self, _index: u64) -> Result<UserFrame, Errno> {
        Err(Errno::ENXIO)
    }

    fn size(&self) -> u64 {
        u64::MAX
    }

    fn identity(&self) -> Identity {
        Identity {
            device: 0,
            inode: 0,
        }
    }

    fn path(&self) -> Vec<u8> {
        b"/dev/zero".to_vec()
    }

    fn is_anonymous(&self) -> bool {
        true
    }
}
