//! What a futex word is known by.
//!
//! | the word lies in | asked for as | key |
//! |---|---|---|
//! | anything | private | the address space and the address |
//! | private memory that may be written | shared | the same, marked as such |
//! | a shared mapping, or a file that is only read | shared | the object and the offset in it |
//!
//! An object's identity is never given to another, so a waiter at a word that
//! was unmapped, or whose file was truncated, meets nobody who means another
//! word. The identity of an address space is where it lies in memory: waiters
//! hold it, so no other lies there.

use alloc::sync::Arc;
use core::fmt;

use ochre_abi::Errno;
use ochre_abi::stat::{major, minor};
use ochre_hal::memory::USER_END;
use ochre_hal::user::Access;

use crate::memory::{AddressSpace, Identity};

/// Bytes of a word.
const WORD: u64 = 4;

/// Whom a futex operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Threads of one address space (`FUTEX_PRIVATE_FLAG`).
    Private,
    /// Everybody who sees the memory.
    Shared,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A word of an address space, asked for as private.
    Private(usize, u64),
    /// A word of an address space that nobody else sees, asked for as shared.
    Own(usize, u64),
    /// A word of an object, by its offset.
    Object(Identity, u64),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Key::Private(_, address) | Key::Own(_, address) => write!(f, "{address:#x}"),
            Key::Object(object, offset) => {
                let (major, minor) = (major(object.device), minor(object.device));
                let inode = object.inode;
                write!(f, "{offset:#x} of {major:02x}:{minor:02x}:{inode}")
            }
        }
    }
}

impl Key {
    /// The key of the word at `address`. `access` is what the operation does
    /// to the word.
    ///
    /// # Errors
    /// EINVAL for a misaligned address, EFAULT for one that is not the
    /// program's to access, ENOMEM.
    pub fn new(
        space: &Arc<AddressSpace>,
        address: u64,
        scope: Scope,
        access: Access,
    ) -> Result<Key, Errno> {
        if !address.is_multiple_of(WORD) {
            return Err(Errno::EINVAL);
        }
        if address > USER_END {
            return Err(Errno::EFAULT);
        }
        let own = Arc::as_ptr(space).addr();
        if scope == Scope::Private {
            return Ok(Key::Private(own, address));
        }
        Ok(match space.shared_object(address, access)? {
            Some((object, offset)) => Key::Object(object, offset),
            None => Key::Own(own, address),
        })
    }

    /// A number that differs for most keys.
    pub(super) fn hash(&self) -> u64 {
        /// Odd, and without a pattern: the fraction of the golden ratio.
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |a: u64, b: u64| (a ^ b).wrapping_mul(MULTIPLIER).rotate_left(29);
        match *self {
            Key::Private(space, address) => mix(mix(1, space as u64), address),
            Key::Own(space, address) => mix(mix(2, space as u64), address),
            Key::Object(object, offset) => mix(mix(mix(3, object.device), object.inode), offset),
        }
        .wrapping_mul(MULTIPLIER)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;
    use crate::memory::Identity;

    #[test]
    fn neighbouring_words_go_to_different_buckets() {
        let mut seen = alloc::collections::BTreeSet::new();
        for word in 0..1024_u64 {
            seen.insert(Key::Private(0xffff_8000_0010_0000, 0x7000_0000 + word * 4).hash() >> 54);
        }
        assert!(seen.len() > 500, "{} of 1024", seen.len());
    }

    #[test]
    fn the_kinds_never_meet() {
        let object = Identity {
            device: 0,
            inode: 5,
        };
        let keys = [Key::Private(5, 8), Key::Own(5, 8), Key::Object(object, 8)];
        for (i, one) in keys.iter().enumerate() {
            for other in &keys[i + 1..] {
                assert_ne!(one, other);
                assert_ne!(one.hash(), other.hash());
            }
        }
    }
}
