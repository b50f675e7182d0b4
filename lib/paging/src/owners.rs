//! Who has a page table that several address spaces may share: a word that counts.
//!
//! ```text
//! | was shared: 1 | owners besides one: 31 |
//! ```
//!
//! All zeroes is a table with one owner that never had another one.
//!
//! # What must hold
//! An owner reads the table, and changes it if it [is the only one](is_sole).
//! The [last](let_go) owner may free it. Both see all that other owners did with
//! it before they let go, so that neither changes what is read still.
//!
//! | transition | who | when |
//! |---|---|---|
//! | one owner more ([`add`]) | an owner, for somebody new | any time |
//! | one owner less ([`let_go`]) | that owner | when nothing uses the table for it any more |
//! | none | the last owner | after its [`let_go`] |

use ochre_sync::primitive::atomic::{AtomicU32, Ordering, fence};

/// Set once there were several owners.
const WAS_SHARED: u32 = 1 << 31;

/// How many owners a table has.
#[inline]
#[must_use]
pub fn count(word: &AtomicU32) -> usize {
    // ORDERING: Relaxed; a number.
    let word = word.load(Ordering::Relaxed);
    (word & !WAS_SHARED) as usize + 1
}

/// Whether the caller, an owner, is the only one.
#[inline]
#[must_use]
pub fn is_sole(word: &AtomicU32) -> bool {
    // ORDERING: Acquire: what other owners did before they let go, in
    // `let_go`, is done.
    word.load(Ordering::Acquire) & !WAS_SHARED == 0
}

/// Whether there ever were several owners; asked by the only one.
#[inline]
#[must_use]
pub fn was_shared(word: &AtomicU32) -> bool {
    // ORDERING: Relaxed; the caller is the only owner.
    word.load(Ordering::Relaxed) & WAS_SHARED != 0
}

/// Adds an owner, for a caller that is one.
#[inline]
pub fn add(word: &AtomicU32) {
    // ORDERING: Relaxed; the caller's own part keeps the table. No overflow:
    // there are fewer address spaces than frames, 28 bits.
    word.fetch_add(1, Ordering::Relaxed);
    word.fetch_or(WAS_SHARED, Ordering::Relaxed);
}

/// Takes the caller off; true if nobody else is an owner, so that it stays one.
#[inline]
#[must_use = "the last owner has the table still"]
pub fn let_go(word: &AtomicU32) -> bool {
    // ORDERING: Relaxed; the exchange, or the fence below, orders it.
    let mut old = word.load(Ordering::Relaxed);
    while old & !WAS_SHARED != 0 {
        let new = old.wrapping_sub(1);
        // ORDERING: Release: what this owner did comes before; pairs with
        // `is_sole`, and with the fence below.
        match word.compare_exchange_weak(old, new, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return false,
            Err(found) => old = found,
        }
    }
    // ORDERING: Acquire, as in `is_sole`.
    fence(Ordering::Acquire);
    true
}

#[cfg(all(test, loom))]
mod loom_tests;

#[cfg(all(test, not(loom)))]
mod tests {
    use ochre_sync::primitive::atomic::AtomicU32;

    use super::{add, count, is_sole, let_go, was_shared};

    #[test]
    fn counts_owners_and_knows_the_last() {
        let word = AtomicU32::new(0);
        assert!(is_sole(&word) && !was_shared(&word));
        add(&word);
        add(&word);
        assert_eq!(count(&word), 3);
        assert!(!is_sole(&word));
        assert!(!let_go(&word) && !let_go(&word));
        assert!(is_sole(&word) && was_shared(&word));
        assert!(let_go(&word), "the last one stays");
        assert_eq!(count(&word), 1);
    }
}
