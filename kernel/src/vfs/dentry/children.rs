//! The children of a dentry: a slab of slots and an index of them by name.
//!
//! A child keeps its slot for life, so a slot's number is a cursor that stays
//! good while others come and go: a directory read in pieces shows every entry
//! that was there all the time exactly once. Free slots are linked and used
//! again.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use hashbrown::HashTable;
use ochre_abi::Errno;

use super::{Dentry, VisitChild};

/// No free slot.
const END: u32 = u32::MAX;

/// A child as its parent knows it.
pub(in crate::vfs) enum Child {
    /// In a resident directory.
    Held(Arc<Dentry>),
    /// In another: it lives while somebody uses it.
    Remembered(Weak<Dentry>),
}

impl Child {
    fn address(&self) -> *const Dentry {
        match self {
            Child::Held(child) => Arc::as_ptr(child),
            Child::Remembered(child) => child.as_ptr(),
        }
    }
}

enum Slot {
    Free(u32),
    Used { hash: u64, child: Child },
}

#[derive(Default)]
enum State {
    /// No child yet.
    #[default]
    Empty,
    Open(Box<Table>),
    /// Removed: no child ever again.
    Closed,
}

/// The children of one directory.
#[derive(Default)]
pub(in crate::vfs) struct Children {
    state: State,
}

/// Slots and their index.
pub(in crate::vfs) struct Table {
    slots: Vec<Slot>,
    index: HashTable<u32>,
    free: u32,
}

/// The hash of a name: eight bytes at a time, multiplied and folded.
pub(super) fn hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = name.len() as u64;
    let mut add = |word: u64| {
        let product = u128::from(state ^ word).wrapping_mul(u128::from(FACTOR));
        state = (product as u64) ^ ((product >> 64) as u64).rotate_left(23);
    };
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        add(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    add(u64::from_le_bytes(last));
    state.wrapping_mul(FACTOR)
}

impl Table {
    fn find(&self, hash: u64, mut fits: impl FnMut(&Child) -> bool) -> Option<u32> {
        self.index
            .find(hash, |slot| match &self.slots[*slot as usize] {
                Slot::Used { hash: other, child } => *other == hash && fits(child),
                Slot::Free(_) => false,
            })
            .copied()
    }

    fn free(&mut self, hash: u64, slot: u32) -> Option<Child> {
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        let old = core::mem::replace(&mut self.slots[slot as usize], Slot::Free(self.free));
        self.free = slot;
        if self.index.is_empty() {
            // Nobody can tell slots of an empty directory apart: begin anew.
            self.slots.clear();
            self.free = END;
        }
        match old {
            Slot::Used { child, .. } => Some(child),
            Slot::Free(_) => None,
        }
    }

    /// Takes any held child out, for the end of a tree.
    pub(super) fn pop(&mut self) -> Option<Arc<Dentry>> {
        while let Some(slot) = self.slots.pop() {
            if let Slot::Used {
                child: Child::Held(child),
                ..
            } = slot
            {
                return Some(child);
            }
        }
        None
    }
}

impl Children {
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The child of that name. One that is only remembered fits by hash; its
    /// name is for the caller to compare once the lock is released, because the
    /// handle may turn out to be the last, and its drop takes the lock.
    pub(super) fn get(&self, hash: u64, name: &[u8]) -> Option<Arc<Dentry>> {
        let State::Open(table) = &self.state else {
            return None;
        };
        let mut found = None;
        table.find(hash, |child| match child {
            Child::Held(child) if child.with_name(|other| other == name) => {
                found = Some(Arc::clone(child));
                true
            }
            Child::Held(_) => false,
            Child::Remembered(child) => {
                found = child.upgrade();
                found.is_some()
            }
        });
        found
    }

    pub(super) fn reserve(&mut self) -> Result<(), Errno> {
        if let State::Empty = self.state {
            self.state = State::Open(Box::new(Table {
                slots: Vec::new(),
                index: HashTable::new(),
                free: END,
            }));
        }
        let State::Open(table) = &mut self.state else {
            return Err(Errno::ENOENT);
        };
        let Table { slots, index, free } = &mut **table;
        if *free == END {
            if slots.len() >= END as usize {
                return Err(Errno::ENOSPC);
            }
            slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        }
        index
            .try_reserve(1, |slot| match &slots[*slot as usize] {
                Slot::Used { hash, .. } => *hash,
                Slot::Free(_) => 0,
            })
            .map_err(|_| Errno::ENOMEM)
    }

    pub(super) fn insert(&mut self, hash: u64, child: Child) -> Result<(), Errno> {
        self.reserve()?;
        let State::Open(table) = &mut self.state else {
            return Err(Errno::ENOENT);
        };
        let Table { slots, index, free } = &mut **table;
        let used = Slot::Used { hash, child };
        let slot = *free;
        match slots.get_mut(slot as usize) {
            Some(place) => {
                if let Slot::Free(next) = place {
                    *free = *next;
                }
                *place = used;
            }
            None => slots.push(used),
        }
        let slot = if slot == END {
            (slots.len() - 1) as u32
        } else {
            slot
        };
        index.insert_unique(hash, slot, |slot| match &slots[*slot as usize] {
            Slot::Used { hash, .. } => *hash,
            Slot::Free(_) => 0,
        });
        Ok(())
    }

    pub(super) fn remove(&mut self, hash: u64, child: &Arc<Dentry>) -> Option<Child> {
        self.forget(hash, Arc::as_ptr(child))
    }

    /// Removes the child at that address.
    pub(super) fn forget(&mut self, hash: u64, address: *const Dentry) -> Option<Child> {
        let State::Open(table) = &mut self.state else {
            return None;
        };
        let slot = table.find(hash, |child| core::ptr::eq(child.address(), address))?;
        table.free(hash, slot)
    }

    /// Closes a directory; a resident one must be empty.
    pub(super) fn close(&mut self, resident: bool) -> Result<(), Errno> {
        if let State::Open(table) = &self.state
            && resident
            && !table.index.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        self.state = State::Closed;
        Ok(())
    }

    pub(super) fn reopen(&mut self) {
        if self.is_closed() {
            self.state = State::Empty;
        }
    }

    /// Takes the table out, for the end of a tree.
    pub(super) fn take(&mut self) -> Option<Box<Table>> {
        match core::mem::take(&mut self.state) {
            State::Open(table) => Some(table),
            State::Empty | State::Closed => None,
        }
    }

    /// Visits held children from slot `cursor` on.
    pub(super) fn visit(&self, cursor: u64, visit: &mut VisitChild<'_>) {
        let State::Open(table) = &self.state else {
            return;
        };
        let start = usize::try_from(cursor).unwrap_or(usize::MAX);
        for (number, slot) in table.slots.iter().enumerate().skip(start) {
            if let Slot::Used {
                child: Child::Held(child),
                ..
            } = slot
                && !child.with_name(|name| visit(name, child.inode(), number as u64 + 1))
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn names_that_differ_little_hash_apart() {
        let names: std::collections::BTreeSet<u64> = (0..5000)
            .map(|number| hash(format!("file{number}").as_bytes()) >> 40)
            .collect();
        assert!(names.len() > 4950, "{}", names.len());
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }
}
