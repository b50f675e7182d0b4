//! This machine's page-table entries, as the memory module handles them.
//!
//! The format itself is [`ochre_paging::X86`]; here are the few operations
//! that the hot paths need, on raw entries. An entry of 0 is "nothing"; every
//! other leaf entry of the user half names a frame, mapped or kept.

use ochre_paging::{Format as _, X86};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::memory::Rights;

/// The format of this machine's tables.
pub(crate) type Machine = X86;

/// Root entries below belong to programs, the others to the kernel.
pub(crate) const USER_ROOT_ENTRIES: usize = 256;

/// The bits of a program's address that do not count: there are none.
pub(crate) const ADDRESS_TAG: u64 = 0;

/// The same entry without the right to store.
#[inline]
pub(crate) fn without_write(entry: u64) -> u64 {
    entry & !X86::WRITE
}

/// Whether a program may store, or might if the page were not kept.
#[inline]
pub(crate) fn has_write(entry: u64) -> bool {
    entry & X86::WRITE != 0
}

/// Takes the right to store from an entry in its table.
#[inline]
pub(crate) fn take_write(place: &AtomicU64) {
    // ORDERING: Relaxed; the flush orders it against the processors.
    place.fetch_and(!X86::WRITE, Ordering::Relaxed);
}

const RIGHTS: u64 =
    X86::PRESENT | X86::KEPT | X86::WRITE | X86::USER | X86::NO_EXECUTE | X86::SPARE;

/// A program's page.
#[inline]
pub(crate) fn user_leaf(frame: u32, rights: Rights) -> u64 {
    u64::from(frame) << 12 | right_bits(rights)
}

/// An entry that points to a table.
#[inline]
pub(crate) fn table(frame: u32) -> u64 {
    u64::from(frame) << 12 | X86::PRESENT | X86::WRITE | X86::USER
}

/// Whether an entry for a table lets the rights of what is behind it count.
#[inline]
pub(crate) fn lets_write(entry: u64) -> bool {
    entry & X86::WRITE != 0
}

/// The same entry for a table, with no stores behind it.
#[inline]
pub(crate) fn without_stores(entry: u64) -> u64 {
    entry & !X86::WRITE
}

/// Forbids stores behind an entry for a table.
#[inline]
pub(crate) fn forbid_stores(place: &AtomicU64) {
    // ORDERING: Relaxed; the flush orders it against the processors.
    place.fetch_and(!X86::WRITE, Ordering::Relaxed);
}

/// Lets the rights behind an entry for a table count again.
#[inline]
pub(crate) fn allow_stores(place: &AtomicU64) {
    // ORDERING: Relaxed; the table behind it was there before.
    place.fetch_or(X86::WRITE, Ordering::Relaxed);
}

/// The same page, as one that was stored to: what the machine would record.
#[inline]
pub(crate) fn used(entry: u64) -> u64 {
    entry | X86::ACCESSED | X86::DIRTY
}

/// The entry above for all pages of a leaf table at once, of which the first
/// has this one; its frame is aligned to that.
#[inline]
pub(crate) fn block(first: u64) -> u64 {
    first | X86::BLOCK
}

/// Whether an entry above the leaves, which is not zero, is for pages and no table.
#[inline]
pub(crate) fn is_block(entry: u64) -> bool {
    entry & X86::BLOCK != 0
}

/// The frame that an entry names; entries here are made from 28-bit frame numbers.
#[inline]
pub(crate) fn frame(entry: u64) -> u32 {
    // CAST: see above; the mask takes the bits that are not address away.
    ((entry & X86::ADDRESS_MASK) >> 12) as u32
}

/// The same page with other rights; what the machine recorded stays. It is not
/// spare any more.
#[inline]
pub(crate) fn with_rights(entry: u64, rights: Rights) -> u64 {
    entry & !RIGHTS | right_bits(rights)
}

/// The same page, as one that the program can spare: a store to it faults, and
/// nothing is recorded of it.
#[inline]
pub(crate) fn spared(entry: u64) -> u64 {
    entry & !(X86::WRITE | X86::ACCESSED | X86::DIRTY) | X86::SPARE
}

/// Whether the program can spare the page.
#[inline]
pub(crate) fn is_spare(entry: u64) -> bool {
    entry & X86::SPARE != 0
}

