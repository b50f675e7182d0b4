//! A copy of an address space for a child process.
//!
//! Private pages are shared until one side writes, shared ones for good. That
//! costs by the pages that are there, which may be all of memory, so a large
//! space is copied by parts ([`Fork`]), between which others run. Of what
//! belongs to no object, whole tables are shared; objects take their pages
//! out of every space, which may not fail for want of a table.
//!
//! # What must hold
//! A child has the areas that its parent had at one moment. So if they changed
//! between two parts (another thread mapped something), the child is thrown away
//! and a new one begun, with parts twice as large: however busy the other threads
//! are, it comes to an end. Pages may come and go meanwhile: a page that
//! another thread touches first belongs to who touched it, as when it had been
//! touched after the fork.
//!
//! The child has its areas, and stands in the lists of the files that it maps,
//! before it has a page. Who makes a file shorter looks at older spaces first:
//! it takes the pages out of the parent, then out of the child.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_hal::memory::{self, OutOfMemory, PAGE_SIZE, Sharing};

use super::area::{Area, AreaFlags};
use super::commit::Overcommit;
use super::space::{Inner, join};
use super::{AddressSpace, may_promise};

/// Pages that one part shares, about.
const AT_ONCE: usize = 8192;

/// What an area counts as.
const PER_AREA: usize = 4;

/// Areas that one part copies.
const AREAS_AT_ONCE: usize = 512;

/// A copy that is being made. Dropped early, it was none.
#[derive(Debug)]
pub struct Fork {
    child: Arc<AddressSpace>,
    /// Up to where areas are copied.
    copied: u64,
    /// Up to where pages are shared.
    next: u64,
    /// The parent's areas, as their map counts changes.
    changes: u64,
    /// How often parts became twice as large.
    restarts: u32,
    /// What is thrown away of an attempt before.
    abandoned: Option<Arc<AddressSpace>>,
}

impl Fork {
    /// Does a part of it; whether that was the last one.
    ///
    /// # Errors
    /// ENOMEM; the copy is then to be wound down and dropped.
    pub fn step(&mut self, parent: &AddressSpace) -> Result<bool, Errno> {
        if !self.is_clean() {
            return Ok(false);
        }
        let mut inner = parent.inner();
        if inner.areas.changes() != self.changes {
            let again = Fork::begin(&inner, self.restarts.saturating_add(1))?;
            let before = core::mem::replace(self, again);
            self.abandoned = Some(before.child);
        }
        self.advance(&mut inner)
    }

    /// The child's space, once the last part is done.
    #[must_use]
    pub fn into_child(self) -> Arc<AddressSpace> {
        self.child
    }

    /// Areas that the child has.
    #[cfg(test)]
    pub(super) fn child_areas(&self) -> usize {
        self.child.inner().areas.len()
    }

    /// Gives up a part of a copy that nobody wants any more; whether what is left
    /// is little enough to be dropped.
    pub fn wind_down(&mut self) -> bool {
        self.is_clean() && self.child.wind_down()
    }

    /// Gives up a part of what an earlier attempt left; whether it is gone.
    fn is_clean(&mut self) -> bool {
        if let Some(abandoned) = &self.abandoned
            && !abandoned.wind_down()
        {
            return false;
        }
        self.abandoned = None;
        true
    }

    /// A child without areas and pages.
    fn begin(parent: &Inner, restarts: u32) -> Result<Fork, Errno> {
        // Otherwise none of the areas is too large by itself.
        let is_strict = Overcommit::now() == Overcommit::Never;
        if is_strict && !may_promise(parent.areas.accounted_pages()) {
            return Err(Errno::ENOMEM);
        }
        let child = AddressSpace::new(parent.limits).map_err(|OutOfMemory| Errno::ENOMEM)?;
        let mut inner = child.inner();
        inner.layout = parent.layout;
        inner.heap = parent.heap.clone();
        inner.facts = Arc::clone(&parent.facts);
        inner.refuses_huge = parent.refuses_huge;
        drop(inner);
        Ok(Fork {
            child,
            copied: 0,
            next: 0,
            changes: parent.areas.changes(),
            restarts,
            abandoned: None,
        })
    }

