//! This machine's page-table entries, as the memory module handles them.
//!
//! The format itself is [`ochre_paging::Arm`]; here are the few operations
//! that the hot paths need, on raw entries. An entry of 0 is "nothing"; every
//! other leaf entry of the user half names a frame, mapped or kept.
//!
//! The machine records nothing by itself (older processors cannot): a page
//! that is mapped counts as accessed, and one that could ever be stored to as
//! dirty.

use ochre_paging::{Arm, Format as _};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::memory::Rights;

use super::system;

/// The format of this machine's tables.
pub(crate) type Machine = Arm;

/// Root entries below belong to programs, the others to the kernel.
pub(crate) const USER_ROOT_ENTRIES: usize = 256;

/// The bits of a program's address that do not count: its top byte (TBI0).
pub(crate) const ADDRESS_TAG: u64 = 0xff << 56;

const RIGHTS: u64 =
    Arm::VALID | Arm::KEPT | Arm::READ_ONLY | Arm::NEVER_EL0 | Arm::GUARDED | Arm::SPARE;

/// What every entry for a program's page has.
const USER: u64 = Arm::TABLE_OR_PAGE
    | Arm::EL0
    | Arm::INNER_SHAREABLE
    | Arm::ACCESSED
    | Arm::NOT_GLOBAL
    | Arm::NEVER_EL1;

/// A program's page.
#[inline]
pub(crate) fn user_leaf(frame: u32, rights: Rights) -> u64 {
    show_code(frame, rights);
    u64::from(frame) << 12 | USER | right_bits(rights)
}

/// An entry that points to a table.
#[inline]
pub(crate) fn table(frame: u32) -> u64 {
    Arm::table(u64::from(frame) << 12, true)
}

/// Whether an entry for a table lets the rights of what is behind it count.
#[inline]
pub(crate) fn lets_write(entry: u64) -> bool {
    entry & Arm::NO_STORES_BEHIND == 0
}

/// The same entry for a table, with no stores behind it.
#[inline]
pub(crate) fn without_stores(entry: u64) -> u64 {
    entry | Arm::NO_STORES_BEHIND
}

/// Forbids stores behind an entry for a table.
#[inline]
pub(crate) fn forbid_stores(place: &AtomicU64) {
    // ORDERING: Relaxed; the flush orders it against the processors.
    place.fetch_or(Arm::NO_STORES_BEHIND, Ordering::Relaxed);
}

/// Lets the rights behind an entry for a table count again.
#[inline]
pub(crate) fn allow_stores(place: &AtomicU64) {
    // ORDERING: Relaxed; the table behind it was there before.
    place.fetch_and(!Arm::NO_STORES_BEHIND, Ordering::Relaxed);
}

/// The same page, as one that was stored to: it counts as that already.
#[inline]
pub(crate) fn used(entry: u64) -> u64 {
    entry
}

/// The entry above for all pages of a leaf table at once, of which the first
/// has this one; its frame is aligned to that.
#[inline]
pub(crate) fn block(first: u64) -> u64 {
    first & !Arm::TABLE_OR_PAGE
}

/// Whether an entry above the leaves, which is not zero, is for pages and no table.
#[inline]
pub(crate) fn is_block(entry: u64) -> bool {
    entry & Arm::TABLE_OR_PAGE == 0
}

/// The frame that an entry names; entries here are made from 28-bit frame numbers.
#[inline]
pub(crate) fn frame(entry: u64) -> u32 {
    // CAST: see above; the mask takes the bits that are not address away.
    ((entry & Arm::ADDRESS_MASK) >> 12) as u32
}

/// The same page with other rights; that it was stored to stays. It is not spare
/// any more.
#[inline]
pub(crate) fn with_rights(entry: u64, rights: Rights) -> u64 {
    if entry & Arm::NEVER_EL0 != 0 {
        show_code(frame(entry), rights);
    }
    entry & !RIGHTS | right_bits(rights)
}

/// The same entry without the right to store.
#[inline]
pub(crate) fn without_write(entry: u64) -> u64 {
    entry | Arm::READ_ONLY
}

/// Whether a program may store, or might if the page were not kept.
#[inline]
pub(crate) fn has_write(entry: u64) -> bool {
    entry & Arm::READ_ONLY == 0
}

/// Takes the right to store from an entry in its table.
#[inline]
pub(crate) fn take_write(place: &AtomicU64) {
    // ORDERING: Relaxed; the flush orders it against the processors.
    place.fetch_or(Arm::READ_ONLY, Ordering::Relaxed);
}

/// The same page, as one that the program can spare: a store to it faults, and
/// none is recorded.
#[inline]
pub(crate) fn spared(entry: u64) -> u64 {
    entry & !Arm::DIRTY | Arm::READ_ONLY | Arm::SPARE
}

/// Whether the program can spare the page.
#[inline]
pub(crate) fn is_spare(entry: u64) -> bool {
    entry & Arm::SPARE != 0
}

/// What a program may do with the page.
#[inline]
pub(crate) fn rights(entry: u64) -> Rights {
    let mut rights = Rights::empty();
    if is_mapped(entry) {
        rights |= Rights::READ;
        rights.set(Rights::WRITE, entry & Arm::READ_ONLY == 0);
        rights.set(Rights::EXECUTE, entry & Arm::NEVER_EL0 == 0);
        rights.set(Rights::GUARDED, entry & Arm::GUARDED != 0);
    }
    rights
}

/// Whether the machine uses the entry, so that it may remember it.
#[inline]
pub(crate) fn is_mapped(entry: u64) -> bool {
    entry & Arm::VALID != 0
}

/// Whether `new`, for the same frame, forbids something that `old` allowed, or
/// forbids something no more for which there is no page fault that would have
/// the old translation forgotten.
#[inline]
pub(crate) fn loses_rights(old: u64, new: u64) -> bool {
    let gone = old & !new & (Arm::VALID | Arm::GUARDED);
    let forbids = Arm::READ_ONLY | Arm::NEVER_EL0 | Arm::GUARDED;
    is_mapped(old) && gone | (new & !old & forbids) != 0
}

/// Whether the machine recorded an access.
#[inline]
pub(crate) fn is_accessed(entry: u64) -> bool {
    is_mapped(entry)
}

/// Whether the machine recorded a store.
#[inline]
pub(crate) fn is_dirty(entry: u64) -> bool {
    entry & Arm::DIRTY != 0
}

#[inline]
fn right_bits(rights: Rights) -> u64 {
    if rights.is_empty() {
        return Arm::KEPT | Arm::READ_ONLY | Arm::NEVER_EL0;
    }
    let mut bits = Arm::VALID;
    if rights.contains(Rights::WRITE) {
        bits |= Arm::DIRTY;
    } else {
        bits |= Arm::READ_ONLY;
    }
    if !rights.contains(Rights::EXECUTE) {
        bits |= Arm::NEVER_EL0;
    } else if rights.contains(Rights::GUARDED) {
        bits |= Arm::GUARDED;
    }
    bits
}

/// What was written to a frame becomes what is fetched from it.
#[inline]
fn show_code(frame: u32, rights: Rights) {
    if rights.contains(Rights::EXECUTE) {
        system::clean_code(
            crate::memory::direct::pointer(frame),
            crate::memory::PAGE_SIZE,
        );
    }
}
