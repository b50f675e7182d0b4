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
//! and a new one made in one go. Pages may come and go meanwhile: a page that
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

/// A copy that is being made. Dropped early, it was none.
#[derive(Debug)]
pub struct Fork {
    child: Arc<AddressSpace>,
    /// Up to where pages are shared.
    next: u64,
    /// The parent's areas, as their map counts changes.
    changes: u64,
}

impl Fork {
    /// Does a part of it; whether that was the last one.
    ///
    /// # Errors
    /// ENOMEM; the copy is then to be dropped.
    pub fn step(&mut self, parent: &AddressSpace) -> Result<bool, Errno> {
        let mut inner = parent.inner();
        if inner.areas.changes() != self.changes {
            drop(inner);
            self.child = parent.fork()?;
            return Ok(true);
        }
        self.share(&mut inner, AT_ONCE)
    }

    /// The child's space, once the last part is done.
    #[must_use]
    pub fn into_child(self) -> Arc<AddressSpace> {
        self.child
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
        let mut inner = self.inner();
        let mut fork = begin(&inner)?;
        fork.share(&mut inner, usize::MAX)?;
        Ok(fork.child)
    }

    /// Begins a copy for a child process; whether it is complete already.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn start_fork(&self) -> Result<(Fork, bool), Errno> {
        let mut inner = self.inner();
        let mut fork = begin(&inner)?;
        let is_over = fork.share(&mut inner, AT_ONCE)?;
        Ok((fork, is_over))
    }
}

/// A child with areas and no page.
fn begin(parent: &Inner) -> Result<Fork, Errno> {
    if !memory::has_headroom(frames_for_areas(parent.areas.len())) {
        return Err(Errno::ENOMEM);
    }
    // Otherwise none of the areas is too large by itself.
    let is_strict = Overcommit::now() == Overcommit::Never;
    if is_strict && !may_promise(parent.areas.accounted_pages()) {
        return Err(Errno::ENOMEM);
    }
    let child = AddressSpace::new(parent.limits).map_err(|OutOfMemory| Errno::ENOMEM)?;
    child.announce(parent.areas.iter());
    let mut inner = child.inner();
    let mut areas = parent.areas.for_child(&mut inner.next_set);
    for area in parent.areas.iter() {
        if area.flags.contains(AreaFlags::DONT_FORK) {
            areas.remove(area.range());
        }
    }
    inner.areas = areas;
    inner.settle();
    inner.layout = parent.layout;
    inner.heap = parent.heap.clone();
    inner.facts = Arc::clone(&parent.facts);
    drop(inner);
    Ok(Fork {
        child,
        next: 0,
        changes: parent.areas.changes(),
    })
}
