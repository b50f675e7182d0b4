//! Who maps an object: the way back from a page to the address spaces it is in.
//!
//! A file that gets shorter, or gets a hole, must vanish from every program
//! that maps it. So an object keeps a list of the address spaces that mapped
//! it; which of their areas, the areas themselves say.
//!
//! # What must hold
//! A space is in the list before it has a page of the object. It may be there
//! for longer, until it ends. The object gives no page out any more before it
//! calls [`Mappers::forget`], so that none comes back behind it.
//!
//! # Lock protocol
//! The list's lock is held for a look-up only, never with a space locked
//! inside.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::ops::{Bound, Range};

use ochre_hal::memory::{Flush, PageTable, UserFrame};
use ochre_sync::SpinLock;

use super::area::{Area, PAGE, Source};
use super::space::{Inner, join};
use super::{AddressSpace, Identity};

/// Which pages have to go.
#[derive(Clone, Copy)]
pub enum Gone<'a> {
    /// All, a private mapping's own copies too: the object has ended there.
    End,
    /// Those that show this frame of the object: the object has a hole there.
    Hole(&'a dyn Fn(u64, &UserFrame) -> bool),
}

/// The address spaces that map an object.
#[derive(Debug, Default)]
pub struct Mappers {
    /// By their numbers, the older first.
    spaces: SpinLock<BTreeMap<u64, Weak<AddressSpace>>>,
}

/// So many in the list are worth no look for those that ended.
const FEW: usize = 8;

impl Mappers {
    /// Nobody maps it yet.
    #[must_use]
    pub const fn new() -> Mappers {
        Mappers {
            spaces: SpinLock::new(BTreeMap::new()),
        }
    }

    /// A space is about to map the object.
    pub(super) fn add(&self, space: &AddressSpace) {
        let mut spaces = self.spaces.lock();
        let before = spaces.len();
        spaces
            .entry(space.number())
            .or_insert_with(|| Weak::clone(space.me()));
        let count = spaces.len();
        // A space that unmapped the object before its end did not take itself
        // off: whenever the list has doubled, it is looked for.
        if count > before && count > FEW && count.is_power_of_two() {
            spaces.retain(|_, space| space.strong_count() > 0);
        }
    }

    /// How many spaces are in the list.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.spaces.lock().len()
    }

    /// A space ends.
    pub(super) fn remove(&self, space: &AddressSpace) {
        let gone = self.spaces.lock().remove(&space.number());
        drop(gone);
    }

    /// Whether any area of the object is so. Call it with no space and no lock
    /// of the object held.
    pub fn any(&self, identity: Identity, is_so: impl Fn(&Area) -> bool) -> bool {
        let mut found = false;
        self.each(|space| {
            found |= space.inner().areas.iter().any(|area| {
                let is_of = |source: &Source| source.backing.identity() == identity;
                area.source.as_ref().is_some_and(is_of) && is_so(area)
            });
        });
        found
    }

    /// Areas of the object `identity`, in all spaces. Call it with no space and no
    /// lock of the object held.
    pub fn count(&self, identity: Identity) -> usize {
        let mut count: usize = 0;
        self.each(|space| {
            let inner = space.inner();
            let sources = inner.areas.iter().filter_map(|area| area.source.as_ref());
            count += sources
                .filter(|source| source.backing.identity() == identity)
                .count();
        });
        count
    }

    /// Takes pages of the object `identity` out of every space. Call it with no
    /// space and no lock of the object held.
    pub fn forget(&self, identity: Identity, pages: Range<u64>, gone: Gone<'_>) {
        self.each(|space| space.inner().forget(identity, &pages, gone));
    }

    /// Visits the spaces that live, the older first: who is forked meanwhile has
    /// the pages that its parent has then, and its turn comes after the parent's.
    fn each(&self, mut see: impl FnMut(&AddressSpace)) {
        let mut after = Bound::Unbounded;
        loop {
            let next = self
                .spaces
                .lock()
                .range((after, Bound::Unbounded))
                .next()
                .map(|(key, space)| (*key, Weak::clone(space)));
            let Some((key, space)) = next else {
                return;
            };
            after = Bound::Excluded(key);
            if let Some(space) = space.upgrade() {
                see(&space);
            }
        }
    }
}

impl AddressSpace {
    /// Says to what is mapped that this space maps it.
    pub(super) fn announce<'a>(&self, areas: impl Iterator<Item = &'a Area>) {
        let mut last: Option<&Area> = None;
        for area in areas {
            let Some(source) = &area.source else {
                continue;
            };
            let is_same = last
                .and_then(|last| last.source.as_ref())
                .is_some_and(|last| Arc::ptr_eq(&last.backing, &source.backing));
            last = Some(area);
            if !is_same {
                if let Some(mappers) = source.backing.mappers() {
                    mappers.add(self);
                }
                source.backing.mapped();
            }
        }
    }
}

impl Inner {
    /// Takes pages of an object out of the areas that show them.
    fn forget(&mut self, identity: Identity, pages: &Range<u64>, gone: Gone<'_>) {
        self.note_peak();
        let mut flush = None;
        for area in self.areas.iter() {
            let Some(source) = &area.source else {
                continue;
            };
            if source.backing.mappers().is_none() || source.backing.identity() != identity {
                continue;
            }
            let part = shown(area, source.first, pages);
            if part.is_empty() {
                continue;
            }
            match gone {
                Gone::Hole(is_gone) if !area.is_shared() => {
                    let mut address = part.start;
                    while address < part.end {
                        let index = area.index_of(source, address);
                        let is_gone = self
                            .table
                            .query(address)
                            .is_some_and(|mapping| is_gone(index, &mapping.frame));
                        if is_gone {
                            let page = address..address + PAGE;
                            join(&mut flush, take_out(&mut self.table, page));
                        }
                        address += PAGE;
                    }
                }
                _ => join(&mut flush, take_out(&mut self.table, part)),
            }
        }
        if let Some(flush) = flush {
            flush.flush();
        }
    }
}

/// Unmaps pages of an object.
fn take_out(table: &mut PageTable, range: Range<u64>) -> Flush {
    let flush = table.unmap(range);
    flush.expect("no table that forks share has pages of objects")
}

/// The addresses at which an area shows pages of its object.
fn shown(area: &Area, first: u64, pages: &Range<u64>) -> Range<u64> {
    let len = area.bytes() / PAGE;
    let from = pages.start.saturating_sub(first).min(len);
    let to = pages.end.saturating_sub(first).min(len);
    area.start + from * PAGE..area.start + to * PAGE
}