    /// Copies areas, or shares pages, as many as a poll has time for; whether
    /// that was all.
    fn advance(&mut self, parent: &mut Inner) -> Result<bool, Errno> {
        let larger = |count: usize| count.saturating_mul(1 << self.restarts.min(16));
        let (areas, pages) = (larger(AREAS_AT_ONCE), larger(AT_ONCE));
        if self.copied < u64::MAX {
            let is_first = self.copied == 0;
            self.copy_areas(parent, areas)?;
            // Many are a part by themselves.
            if !is_first || self.copied < u64::MAX {
                return Ok(false);
            }
        }
        self.share(parent, pages)
    }

    /// Copies areas.
    fn copy_areas(&mut self, parent: &Inner, at_once: usize) -> Result<(), Errno> {
        if !memory::has_headroom(frames_for_areas(at_once.min(parent.areas.len()))) {
            return Err(Errno::ENOMEM);
        }
        let areas = || parent.areas.overlapping(self.copied..u64::MAX);
        let next = areas().nth(at_once).map_or(u64::MAX, |area| area.start);
        self.child.announce(areas().take(at_once));
        let mut theirs = self.child.inner();
        let Inner {
            areas: copies,
            next_set,
            ..
        } = &mut *theirs;
        if self.copied == 0 && next == u64::MAX {
            *copies = parent.areas.for_child(next_set);
        } else {
            for area in areas().take(at_once) {
                copies.inherit(area, next_set);
            }
        }
        theirs.settle();
        drop(theirs);
        self.copied = next;
        Ok(())
    }

    /// Shares pages while the budget lasts; whether that was all.
    fn share(&mut self, parent: &mut Inner, mut budget: usize) -> Result<bool, Errno> {
        let mut theirs = self.child.inner();
        let mut flush = None;
        let mut result = Ok(true);
        for area in parent.areas.overlapping(self.next..u64::MAX) {
            if budget == 0 {
                result = Ok(false);
                break;
            }
            let range = area.start.max(self.next)..area.end;
            budget = budget.saturating_sub(PER_AREA);
            self.next = area.end;
            let not_shared = AreaFlags::DONT_FORK | AreaFlags::WIPE_ON_FORK;
            if area.flags.intersects(not_shared) {
                continue;
            }
            let sharing = match (&area.source, area.is_shared()) {
                (_, true) => Sharing::ForGood,
                (Some(_), false) => Sharing::CopyOnWrite,
                (None, false) => Sharing::Tables,
            };
            let shared =
                parent
                    .table
                    .share_some_into(&mut theirs.table, range, sharing, &mut budget);
            match shared {
                Ok((one, next)) => {
                    join(&mut flush, one);
                    self.next = next;
                    if next < area.end {
                        result = Ok(false);
                        break;
                    }
                }
                Err(OutOfMemory) => {
                    result = Err(Errno::ENOMEM);
                    break;
                }
            }
        }
        if let Some(flush) = flush {
            flush.flush();
        }
        result
    }
}

/// Bytes that the kernel's own records of a fork may need, in frames.
fn frames_for_areas(areas: usize) -> usize {
    4 + areas * size_of::<Area>() * 2 / PAGE_SIZE
}

impl AddressSpace {
    /// A copy for a child process, made in one go.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn fork(&self) -> Result<Arc<AddressSpace>, Errno> {
        self.make_room();
        let mut inner = self.inner();
        let mut fork = Fork::begin(&inner, 0)?;
        while !fork.advance(&mut inner)? {}
        Ok(fork.child)
    }

    /// Begins a copy for a child process; whether it is complete already.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn start_fork(&self) -> Result<(Fork, bool), Errno> {
        self.make_room();
        let mut inner = self.inner();
        let mut fork = Fork::begin(&inner, 0)?;
        let is_over = fork.advance(&mut inner)?;
        Ok((fork, is_over))
    }
}