/// What a program may do with the page.
#[inline]
pub(crate) fn rights(entry: u64) -> Rights {
    let mut rights = Rights::empty();
    if is_mapped(entry) {
        rights |= Rights::READ;
        rights.set(Rights::WRITE, entry & X86::WRITE != 0);
        rights.set(Rights::EXECUTE, entry & X86::NO_EXECUTE == 0);
    }
    rights
}

/// Whether the machine uses the entry, so that it may remember it.
#[inline]
pub(crate) fn is_mapped(entry: u64) -> bool {
    entry & X86::PRESENT != 0
}

/// Whether `new`, for the same frame, forbids something that `old` allowed.
#[inline]
pub(crate) fn loses_rights(old: u64, new: u64) -> bool {
    let gone = old & !new & (X86::PRESENT | X86::WRITE);
    is_mapped(old) && gone | (new & !old & X86::NO_EXECUTE) != 0
}

/// Whether the machine recorded an access.
#[inline]
pub(crate) fn is_accessed(entry: u64) -> bool {
    entry & X86::ACCESSED != 0
}

/// Whether the machine recorded a store.
#[inline]
pub(crate) fn is_dirty(entry: u64) -> bool {
    entry & X86::DIRTY != 0
}

#[inline]
fn right_bits(rights: Rights) -> u64 {
    if rights.is_empty() {
        return X86::KEPT | X86::NO_EXECUTE;
    }
    let mut bits = X86::PRESENT | X86::USER;
    if rights.contains(Rights::WRITE) {
        bits |= X86::WRITE;
    }
    if !rights.contains(Rights::EXECUTE) {
        bits |= X86::NO_EXECUTE;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::{Machine, frame, is_mapped, is_spare, rights, spared, user_leaf, with_rights};
    use crate::memory::Rights;
    use ochre_paging::{Entry, Format as _};

    #[test]
    fn rights_read_back_and_change() {
        for bits in 0..8 {
            let mut wanted = Rights::from_bits_truncate(bits);
            if !wanted.is_empty() {
                // Nothing can be mapped without loads.
                wanted |= Rights::READ;
            }
            let entry = user_leaf(0x0fff_fffe, wanted);
            assert_eq!(frame(entry), 0x0fff_fffe);
            assert_eq!(rights(entry), wanted);
            assert_eq!(is_mapped(entry), !wanted.is_empty());
            let other = with_rights(entry, Rights::READ | Rights::WRITE);
            assert_eq!(rights(other), Rights::READ | Rights::WRITE);
            assert_eq!(with_rights(other, wanted), entry);
            let spare = spared(other);
            assert!(is_spare(spare) && !is_spare(other));
            assert_eq!(rights(spare), Rights::READ);
            assert_eq!(with_rights(spare, wanted), entry);
        }
    }

    #[test]
    fn entries_are_what_the_format_says() {
        let leaf = Machine::decode(user_leaf(5, Rights::READ), 0);
        assert!(matches!(
            leaf,
            Entry::Leaf {
                address: 0x5000,
                ..
            }
        ));
        let kept = Machine::decode(user_leaf(5, Rights::empty()), 0);
        assert!(matches!(
            kept,
            Entry::Kept {
                address: 0x5000,
                ..
            }
        ));
        let table = super::table(5);
        assert_eq!(Machine::decode(table, 1), Entry::Table(0x5000));
        let forbids = super::without_stores(table);
        assert_eq!(Machine::decode(forbids, 1), Entry::Table(0x5000));
        assert!(super::lets_write(table) && !super::lets_write(forbids));
    }

    #[test]
    fn a_block_is_what_its_first_page_is() {
        for rights in [Rights::READ | Rights::WRITE, Rights::READ, Rights::empty()] {
            let page = super::used(user_leaf(512, rights));
            assert!(super::is_accessed(page) && super::is_dirty(page));
            let block = super::block(page);
            assert!(super::is_block(block) && !super::is_block(super::table(512)));
            let attributes = |entry| match entry {
                Entry::Leaf {
                    address: 0x20_0000,
                    attributes,
                } => (true, attributes),
                Entry::Kept {
                    address: 0x20_0000,
                    attributes,
                } => (false, attributes),
                other => panic!("{other:?}"),
            };
            assert_eq!(
                attributes(Machine::decode(block, 1)),
                attributes(Machine::decode(page, 0))
            );
        }
    }
}
