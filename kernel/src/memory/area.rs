//! One mapped range: what a program asked for, before any page of it exists.

use alloc::sync::Arc;
use core::ops::Range;

use bitflags::bitflags;
use ochre_abi::mman::Protection;
use ochre_hal::memory::{PAGE_SIZE, Rights};
use ochre_hal::user::Access;

use super::Backing;

/// Bytes in a page, as addresses count.
pub(super) const PAGE: u64 = PAGE_SIZE as u64;

/// What stays free below an area that grows downwards.
pub(super) const GUARD_GAP: u64 = 256 * PAGE;

bitflags! {
    /// What an area is besides its protection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AreaFlags: u16 {
        /// Stores go to the backing and are seen by whoever maps it.
        const SHARED = 1;
        /// Extends itself down to a page touched below it.
        const GROWS_DOWN = 1 << 1;
        /// The heap of brk(2).
        const HEAP = 1 << 2;
        /// The first thread's stack.
        const STACK = 1 << 3;
        /// Locked in memory; counted only, for nothing is ever swapped.
        const LOCKED = 1 << 4;
        /// Not counted against what memory there is.
        const NO_RESERVE = 1 << 5;
        /// Not for children.
        const DONT_FORK = 1 << 6;
        /// Children find zeroes.
        const WIPE_ON_FORK = 1 << 7;
        /// Not in core dumps.
        const DONT_DUMP = 1 << 8;
        /// May never become writable: shared, of a file opened for reading.
        const NEVER_WRITE = 1 << 9;
        /// May never become executable: of a file on a `noexec` mount.
        const NEVER_EXECUTE = 1 << 10;
    }
}

/// What an area shows of a backing.
#[derive(Clone)]
pub struct Source {
    /// The object.
    pub backing: Arc<dyn Backing>,
    /// The page of the object at the area's start.
    pub first: u64,
}

impl core::fmt::Debug for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Source")
            .field("identity", &self.backing.identity())
            .field("first", &self.first)
            .finish()
    }
}

/// A mapped range.
///
/// # Invariants
/// `start` and `end` are multiples of the page size, `start < end`, and neither
/// is above the end of the user half.
#[derive(Clone, Debug)]
pub struct Area {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// What the program may do.
    pub protection: Protection,
    /// What else it is.
    pub flags: AreaFlags,
    /// What is mapped; `None` for private anonymous memory.
    pub source: Option<Source>,
}

impl Area {
    /// The addresses.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether stores go to the backing.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.flags.contains(AreaFlags::SHARED)
    }

    /// Whether its pages may become the program's own copies.
    #[must_use]
    pub fn is_private_writable(&self) -> bool {
        !self.is_shared() && self.protection.contains(Protection::WRITE)
    }

    /// The page of the backing at `address`.
    pub(super) fn index_of(&self, source: &Source, address: u64) -> u64 {
        source.first.wrapping_add((address - self.start) / PAGE)
    }

    /// Where the range ends that must stay free of other mappings below it.
    pub(super) fn guarded_start(&self) -> u64 {
        if self.flags.contains(AreaFlags::GROWS_DOWN) {
            self.start.saturating_sub(GUARD_GAP)
        } else {
            self.start
        }
    }

    /// Whether the program may make this access. Every machine here reads what
    /// it may write or execute, as Linux has it too.
    pub(super) fn allows(&self, access: Access) -> bool {
        match access {
            Access::Read => !self.protection.is_empty(),
            Access::Write => self.protection.contains(Protection::WRITE),
            Access::Execute => self.protection.contains(Protection::EXECUTE),
        }
    }

    /// The rights of a page that is the program's to use as it is protected.
    pub(super) fn full_rights(&self) -> Rights {
        let mut rights = Rights::empty();
        rights.set(Rights::READ, !self.protection.is_empty());
        rights.set(Rights::WRITE, self.protection.contains(Protection::WRITE));
        rights.set(
            Rights::EXECUTE,
            self.protection.contains(Protection::EXECUTE),
        );
        rights
    }

    /// The rights of a page that others may hold too: a private area has to
    /// copy it before it stores.
    pub(super) fn common_rights(&self) -> Rights {
        if self.is_shared() {
            self.full_rights()
        } else {
            self.full_rights() - Rights::WRITE
        }
    }

    /// Splits off the part from `address` on, which lies inside.
    pub(super) fn split_off(&mut self, address: u64) -> Area {
        debug_assert!(self.start < address && address < self.end);
        let mut upper = self.clone();
        upper.start = address;
        if let (Some(source), Some(lower)) = (&mut upper.source, &self.source) {
            source.first = self.index_of(lower, address);
        }
        self.end = address;
        upper
    }

    /// Whether `upper` goes on where this ends, in every respect.
    pub(super) fn continues_into(&self, upper: &Area) -> bool {
        self.end == upper.start
            && self.protection == upper.protection
            && self.flags == upper.flags
            && match (&self.source, &upper.source) {
                (None, None) => true,
                (Some(lower), Some(other)) => {
                    Arc::ptr_eq(&lower.backing, &other.backing)
                        && self.index_of(lower, self.end) == other.first
                }
                _ => false,
            }
    }
}
