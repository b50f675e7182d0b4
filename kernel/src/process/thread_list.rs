//! The threads of a process.
//!
//! A thread knows its place in the list, so that it is taken out at once
//! however many there are: the last one takes its place. Whoever looks through
//! the list finds the thread that was first there first, as long as it lives.
//!
//! # Invariants
//! The thread at `i` has `i` in its slot. Only this module writes the slots of
//! threads in a list, with the list borrowed exclusively.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use ochre_abi::Errno;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use super::Thread;
use crate::memory::MakeRoom;

/// What can be in a [`List`].
pub trait Listed {
    /// Where the list keeps its place.
    fn slot(&self) -> &Slot;
}

/// A place in a list; of no meaning outside of one.
#[derive(Debug, Default)]
pub struct Slot(AtomicU32);

// ORDERING: Relaxed in both; the lock around the list orders its users.
impl Slot {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed) as usize
    }

    fn set(&self, place: usize) {
        // CAST: a process has fewer threads than there are numbers.
        self.0.store(place as u32, Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Debug)]
pub struct List<T> {
    all: Vec<Arc<T>>,
}

/// The threads of a process.
pub type ThreadList = List<Thread>;

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List { all: Vec::new() }
    }
}

impl<T: Listed> List<T> {
    /// Makes room for one more.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn make_room(&mut self, more: usize) -> Result<(), Errno> {
        self.all.make_room(more)
    }

    /// Adds one; there is room for it.
    pub fn push(&mut self, one: Arc<T>) {
        one.slot().set(self.all.len());
        self.all.push(one);
    }

    /// Takes one out, if it is in.
    pub fn remove(&mut self, one: &Arc<T>) -> Option<Arc<T>> {
        let place = one.slot().get();
        if !Arc::ptr_eq(self.all.get(place)?, one) {
            return None;
        }
        let removed = self.all.swap_remove(place);
        if let Some(moved) = self.all.get(place) {
            moved.slot().set(place);
        }
        if self.all.len() < self.all.capacity() / 4 {
            self.shrink();
        }
        Some(removed)
    }

    /// Gives memory back, for a process that had very many threads once, if
    /// there is any for a smaller list.
    fn shrink(&mut self) {
        let mut smaller = Vec::new();
        // `Vec::shrink_to` has no way to fail.
        if smaller.make_room_exact(self.all.len() * 2).is_ok() {
            smaller.append(&mut self.all);
            self.all = smaller;
        }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.all.clear();
    }
}

impl<T> Deref for List<T> {
    type Target = [Arc<T>];

    fn deref(&self) -> &[Arc<T>] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::{List, Listed, Slot};
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    #[derive(Default)]
    struct One(Slot);

    impl Listed for One {
        fn slot(&self) -> &Slot {
            &self.0
        }
    }

    #[test]
    fn every_one_is_found_at_its_place_whatever_went_before() {
        let made: Vec<Arc<One>> = (0..100).map(|_| Arc::default()).collect();
        let mut list = List::default();
        for one in &made {
            list.push(Arc::clone(one));
        }
        // In an order that takes from the middle, the end and the beginning.
        let order: Vec<usize> = (0..100).map(|i| i * 37 % 100).filter(|i| *i != 0).collect();
        for (gone, at) in order.iter().enumerate() {
            let one = &made[*at];
            assert!(list.remove(one).is_some_and(|out| Arc::ptr_eq(&out, one)));
            assert!(list.remove(one).is_none());
            assert_eq!(list.len(), 99 - gone);
            assert!(Arc::ptr_eq(&list[0], &made[0]), "the first stays the first");
        }
        assert!(list.all.capacity() < 8, "{}", list.all.capacity());
        assert!(list.remove(&made[0]).is_some());
        assert!(list.is_empty());
    }
}
