//! Huge pages: who gets them, and when.
//!
//! A store that finds nothing in an aligned 2 MiB of an area of private memory
//! without an object brings all of it at once, if the area may have that
//! (`is_eligible`) and a block of frames is free. If none is, a page comes, and
//! nobody is asked to make room. What comes after knows pages only: the page
//! table splits a huge page when a part of it changes (`PageTable::map_huge`).
//!
//! | policy | an area may have huge pages |
//! |---|---|
//! | `always` | unless it was advised `MADV_NOHUGEPAGE` |
//! | `madvise` | if it was advised `MADV_HUGEPAGE` |
//! | `never` | in no case |
//!
//! In any case not in a space with `PR_SET_THP_DISABLE`. Pages that are there
//! already are gathered to a huge one when the program asks
//! ([`Collapse`](super::Collapse)): there is no `khugepaged`.

use core::fmt;

use ochre_hal::memory::{HUGE_SIZE, PageTable, UserBlock};
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering};

use super::AddressSpace;
use super::area::{Area, AreaFlags};

/// Bytes in a huge page, as addresses count.
pub(super) const HUGE: u64 = HUGE_SIZE as u64;

/// Which areas may have huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum HugePolicy {
    /// All.
    Always,
    /// Those that were advised so.
    Madvise,
    /// None.
    Never,
}

static POLICY: AtomicU32 = AtomicU32::new(HugePolicy::Madvise as u32);

/// Pages that came where a huge one was meant to.
static FALLBACKS: AtomicU64 = AtomicU64::new(0);

impl HugePolicy {
    const ALL: [(HugePolicy, &str); 3] = [
        (HugePolicy::Always, "always"),
        (HugePolicy::Madvise, "madvise"),
        (HugePolicy::Never, "never"),
    ];

    /// The one with this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<HugePolicy> {
        let mut all = HugePolicy::ALL.into_iter();
        all.find_map(|(policy, known)| (known.as_bytes() == name).then_some(policy))
    }

    /// The one that counts now.
    #[inline]
    #[must_use]
    pub fn now() -> HugePolicy {
        // ORDERING: Relaxed; a number by itself.
        match POLICY.load(Ordering::Relaxed) {
            0 => HugePolicy::Always,
            1 => HugePolicy::Madvise,
            _ => HugePolicy::Never,
        }
    }

    /// From now on this one counts, for what is not there yet.
    pub fn set(self) {
        // ORDERING: as above.
        POLICY.store(self as u32, Ordering::Relaxed);
    }
}

/// All policies by name, the one that it is in brackets.
impl fmt::Display for HugePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (policy, name)) in HugePolicy::ALL.into_iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            if policy == *self {
                write!(f, "[{name}]")?;
            } else {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

/// How often a page came in place of a huge one, for want of a block.
#[must_use]
pub fn fallbacks() -> u64 {
    // ORDERING: Relaxed; a count.
    FALLBACKS.load(Ordering::Relaxed)
}

impl AddressSpace {
    /// Whether the program wants no huge pages (`PR_GET_THP_DISABLE`).
    #[must_use]
    pub fn refuses_huge_pages(&self) -> bool {
        self.inner().refuses_huge
    }

    /// Says whether the program wants no huge pages (`PR_SET_THP_DISABLE`).
    pub fn refuse_huge_pages(&self, refuse: bool) {
        self.inner().refuses_huge = refuse;
    }

    /// Whether an area of this space may have a huge page somewhere.
    #[must_use]
    pub fn may_have_huge_pages(&self, area: &Area) -> bool {
        let first = area.start.next_multiple_of(HUGE);
        is_eligible(area) && area.end.saturating_sub(first) >= HUGE && !self.refuses_huge_pages()
    }
}

/// Whether huge pages are for this area.
#[inline]
fn is_eligible(area: &Area) -> bool {
    let is_meant = match HugePolicy::now() {
        HugePolicy::Always => !area.flags.contains(AreaFlags::NO_HUGE),
        HugePolicy::Madvise => area.flags.contains(AreaFlags::HUGE),
        HugePolicy::Never => false,
    };
    is_meant && area.source.is_none() && !area.is_shared()
}

/// Where the huge page begins that is to come with a store to `page`, at which
/// nothing is mapped.
#[inline]
pub(super) fn place(area: &Area, table: &PageTable, page: u64) -> Option<u64> {
    is_eligible(area).then(|| place_in(area, table, page))?
}

#[cold]
fn place_in(area: &Area, table: &PageTable, page: u64) -> Option<u64> {
    let start = page & !(HUGE - 1);
    let is_inside = area.start <= start && area.end.saturating_sub(start) >= HUGE;
    (is_inside && table.is_vacant_block(start)).then_some(start)
}

/// Makes a huge page, if there is a block for one, for who would have a page
/// otherwise.
#[cold]
pub(super) fn make() -> Option<UserBlock> {
    let block = make_if_free();
    if block.is_none() {
        // ORDERING: Relaxed; a count.
        FALLBACKS.fetch_add(1, Ordering::Relaxed);
    }
    block
}

/// Makes a huge page, if there is a block for one.
pub(super) fn make_if_free() -> Option<UserBlock> {
    UserBlock::zeroed().ok()
}

#[cfg(test)]
mod tests {
    use super::HugePolicy;

    #[test]
    fn policies_are_told_and_taken_by_name() {
        for (policy, told) in [
            (HugePolicy::Always, "[always] madvise never"),
            (HugePolicy::Madvise, "always [madvise] never"),
            (HugePolicy::Never, "always madvise [never]"),
        ] {
            assert_eq!(policy.to_string(), told);
        }
        assert_eq!(HugePolicy::named(b"never"), Some(HugePolicy::Never));
        assert_eq!(HugePolicy::named(b"nev"), None);
        assert_eq!(HugePolicy::named(b""), None);
    }
}
