//! Single pages as those see them who ask what an address leads to: `/proc/PID/pagemap`
//! and `/proc/ochre/pagetable`.
//!
//! Nothing is changed or faulted in. What is told has the truth of the moment at
//! which the space was locked.

use core::ops::Range;

use ochre_hal::memory::{Mapping, Rights, Step, USER_END, UserFrame};

use super::AddressSpace;
use super::area::{Area, PAGE, Source};

/// A page that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageView {
    /// The number of its frame: for whoever may know where memory is.
    pub frame: u64,
    /// What the program may do with it without a fault.
    pub rights: Rights,
    /// Whether it is the one frame of zeroes that all programs share.
    pub is_zero: bool,
    /// Whether it belongs to what is mapped (a file, shared memory) rather than
    /// to the program.
    pub is_of_object: bool,
    /// Page tables that map it, this one included.
    pub mappings: usize,
}

impl AddressSpace {
    /// Shows the pages of a range that are there, by address.
    pub fn pages(&self, range: Range<u64>, mut see: impl FnMut(u64, PageView)) {
        let inner = self.inner();
        let end = range.end.min(USER_END);
        for area in inner.areas.overlapping(range.start..end) {
            let part = area.start.max(range.start)..area.end.min(end);
            inner.table.visit(part, |address, mapping| {
                see(address, view(area, address, mapping));
            });
        }
    }

    /// Shows each entry of the page table on the way to an address of the
    /// program's half; the area that is there, and the page.
    pub fn walk(&self, address: u64, see: impl FnMut(&Step)) -> (Option<Area>, Option<PageView>) {
        let inner = self.inner();
        let page = address & !(PAGE - 1);
        if page >= USER_END {
            return (None, None);
        }
        inner.table.walk(address, see);
        let area = inner.areas.get(address).cloned();
        let found = area.as_ref().zip(inner.table.query(page));
        let page = found.map(|(area, mapping)| view(area, page, &mapping));
        (area, page)
    }
}

/// What there is to say of a page of an area.
fn view(area: &Area, address: u64, mapping: &Mapping) -> PageView {
    let frame = &mapping.frame;
    let is_of_object = area
        .source
        .as_ref()
        .is_some_and(|source| is_objects_own(area, source, address, frame));
    PageView {
        frame: frame.number(),
        rights: mapping.rights,
        is_zero: frame.same_as(&UserFrame::shared_zero()),
        is_of_object,
        // Without the object.
        mappings: mapping
            .holders()
            .saturating_sub(usize::from(is_of_object))
            .max(1),
    }
}

/// Whether the object that an area shows has this frame at this place, so that
/// it is no copy of the program's own.
pub(super) fn is_objects_own(
    area: &Area,
    source: &Source,
    address: u64,
    frame: &UserFrame,
) -> bool {
    let index = area.index_of(source, address);
    let mut is_own = area.is_shared();
    if !is_own {
        let place = index..index.saturating_add(1);
        source
            .backing
            .present(place, &mut |_, theirs| is_own |= theirs.same_as(frame));
    }
    is_own
}
