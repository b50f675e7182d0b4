//! A table of objects by number, as each kind of System V communication has one.
//!
//! A number is a place in the table and how often the places were gone through:
//! the number of an object that is gone is not given to the next one at once.
//!
//! ```text
//! number   0 | sequence: 16 | place: 15
//! ```
//!
//! # What must hold
//! A key is in `keys` exactly as long as the object of the number can be found by it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::ipc::IPC_PRIVATE;

/// Bits of a place.
const PLACE_BITS: u32 = 15;

/// The most objects that a table can have.
pub(super) const MOST: u32 = 1 << PLACE_BITS;

/// Places are gone through at least this far before one is used again.
const LEAST_CYCLE: u32 = 64;

/// What a number says after the place, at most.
const SEQUENCES: u32 = 1 << 16;

/// What a number says after the place.
pub(super) fn sequence(number: i32) -> u16 {
    // CAST: sixteen bits of a number that is not negative.
    (number >> PLACE_BITS) as u16
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ids<T> {
    places: BTreeMap<u32, (u32, Arc<T>)>,
    keys: BTreeMap<i32, u32>,
    /// The place given last, and the sequence it was given in.
    last: Option<u32>,
    sequence: u32,
}

impl<T> Ids<T> {
    pub(super) const fn new() -> Ids<T> {
        Ids {
            places: BTreeMap::new(),
            keys: BTreeMap::new(),
            last: None,
            sequence: 0,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The highest place in use; 0 if none is.
    pub(super) fn highest(&self) -> u32 {
        self.places.keys().next_back().copied().unwrap_or(0)
    }

    /// All, by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.places.values().map(|(_, object)| object)
    }

    /// The first at a place or behind it, and its place.
    pub(super) fn next_from(&self, place: u32) -> Option<(u32, Arc<T>)> {
        let (place, (_, object)) = self.places.range(place..).next()?;
        Some((*place, Arc::clone(object)))
    }

    /// The object of a number.
    pub(super) fn get(&self, number: i32) -> Result<Arc<T>, Errno> {
        let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
        match self.places.get(&(number % MOST)) {
            Some((sequence, object)) if *sequence == number / MOST => Ok(Arc::clone(object)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The object at the place that a number says, whatever else it says.
    pub(super) fn at(&self, number: i32) -> Result<Arc<T>, Errno> {
        let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
        let found = self.places.get(&(number % MOST));
        found
            .map(|(_, object)| Arc::clone(object))
            .ok_or(Errno::EINVAL)
    }

    /// The object of a key.
    pub(super) fn by_key(&self, key: i32) -> Option<Arc<T>> {
        let place = self.keys.get(&key)?;
        self.places.get(place).map(|(_, object)| Arc::clone(object))
    }

    /// Adds what `make` makes of its number.
    ///
    /// # Errors
    /// ENOSPC once there are `limit`; what `make` says.
    pub(super) fn add(
        &mut self,
        key: i32,
        limit: u32,
        make: impl FnOnce(i32) -> Result<Arc<T>, Errno>,
    ) -> Result<Arc<T>, Errno> {
        let limit = limit.min(MOST);
        let used = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        if used >= limit {
            return Err(Errno::ENOSPC);
        }
        let cycle = (used + used / 2).max(LEAST_CYCLE).min(limit);
        let start = self.last.map_or(0, |last| last + 1);
        let is_free = |place: &u32| !self.places.contains_key(place);
        let place = (start..cycle)
            .chain(0..cycle)
            .find(is_free)
            .ok_or(Errno::ENOSPC)?;
        if self.last.is_some_and(|last| place <= last) {
            self.sequence = (self.sequence + 1) % SEQUENCES;
        }
        // CAST: 31 bits.
        let object = make((self.sequence * MOST + place) as i32)?;
        self.last = Some(place);
        self.places
            .insert(place, (self.sequence, Arc::clone(&object)));
        if key != IPC_PRIVATE {
            self.keys.insert(key, place);
        }
        Ok(object)
    }

    /// Nobody finds it by its key any more.
    pub(super) fn forget_key(&mut self, key: i32) {
        if key != IPC_PRIVATE {
            self.keys.remove(&key);
        }
    }

    /// Takes an object out. Its key was forgotten before.
    pub(super) fn remove(&mut self, number: i32) -> Option<Arc<T>> {
        let place = u32::try_from(number).ok()? % MOST;
        self.places.remove(&place).map(|(_, object)| object)
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use ochre_abi::Errno;

    use super::{Ids, LEAST_CYCLE, MOST};

    fn add(ids: &mut Ids<i32>, key: i32) -> i32 {
        *ids.add(key, 4096, |number| Ok(Arc::new(number))).unwrap()
    }

    #[test]
    fn numbers_come_again_late() {
        let mut ids = Ids::new();
        let first = add(&mut ids, 0);
        assert_eq!(first, 0);
        assert_eq!(ids.remove(first).as_deref(), Some(&0));
        for number in 1..LEAST_CYCLE as i32 {
            assert_eq!(add(&mut ids, 0), number);
            ids.remove(number);
        }
        let again = add(&mut ids, 0);
        assert_eq!(
            again, MOST as i32,
            "the place is the first, the number is new"
        );
        assert_eq!(ids.get(first), Err(Errno::EINVAL));
        assert_eq!(ids.at(first).as_deref(), Ok(&again));
        assert_eq!(ids.get(-1), Err(Errno::EINVAL));
    }

    #[test]
    fn keys_find_what_is_not_forgotten() {
        let mut ids = Ids::new();
        let own = add(&mut ids, 0);
        let named = add(&mut ids, 7);
        assert_eq!(ids.by_key(7).as_deref(), Some(&named));
        assert_eq!(ids.by_key(0), None);
        ids.forget_key(7);
        assert_eq!(ids.by_key(7), None);
        assert_eq!(ids.get(named).as_deref(), Ok(&named));
        assert_eq!((ids.len(), ids.highest()), (2, 1));
        assert_eq!(
            ids.iter().map(|one| **one).collect::<Vec<_>>(),
            [own, named]
        );
    }

    #[test]
    fn there_are_as_many_as_the_limit_says() {
        let mut ids = Ids::new();
        for number in 0..100 {
            let added = ids.add(0, 100, |number| Ok(Arc::new(number)));
            assert_eq!(added.as_deref(), Ok(&number));
        }
        let more = ids.add(0, 100, |number| Ok(Arc::new(number)));
        assert_eq!(more, Err(Errno::ENOSPC));
        ids.remove(50);
        let more = ids.add(0, 100, |number| Ok(Arc::new(number)));
        assert_eq!(more.as_deref(), Ok(&(MOST as i32 + 50)));
    }
}
