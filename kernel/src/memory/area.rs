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

// What a program asked for becomes what it gets without a look at each bit.
const _: () = {
    assert!(Protection::WRITE.bits() == Rights::WRITE.bits() as u32);
    assert!(Protection::EXECUTE.bits() == Rights::EXECUTE.bits() as u32);
    assert!(Protection::GUARDED.bits() == Rights::GUARDED.bits() as u32);
    assert!(Protection::all().bits() == Rights::all().bits() as u32);
};

/// What stays free below an area that grows downwards.
pub(super) const GUARD_GAP: u64 = 256 * PAGE;

bitflags! {
    /// What an area is besides its protection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AreaFlags: u32 {
        /// Stores go to the backing and are seen by whoever maps it.
        const SHARED = 1;
        /// Extends itself down to a page touched below it.
        const GROWS_DOWN = 1 << 1;
        /// Its pages are counted against what memory there is: it is private
        /// and was writable at some time.
        const ACCOUNTED = 1 << 2;
        /// With `LOCKED`: pages come when they are touched.
        const LOCK_ON_FAULT = 1 << 3;
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
        /// Used in no order.
        const RANDOM = 1 << 11;
        /// Used in order.
        const SEQUENTIAL = 1 << 12;
        /// Huge pages are welcome.
        const HUGE = 1 << 13;
        /// Huge pages are not.
        const NO_HUGE = 1 << 14;
        /// Pages with the same content may be one.
        const MERGEABLE = 1 << 15;
        /// `MAP_SYNC` was asked for; it has a meaning for no memory here.
        const SYNC = 1 << 17;
        /// Pages may be given up when memory is short.
        const DROPPABLE = 1 << 16;
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

/// Whose own pages an area has, as far as that decides whether it can be one
/// with its neighbours. Linux keeps a list behind it to find a page's mappings,
/// so which areas join is as there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anonymous {
    /// 0 before the first page of its own.
    pub set: u64,
    /// Whether a parent has pages of the same set.
    pub inherited: bool,
}

impl Anonymous {
    /// Whether there are none yet.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.set == 0
    }

    /// Whether two areas with these can be one.
    fn joins(self, other: Anonymous) -> bool {
        match (self.is_none(), other.is_none()) {
            (true, true) => true,
            (true, false) => !other.inherited,
            (false, true) => !self.inherited,
            (false, false) => self.set == other.set,
        }
    }

    /// What both together have.
    pub(super) fn or(self, other: Anonymous) -> Anonymous {
        if self.is_none() { other } else { self }
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
    /// Without a source: the page number at which the start was first mapped.
    /// Moved pages keep it.
    pub origin: u64,
    /// Whose own pages it has.
    pub anonymous: Anonymous,
}

impl Area {
    /// An area of anonymous memory that is new at its place.
    #[must_use]
    pub fn new(range: Range<u64>, protection: Protection, flags: AreaFlags) -> Area {
        Area {
            start: range.start,
            end: range.end,
            protection,
            flags,
            source: None,
            origin: range.start / PAGE,
            anonymous: Anonymous::default(),
        }
    }

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

    /// Whether it counts as data (`RLIMIT_DATA`): private, writable, no stack.
    pub(super) fn is_data(&self) -> bool {
        self.is_private_writable() && !self.flags.contains(AreaFlags::GROWS_DOWN)
    }

    /// Whether a child gets it.
    pub(super) fn is_inherited(&self) -> bool {
        !self.flags.contains(AreaFlags::DONT_FORK)
    }

    /// Becomes a child's: locks are not inherited, and pages of its own are not
    /// the parent's.
    pub(super) fn pass_on(&mut self, next_set: &mut u64) {
        self.flags
            .remove(AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT);
        if self.flags.contains(AreaFlags::WIPE_ON_FORK) {
            self.anonymous = Anonymous::default();
        } else if !self.anonymous.is_none() {
            self.anonymous = Anonymous {
                set: *next_set,
                inherited: true,
            };
            *next_set = next_set.wrapping_add(1);
        }
    }

    /// Changes what the program may do.
    pub(super) fn protect(&mut self, protection: Protection) {
        let was_writable = self.protection.contains(Protection::WRITE);
        if self.protection == protection {
            return;
        }
        self.protection = protection;
        if protection.contains(Protection::WRITE) {
            let counts = !self.is_shared() && !self.flags.contains(AreaFlags::NO_RESERVE);
            if counts && !was_writable {
                self.flags.insert(AreaFlags::ACCOUNTED);
            }
        } else if self.source.is_none() && self.anonymous.is_none() {
            self.flags.remove(AreaFlags::ACCOUNTED);
        }
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
            Access::Read => self.protection.allows_access(),
            Access::Write => self.protection.contains(Protection::WRITE),
            Access::Execute => self.protection.contains(Protection::EXECUTE),
        }
    }

    /// The rights of a page that is the program's to use as it is protected.
    pub(super) fn full_rights(&self) -> Rights {
        if !self.protection.allows_access() {
            return Rights::empty();
        }
        // CAST: the bits that count are in the lowest byte, as asserted above.
        Rights::READ | Rights::from_bits_truncate(self.protection.bits() as u8)
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
        upper.skip((address - self.start) / PAGE);
        self.end = address;
        upper
    }

    /// Lets what is mapped begin some pages later.
    pub(super) fn skip(&mut self, pages: u64) {
        if let Some(source) = &mut self.source {
            source.first = source.first.wrapping_add(pages);
        }
        self.origin = self.origin.wrapping_add(pages);
    }

    /// Whether `upper` goes on where this ends, in every respect.
    pub(super) fn continues_into(&self, upper: &Area) -> bool {
        self.protection == upper.protection
            && self.flags == upper.flags
            && self.is_followed_by(upper)
            && self.anonymous.joins(upper.anonymous)
    }

    /// Whether `upper` is beside this and shows what follows.
    fn is_followed_by(&self, upper: &Area) -> bool {
        self.end == upper.start
            && match (&self.source, &upper.source) {
                (None, None) => self.origin.wrapping_add(self.bytes() / PAGE) == upper.origin,
                (Some(lower), Some(other)) => {
                    Arc::ptr_eq(&lower.backing, &other.backing)
                        && self.index_of(lower, self.end) == other.first
                }
                _ => false,
            }
    }

    /// Whether the first page of its own in one of two neighbours may belong to
    /// the other one's set, so that they can be one some day.
    pub(super) fn may_share_set(&self, upper: &Area) -> bool {
        self.flags == upper.flags && self.is_followed_by(upper)
    }
}
