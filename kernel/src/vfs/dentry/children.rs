//! The children of a dentry: a slab of slots and an index of them by name.
//!
//! The index is a table of slot numbers, at most half full, searched from the
//! place that the hash of the name points at; a removal moves those behind it
//! up, so there are no marks of the removed to search over. A walk asks once a
//! component: it is written to be short, which a general map is not.
//!
//! A child keeps its slot for life, so a slot's number is a cursor that stays
//! good while others come and go: a directory read in pieces shows every entry
//! that was there all the time exactly once. Free slots are linked and used
//! again.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use ochre_abi::Errno;

use super::{Dentry, VisitChild};
use crate::memory::MakeRoom;

/// No slot.
const END: u32 = u32::MAX;

/// Places of the smallest index.
const INDEX_MIN: usize = 8;

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
    /// Numbers of slots, or [`END`]; a power of two of them, or none.
    index: Vec<u32>,
    used: usize,
    free: u32,
}

/// Whether two names are the same; short ones, mostly, so without a call.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    words
        .iter()
        .zip(other_words)
        .all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
        && rest.iter().zip(other_rest).all(|(a, b)| a == b)
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
    let mut last = 0;
    for byte in rest {
        last = last << 8 | u64::from(*byte);
    }
    add(last);
    state.wrapping_mul(FACTOR)
}

impl Table {
    /// The place in the index and the slot of the first child of that hash that
    /// fits.
    #[inline]
    fn find(&self, hash: u64, mut fits: impl FnMut(&Child) -> bool) -> Option<(usize, u32)> {
        let mask = self.index.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        // Half of the index is free, so the search ends.
        while let Some(slot) = self.index.get(place)
            && *slot != END
        {
            if let Some(Slot::Used { hash: other, child }) = self.slots.get(*slot as usize)
                && *other == hash
                && fits(child)
            {
                return Some((place, *slot));
            }
            place = (place + 1) & mask;
        }
        None
    }

    fn hash_of(&self, slot: u32) -> u64 {
        match self.slots.get(slot as usize) {
            Some(Slot::Used { hash, .. }) => *hash,
            _ => 0,
        }
    }

    /// Puts a slot into the index, which has room.
    fn enter(&mut self, hash: u64, slot: u32) {
        let mask = self.index.len() - 1;
        let mut place = hash as usize & mask;
        while self.index[place] != END {
            place = (place + 1) & mask;
        }
        self.index[place] = slot;
    }

    /// Takes a place out of the index and moves those behind it up that were
    /// pushed beyond it.
    fn leave(&mut self, mut hole: usize) {
        let mask = self.index.len() - 1;
        let mut place = (hole + 1) & mask;
        while self.index[place] != END {
            let home = self.hash_of(self.index[place]) as usize & mask;
            if (place.wrapping_sub(home) & mask) >= (place.wrapping_sub(hole) & mask) {
                self.index[hole] = self.index[place];
                hole = place;
            }
            place = (place + 1) & mask;
        }
        self.index[hole] = END;
    }

    /// Makes room for one more in the index.
    fn grow_index(&mut self) -> Result<(), Errno> {
        if (self.used + 1) * 2 <= self.index.len() {
            return Ok(());
        }
        let len = ((self.used + 1) * 2).next_power_of_two().max(INDEX_MIN);
        let mut index = Vec::new();
        index.make_room_exact(len)?;
        index.resize(len, END);
        let old = core::mem::replace(&mut self.index, index);
        for slot in old {
            if slot != END {
                self.enter(self.hash_of(slot), slot);
            }
        }
        Ok(())
    }

    fn free(&mut self, place: usize, slot: u32) -> Option<Child> {
        self.leave(place);
        self.used -= 1;
        let old = core::mem::replace(&mut self.slots[slot as usize], Slot::Free(self.free));
        self.free = slot;
        if self.used == 0 {
            // Nobody can tell slots of an empty directory apart: begin anew.
            self.slots = Vec::new();
            self.index = Vec::new();
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
            Child::Held(child) if child.with_name(|other| is_same(other, name)) => {
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

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        match &self.state {
            State::Open(table) => table.used,
            State::Empty | State::Closed => 0,
        }
    }

    pub(super) fn reserve(&mut self) -> Result<(), Errno> {
        if let State::Empty = self.state {
            self.state = State::Open(Box::new(Table {
                slots: Vec::new(),
                index: Vec::new(),
                used: 0,
                free: END,
            }));
        }
        let State::Open(table) = &mut self.state else {
            return Err(Errno::ENOENT);
        };
        if table.free == END {
            if table.slots.len() >= END as usize {
                return Err(Errno::ENOSPC);
            }
            table.slots.make_room(1)?;
        }
        table.grow_index()
    }

    pub(super) fn insert(&mut self, hash: u64, child: Child) -> Result<(), Errno> {
        self.reserve()?;
        let State::Open(table) = &mut self.state else {
            return Err(Errno::ENOENT);
        };
        let used = Slot::Used { hash, child };
        let mut slot = table.free;
        match table.slots.get_mut(slot as usize) {
            Some(place) => {
                if let Slot::Free(next) = place {
                    table.free = *next;
                }
                *place = used;
            }
            None => {
                slot = table.slots.len() as u32;
                table.slots.push(used);
            }
        }
        table.enter(hash, slot);
        table.used += 1;
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
        let (place, slot) = table.find(hash, |child| core::ptr::eq(child.address(), address))?;
        table.free(place, slot)
    }

    /// Closes a directory; a resident one must be empty.
    pub(super) fn close(&mut self, resident: bool) -> Result<(), Errno> {
        if let State::Open(table) = &self.state
            && resident
            && table.used > 0
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
    use super::{hash, is_same};

    #[test]
    fn names_are_compared_to_the_last_byte() {
        for len in 0..30 {
            let name: Vec<u8> = (0..len).collect();
            assert!(is_same(&name, &name.clone()));
            for changed in 0..usize::from(len) {
                let mut other = name.clone();
                other[changed] ^= 1;
                assert!(!is_same(&name, &other));
            }
            assert!(!is_same(&name, &[&name[..], b"x"].concat()));
        }
    }

    #[test]
    fn names_that_differ_little_hash_apart() {
        let names: std::collections::BTreeSet<u64> = (0..5000)
            .map(|number| hash(format!("file{number}").as_bytes()) >> 40)
            .collect();
        assert!(names.len() > 4950, "{}", names.len());
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }
}
